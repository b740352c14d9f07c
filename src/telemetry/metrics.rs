//! Metrics: counted and timed here, served as OpenMetrics text. Each name, its meaning and its unit stand in `Metrics::new`.
//!
//! Every label takes its values from a closed list, or from a bounded one whose rest is `other`: nothing that the
//! outside sends can make the page grow without end.

use crate::model::{Outcome, PolicyName};
use crate::relay::report::State;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The content type of `Metrics::encode`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How many hosts get a label of their own. A configuration names a handful; a registry that redirects its blobs to
/// host after host must not make a series of each.
const HOSTS_MAX: usize = 100;
/// How many policies get a label of their own.
const POLICIES_MAX: usize = 1_000;
/// What kinds of requests are told apart.
const KINDS_OF_REQUESTS: [&str; 11] =
    ["tags", "manifest", "blob", "upload", "referrers", "times", "ping", "token", "gitlab", "git", "other"];
/// What a pass may come to.
const STEPS: [&str; 6] = ["rest", "record", "copy", "retag", "write", "check"];
/// The label value of all that is beyond such a limit.
const OTHER: &str = "other";

/// How a reading of a registry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Polled {
    /// It brought something new.
    Changed,
    /// It brought nothing new.
    Unchanged,
    /// The registry could not be read.
    Failed,
}

/// How a push of commits ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pushed {
    /// They stand on the branch.
    Done,
    /// Somebody else was first; the pass begins anew.
    Raced,
    /// The server refused or did not answer.
    Failed,
}

/// What became of a delivery of a webhook, or of a message of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivered {
    /// It was read, and woke what it names.
    Taken,
    /// It proved nothing.
    Refused,
    /// It made no sense.
    Unread,
    /// The queue could not be read, or not emptied: what it holds comes later.
    Failed,
}

impl Delivered {
    fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::Unread => "unread",
            Self::Failed => "failed",
        }
    }
}

/// What became of a try to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// GitLab took it.
    Sent,
    /// It is tried again later.
    PutOff,
    /// It is given up for good.
    Parked,
}

impl Polled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

impl Pushed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Raced => "raced",
            Self::Failed => "failed",
        }
    }
}

impl Told {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::PutOff => "put_off",
            Self::Parked => "parked",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySender {
    sender: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByHost {
    host: String,
    kind: &'static str,
    status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfHost {
    host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDecision {
    step: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTrouble {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEnvironment {
    policy: String,
    environment: String,
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReport {
    state: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPolicy {
    policy: String,
}

/// An HTTP status, or `none` where no answer came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Status(Option<u16>);

impl EncodeLabelValue for Status {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        match self.0 {
            Some(status) => write!(encoder, "{status}"),
            None => encoder.write_str("none"),
        }
    }
}

/// Label values from outside, as many as there is room for.
#[derive(Debug)]
struct Bounded {
    most: usize,
    seen: Mutex<BTreeSet<String>>,
}

impl Bounded {
    fn new(most: usize) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// The value itself, or `other` where it came too late.
    fn label(&self, value: &str) -> String {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains(value) {
            if seen.len() >= self.most {
                return OTHER.to_owned();
            }
            seen.insert(value.to_owned());
        }
        value.to_owned()
    }
}

/// All that is counted and timed; a clone counts into the same numbers.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    hosts: Arc<Bounded>,
    policies: Arc<Bounded>,
    polls: Family<ByResult, Counter>,
    requests: Family<ByHost, Counter>,
    hosts_shut: Family<OfHost, Gauge>,
    decisions: Family<ByDecision, Counter>,
    waiting: Family<ByCode, Gauge>,
    unwell: Family<ByTrouble, Gauge>,
    stuck: Family<OfEnvironment, Gauge>,
    oldest_hold: Gauge,
    config_stale: Gauge,
    pushes: Family<ByResult, Counter>,
    commits: Counter,
    rollouts: Family<ByOutcome, Counter>,
    reports: Family<ByReport, Counter>,
    deliveries: Family<BySender, Counter>,
    unknown_hosts: Counter,
    refused_tokens: Counter,
    journal_entries: Counter,
    errors: Family<ByPolicy, Counter>,
    poll_time: Histogram,
    push_time: Histogram,
    seen_to_commit: Histogram,
    report_delay: Histogram,
}

impl Metrics {
    /// No numbers yet, for this version of tagrelay.
    #[must_use]
    pub fn new(version: &str) -> Self {
        let requests_take = || Histogram::new(exponential_buckets(0.01, 2.0, 13));
        // From half a second to a day: a gate or a GitLab that is away makes these long.
        let waits_take =
            || Histogram::new([0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0]);
        let mut metrics = Self {
            registry: Arc::default(),
            hosts: Arc::new(Bounded::new(HOSTS_MAX)),
            policies: Arc::new(Bounded::new(POLICIES_MAX)),
            polls: Family::default(),
            requests: Family::default(),
            hosts_shut: Family::default(),
            decisions: Family::default(),
            waiting: Family::default(),
            unwell: Family::default(),
            stuck: Family::default(),
            oldest_hold: Gauge::default(),
            config_stale: Gauge::default(),
            pushes: Family::default(),
            commits: Counter::default(),
            rollouts: Family::default(),
            reports: Family::default(),
            deliveries: Family::default(),
            unknown_hosts: Counter::default(),
            refused_tokens: Counter::default(),
            journal_entries: Counter::default(),
            errors: Family::default(),
            poll_time: requests_take(),
            push_time: requests_take(),
            seen_to_commit: waits_take(),
            report_delay: waits_take(),
        };
        metrics.registry = Arc::new(metrics.names(version));
        metrics
    }

    fn names(&self, version: &str) -> Registry {
        let mut names = Registry::with_prefix("tagrelay");
        names.register("build", "The version that runs", Info::new(vec![("version", version.to_owned())]));
        names.register("polls", "Readings of registries, by what they brought", self.polls.clone());
        names.register("requests", "HTTP requests by host, kind and status; none = no answer", self.requests.clone());
        let help = "Hosts of registries and of their APIs: 1 = left alone, since they are dead, busy or asked for it";
        names.register("hosts_shut", help, self.hosts_shut.clone());
        names.register("decisions", "Steps that passes came to, by the reason's code", self.decisions.clone());
        names.register("waiting", "Environments that rest now, by the reason's code", self.waiting.clone());
        let help = "What is wrong with the daemon now, by what it is; `tagrelay status` says it in words";
        names.register("unwell", help, self.unwell.clone());
        let help =
            "Environments that have stood for an hour at something that no clock and no gate will end, by its code";
        names.register("stuck", help, self.stuck.clone());
        let help = "The age of the oldest hold that stands, HOLD files included";
        names.register_with_unit("oldest_hold", help, Unit::Seconds, self.oldest_hold.clone());
        let help = "1 = the configuration on the disk is not the one in use: broken, or some of it waits for a restart";
        names.register("config_stale", help, self.config_stale.clone());
        names.register("pushes", "Pushes to GitOps repositories, by how they ended", self.pushes.clone());
        names.register("commits", "Commits that moved a pin", self.commits.clone());
        names.register("rollouts", "Rollouts that ended, by how", self.rollouts.clone());
        names.register("reports", "Tries to tell GitLab a state, by what became of them", self.reports.clone());
        names.register(
            "deliveries",
            "Deliveries of webhooks and queues, by sender and what became of them",
            self.deliveries.clone(),
        );
        names.register(
            "unknown_hosts",
            "Pushes that were told of a host that no policy names",
            self.unknown_hosts.clone(),
        );
        names.register("refused_tokens", "Tokens shown to the server that nobody has", self.refused_tokens.clone());
        names.register("journal_entries", "Entries added to the journal", self.journal_entries.clone());
        names.register("errors", "Errors by policy; empty = of no policy alone", self.errors.clone());
        let seconds = [
            ("poll_duration", "How long a reading of a registry took", &self.poll_time),
            ("push_duration", "How long a push to a GitOps repository took", &self.push_time),
            ("seen_to_commit", "From the first sight of a build to the commit that pins it", &self.seen_to_commit),
            ("report_delay", "From a fact to GitLab having been told of it", &self.report_delay),
        ];
        for (name, help, histogram) in seconds {
            names.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        names
    }

    /// A registry was read.
    pub fn polled(&self, result: Polled, took: Duration) {
        self.polls.get_or_create(&ByResult { result: result.as_str() }).inc();
        self.poll_time.observe(took.as_secs_f64());
    }

    /// A request of this kind was answered by the host with this status, or not at all.
    pub fn requested(&self, host: &str, kind: &'static str, status: Option<u16>) {
        let labels = ByHost { host: self.hosts.label(host), kind, status: Status(status) };
        self.requests.get_or_create(&labels).inc();
    }

    /// Whether each host of a registry, or of its API, is left alone now.
    pub fn hosts<'a>(&self, hosts: impl IntoIterator<Item = (&'a str, bool)>) {
        for (host, shut) in hosts {
            self.hosts_shut.get_or_create(&OfHost { host: self.hosts.label(host) }).set(i64::from(shut));
        }
    }

    /// A pass came to this step (`rest`, `record`, `copy`, `retag`, `write`, `check`) for this reason (`Why::code`; empty where
    /// the step has none).
    pub fn decided(&self, step: &'static str, code: &'static str) {
        self.decisions.get_or_create(&ByDecision { step, code }).inc();
    }

    /// How many environments rest now for each reason (`Why::code`), in place of what was said before.
    pub fn waiting(&self, by_code: &BTreeMap<&'static str, u32>) {
        self.waiting.clear();
        for (code, environments) in by_code {
            self.waiting.get_or_create(&ByCode { code }).set(i64::from(*environments));
        }
    }

    /// How many troubles of each kind there are now.
    pub fn unwell(&self, by_kind: impl IntoIterator<Item = (&'static str, usize)>) {
        for (what, n) in by_kind {
            self.unwell.get_or_create(&ByTrouble { what }).set(i64::try_from(n).unwrap_or(i64::MAX));
        }
    }

    /// The environments that are stuck now, each with the code of its reason, in place of what was said before.
    pub fn stuck<'a>(&self, stuck: impl IntoIterator<Item = (&'a PolicyName, &'a str, &'static str)>) {
        self.stuck.clear();
        for (policy, environment, why) in stuck {
            let policy = self.policies.label(policy.as_str());
            // Beyond the limit on policies all environments are counted together.
            let environment = if policy == OTHER { OTHER } else { environment }.to_owned();
            self.stuck.get_or_create(&OfEnvironment { policy, environment, why }).inc();
        }
    }

    /// Whether the configuration on the disk is not the one in use.
    pub fn config_stale(&self, is_stale: bool) {
        self.config_stale.set(i64::from(is_stale));
    }

    /// How long the oldest hold stands; none where none does.
    pub fn oldest_hold(&self, age: Option<Duration>) {
        let seconds = age.map_or(0, |age| age.as_secs());
        self.oldest_hold.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Commits were pushed, or not.
    pub fn pushed(&self, result: Pushed, took: Duration) {
        self.pushes.get_or_create(&ByResult { result: result.as_str() }).inc();
        self.push_time.observe(took.as_secs_f64());
    }

    /// A commit moved a pin; `since_seen` is the age of the youngest build that it names, where that is known.
    pub fn committed(&self, since_seen: Option<Duration>) {
        self.commits.inc();
        since_seen.iter().for_each(|age| self.seen_to_commit.observe(age.as_secs_f64()));
    }

    /// A rollout ended.
    pub fn ended(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Verified => "verified",
            Outcome::Failed => "failed",
            Outcome::Canceled => "canceled",
        };
        self.rollouts.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// GitLab was told a state, or not; `since` is the age of the fact.
    pub fn reported(&self, state: State, result: Told, since: Duration) {
        self.reports.get_or_create(&ByReport { state: state.as_str(), result: result.as_str() }).inc();
        if result == Told::Sent {
            self.report_delay.observe(since.as_secs_f64());
        }
    }

    /// The journal has that many entries more.
    pub fn journaled(&self, entries: usize) {
        self.journal_entries.inc_by(entries as u64);
    }

    /// A webhook or a message was delivered.
    pub fn delivered(&self, sender: &'static str, outcome: Delivered) {
        self.deliveries.get_or_create(&BySender { sender, result: outcome.as_str() }).inc();
    }

    /// A push was told of a host that no policy names.
    pub fn told_by_unknown_host(&self) {
        self.unknown_hosts.inc();
    }

    /// Somebody showed a token that nobody has.
    pub fn refused_token(&self) {
        self.refused_tokens.inc();
    }

    /// Something went wrong, in this policy or in none alone.
    pub fn failed(&self, policy: Option<&PolicyName>) {
        let policy = policy.map_or_else(String::new, |policy| self.policies.label(policy.as_str()));
        self.errors.get_or_create(&ByPolicy { policy }).inc();
    }

    /// Every metric with every value of its closed labels, for the reference.
    #[must_use]
    pub fn example(troubles: &[&'static str]) -> Self {
        let (metrics, took) = (Self::new("VERSION"), Duration::ZERO);
        let policy = PolicyName::parse("shop").ok();
        [Polled::Changed, Polled::Unchanged, Polled::Failed].into_iter().for_each(|it| metrics.polled(it, took));
        [Pushed::Done, Pushed::Raced, Pushed::Failed].into_iter().for_each(|it| metrics.pushed(it, took));
        [Outcome::Verified, Outcome::Failed, Outcome::Canceled].into_iter().for_each(|it| metrics.ended(it));
        for state in [State::Running, State::Success, State::Failed, State::Canceled] {
            [Told::Sent, Told::PutOff, Told::Parked].into_iter().for_each(|it| metrics.reported(state, it, took));
        }
        for outcome in [Delivered::Taken, Delivered::Refused, Delivered::Unread, Delivered::Failed] {
            metrics.delivered("SENDER", outcome);
        }
        for kind in KINDS_OF_REQUESTS {
            metrics.requested("HOST", kind, None);
        }
        for step in STEPS {
            metrics.decided(step, "CODE");
        }
        metrics.hosts([("HOST", true)]);
        metrics.waiting(&BTreeMap::from([("CODE", 1)]));
        metrics.unwell(troubles.iter().map(|what| (*what, 1)));
        metrics.stuck(policy.iter().map(|policy| (policy, "ENVIRONMENT", "CODE")));
        metrics.failed(policy.as_ref());
        metrics
    }

    /// All of it as OpenMetrics text (`CONTENT_TYPE`).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::new();
        match encode(&mut page, &self.registry) {
            Ok(()) => page,
            // Writing into a string does not fail; were it to, a page without its end mark is refused by every reader.
            Err(fmt::Error) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_name_help_and_unit() {
        let metrics = Metrics::new("1.2.3");
        let clone = metrics.clone();
        let took = Duration::from_millis(30);
        clone.polled(Polled::Unchanged, took);
        clone.requested("reg.example.com", "tags", Some(200));
        clone.requested("reg.example.com", "token", None);
        clone.hosts([("reg.example.com", true), ("reg.io", true)]);
        clone.hosts([("reg.io", false)]);
        clone.decided("rest", "StillSoaking");
        clone.waiting(&BTreeMap::from([("Held", 2)]));
        clone.waiting(&BTreeMap::from([("StillSoaking", 1)]));
        let shop = PolicyName::parse("shop").expect("a name");
        clone.stuck([(&shop, "dev", "Unbound")]);
        clone.stuck([(&shop, "prod", "Unread")]);
        clone.unwell([("branch_unread", 2), ("clock_doubtful", 0)]);
        clone.oldest_hold(Some(Duration::from_secs(90)));
        clone.pushed(Pushed::Raced, took);
        clone.committed(Some(took));
        clone.committed(None);
        clone.ended(Outcome::Verified);
        clone.reported(State::Running, Told::PutOff, took);
        clone.delivered("harbor", Delivered::Refused);
        clone.told_by_unknown_host();
        clone.refused_token();
        clone.journaled(3);
        clone.failed(PolicyName::parse("shop").ok().as_ref());
        clone.failed(None);
        let page = metrics.encode();
        for line in [
            "tagrelay_build_info{version=\"1.2.3\"} 1",
            "# HELP tagrelay_polls Readings of registries, by what they brought.",
            "tagrelay_polls_total{result=\"unchanged\"} 1",
            "tagrelay_requests_total{host=\"reg.example.com\",kind=\"tags\",status=\"200\"} 1",
            "tagrelay_requests_total{host=\"reg.example.com\",kind=\"token\",status=\"none\"} 1",
            "tagrelay_hosts_shut{host=\"reg.example.com\"} 1",
            "tagrelay_hosts_shut{host=\"reg.io\"} 0",
            "tagrelay_decisions_total{step=\"rest\",code=\"StillSoaking\"} 1",
            "tagrelay_stuck{policy=\"shop\",environment=\"prod\",why=\"Unread\"} 1",
            "tagrelay_unwell{what=\"branch_unread\"} 2",
            "tagrelay_unwell{what=\"clock_doubtful\"} 0",
            "tagrelay_oldest_hold_seconds 90",
            "tagrelay_config_stale 0",
            "tagrelay_waiting{code=\"StillSoaking\"} 1",
            "tagrelay_pushes_total{result=\"raced\"} 1",
            "tagrelay_commits_total 2",
            "tagrelay_rollouts_total{outcome=\"verified\"} 1",
            "tagrelay_reports_total{state=\"running\",result=\"put_off\"} 1",
            "tagrelay_deliveries_total{sender=\"harbor\",result=\"refused\"} 1",
            "tagrelay_unknown_hosts_total 1",
            "tagrelay_refused_tokens_total 1",
            "tagrelay_journal_entries_total 3",
            "tagrelay_errors_total{policy=\"shop\"} 1",
            "tagrelay_errors_total{policy=\"\"} 1",
            "# UNIT tagrelay_poll_duration_seconds seconds",
            "tagrelay_poll_duration_seconds_bucket{le=\"0.04\"} 1",
            "tagrelay_push_duration_seconds_count 1",
            "tagrelay_seen_to_commit_seconds_count 1",
            "tagrelay_report_delay_seconds_count 0",
            "# EOF",
        ] {
            assert!(page.lines().any(|it| it == line), "{line}\n{page}");
        }
        assert!(!page.contains("Held"), "what waits no more is gone");
    }

    #[test]
    fn hosts_from_outside_make_no_endless_page() {
        let metrics = Metrics::new("1.2.3");
        for host in 0..HOSTS_MAX + 50 {
            metrics.requested(&format!("cdn-{host}.example.com"), "blob", Some(200));
        }
        metrics.requested("cdn-1.example.com", "blob", Some(200));
        let page = metrics.encode();
        assert_eq!(page.matches("tagrelay_requests_total{").count(), HOSTS_MAX + 1);
        assert!(page.contains("tagrelay_requests_total{host=\"other\",kind=\"blob\",status=\"200\"} 50"), "{page}");
    }
}
