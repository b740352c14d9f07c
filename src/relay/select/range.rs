//! Version ranges in the Masterminds grammar that users of Helm, Flux and Argo CD know: `~1.2`, `^1`, `1.x`, `>=1 <2`,
//! `1.2 - 1.4`, `||`.
//!
//! What each comparator admits follows, case by case, what Masterminds/semver v3.4 answers, wildcards
//! and the special case of `~0.0.0` included. It differs where that code does not do what its own comments say: `^*`
//! admits everything, and an alternative of `||` that was left empty is an error. It knows nothing of tags.

use super::version::{Number, Version, split_suffixes};
use std::cmp::Ordering;

/// The longest range that is read, in bytes; upstream's limit.
const RANGE_BYTES_MAX: usize = 512;
/// The most alternatives of `||`; upstream's limit.
const ALTERNATIVES_MAX: usize = 32;

/// A range that is none: where, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the range `{range}` is wrong at column {column}: {problem}")]
pub struct RangeError {
    /// The range, fit to be shown.
    pub range: String,
    /// Where in the range, from 1.
    pub column: usize,
    /// What is wrong and what was expected.
    pub problem: String,
}

/// A range of versions: any of its groups admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    groups: Vec<Group>,
}

/// Comparators that must all admit a version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    all: Vec<Comparator>,
    /// Whether one of them names a pre-release: else none is admitted.
    prereleases: bool,
}

/// An operator and the version it compares with, missing and wild parts filled with noughts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    bound: Version,
    open: Open,
}

/// From which part on any number is meant: by `x`, `X` or `*`, or because it was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// All three numbers are given.
    Nowhere,
    /// `1.2`, `1.2.x`.
    Patch,
    /// `1`, `1.x`.
    Minor,
    /// `*`.
    Major,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `=` or none: equal, or as `~` where a part is open.
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// The operators as they are written, longer ones before their beginnings.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Range {
    /// Parses a range; blank text is `*`.
    ///
    /// # Errors
    /// When it is none, with the column.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let wrong = |(at, problem): (usize, String)| RangeError {
            range: crate::model::text::shown(text),
            column: text.get(..at).map_or(1, |before| before.chars().count() + 1),
            problem,
        };
        if text.len() > RANGE_BYTES_MAX {
            return Err(wrong((0, format!("it is longer than {RANGE_BYTES_MAX} bytes"))));
        }
        if text.split("||").nth(ALTERNATIVES_MAX).is_some() {
            return Err(wrong((0, format!("it has more than {ALTERNATIVES_MAX} alternatives"))));
        }
        let mut reader = Reader { text, at: 0 };
        if text.trim().is_empty() {
            let any = Comparator { operator: Operator::Equal, bound: Version::ZERO, open: Open::Major };
            return Ok(Self { groups: vec![Group { all: vec![any], prereleases: false }] });
        }
        let mut groups = Vec::new();
        loop {
            groups.push(reader.group().map_err(wrong)?);
            if !reader.take("||") {
                return Ok(Self { groups });
            }
        }
    }

    /// Whether the range holds this version.
    #[must_use]
    pub fn admits(&self, version: &Version) -> bool {
        self.groups
            .iter()
            .any(|group| (group.prereleases || !version.is_prerelease()) && group.all.iter().all(|c| c.admits(version)))
    }

    /// Whether any alternative names a pre-release, and so admits any.
    #[must_use]
    pub fn names_prereleases(&self) -> bool {
        self.groups.iter().any(|group| group.prereleases)
    }

    /// How many alternatives it has, and how many comparators each: a hyphen range counts as two.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.all.len()).collect()
    }
}

impl Comparator {
    fn admits(&self, version: &Version) -> bool {
        let bound = &self.bound;
        match self.operator {
            Operator::Equal if self.open == Open::Nowhere => version == bound,
            Operator::Equal | Operator::Tilde => self.admits_tilde(version),
            Operator::NotEqual => self.admits_other(version),
            Operator::Greater => match self.open {
                Open::Nowhere | Open::Major => version > bound,
                Open::Minor => version.major > bound.major,
                Open::Patch => (&version.major, &version.minor) > (&bound.major, &bound.minor),
            },
            Operator::Less => version < bound,
            Operator::GreaterOrEqual => version >= bound,
            Operator::LessOrEqual => match self.open {
                Open::Nowhere => version <= bound,
                Open::Minor => version.major <= bound.major,
                Open::Patch | Open::Major => (&version.major, &version.minor) <= (&bound.major, &bound.minor),
            },
            Operator::Caret => self.admits_caret(version),
        }
    }

    /// `~1.2.3` is `>=1.2.3 <1.3`, `~1` is `>=1 <2`, `~0.0.0` and `~*` are anything.
    fn admits_tilde(&self, version: &Version) -> bool {
        let bound = &self.bound;
        let nought = [&bound.major, &bound.minor, &bound.patch].into_iter().all(|n| *n == Number::ZERO);
        let anything = nought && matches!(self.open, Open::Nowhere | Open::Major);
        let same_minor = self.open == Open::Minor || version.minor == bound.minor;
        version >= bound && (anything || (version.major == bound.major && same_minor))
    }

    /// `^1.2.3` is `>=1.2.3 <2`, `^0.2.3` is `>=0.2.3 <0.3`, `^0.0.3` is `0.0.3`, `^*` is anything.
    fn admits_caret(&self, version: &Version) -> bool {
        let bound = &self.bound;
        let same_major = version.major == bound.major;
        let same_minor = same_major && version.minor == bound.minor;
        let inside = match self.open {
            Open::Major => true,
            Open::Minor => same_major,
            _ if bound.major != Number::ZERO => same_major,
            Open::Patch => same_minor,
            Open::Nowhere if bound.minor != Number::ZERO => same_minor,
            Open::Nowhere => same_minor && version.patch == bound.patch,
        };
        version >= bound && inside
    }

    /// `!=1.2` is anything but `1.2.x`.
    fn admits_other(&self, version: &Version) -> bool {
        let bound = &self.bound;
        match self.open {
            Open::Nowhere | Open::Major => version != bound,
            Open::Minor => version.major != bound.major,
            Open::Patch => {
                let same = (&version.major, &version.minor) == (&bound.major, &bound.minor);
                !same || version.pre.cmp(&bound.pre) != Ordering::Equal
            }
        }
    }
}

/// What is wrong, and the byte where.
type Wrong = (usize, String);

/// Reads a range from left to right.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    /// One alternative: comparators parted by blanks or a comma.
    fn group(&mut self) -> Result<Group, Wrong> {
        let mut all = Vec::new();
        self.blanks();
        loop {
            self.comparators(&mut all)?;
            let blank = self.blanks();
            if self.rest().is_empty() || self.rest().starts_with("||") {
                let prereleases = all.iter().any(|c: &Comparator| c.bound.is_prerelease());
                return Ok(Group { all, prereleases });
            }
            let comma = self.take(",");
            if !comma && !blank {
                return Err((self.at, "expected a blank, `,` or `||` before the next comparator".to_owned()));
            }
            self.blanks();
        }
    }

    /// One comparator, or the two of a hyphen range.
    fn comparators(&mut self, all: &mut Vec<Comparator>) -> Result<(), Wrong> {
        let written = OPERATORS.into_iter().find(|(sign, _)| self.take(sign)).map(|(_, operator)| operator);
        self.blanks();
        let (bound, open) = self.bound()?;
        let mut ahead = Reader { text: self.text, at: self.at };
        let hyphen = ahead.blanks() && ahead.take("-") && ahead.blanks();
        if hyphen && written.is_some() {
            return Err((self.at, "a range with a hyphen takes no operator: write `1.2 - 1.4`".to_owned()));
        }
        if hyphen {
            self.at = ahead.at;
            all.push(Comparator { operator: Operator::GreaterOrEqual, bound, open });
            let (bound, open) = self.bound()?;
            all.push(Comparator { operator: Operator::LessOrEqual, bound, open });
        } else {
            all.push(Comparator { operator: written.unwrap_or(Operator::Equal), bound, open });
        }
        Ok(())
    }

    /// A version, complete or open.
    fn bound(&mut self) -> Result<(Version, Open), Wrong> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "*.+-".contains(c))).unwrap_or(rest.len());
        let token = rest.get(..end).unwrap_or(rest);
        let parsed = parse_bound(token).ok_or_else(|| {
            let found = match (token, rest.chars().next()) {
                ("", None) => "nothing".to_owned(),
                ("", Some(c)) => format!("`{c}`"),
                (token, _) => format!("`{token}`"),
            };
            (self.at, format!("expected a version like `1.2.3`, `1.2`, `1.x` or `*`, found {found}"))
        })?;
        self.at += token.len();
        Ok(parsed)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn take(&mut self, sign: &str) -> bool {
        let there = self.rest().starts_with(sign);
        self.at += if there { sign.len() } else { 0 };
        there
    }

    /// Skips blanks; whether there were any.
    fn blanks(&mut self) -> bool {
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_start().len();
        self.at += blanks;
        blanks > 0
    }
}

/// `1.2.x-0`, `v1`, `*`: what follows an open part is read and means nothing.
fn parse_bound(token: &str) -> Option<(Version, Open)> {
    let (core, pre) = split_suffixes(token.strip_prefix('v').unwrap_or(token))?;
    let mut version = Version { pre, ..Version::ZERO };
    let (mut open, mut given) = (Open::Nowhere, 0);
    for part in core.split('.') {
        let wild = matches!(part, "x" | "X" | "*");
        let number = if wild { Number::ZERO } else { Number::parse(part)? };
        let (slot, opened) = match given {
            0 => (&mut version.major, Open::Major),
            1 => (&mut version.minor, Open::Minor),
            2 => (&mut version.patch, Open::Patch),
            _ => return None,
        };
        given += 1;
        if wild && open == Open::Nowhere {
            open = opened;
        }
        if open == Open::Nowhere {
            *slot = number;
        }
    }
    let open = match (open, given) {
        (Open::Nowhere, 1) => Open::Minor,
        (Open::Nowhere, 2) => Open::Patch,
        (open, _) => open,
    };
    Some((version, open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_what_masterminds_admits() {
        let check = |range: &str, inside: &[&str], outside: &[&str]| {
            let parsed = Range::parse(range).expect(range);
            let holds = |text: &&str| parsed.admits(&Version::parse(text).expect(text));
            assert!(inside.iter().all(holds), "{range} holds {inside:?}");
            assert!(!outside.iter().any(holds), "{range} holds none of {outside:?}");
        };
        check("~1.2", &["1.2.0", "v1.2.99"], &["1.3.0", "1.1.9", "1.2.5-rc.1"]);
        check("^1", &["1.0.0", "1.99.0"], &["2.0.0", "0.9.0"]);
        check("1.x", &["1.0", "1.4"], &["2.0", "1.4-0"]);
        check("1.x.3", &["1.0", "1.4"], &["2.0"]);
        check(">=1 <2", &["1.0", "1.9.9"], &["2.0"]);
        check("=>1, =<2", &["1.0", "2.9.9"], &["3.0"]);
        check("1.2 - 1.4", &["1.2.0", "1.4.9"], &["1.5.0", "1.1.0"]);
        check("1.2 - 1.4 || ^3", &["1.3", "3.9"], &["2.0"]);
        check("v1.2.3", &["1.2.3"], &["1.2.4"]);
        check("~>1.2.3", &["1.2.4"], &["1.2.2", "1.3.0"]);
        check(">=1.0-0", &["1.3.0-rc.1", "1.0.0-0"], &["0.9.0"]);
        check(">=1.0.0 <2.0.0-0 || 3", &["1.1.0-rc", "3.0.0"], &["3.0.0-rc", "2.0.0"]);
        check("*", &["0.0.0", "99999999999999999999.1"], &["1.0.0-rc"]);
        check("^*", &["0.0.0", "1.2.3"], &["1.0.0-rc"]);
        check("^0.0.3", &["0.0.3"], &["0.0.4", "0.1.0"]);
        check("~0.0.0", &["9.9.9"], &[]);
        check("!=1.2", &["1.3.0", "2.2.0"], &["1.2.7"]);
        check(">99999999999999999999", &["100000000000000000000"], &["99999999999999999999.5"]);
        check("  ", &["1"], &["1-a"]);
    }

    #[test]
    fn errors_name_the_column() {
        let check = |range: &str, column: usize, says: &str| {
            let error = Range::parse(range).expect_err(range);
            assert_eq!(error.column, column, "{error}");
            assert!(error.problem.contains(says), "{error}");
        };
        check("latest", 1, "found `latest`");
        check(">=1.2 <", 8, "found nothing");
        check("~1.2, ^foo", 8, "found `foo`");
        check("1.2.3.4", 1, "found `1.2.3.4`");
        check("12.3.34~ 1.2.3", 8, "expected a blank");
        check(">1.0 - 2.0", 5, "no operator");
        check("1 ||", 5, "found nothing");
        check("|| 1", 1, "found `|`");
        check("1,", 3, "found nothing");
        check("1x", 1, "`1x`");
        check("*-*", 1, "`*-*`");
        check("1.2.3-beta.01", 1, "beta.01");
        check(&"1".repeat(513), 1, "longer");
        check(&["1"; 33].join("||"), 1, "alternatives");
        check("== 1", 2, "found `=`");
        check("ä1", 1, "`ä`");
    }
}
