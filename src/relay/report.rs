//! What GitLab is told of a rollout: one row for each target and state, in the order in which they are sent.
//!
//! A row holds what was known when the fact was written. Resolving a revision in its project and sending are the
//! client's part, so a GitLab that is away holds up no decision.

use crate::model::event::Order;
use crate::model::ledger::Arrival;
use crate::model::policy::{Report, ReportSha};
use crate::model::{
    CommitId, Entry, Environment, Event, ImageName, Ledger, Origin, Outcome, PolicyName, Sequence, Tag,
};
use crate::relay::edit::template::Template;
use crate::relay::edit::words::{Vocabulary, Words};
use std::fmt;

/// One state of one rollout for one GitLab project and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The GitLab project's path.
    pub project: String,
    /// GitLab's name of the environment.
    pub environment: String,
    /// The rollout that is told of.
    pub rollout: Sequence,
    /// What is told of it.
    pub state: State,
    /// Which commit of the project is meant.
    pub revision: Revision,
    /// The git tag of the project that the policy's template names; where it is there, it says the commit.
    pub git_tag: Option<String>,
    /// The branch or tag that is named; none = the project's default branch.
    pub git_ref: Option<String>,
    /// Whether that ref is a tag.
    pub is_tag: bool,
    /// GitLab's tier of the environment.
    pub tier: Option<String>,
    /// The environment's address.
    pub url: Option<String>,
}

impl Row {
    /// Whether the other row is about the same GitLab deployment, in whatever state: a rollout has one in each
    /// environment of a project.
    #[must_use]
    pub fn is_same_deployment(&self, other: &Self) -> bool {
        self.rollout == other.rollout && self.project == other.project && self.environment == other.environment
    }

    /// Whether this is about the deployments that a lost journal left `running`, and about no rollout of this one.
    #[must_use]
    pub fn is_of_lost_journal(&self) -> bool {
        self.state == State::Canceled && self.revision == Revision::Unknown(OF_LOST_JOURNAL.to_owned())
    }
}

/// In the place of the commit of a row that cancels what a lost journal left `running`.
const OF_LOST_JOURNAL: &str = "what runs was adopted: deployments of this token that no journal knows are over";

/// What GitLab is told: the states of a deployment that its API takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Pushed, and followed.
    Running,
    /// Verified; pushed, where nothing is followed.
    Success,
    /// A signal or a check failed.
    Failed,
    /// Overtaken, reverted or rolled back before its end.
    Canceled,
}

impl State {
    const ALL: [Self; 4] = [Self::Running, Self::Success, Self::Failed, Self::Canceled];

    /// GitLab's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The state of that word; none for the states that the API does not take.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The commit of a row, as far as it is known without asking GitLab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// This commit of the GitOps repository.
    Commit(CommitId),
    /// What the build's revision label says: a commit, a short one, or a git tag.
    Label(String),
    /// The build has no revision label: the commit that its tag abbreviates, else the git tag of that name.
    Tag(Tag),
    /// Nothing names a commit, for this reason; the row is kept and refused, so that a person sees why.
    Unknown(String),
}

/// What is to be told of a new entry of an environment's journal.
///
/// `ledger` is the environment's with the entry taken in, and `told` holds the rows of its rollouts that stand already.
#[must_use]
pub fn rows(environment: &Environment, ledger: &Ledger, entry: &Entry, told: &[Row]) -> Vec<Row> {
    let beginning = |rollout: Sequence| {
        let arrival = ledger.current().filter(|arrival| arrival.rollout == rollout);
        let policy = entry.scope.policy.as_ref();
        arrival.zip(policy).map(|(arrival, policy)| begun(policy, environment, arrival)).unwrap_or_default()
    };
    match &entry.event {
        Event::Committed { intent, commit: _ } | Event::Retagged { intent } => beginning(*intent),
        Event::Moved { .. } | Event::Ordered { order: Order::Verify, who: _ } => beginning(entry.sequence),
        Event::Ended { rollout, outcome, why: _ } => ended(told, *rollout, *outcome),
        // Of no hold at all: a person accepted what another journal left.
        Event::Resumed { holds: Some(holds), .. } if holds.is_empty() => left_running(environment, entry.sequence),
        _ => Vec::new(),
    }
}

/// What is told where an environment goes on under another journal: one row for each project, which ends what is `running`
/// there and is known to no journal.
fn left_running(environment: &Environment, resumed: Sequence) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for report in &environment.report {
        let row = Row {
            project: report.project.clone(),
            environment: report.environment.clone(),
            rollout: resumed,
            state: State::Canceled,
            revision: Revision::Unknown(OF_LOST_JOURNAL.to_owned()),
            git_tag: None,
            git_ref: None,
            is_tag: false,
            tier: None,
            url: None,
        };
        if !rows.iter().any(|known| known.is_same_deployment(&row)) {
            rows.push(row);
        }
    }
    rows
}

/// What is told when a rollout begins; an adopted pin is not reported.
///
/// Of several targets that are one project and environment, the first is told. Where nothing is followed, pushed is also its end: such a rollout is told of at once, with both its states. What a
/// person asked to have verified again is told of like any other.
#[must_use]
pub fn begun(policy: &PolicyName, environment: &Environment, arrival: &Arrival) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    if arrival.origin == Origin::Adopted {
        return rows;
    }
    for report in &environment.report {
        let running = running(policy, environment, report, arrival);
        if rows.iter().any(|row| row.is_same_deployment(&running)) {
            continue;
        }
        let success = environment.is_unwatched().then(|| Row { state: State::Success, ..running.clone() });
        rows.push(running);
        rows.extend(success);
    }
    rows
}

/// What is told when a rollout ends, from the rows that told of it so far.
///
/// It follows those rows and not the policy, which may have been edited since: what was told `running` is told its end,
/// and what was told an end is told no second one. `told` may hold rows of other rollouts.
#[must_use]
pub fn ended(told: &[Row], rollout: Sequence, outcome: Outcome) -> Vec<Row> {
    let state = match outcome {
        Outcome::Verified => State::Success,
        Outcome::Failed => State::Failed,
        Outcome::Canceled => State::Canceled,
    };
    let has_ended = |row: &Row| told.iter().any(|r| r.is_same_deployment(row) && r.state != State::Running);
    let running = told.iter().filter(|row| row.rollout == rollout && row.state == State::Running);
    running.filter(|row| !has_ended(row)).map(|row| Row { state, ..row.clone() }).collect()
}

fn running(policy: &PolicyName, environment: &Environment, report: &Report, arrival: &Arrival) -> Row {
    let (revision, default_ref) = match report.sha {
        ReportSha::Commit => (commit_of(arrival), Some(environment.deliver.branch.clone())),
        ReportSha::Revision => (revision_of(arrival, &report.image), None),
    };
    Row {
        project: report.project.clone(),
        environment: report.environment.clone(),
        rollout: arrival.rollout,
        state: State::Running,
        revision,
        git_tag: git_tag(policy, environment, report, arrival),
        git_ref: report.git_ref.clone().or(default_ref),
        is_tag: report.is_tag,
        tier: report.tier.clone(),
        url: report.url.clone(),
    }
}

/// The git tag that `git_tag` names for this rollout; none where nothing is known of the build.
fn git_tag(policy: &PolicyName, environment: &Environment, report: &Report, arrival: &Arrival) -> Option<String> {
    let template = Template::parse(report.git_tag.as_deref()?, Vocabulary::Release).ok()?;
    let image = environment.images.iter().find(|image| image.name == report.image)?;
    let release = arrival.release.as_ref()?;
    // `new` is the build of the image that is reported, be it not the first of the policy.
    let images = std::slice::from_ref(image);
    let words = Words::of_change(policy, &environment.name, images, (&arrival.pin, None), release);
    template.render(&words).ok().filter(|name| !name.is_empty())
}

fn commit_of(arrival: &Arrival) -> Revision {
    match &arrival.commit {
        Some(commit) => Revision::Commit(commit.clone()),
        None => Revision::Unknown("no commit of the GitOps repository began this rollout".to_owned()),
    }
}

fn revision_of(arrival: &Arrival, image: &ImageName) -> Revision {
    let build = arrival.release.as_ref().and_then(|release| release.builds().get(image));
    let label = build.and_then(|build| build.facts.revision.clone());
    let pinned = || arrival.pin.0.get(image).and_then(|pinned| pinned.tag.clone());
    match (label, build.map(|build| build.tag.clone()).or_else(pinned)) {
        (Some(label), _) => Revision::Label(label),
        (None, Some(tag)) => Revision::Tag(tag),
        (None, None) => {
            Revision::Unknown(format!("nothing is known of the build of `{image}`, which runs by its digest"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Because, Effect};
    use crate::model::policy::{Deliver, Gates, HoldNewUntil, OnEdit, OnFailure, Signal};
    use crate::model::{Build, BuildFacts, Digest, EnvironmentName, Pin, PinForm, Pinned, Release, Scope, Span};
    use std::collections::BTreeMap;

    fn policy() -> PolicyName {
        PolicyName::parse("shop").expect("a name")
    }

    fn image(name: &str) -> ImageName {
        ImageName::parse(name).expect("an image name")
    }

    fn report(project: &str, sha: ReportSha, of: &str) -> Report {
        Report {
            project: project.to_owned(),
            sha,
            image: image(of),
            environment: "production".to_owned(),
            tier: Some("production".to_owned()),
            url: None,
            git_ref: None,
            is_tag: false,
            git_tag: None,
        }
    }

    fn environment(rollout: Vec<Signal>, report: Vec<Report>) -> Environment {
        Environment {
            name: EnvironmentName::parse("prod").expect("a name"),
            select: None,
            promote: None,
            images: Vec::new(),
            pin: PinForm::Tag,
            write: Vec::new(),
            deliver: Deliver {
                repository: "default".to_owned(),
                branch: "env/prod".to_owned(),
                base: "main".to_owned(),
                message: None,
            },
            rollout,
            deadline: Span::minutes(15),
            stable_for: Span::seconds(30),
            verify: Vec::new(),
            pushed_is_verified: false,
            on_failure: OnFailure::Next,
            on_edit: OnEdit::Hold,
            hold_new_until: HoldNewUntil::None,
            auto: true,
            gates: Gates::default(),
            keep: 0,
            report,
        }
    }

    fn release(revision: Option<&str>) -> Release {
        let build = |name: &str| {
            let facts = BuildFacts { revision: revision.map(str::to_owned), ..BuildFacts::default() };
            Build { tag: Tag::parse("v1").expect("a tag"), digest: Digest::of(name.as_bytes()), facts: facts.into() }
        };
        Release::new(["shop", "worker"].into_iter().map(|name| (image(name), build(name))).collect())
    }

    fn commit() -> CommitId {
        CommitId::parse(&"c".repeat(40)).expect("a commit")
    }

    fn arrival(release: Option<Release>, commit: Option<CommitId>, origin: Origin) -> Arrival {
        Arrival {
            rollout: Sequence(7),
            sequence: Sequence(7),
            at: jiff::Timestamp::UNIX_EPOCH,
            pin: release.as_ref().map_or_else(Pin::default, |release| Pin::of(release, PinForm::Tag)),
            release,
            commit,
            origin,
            signal: None,
            checks: BTreeMap::new(),
            url: None,
            lost: None,
            end: None,
            rules: None,
            resumed: None,
        }
    }

    fn told(rows: &[Row]) -> Vec<String> {
        let git_ref = |row: &Row| row.git_ref.clone().unwrap_or_else(|| "default branch".to_owned());
        rows.iter().map(|r| format!("{} {} {:?} on {}", r.project, r.state, r.revision, git_ref(r))).collect()
    }

    fn other() -> Origin {
        Origin::Other("bob".to_owned())
    }

    #[test]
    fn a_rollout_is_told_once_for_each_target_and_state() {
        let reports = vec![
            report("group/shop", ReportSha::Revision, "shop"),
            report("group/deploys", ReportSha::Commit, "shop"),
            // One environment of one project has one deployment for a rollout.
            report("group/shop", ReportSha::Revision, "worker"),
        ];
        let revision = r#"group/shop running Label("abc123") on default branch"#;
        let commit_row = format!("group/deploys running Commit(CommitId({:?})) on env/prod", "c".repeat(40));
        let arrival = arrival(Some(release(Some("abc123"))), Some(commit()), other());

        let watched = environment(vec![Signal::Webhook], reports.clone());
        let rows = begun(&policy(), &watched, &arrival);
        assert_eq!(told(&rows), [revision, &commit_row]);
        for (outcome, word) in
            [(Outcome::Verified, "success"), (Outcome::Failed, "failed"), (Outcome::Canceled, "canceled")]
        {
            let end = ended(&rows, Sequence(7), outcome);
            assert_eq!(told(&end), [revision.replace("running", word), commit_row.replace("running", word)]);
            let all: Vec<Row> = rows.iter().chain(&end).cloned().collect();
            assert_eq!(ended(&all, Sequence(7), Outcome::Canceled), [], "an end is told once");
            assert_eq!(ended(&rows, Sequence(8), outcome), [], "of this rollout alone");
        }

        let pushed = begun(&policy(), &environment(Vec::new(), reports), &arrival);
        let success = |row: &str| row.replace("running", "success");
        assert_eq!(told(&pushed), [revision, &success(revision), &commit_row, &success(&commit_row)]);
        assert_eq!(ended(&pushed, Sequence(7), Outcome::Canceled), [], "pushed was its end");
    }

    #[test]
    fn entries_begin_and_end_what_is_told() {
        let environment = environment(vec![Signal::Webhook], vec![report("g/p", ReportSha::Revision, "shop")]);
        let (mut ledger, mut all, mut next) = (Ledger::default(), Vec::new(), 0);
        let mut check = |event: Event, expected: &[&str]| {
            next += 1;
            let at = jiff::Timestamp::UNIX_EPOCH;
            let scope = Scope::of(&policy(), &environment.name);
            let entry = Entry { sequence: Sequence(next), at, scope, event };
            ledger.apply(&entry);
            let rows = rows(&environment, &ledger, &entry, &all);
            let told: Vec<String> = rows.iter().map(|row| format!("{} {}", row.rollout, row.state)).collect();
            assert_eq!(told, expected, "{entry:?}");
            all.extend(rows);
        };
        let release = || release(Some("abc123"));
        let pin = || Pin::of(&release(), PinForm::Tag);
        let intended = |effect: Effect| Event::Intended { effect, release: release(), because: Because::NoGates };
        let tag = || Tag::parse("prod").expect("a tag");
        let ended = |rollout, outcome| Event::Ended { rollout: Sequence(rollout), outcome, why: String::new() };
        check(Event::Adopted { pin: pin(), release: Some(release()), commit: None }, &[]);
        check(intended(Effect::Commit { form: PinForm::Tag }), &[]);
        check(Event::Committed { intent: Sequence(2), commit: commit() }, &["2 running"]);
        check(intended(Effect::Retag { tag: tag(), is_pin: false }), &[]);
        check(Event::Retagged { intent: Sequence(4) }, &[]);
        check(ended(2, Outcome::Verified), &["2 success"]);
        check(ended(2, Outcome::Canceled), &[]);
        check(intended(Effect::Retag { tag: tag(), is_pin: true }), &[]);
        check(Event::Retagged { intent: Sequence(8) }, &["8 running"]);
        let moved = Event::Moved { pin: pin(), release: Some(release()), commit: None, who: "bob".to_owned() };
        check(ended(8, Outcome::Canceled), &["8 canceled"]);
        check(moved, &["11 running"]);
        check(Event::Lost { rollout: Sequence(11), why: String::new() }, &[]);
        check(ended(11, Outcome::Failed), &["11 failed"]);
        check(Event::Ordered { order: Order::Verify, who: "alice".to_owned() }, &["14 running"]);
    }

    #[test]
    fn an_adopted_pin_is_not_told_until_a_person_asks() {
        let environment = environment(vec![Signal::Webhook], vec![report("g/p", ReportSha::Commit, "shop")]);
        let rows = |origin| begun(&policy(), &environment, &arrival(Some(release(None)), Some(commit()), origin)).len();
        assert_eq!(rows(Origin::Adopted), 0);
        assert_eq!(rows(Origin::Asked("alice".to_owned())), 1);
        assert_eq!(rows(other()), 1);
    }

    #[test]
    fn revisions_as_far_as_they_are_known() {
        let check = |sha, arrival: &Arrival, expected: &str| {
            let environment = environment(vec![Signal::Webhook], vec![report("g/p", sha, "shop")]);
            let revision = format!("{:?}", begun(&policy(), &environment, arrival)[0].revision);
            assert!(revision.starts_with(expected), "{revision}");
        };
        let tag = r#"Tag(Tag("v1"))"#;
        check(ReportSha::Revision, &arrival(Some(release(Some("abc"))), None, other()), r#"Label("abc")"#);
        check(ReportSha::Revision, &arrival(Some(release(None)), None, other()), tag);
        check(ReportSha::Commit, &arrival(Some(release(None)), None, other()), "Unknown(\"no commit");
        let mut unknown = arrival(None, None, other());
        check(ReportSha::Revision, &unknown, "Unknown(\"nothing is known of the build of `shop`");
        let pinned = Pinned { tag: Tag::parse("v1").ok(), digest: None };
        unknown.pin = Pin([(image("shop"), pinned)].into());
        check(ReportSha::Revision, &unknown, tag);
    }

    #[test]
    fn states_are_gitlabs_words() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("blocked"), None);
    }

    #[test]
    fn a_template_names_the_git_tag_of_the_image_that_is_reported() {
        let template = Some("{{ policy }}-{{ environment }}-v{{ new.tag }}".to_owned());
        let report = Report { git_tag: template, ..report("group/shop", ReportSha::Revision, "worker") };
        let mut environment = environment(Vec::new(), vec![report]);
        environment.images = ["shop", "worker"]
            .map(|name| crate::model::Image {
                name: image(name),
                repository: crate::model::Repository::parse(&format!("reg.example.com/{name}")).expect("a repository"),
                before: Vec::new(),
                platforms: Vec::new(),
                source: None,
            })
            .to_vec();
        let both = release(None);
        let tagged = |(name, build): (&ImageName, &Build)| {
            let tag = if name.as_str() == "worker" { "2.0" } else { "v1" };
            (name.clone(), Build { tag: Tag::parse(tag).expect("a tag"), ..build.clone() })
        };
        let both = Release::new(both.builds().iter().map(tagged).collect());
        let arrival = arrival(Some(both), None, Origin::Other("bob".to_owned()));
        let rows = begun(&policy(), &environment, &arrival);
        assert_eq!(rows[0].git_tag.as_deref(), Some("shop-prod-v2.0"));
        assert_eq!(rows[0].revision, Revision::Tag(Tag::parse("2.0").expect("a tag")));
    }
}
