//! Who may write a place that several environments want: whoever was there first.
//!
//! A place is a text that names it the same for everybody: a value or entry of a file on a branch of a repository, a tag,
//! or the deployments that GitLab is told of. Two places overlap where they are one, or where one stands below the other.

use crate::model::policy::PolicyOrigin;
use crate::model::{Repository, Scope, Tag};
use std::collections::BTreeMap;

/// What stands between the parts of a place's text: no part has it.
const BETWEEN: char = '\n';

/// The place of a value or entry in a file.
#[must_use]
pub fn of_file(repository: &str, branch: &str, file: &str, path: &str) -> String {
    [repository, branch, file, path].join("\n")
}

/// A tag is a place too.
#[must_use]
pub fn of_tag(repository: &Repository, tag: &Tag) -> String {
    format!("tag{BETWEEN}{repository}:{tag}")
}

/// The deployments of a project in one environment of GitLab.
#[must_use]
pub fn of_report(project: &str, environment: &str) -> String {
    format!("report{BETWEEN}{project}{BETWEEN}{environment}")
}

/// A value or entry of a file, as its place names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InFile<'a> {
    /// Where the repository is.
    pub repository: &'a str,
    /// The branch.
    pub branch: &'a str,
    /// The file.
    pub file: &'a str,
    /// Where in it, a key or item for each level, joined by `/`; a later document of the file by its number first.
    pub key: &'a str,
}

/// What a place in a file names; none of another kind of place.
#[must_use]
pub fn in_file(place: &str) -> Option<InFile<'_>> {
    match place.split(BETWEEN).collect::<Vec<_>>().as_slice() {
        [repository, branch, file, path] => {
            Some(InFile { repository, branch, file, key: path.strip_prefix("0/").unwrap_or(path) })
        }
        _ => None,
    }
}

/// The tag that a place is, with its repository; none of another kind of place.
#[must_use]
pub fn tag(place: &str) -> Option<&str> {
    place.strip_prefix("tag").and_then(|rest| rest.strip_prefix(BETWEEN))
}

/// A place for people.
#[must_use]
pub fn shown(place: &str) -> String {
    match place.split(BETWEEN).collect::<Vec<_>>().as_slice() {
        [_, branch, file, path] => format!("`{path}` of {file} on branch {branch}"),
        ["tag", tag] => format!("tag {tag}"),
        ["report", project, environment] => format!("the deployments of {project} in {environment}"),
        _ => crate::model::text::shown(place),
    }
}

/// An environment that wants places.
#[derive(Debug, Clone)]
pub struct Claimant<'a> {
    /// The environment.
    pub scope: Scope,
    /// Where its policy stands.
    pub origin: PolicyOrigin,
    /// What it writes.
    pub places: Vec<&'a str>,
    /// What the journal says that it held; none where the journal says nothing of places.
    pub held: Option<&'a [String]>,
    /// Whether the journal says that anything ran there.
    pub ran: bool,
}

impl Claimant<'_> {
    /// Whether it had this place before. A journal that was written before places were kept tells only who ran.
    fn held(&self, place: &str) -> bool {
        self.held.map_or(self.ran, |held| held.iter().any(|held| held == place))
    }
}

/// A place that somebody else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which claimant has it.
    pub by: usize,
    /// The place.
    pub place: String,
}

/// Which claimants must leave a place to another, by their index. Whoever held a place goes on there; where nobody did, the
/// repository and then the file of the policy that stands first.
#[must_use]
pub fn taken(claimants: &[Claimant<'_>]) -> BTreeMap<usize, Taken> {
    let mut order: Vec<usize> = (0..claimants.len()).collect();
    order.sort_by_key(|index| &claimants[*index].origin);
    let mut owned = Owned::default();
    for index in &order {
        let claimant = &claimants[*index];
        for place in claimant.places.iter().filter(|place| claimant.held(place)) {
            if owned.by_another(*index, place).is_none() {
                owned.0.insert(place, *index);
            }
        }
    }
    let mut taken = BTreeMap::new();
    for index in order {
        let places = &claimants[index].places;
        let other = places.iter().find_map(|place| Some((owned.by_another(index, place)?, place)));
        match other {
            Some((by, place)) => drop(taken.insert(index, Taken { by, place: (*place).to_owned() })),
            None => owned.0.extend(places.iter().map(|place| (*place, index))),
        }
    }
    taken
}

/// Places and who has them.
#[derive(Default)]
struct Owned<'a>(BTreeMap<&'a str, usize>);

impl Owned<'_> {
    /// Who else has a place that overlaps this one.
    fn by_another(&self, index: usize, place: &str) -> Option<usize> {
        let other = |owner: &usize| *owner != index;
        let above = place.match_indices('/').filter_map(|(at, _)| self.0.get(place.get(..at)?));
        let here = self.0.get(place);
        let below = format!("{place}/");
        let inside =
            self.0.range(below.as_str()..).take_while(|(it, _)| it.starts_with(&below)).map(|(_, owner)| owner);
        here.into_iter().chain(above).chain(inside).copied().find(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EnvironmentName, PolicyName};

    struct Env(&'static str, Option<&'static str>, &'static [&'static str], Option<&'static [&'static str]>, bool);

    /// Which of these must leave a place, and to whom.
    fn check(environments: &[Env], expected: &[(usize, usize)]) {
        let held: Vec<Option<Vec<String>>> = environments
            .iter()
            .map(|Env(_, _, _, held, _)| held.map(|held| held.iter().map(|place| (*place).to_owned()).collect()))
            .collect();
        let claimants: Vec<Claimant<'_>> = environments
            .iter()
            .zip(&held)
            .map(|(Env(path, repository, places, _, ran), held)| Claimant {
                scope: Scope::of(&PolicyName::parse("p").expect("name"), &EnvironmentName::parse("e").expect("name")),
                origin: PolicyOrigin { repository: repository.map(str::to_owned), path: (*path).to_owned() },
                places: places.to_vec(),
                held: held.as_deref(),
                ran: *ran,
            })
            .collect();
        let found: Vec<(usize, usize)> =
            taken(&claimants).into_iter().map(|(index, taken)| (index, taken.by)).collect();
        let told: Vec<_> =
            environments.iter().map(|Env(path, _, places, held, ran)| (path, places, held, ran)).collect();
        assert_eq!(found, expected, "{told:?}");
    }

    #[test]
    fn whoever_was_there_first_goes_on() {
        // Nobody was there: the repository and then the file that stands first.
        check(
            &[Env("b.yaml", Some("r"), &["x"], None, false), Env("a.yaml", Some("r"), &["x"], None, false)],
            &[(0, 1)],
        );
        check(
            &[Env("a.yaml", Some("s"), &["x"], None, false), Env("z.yaml", Some("r"), &["x"], None, false)],
            &[(0, 1)],
        );
        // One held it, whatever its file is called.
        check(&[Env("a", None, &["x"], Some(&[]), true), Env("b", None, &["x"], Some(&["x"]), false)], &[(0, 1)]);
        check(&[Env("a", None, &["x"], Some(&["y"]), true), Env("b", None, &["x"], Some(&["x"]), true)], &[(0, 1)]);
        // A journal that says nothing of places tells who ran.
        check(&[Env("a", None, &["x"], None, false), Env("b", None, &["x"], None, true)], &[(0, 1)]);
        // Above, below, and beside.
        check(&[Env("a", None, &["f/i/tag"], None, false), Env("b", None, &["f/i"], Some(&["f/i"]), false)], &[(0, 1)]);
        check(
            &[Env("a", None, &["f/i"], None, false), Env("b", None, &["f/i/tag"], Some(&["f/i/tag"]), false)],
            &[(0, 1)],
        );
        check(&[Env("a", None, &["f/i/tag"], None, false), Env("b", None, &["f/i2", "f/i/tags"], None, false)], &[]);
        // One that must leave one place keeps what it held elsewhere, and takes nothing new.
        check(
            &[
                Env("a", None, &["x", "y"], Some(&["x"]), true),
                Env("b", None, &["y"], Some(&["y"]), true),
                Env("c", None, &["x"], Some(&[]), false),
            ],
            &[(0, 1), (2, 0)],
        );
        check(
            &[
                Env("a", None, &["x", "y"], Some(&[]), false),
                Env("b", None, &["y"], Some(&["y"]), true),
                Env("c", None, &["x"], Some(&[]), false),
            ],
            &[(0, 1)],
        );
    }

    #[test]
    fn places_are_shown_to_people() {
        let file = of_file("git.example.com/a", "main", "d/k.yaml", "0/images/[name=shop]");
        assert_eq!(shown(&file), "`0/images/[name=shop]` of d/k.yaml on branch main");
        let (repository, tag) =
            (Repository::parse("reg.io/shop").expect("parses"), Tag::parse("prod").expect("parses"));
        assert_eq!(shown(&of_tag(&repository, &tag)), "tag reg.io/shop:prod");
        assert_eq!(shown(&of_report("g/p", "prod")), "the deployments of g/p in prod");
    }
}
