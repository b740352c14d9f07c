//! From the form of a selection to the selection: one strategy, and filters that work.

use super::allowance::Allowance;
use super::diagnostic::Problems;
use super::read::{At, Field, Form as _};
use super::tree::Place;
use super::wire::environment::SelectForm;
use crate::model::policy::{Pattern, Select, Strategy};
use crate::relay;
use crate::relay::select::SelectError;

/// The selection that a form says; none where something is wrong.
pub(crate) fn select(form: &SelectForm, allowance: &Allowance, problems: &mut Problems) -> Option<Select> {
    let strategy = strategy(form, problems);
    let matches = form.matches.get().map(|at| compiled(at, allowance, problems));
    let ignore =
        form.ignore.value().map(|list| list.iter().map(|at| compiled(at, allowance, problems)).collect::<Vec<_>>());
    let labels = form.labels.value().map(|entries| {
        let label =
            |(key, at): &(At<String>, At<String>)| compiled(at, allowance, problems).map(|p| (key.value.clone(), p));
        entries.0.iter().map(label).collect::<Vec<_>>()
    });
    let (strategy, at) = strategy?;
    let select = Select {
        matches: match matches {
            Some(pattern) => Some(pattern?),
            None => None,
        },
        extract: form.extract.value().cloned(),
        ignore: ignore?.into_iter().collect::<Option<_>>()?,
        labels: labels?.into_iter().collect::<Option<_>>()?,
        branch: form.branch.value().cloned(),
        min_age: *form.min_age.value()?,
        allow_downgrade: *form.allow_downgrade.value()?,
        strategy,
    };
    if let Err(error) = relay::select::check(&select) {
        let at = match &error {
            SelectError::Range(_) | SelectError::EmptyRange | SelectError::FollowedTagDropped(_) => &at,
            SelectError::Extract(..) | SelectError::ExtractWithoutMatch | SelectError::NothingToExtractFor => {
                form.extract.get().map_or(&at, |extract| &extract.at)
            }
        };
        problems.add(at, error.to_string());
        return None;
    }
    Some(select)
}

fn compiled(at: &At<String>, allowance: &Allowance, problems: &mut Problems) -> Option<Pattern> {
    problems.check(&at.at, allowance.pattern(&at.value))
}

/// The one strategy of the form, and where it stands.
fn strategy(form: &SelectForm, problems: &mut Problems) -> Option<(Strategy, Place)> {
    let given = [
        one("semver", &form.semver, |range| Strategy::Semver(range.clone())),
        one("newest", &form.newest, |newest| Strategy::Newest(*newest)),
        one("numeric", &form.numeric, |numeric| Strategy::Numeric(numeric.0)),
        one("alphabetical", &form.alphabetical, |alphabetical| Strategy::Alphabetical(alphabetical.0)),
        one("follow", &form.follow, |tag| Strategy::Follow(tag.clone())),
        one("pinned", &form.pinned, |_| Strategy::Pinned),
    ];
    let known = "`semver`, `newest`, `numeric`, `alphabetical`, `follow`, `pinned`";
    let mut present = given.into_iter().flatten();
    let Some((_, first)) = present.next() else {
        form.lacks("this selection has no strategy", format!("write one of {known}"), problems);
        return None;
    };
    for (name, second) in present {
        let at = second.map_or_else(|| form.at().clone(), |(_, at)| at);
        problems.add(&at, format!("`{name}` is a second strategy: a selection has exactly one of {known}"));
    }
    if let Some(pinned) = form.pinned.get().filter(|pinned| !pinned.value) {
        problems.add(&pinned.at, "`pinned` is `true`, or left out");
    }
    if let Some(follow) = form.follow.get() {
        reserved(follow.value.as_str(), &follow.at, problems);
    }
    first
}

/// A strategy's name and, where it could be read, the strategy and its place.
type Given = (&'static str, Option<(Strategy, Place)>);

fn one<T>(name: &'static str, field: &Field<T>, strategy: impl Fn(&T) -> Strategy) -> Option<Given> {
    (!field.is_absent()).then(|| (name, field.get().map(|at| (strategy(&at.value), at.at.clone()))))
}

/// Tells of a tag that is ours: `tagrelay-...` keeps releases from lifecycle rules and is never a candidate.
pub(crate) fn reserved(tag: &str, at: &Place, problems: &mut Problems) {
    if tag.starts_with(relay::keep::PREFIX) {
        problems.add(at, "tags that begin with `tagrelay-` are tagrelay's own");
    }
}
