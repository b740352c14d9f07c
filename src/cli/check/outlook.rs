//! What no line of a policy says wrong, and what would still never come about: a check that may not go where it is sent,
//! gates that are never open together, votes that are over before they can count, more votes than voters.

use crate::config::{Act, Config};
use crate::model::policy::{Approvals, CheckMethod, Environment, Policy};
use crate::model::{Span, text};
use crate::relay::gate::opening;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

/// How far ahead gates are looked at: a year, and a freeze at its end.
const AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Over how long a time windows are looked at for the longest that they are shut: every weekly or monthly rhythm.
const RHYTHM: SignedDuration = SignedDuration::from_hours(62 * 24);

/// What an environment has to expect.
pub(super) struct Outlook {
    /// The policy's file.
    pub(super) file: String,
    /// The environment.
    pub(super) environment: String,
    /// What, and what to do.
    pub(super) message: String,
    /// Whether it keeps every release away; else it is advice.
    pub(super) is_wrong: bool,
}

/// What the environments of these policies have to expect from now on; `files` are the policies as they were written.
pub(super) fn outlook(
    config: &Config,
    policies: &[Policy],
    now: Timestamp,
    text_of: impl Fn(&Policy) -> String,
) -> Vec<Outlook> {
    let mut found = Vec::new();
    for policy in policies {
        let written = text_of(policy);
        for environment in &policy.environments {
            let wrong = [
                forbidden_checks(config, environment),
                never_open(environment, now),
                voters(config, policy, environment),
                nobody_pushes(config, environment),
            ];
            let advice = [votes_that_expire(environment, now), unguarded(policy, environment, &written)];
            let wrong = wrong.into_iter().flatten().map(|message| (message, true));
            for (message, is_wrong) in wrong.chain(advice.into_iter().flatten().map(|message| (message, false))) {
                let (file, environment) = (policy.origin.path.clone(), environment.name.to_string());
                found.push(Outlook { file, environment, message, is_wrong });
            }
        }
    }
    found
}

/// The first check that is sent where `egress` lets none go.
fn forbidden_checks(config: &Config, environment: &Environment) -> Option<String> {
    environment.verify.iter().find_map(|check| {
        let CheckMethod::Http(http) = &check.method else { return None };
        // A host that a template makes is known only to the daemon.
        let url = Url::parse(&http.url).ok()?;
        let host = url.host_str()?;
        let what = config.egress.forbids(host)?;
        Some(format!(
            "check {} would never be made: {} is {what}; where checks may ask private addresses, write `egress: {{ private: true }}` in the configuration",
            check.name,
            text::shown(host)
        ))
    })
}

/// Why a tag or a copy cannot be pushed: the configuration says who reads from that registry, and nobody who pushes there.
fn nobody_pushes(config: &Config, environment: &Environment) -> Option<String> {
    let is_retagged = environment.promote.as_ref().is_some_and(|promote| promote.retag.is_some());
    let is_copied = environment.promote.as_ref().is_some_and(|promote| promote.copies);
    if !is_retagged && !is_copied && environment.keep == 0 {
        return None;
    }
    environment.images.iter().find_map(|image| {
        let host = image.repository.host();
        let settings = config.registries.of(host)?;
        let has_reader = settings.pull.is_some() || settings.docker_config.is_some();
        (has_reader && settings.push.is_none()).then(|| {
            format!(
                "tags are pushed to {}, and nobody may push there: write `push` beside `pull` for {} under `registries` in the \
                 configuration",
                text::shown(&image.repository.to_string()),
                text::shown(host)
            )
        })
    })
}

/// Windows and freezes that leave no moment.
fn never_open(environment: &Environment, now: Timestamp) -> Option<String> {
    let until = now.saturating_add(AHEAD).ok()?;
    let opens = opening::opens(&environment.gates, now, until);
    opens.is_none().then(|| "its windows and freezes leave no moment open within the next 400 days".to_owned())
}

/// More votes than people who may give them.
fn voters(config: &Config, policy: &Policy, environment: &Environment) -> Option<String> {
    let rules = environment.gates.approvals.as_ref()?;
    let access = &config.server.access;
    if access.is_empty() {
        return None;
    }
    let may = |name: &str| rules.approvers.is_empty() || rules.approvers.iter().any(|approver| approver == name);
    let mut able: Vec<&str> = access
        .iter()
        .filter(|entry| entry.allows(Act::Approve, policy.name.as_str(), Some(environment.name.as_str())))
        .map(|entry| entry.name.as_str())
        .filter(|name| may(name) && !rules.exclude.iter().any(|not| not == name))
        .collect();
    able.sort_unstable();
    able.dedup();
    let short = able.len() < usize::try_from(rules.required).unwrap_or(usize::MAX);
    short.then(|| {
        let who = if able.is_empty() { "nobody".to_owned() } else { format!("only {}", able.join(", ")) };
        format!("{} must approve, and {who} may by `server.access` of the configuration", rules.required)
    })
}

/// Votes that are over before the window opens again.
fn votes_that_expire(environment: &Environment, now: Timestamp) -> Option<String> {
    let Approvals { expire, .. } = environment.gates.approvals.as_ref()?;
    let shut = opening::longest_shut(&environment.gates, now, now.saturating_add(RHYTHM).ok()?)?;
    (expire.get() < shut).then(|| {
        let shut = Span::from(shut);
        format!("a vote is over after {expire}, and the window stays shut for up to {shut}: write `expire: {shut}` or longer")
    })
}

/// The last environment of a chain that every verified release reaches by itself, though nobody wrote so.
fn unguarded(policy: &Policy, environment: &Environment, written: &str) -> Option<String> {
    let is_source = policy
        .environments
        .iter()
        .any(|other| other.promote.as_ref().is_some_and(|promote| promote.from == environment.name));
    let is_last = environment.promote.is_some() && !is_source;
    let says_auto = written.lines().any(|line| line.trim_start().trim_start_matches("- ").starts_with("auto:"));
    let is_guarded = environment.gates.approvals.is_some() || !environment.gates.windows.is_empty();
    (is_last && !is_guarded && !says_auto).then(|| {
        "every verified release comes here by itself: write `auto: true` where that is meant, or `approvals`, a `window` or `auto: false`".to_owned()
    })
}
