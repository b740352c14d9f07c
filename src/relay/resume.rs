//! What a person's `resume` lifts: what stands in the way, where it is of one kind and one author; else they say which.

use super::way_back::{self, Adoption};
use crate::model::ledger::{Hold, HoldKind};
use crate::model::{Scope, Sequence, text};
use std::collections::BTreeMap;
use std::fmt;

/// How many lines a list has at the most.
const LISTED_MAX: usize = 20;

/// What kind of stop it is, or whose: `--of unknown | journal | too-many | NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A rollout without a verdict, and the hold that it made.
    Unknown,
    /// A commit that another journal wrote.
    Journal,
    /// The limit on changes.
    TooMany,
    /// Failures of several policies.
    Failures,
    /// The holds of somebody.
    Name(String),
}

impl Of {
    /// As a person says it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "unknown" => Self::Unknown,
            "journal" => Self::Journal,
            "too-many" => Self::TooMany,
            "failures" => Self::Failures,
            name => Self::Name(name.to_owned()),
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Journal => "journal",
            Self::TooMany => "too-many",
            Self::Failures => "failures",
            Self::Name(name) => name,
        })
    }
}

/// Something that a person may lift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What it stops.
    pub scope: Scope,
    /// What kind it is, or whose.
    pub of: Of,
    /// Why it stands.
    pub why: String,
    /// The hold, where it is one.
    pub hold: Option<Sequence>,
    /// Whether a rollback made it: `--all` leaves it.
    pub is_of_rollback: bool,
}

impl Stop {
    /// A hold as such.
    #[must_use]
    pub fn hold(hold: &Hold) -> Self {
        let of = match hold.kind {
            HoldKind::Unknown => Of::Unknown,
            HoldKind::ManyFailed => Of::Failures,
            HoldKind::Plain | HoldKind::Rollback => Of::Name(hold.who.clone()),
        };
        Self {
            scope: hold.scope.clone(),
            of,
            why: format!("held by {}: {}", hold.who, hold.why),
            hold: Some(hold.sequence),
            is_of_rollback: hold.kind == HoldKind::Rollback,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.scope, self.why)
    }
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Of what.
    pub scope: Scope,
    /// Only these.
    pub of: Option<Of>,
    /// Whatever stands there, of several kinds and authors.
    pub every: bool,
}

/// What is lifted, and what of it stays because a rollback made it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lifted {
    /// What is lifted.
    pub lifts: Vec<Stop>,
    /// What stays.
    pub stays: Vec<Stop>,
}

/// Chooses what is lifted of all that stands in a scope; an error lists what there is, each with its command.
///
/// # Errors
/// When more than one kind or author is meant and the person did not say that they mean all.
pub fn choose(stops: Vec<Stop>, asked: &Asked) -> Result<Lifted, String> {
    let reaches_over_all = asked.scope.policy.is_none();
    let (stays, mut lifts): (Vec<Stop>, Vec<Stop>) =
        stops.into_iter().partition(|stop| reaches_over_all && stop.is_of_rollback);
    if let Some(of) = &asked.of {
        lifts.retain(|stop| stop.of == *of);
    }
    let mut by_kind: BTreeMap<&Of, Vec<&Stop>> = BTreeMap::new();
    for stop in &lifts {
        by_kind.entry(&stop.of).or_default().push(stop);
    }
    if by_kind.len() > 1 && !asked.every {
        return Err(list(&asked.scope, &by_kind));
    }
    Ok(Lifted { lifts, stays })
}

fn list(scope: &Scope, by_kind: &BTreeMap<&Of, Vec<&Stop>>) -> String {
    let over = arguments(scope);
    let mut lines = vec![format!("{scope} is stopped for more than one reason, say which to lift:")];
    for (of, stops) in by_kind.iter().take(LISTED_MAX) {
        let first = stops.first().map(ToString::to_string).unwrap_or_default();
        let more = if stops.len() > 1 { format!(", and {} more", stops.len() - 1) } else { String::new() };
        lines.push(format!("  tagrelay resume {over} --of {}    {first}{more}", quoted(&of.to_string())));
    }
    lines.push(format!("  tagrelay resume {over} --every    all of these"));
    lines.join("\n")
}

/// A scope as the command line names it.
#[must_use]
pub fn arguments(scope: &Scope) -> String {
    match (&scope.policy, &scope.environment) {
        (Some(_), _) => scope.to_string(),
        (None, Some(environment)) => format!("--all --env {environment}"),
        (None, None) => "--all".to_owned(),
    }
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    if is_plain { name.to_owned() } else { format!("'{}'", text::shown(name).replace('\'', "'\\''")) }
}

/// What was done, in words.
#[must_use]
pub fn told(scope: &Scope, lifted: &Lifted, adopted: &[Adoption]) -> String {
    let listed = |stops: &[Stop]| {
        let shown: Vec<String> = stops.iter().take(LISTED_MAX).map(ToString::to_string).collect();
        let more = stops.len().saturating_sub(LISTED_MAX);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        shown.join(", ") + &more
    };
    // What was adopted is told in lines of its own.
    let others: Vec<Stop> = lifted.lifts.iter().filter(|stop| stop.of != Of::Journal).cloned().collect();
    let mut words = match (others.as_slice(), adopted) {
        ([], []) => format!("nothing was lifted: no hold stands in {scope}"),
        ([], adopted) => format!("lifted: JournalIsNew in {} environments", adopted.len()),
        (lifts, []) => format!("lifted: {}", listed(lifts)),
        (lifts, adopted) => format!("lifted: {}, and JournalIsNew in {} environments", listed(lifts), adopted.len()),
    };
    if !lifted.stays.is_empty() {
        let each = "a rollback made it, resume it by its name";
        words.push_str(&format!("; not lifted: {} ({each})", listed(&lifted.stays)));
    }
    words.push_str("; refusals and HOLD files stand");
    if !adopted.is_empty() {
        words.push('\n');
        words.push_str(&way_back::told(adopted));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EnvironmentName, PolicyName};

    fn scope(text: &str) -> Scope {
        let (policy, environment) = text.split_once('/').map_or((text, None), |(policy, of)| (policy, Some(of)));
        Scope {
            policy: (policy != "*").then(|| PolicyName::parse(policy).unwrap()),
            environment: environment.map(|name| EnvironmentName::parse(name).unwrap()),
        }
    }

    fn stop(at: &str, of: &str) -> Stop {
        let (of, is_of_rollback) = of.strip_suffix(" by rollback").map_or((of, false), |of| (of, true));
        Stop { scope: scope(at), of: Of::parse(of), why: format!("for {of}"), hold: None, is_of_rollback }
    }

    /// Where, `--of`, `--every`, what stands; what is lifted, or the commands that are listed.
    type Row<'a> = (&'a str, Option<&'a str>, bool, &'a [&'a str], Result<&'a [&'a str], &'a [&'a str]>);

    #[test]
    fn one_kind_of_one_author_is_lifted_and_more_are_listed() {
        let rows: &[Row<'_>] = &[
            ("shop/prod", None, false, &[], Ok(&[])),
            ("shop/prod", None, false, &["alice"], Ok(&["alice"])),
            ("shop/prod", None, false, &["alice", "alice"], Ok(&["alice", "alice"])),
            ("shop/prod", None, false, &["alice by rollback"], Ok(&["alice"])),
            ("shop/prod", None, false, &["unknown"], Ok(&["unknown"])),
            (
                "shop/prod",
                None,
                false,
                &["alice", "bob"],
                Err(&["shop/prod --of alice", "shop/prod --of bob", "shop/prod --every"]),
            ),
            ("shop/prod", None, false, &["alice", "unknown"], Err(&["--of unknown", "--of alice"])),
            ("shop/prod", None, false, &["journal", "too-many"], Err(&["--of journal", "--of too-many"])),
            ("shop/prod", None, false, &["alice by rollback", "bob"], Err(&["--of alice", "--of bob"])),
            ("shop/prod", Some("alice"), false, &["alice", "bob"], Ok(&["alice"])),
            ("shop/prod", Some("carol"), false, &["alice", "bob"], Ok(&[])),
            ("shop/prod", None, true, &["alice", "bob", "unknown"], Ok(&["alice", "bob", "unknown"])),
            ("*", None, false, &["alice", "bob by rollback"], Ok(&["alice"])),
            ("*", None, true, &["alice", "bob by rollback"], Ok(&["alice"])),
            ("*/prod", Some("bob"), false, &["bob by rollback", "bob"], Ok(&["bob"])),
            ("*/prod", None, false, &["alice", "O'Hara"], Err(&["--all --env prod --of 'O'\\''Hara'"])),
        ];
        for (at, of, every, stands, expected) in rows {
            let stops = stands.iter().map(|of| stop("shop/prod", of)).collect();
            let asked = Asked { scope: scope(at), of: of.map(Of::parse), every: *every };
            match (choose(stops, &asked), expected) {
                (Ok(lifted), Ok(expected)) => {
                    let lifts: Vec<String> = lifted.lifts.iter().map(|stop| stop.of.to_string()).collect();
                    assert_eq!(lifts, *expected, "{at} {stands:?}");
                }
                (Err(list), Err(expected)) => {
                    assert!(expected.iter().all(|command| list.contains(command)), "{stands:?}: {list}");
                }
                (found, expected) => panic!("{at} {of:?} {stands:?}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn what_was_lifted_and_what_stays_is_said() {
        let stops = vec![stop("shop/prod", "alice"), stop("shop/dev", "bob by rollback")];
        let asked = Asked { scope: scope("*"), of: None, every: false };
        let words = told(&asked.scope, &choose(stops, &asked).unwrap(), &[]);
        assert!(words.contains("lifted: shop/prod (for alice)"), "{words}");
        assert!(words.contains("not lifted: shop/dev (for bob) (a rollback made it"), "{words}");
    }
}
