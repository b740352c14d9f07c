//! Posted verdicts: evidence about a rollout, kept before it is answered.
//!
//! The daemon says which rollout is meant and whether the digests are its own, and makes the evidence harmless where it is
//! kept; here it is only read.

use super::Server;
use super::access::Somebody;
use super::change::Errand;
use super::reply::{Answer, Refused};
use super::request::{At, Body};
use crate::config::Act;
use crate::daemon::Signal;
use crate::model::event::Verdict;
use crate::model::{CommitId, Digest, ImageName, text};
use axum::extract::State;
use reqwest::Url;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest URL that is kept: browsers and proxies take little more.
const URL_BYTES_MAX: usize = 2000;
/// The most digests in one signal: a policy has one image or a few.
const DIGESTS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    rollout: Option<String>,
    commit: Option<String>,
    check: Option<String>,
    digests: Option<BTreeMap<String, String>>,
    verdict: Word,
    #[serde(default)]
    evidence: String,
    url: Option<String>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Word {
    Healthy,
    Passed,
    Failed,
}

/// Keeps a verdict.
pub(super) async fn signal(State(server): State<Server>, somebody: Somebody, At(target): At, body: Body) -> Answer {
    let errand = Errand::at(&server, &somebody, Act::Signal, &target)?;
    let posted: Posted = body.read()?;
    if posted.verdict == Word::Passed && posted.check.is_none() {
        // Else the word of one smoke test would stand for the health of the whole rollout.
        return Err(Refused::bad(
            "`passed` is said of a smoke test: name it in `check`, or say `healthy` of the rollout",
        ));
    }
    if let Some(commit) =
        posted.commit.as_ref().filter(|commit| CommitId::parse(&commit.to_ascii_lowercase()).is_none())
    {
        return Err(Refused::bad(&format!(
            "`{}` is no commit: write the full id of the GitOps commit that was synced, 40 or 64 hex digits (Argo CD knows none for an application of several sources)",
            text::shown(commit)
        )));
    }
    let name = (posted.rollout.filter(|rollout| !rollout.is_empty()), posted.commit);
    let ((Some(rollout), None) | (None, Some(rollout))) = name else {
        return Err(Refused::bad(
            "name the rollout once: in `rollout` its id, or in `commit` the GitOps commit that was synced",
        ));
    };
    let signal = Signal {
        target,
        rollout,
        check: posted.check,
        digests: posted.digests.as_ref().map(digests).transpose()?,
        verdict: match posted.verdict {
            Word::Healthy | Word::Passed => Verdict::Healthy,
            Word::Failed => Verdict::Failed,
        },
        evidence: posted.evidence,
        url: posted.url.as_deref().map(url).transpose()?,
        who: somebody.name().to_owned(),
    };
    let kept = server.handle.signal(signal).await;
    errand.told(kept)
}

fn digests(posted: &BTreeMap<String, String>) -> Result<BTreeMap<ImageName, Digest>, Refused> {
    if posted.is_empty() || posted.len() > DIGESTS_MAX {
        let message = format!("`digests` names the digest of every image, 1 to {DIGESTS_MAX}, or is left out");
        return Err(Refused::bad(&message));
    }
    let parse = |(image, digest): (&String, &String)| {
        let image = ImageName::parse(image).map_err(|error| Refused::bad(&error.to_string()))?;
        Ok((image, Digest::parse(digest).map_err(|error| Refused::bad(&error.to_string()))?))
    };
    posted.iter().map(parse).collect()
}

/// A link that a person may follow: to the web alone, without a password in it, with everything odd escaped.
fn url(posted: &str) -> Result<String, Refused> {
    let wrong = || {
        let message =
            format!("`url` is an http or https URL of at most {URL_BYTES_MAX} bytes, without user and password");
        Refused::bad(&message)
    };
    let url = Url::parse(posted).map_err(|_| wrong())?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_bare = url.username().is_empty() && url.password().is_none();
    let url = String::from(url);
    if is_web && is_bare && url.len() <= URL_BYTES_MAX { Ok(url) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_web() {
        let long = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX));
        for (posted, kept) in [
            ("https://ci.example.com/jobs/1?x=1#log", Some("https://ci.example.com/jobs/1?x=1#log")),
            ("HTTP://ci.example.com", Some("http://ci.example.com/")),
            ("https://ci.example.com/\"><script>", Some("https://ci.example.com/%22%3E%3Cscript%3E")),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("file:///etc/passwd", None),
            ("https://user:hunter2@ci.example.com/", None),
            ("https://", None),
            ("ci.example.com", None),
            ("", None),
            (&long, None),
        ] {
            assert_eq!(url(posted).ok().as_deref(), kept, "{posted}");
        }
    }
}
