//! What a person looks for and has opened, as the address of the page says it.

use crate::daemon::view::{Concern, EnvironmentView, PolicyView, Status};
use reqwest::Url;
use std::collections::BTreeSet;

/// How long a text is at the most that is looked for.
const TEXT_MAX: usize = 200;
/// How many places are open at the most.
const OPEN_MAX: usize = 50;

/// How often the page reads itself again, in seconds, while nobody looks for something: then it stands still, so that
/// nothing is taken from under the hands of whoever types or reads.
const REFRESH_SECONDS: u32 = 10;

/// What is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The words that an environment must have, all of them.
    text: String,
    /// The environments whose refusals are open, as `POLICY/ENV`.
    open: BTreeSet<String>,
    /// Whether the page stands still.
    is_paused: bool,
}

impl Look {
    /// Reads the query of an address: `q` is a text, each `open` an environment, and with `still` the page stands still. What is too long is cut off, what is unknown
    /// says nothing.
    pub(super) fn parse(query: &str) -> Self {
        let mut look = Self::default();
        let Ok(address) = Url::parse(&format!("http://here/?{query}")) else { return look };
        for (key, value) in address.query_pairs() {
            match &*key {
                "still" => look.is_paused = true,
                "q" => look.text = value.trim().chars().take(TEXT_MAX).collect(),
                "open" if look.open.len() < OPEN_MAX => drop(look.open.insert(value.chars().take(TEXT_MAX).collect())),
                _ => {}
            }
        }
        look
    }

    /// The same without what is open and is no environment of this status: each link of the page repeats what is open.
    pub(super) fn known_in(mut self, status: &Status) -> Self {
        if !self.open.is_empty() {
            let there: BTreeSet<String> =
                environments(status).map(|view| format!("{}/{}", view.policy, view.environment)).collect();
            self.open.retain(|place| there.contains(place));
        }
        self
    }

    /// What is looked for.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How often the page reads itself again, in seconds; none where it stands still.
    pub(super) fn refresh(&self) -> Option<u32> {
        (!self.is_paused && self.text.is_empty()).then_some(REFRESH_SECONDS)
    }

    /// Whether everything is shown and nothing is open, as for most who look.
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the refusals of an environment are open.
    pub(super) fn has_open(&self, place: &str) -> bool {
        self.open.contains(place)
    }

    /// The address where these refusals are open too.
    pub(super) fn with(&self, place: &str) -> String {
        let mut look = self.clone();
        look.open.insert(place.to_owned());
        look.address()
    }

    /// The address where these refusals are not open.
    pub(super) fn without(&self, place: &str) -> String {
        let mut look = self.clone();
        look.open.remove(place);
        look.address()
    }

    /// The address where the page stands still, or goes on, with the word for it.
    pub(super) fn pause(&self) -> (String, &'static str) {
        let look = Self { is_paused: !self.is_paused, ..self.clone() };
        (look.address(), if self.is_paused { "read again" } else { "stand still" })
    }

    fn address(&self) -> String {
        let Ok(mut address) = Url::parse("http://here/") else { return "/".to_owned() };
        if !self.is_plain() {
            let mut pairs = address.query_pairs_mut();
            if !self.text.is_empty() {
                pairs.append_pair("q", &self.text);
            }
            for place in &self.open {
                pairs.append_pair("open", place);
            }
            if self.is_paused {
                pairs.append_pair("still", "1");
            }
        }
        address.query().map_or_else(|| "/".to_owned(), |query| format!("/?{query}"))
    }

    /// The policies and environments that have all the words, those with the gravest concern first. A word is found in the
    /// names, tags, digests, source revisions, images and reasons; `is:failed` finds a concern.
    pub(super) fn chosen<'s>(&self, status: &'s Status) -> Vec<(&'s PolicyView, Vec<&'s EnvironmentView>)> {
        let words: Vec<String> = self.text.split_whitespace().map(str::to_lowercase).collect();
        let mut chosen: Vec<(&PolicyView, Vec<&EnvironmentView>)> = Vec::with_capacity(status.policies.len());
        for policy in &status.policies {
            let fits = |view: &&EnvironmentView| words.is_empty() || has_all(policy, view, &words);
            let environments: Vec<&EnvironmentView> = policy.environments.iter().filter(fits).collect();
            if !environments.is_empty() || words.is_empty() {
                chosen.push((policy, environments));
            }
        }
        chosen.sort_by_cached_key(|(policy, environments)| gravest(policy, environments));
        chosen
    }

    /// The title, with how many environments need a person.
    pub(super) fn title(&self, status: &Status) -> String {
        let n = environments(status).filter(|view| view.concern().needs_a_person()).count();
        if n == 0 { "tagrelay".to_owned() } else { format!("({n}) tagrelay") }
    }
}

fn environments(status: &Status) -> impl Iterator<Item = &EnvironmentView> {
    status.policies.iter().flat_map(|policy| &policy.environments)
}

fn gravest(policy: &PolicyView, environments: &[&EnvironmentView]) -> Concern {
    let own = if policy.broken.is_some() { Concern::Stuck } else { Concern::Well };
    environments.iter().map(|view| view.concern()).fold(own, Concern::min)
}

/// How many environments have each concern, the gravest first; none that nobody has.
pub(super) fn summary(status: &Status) -> Vec<(usize, &'static str, Concern)> {
    let count = |concern: Concern| environments(status).filter(|view| view.concern() == concern).count();
    let counted = Concern::ALL.map(|concern| (count(concern), concern.words(), concern));
    counted.into_iter().filter(|(n, _, _)| *n > 0).collect()
}

fn has_all(policy: &PolicyView, view: &EnvironmentView, words: &[String]) -> bool {
    let mut texts = vec![format!("{}/{}", view.policy, view.environment), format!("is:{}", view.concern().code())];
    texts.extend(policy.images.iter().cloned());
    texts.extend(view.pin.clone());
    let releases = view.current.iter().filter_map(|current| current.release.as_ref()).chain(&view.candidate);
    for release in releases {
        texts.extend([release.id.to_string(), release.tags.clone()]);
        texts.extend(release.digests.iter().map(|(_, digest)| digest.to_string()));
        texts.extend(release.revisions.iter().map(|(_, revision)| revision.clone()));
    }
    texts.extend(view.current.iter().filter_map(|current| current.commit.clone()));
    texts.extend(view.why.iter().map(ToString::to_string));
    texts.extend(view.holds.iter().map(|hold| format!("{} {}", hold.who, hold.why)));
    let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_keeps_what_is_looked_for_and_what_is_open() {
        for (query, address) in [
            ("", "/"),
            ("q=", "/"),
            ("x=1", "/"),
            ("still=", "/?still=1"),
            ("q=shop%2Fprod", "/?q=shop%2Fprod"),
            ("q=a+b&open=shop/prod", "/?q=a+b&open=shop%2Fprod"),
            ("open=b%2Fx&open=a%2Fx&open=b%2Fx", "/?open=a%2Fx&open=b%2Fx"),
            ("q=%3Cscript%3E%22", "/?q=%3Cscript%3E%22"),
        ] {
            assert_eq!(Look::parse(query).address(), address, "{query}");
        }
        let look = Look::parse("q=prod");
        assert_eq!(
            (look.with("shop/prod"), look.without("shop/prod")),
            ("/?q=prod&open=shop%2Fprod".into(), "/?q=prod".into())
        );
        assert!(Look::parse(&look.with("shop/prod")[2..]).has_open("shop/prod"));
        assert_eq!(Look::parse(&format!("q={}", "x".repeat(10_000))).text().len(), TEXT_MAX);
        let many: String = (0..1_000).map(|n| format!("open={n}&")).collect();
        assert_eq!(Look::parse(&many).open.len(), OPEN_MAX);
    }
}
