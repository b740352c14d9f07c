//! Which release a person means by what they type: any name that we print of it.

use crate::daemon::handle::Refusal;
use crate::model::{Release, ReleaseId, text};
use crate::relay::facts::Facts;
use std::collections::BTreeSet;

/// How many releases a list of choices names at the most.
const LISTED_MAX: usize = 20;

/// The release that a person names, among all that the environment may know.
pub(in crate::daemon) fn find(facts: &Facts<'_>, named: &str) -> Result<Release, Refusal> {
    let chosen = facts.chosen.as_ref().map(|chosen| chosen.iter()).into_iter().flatten();
    let ledgers = facts.before.iter().copied().chain([facts.ledger]).chain(facts.from.map(|from| from.ledger));
    let arrived =
        ledgers.flat_map(|ledger| ledger.arrivals.iter().rev()).filter_map(|arrival| arrival.release.as_ref());
    let tagged = facts.tagged();
    one_of(chosen.chain(arrived).chain(&tagged), named)
}

/// The one of these releases that a person names. A whole name counts before the beginning of another.
pub(in crate::daemon) fn one_of<'a>(
    releases: impl Iterator<Item = &'a Release>,
    named: &str,
) -> Result<Release, Refusal> {
    let mut known: Vec<&Release> = Vec::new();
    for release in releases {
        if !known.contains(&release) {
            known.push(release);
        }
    }
    let mut found: Vec<&Release> = known.iter().copied().filter(|release| release.has_name(named)).collect();
    if found.is_empty() {
        found = known.into_iter().filter(|release| release.is_named(named)).collect();
    }
    match found.as_slice() {
        [] => Err(Refusal::NotFound(format!(
            "no release is known by `{}`: name a tag, or a digest or an id, of which the first {} digits are enough",
            text::shown(named),
            ReleaseId::SHOWN
        ))),
        [one] => Ok((*one).clone()),
        several => {
            let list = choices(several);
            Err(Refusal::Ambiguous(format!("more than one release is meant, name one: {list}")))
        }
    }
}

/// Releases to choose among: each by what is shown of its digest, or by its whole id where that does not tell them apart.
pub(in crate::daemon) fn choices(releases: &[&Release]) -> String {
    let shown: BTreeSet<String> = releases.iter().map(|release| release.short()).collect();
    let whole = shown.len() < releases.len();
    let id = |release: &Release| if whole { release.id().as_str().to_owned() } else { release.short() };
    let each = releases.iter().take(LISTED_MAX).map(|release| format!("{} ({release})", id(release)));
    each.collect::<Vec<_>>().join(", ")
}
