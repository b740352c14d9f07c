//! What a reason means for people: whose turn it is, and what one types. The reference prints it; commands may.

use super::Why;

/// Who has to do something so that an environment goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nobody: all is as it is wanted.
    Nobody,
    /// Nobody: time, a build or tagrelay itself ends it.
    Itself,
    /// Whoever decides over releases: approves, holds, promotes, rolls back.
    Person,
    /// Whoever owns the policy, its images and its pipeline.
    Team,
    /// Whoever runs tagrelay and the servers that it speaks to.
    Operator,
}

impl Turn {
    /// All of them, in the order in which a reader looks for them.
    pub const ALL: [Self; 5] = [Self::Person, Self::Team, Self::Operator, Self::Itself, Self::Nobody];

    /// Its stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Team => "team",
            Self::Operator => "operator",
            Self::Itself => "itself",
            Self::Nobody => "nobody",
        }
    }

    /// Whose turn it is, as a heading says it.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Person => "A person decides",
            Self::Team => "The team of the policy mends something",
            Self::Operator => "The operator mends something",
            Self::Itself => "It goes on by itself",
            Self::Nobody => "Nothing is to do",
        }
    }
}

/// What a reason asks of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Whose turn it is.
    pub turn: Turn,
    /// What it means, in one or two sentences.
    pub meaning: &'static str,
    /// What one types or does, with commands in backticks.
    pub remedy: &'static str,
}

impl Advice {
    /// What one types or does about an environment of a policy, with their names and that of a release in the commands.
    #[must_use]
    pub fn remedy_for(&self, policy: &str, environment: &str, release: Option<&str>) -> String {
        let remedy = self.remedy.replace("POLICY/ENV", &format!("{policy}/{environment}"));
        let remedy = remedy.replace("--env ENV", &format!("--env {environment}")).replace("POLICY", policy);
        release.map_or(remedy.clone(), |release| remedy.replace("RELEASE", release))
    }
}

impl Why {
    /// The release that the commands of this reason's remedy are about, as one types it; none where the reason names none, or
    /// names it by several words.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        let named = match self {
            Self::Refused { release, .. }
            | Self::NeverRanHere { release }
            | Self::Superseded { release, .. }
            | Self::NotNewer { found: release, .. } => release.as_str(),
            _ => return None,
        };
        // A release whose tag moves stands with its digest behind it, as in `dev (0123456789ab, built from 89abcdef)`.
        let digest = named.split_once(" (").and_then(|(_, digest)| digest.split([',', ')']).next());
        digest.or(Some(named)).filter(|name| !name.contains(char::is_whitespace))
    }

    /// What this reason asks of people.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one row for each reason: read as a table")]
    pub fn advice(&self) -> Advice {
        let (turn, meaning, remedy) = match self {
            Self::UpToDate => (Turn::Nobody, "The environment runs the release that the policy chooses.", "Nothing."),
            Self::NoTagMatches { .. } => (
                Turn::Team,
                "The registry has no tag that passes `match`, `ignore`, the other filters and the strategy of `select`.",
                "`tagrelay explain POLICY/ENV` lists each tag and what refused it. Push a build, or correct `select`.",
            ),
            Self::SetIncomplete { .. } => (
                Turn::Team,
                "Some images of the policy have a build and others have none that belongs to it (`together`).",
                "Wait for the missing build, or look why its pipeline did not push it. `tagrelay explain POLICY/ENV` names it.",
            ),
            Self::TooYoung { .. } => (
                Turn::Itself,
                "The build was pushed, or first seen, less than `min_age` ago.",
                "Wait. To go on at once: `tagrelay promote POLICY/ENV --force --reason TEXT`.",
            ),
            Self::LabelDiffers { .. } => (
                Turn::Team,
                "The build lacks a label that `select.labels` asks for, or the label has another value.",
                "Correct the label in the build, or `labels` in the policy.",
            ),
            Self::Unsettled { .. } => (
                Turn::Itself,
                "A followed tag moved a moment ago, and the set of images must stand still for `settle` first.",
                "Wait. Where it never settles, something moves the tag all the time.",
            ),
            Self::NotNewer { .. } => (
                Turn::Nobody,
                "The best build is not newer than what runs, and a policy does not go back by itself.",
                "To go back: `tagrelay rollback POLICY/ENV RELEASE --reason TEXT`. To let the policy do it: `allow_downgrade: true`.",
            ),
            Self::NothingVerified { .. } => (
                Turn::Itself,
                "The environment before has verified no release that is newer than what runs here.",
                "Wait for a rollout there. `tagrelay status POLICY` shows where it stands.",
            ),
            Self::NotVerified { .. } => (
                Turn::Itself,
                "This release was never verified in the environment before.",
                "Wait for its rollout there, or judge what runs there again: `tagrelay verify POLICY/FROM`.",
            ),
            Self::StillSoaking { .. } => (
                Turn::Itself,
                "The release is verified in the environment before, and has not run there for as long as `soak` asks.",
                "Wait. Its time goes on counting as long as it runs there.",
            ),
            Self::SoakStopped { .. } => (
                Turn::Person,
                "The release no longer runs in the environment before, and had not soaked long enough when it left.",
                "Let a newer release soak, or `tagrelay promote POLICY/ENV RELEASE --force --reason TEXT`.",
            ),
            Self::ApprovalsMissing { .. } => (
                Turn::Person,
                "The release waits for votes. A vote that fell is named with its reason.",
                "`tagrelay approve POLICY/ENV RELEASE`, or `tagrelay reject POLICY/ENV RELEASE --reason TEXT`.",
            ),
            Self::WindowShut { opens: Some(_) } => (
                Turn::Itself,
                "Changes are allowed only inside `gates.window`, and the window is shut now.",
                "Wait until it opens. If it cannot wait: `tagrelay promote POLICY/ENV --force --reason TEXT`.",
            ),
            Self::WindowShut { opens: None } => (
                Turn::Team,
                "The cron expression of `gates.window` names no moment in the future.",
                "Correct `gates.window.open` in the policy.",
            ),
            Self::Frozen { .. } => (
                Turn::Itself,
                "A freeze of the policy, of `require` or of `calendars` stops what is new.",
                "Wait until it ends. If it cannot wait: `tagrelay promote POLICY/ENV --force --reason TEXT`.",
            ),
            Self::Held { .. } => (
                Turn::Person,
                "A person, a failed rollout or an edit of the pin holds this environment.",
                "`tagrelay resume POLICY/ENV`.",
            ),
            Self::HeldByFile { .. } => (
                Turn::Person,
                "A `HOLD` file beside the policies holds this environment. No command lifts it.",
                "Delete the named file in the folder of the policies (`git rm`), commit and push.",
            ),
            Self::HoldsUnread { .. } => (
                Turn::Operator,
                "The branch of the policies cannot be read, so nobody knows whether a `HOLD` file stands there.",
                "Mend what the error names: the git server, the network or the token.",
            ),
            Self::Refused { .. } => (
                Turn::Person,
                "This release failed, was rolled back from, or was rejected, here or in an environment before. It is not tried again by itself.",
                "Push a newer build. To try the same again: `tagrelay promote POLICY/ENV RELEASE`.",
            ),
            Self::OrderWaits { .. } => (
                Turn::Itself,
                "A person ordered a release, and the order waits for the reasons that stand beside it.",
                "Look at the other reasons of this environment. A later order replaces this one.",
            ),
            Self::NeverRanHere { .. } => (
                Turn::Person,
                "A rollback goes only to a release that was verified in this environment or adopted by it.",
                "`tagrelay promote POLICY/ENV RELEASE`, so that its gates are asked.",
            ),
            Self::JournalIsNew { .. } => (
                Turn::Person,
                "The branch holds a commit of tagrelay that this journal does not know: the journal is new or restored.",
                "Look at what runs, then `tagrelay resume POLICY/ENV`, or `tagrelay resume --all`.",
            ),
            Self::JournalUnwell { .. } => (
                Turn::Operator,
                "The journal takes no write: the disk is full, or its file was deleted or replaced.",
                "Make room on the disk, or put the file back. tagrelay goes on by itself.",
            ),
            Self::ClockDoubtful { .. } => (
                Turn::Operator,
                "The clock of this machine jumped, or most servers disagree with it. No gate opens meanwhile.",
                "Set the clock (NTP).",
            ),
            Self::PolicyBroken { .. } => (
                Turn::Team,
                "The policy file has an error. What is in flight is finished; nothing new begins.",
                "`tagrelay check FILE` shows each error with its line. Commit the correction.",
            ),
            Self::PlaceTaken { .. } => (
                Turn::Team,
                "Two environments name the same place, tag or GitLab deployment. The one that was there first goes on.",
                "Name another place in one of the two policies.",
            ),
            Self::Suspended => (
                Turn::Team,
                "The policy says `suspend: true`, so it begins nothing new.",
                "Take `suspend: true` out of the policy.",
            ),
            Self::NotAutomatic => (
                Turn::Person,
                "The environment says `auto: false`: a person begins each change.",
                "`tagrelay promote POLICY/ENV`.",
            ),
            Self::TooManyRollouts { .. } => (
                Turn::Itself,
                "As many rollouts as `limits.rollouts` allows are in flight in environments of this name.",
                "Wait for a place: they come in the order in which they asked. To go on at once: `tagrelay promote POLICY/ENV --force --reason TEXT`.",
            ),
            Self::ManyFailed { .. } => (
                Turn::Person,
                "As many policies as `limits.failures` allows failed within an hour in environments of this name.",
                "Look at what they share, the cluster for example, then `tagrelay resume --all --env ENV`.",
            ),
            Self::TooManyChanges { .. } => (
                Turn::Person,
                "`limits.changes` environments changed within an hour for a cause that is no new build, so the others wait.",
                "`tagrelay plan` shows what would change. If that is right: `tagrelay resume POLICY/ENV`, or `tagrelay resume --all`.",
            ),
            Self::AlwaysOvertaken { .. } => (
                Turn::Team,
                "New releases come faster than a rollout is verified, so none is ever verified.",
                "Write `hold_new_until: verified` in the environment that is named.",
            ),
            Self::RolloutInFlight { .. } => (
                Turn::Itself,
                "`hold_new_until` lets no newer release in until the rollout in flight has come so far.",
                "Wait, or let the newer release overtake: `tagrelay promote POLICY/ENV`.",
            ),
            Self::Following { .. } => (
                Turn::Itself,
                "A release was written, and its signals and checks have not all said their verdict.",
                "Wait. Where it takes too long, look at the deliverer (Argo CD, Flux) and at who posts the verdict.",
            ),
            Self::TagMoved { .. } => (
                Turn::Team,
                "After the release was chosen or written, its tag came to name another digest. What the tag brings now was not judged.",
                "Push the other build under a new tag, or write `pin: tag@digest` so that the digest alone counts.",
            ),
            Self::MovedBack { .. } => (
                Turn::Person,
                "The followed tag names a digest that ran here before. tagrelay does not go back by itself.",
                "To go back: `tagrelay rollback POLICY/ENV RELEASE --reason TEXT`. To go on: push the tag at a new build; `tagrelay resume POLICY/ENV` lifts the hold that the move made.",
            ),
            Self::OwnCommit { .. } => (
                Turn::Team,
                "The build was made from a commit of tagrelay. To run it would commit again, without end.",
                "Let the pipeline skip commits of tagrelay (`[skip ci]` in `deliver.commit.message`).",
            ),
            Self::PlatformMissing { .. } => (
                Turn::Team,
                "The build lacks a platform that `platforms` asks for.",
                "Build for that platform too, or correct `platforms`.",
            ),
            Self::NotOnBranch { .. } => (
                Turn::Itself,
                "The commit that the build was made from is not on the branch that `select.branch` names.",
                "Merge it there. GitLab is asked again by itself.",
            ),
            Self::Unbound => (
                Turn::Person,
                "The file names a version that no registry shows, so tagrelay cannot tell which release runs.",
                "Push that image, or replace it: `tagrelay promote POLICY/ENV`.",
            ),
            Self::Unread { .. } => (
                Turn::Operator,
                "A registry, branch or file was not read yet, or the last reading failed.",
                "Mend what the error names: server, network, credentials or file. It goes on by itself then, as it does a moment after a start.",
            ),
            Self::Blocked { .. } => (
                Turn::Operator,
                "A push, retag, copy or check failed. It is tried again at the time that is shown, ever more seldom.",
                "Read the error, and mend what it names.",
            ),
            Self::ImageMissing { .. } => (
                Turn::Team,
                "An image of the release is gone from the registry. Nothing is written that cannot be pulled.",
                "Push the image again, or reject the release: `tagrelay reject POLICY/ENV --reason TEXT`. `keep` prevents it.",
            ),
            Self::Superseded { .. } => (
                Turn::Nobody,
                "The release waited, and a newer one was taken instead.",
                "Nothing. To run it all the same: `tagrelay promote POLICY/ENV RELEASE`.",
            ),
            Self::VerdictUnfit { .. } => (
                Turn::Team,
                "Somebody posted a verdict that fits no rollout of this environment, so it did not count.",
                "Correct what posts the verdict: it sends the commit that was synced, or the id of the rollout.",
            ),
            Self::SignalLost { .. } => (
                Turn::Person,
                "No verdict came before `deadline`, so nobody knows whether the release works.",
                "Look at the environment. If it works: `tagrelay verify POLICY/ENV`. To go on without: `tagrelay resume POLICY/ENV`.",
            ),
            Self::Copying { .. } => {
                (Turn::Itself, "The images are being copied to the repositories that `promote.to` names.", "Wait.")
            }
            Self::Observing { .. } => (
                Turn::Operator,
                "The configuration says `mode: observe`, so tagrelay only says what it would do.",
                "Write `mode: act` in the configuration and restart, when you want it to act.",
            ),
        };
        Advice { turn, meaning, remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_types_has_the_names_of_the_environment() {
        let advice = Why::SoakStopped { from: "staging".to_owned(), missing: crate::model::Span::ZERO }.advice();
        let typed = advice.remedy_for("shop", "prod", Some("0123456789ab"));
        assert!(typed.contains("`tagrelay promote shop/prod 0123456789ab --force --reason TEXT`"), "{typed}");
        let until = jiff::Timestamp::UNIX_EPOCH;
        let many = Why::ManyFailed { environment: "prod".to_owned(), reason: "two".to_owned(), until }.advice();
        assert!(many.remedy_for("shop", "prod", None).contains("`tagrelay resume --all --env prod`"));
    }

    #[test]
    fn a_command_is_about_the_release_that_the_reason_names() {
        let refused = |release: &str| Why::Refused {
            release: release.to_owned(),
            elsewhere: None,
            who: "bob".to_owned(),
            why: "slow".to_owned(),
        };
        for (why, release) in [
            (refused("1.0.55"), Some("1.0.55")),
            (refused("dev (0123456789ab, built from 89abcdef)"), Some("0123456789ab")),
            (refused("dev (0123456789ab)"), Some("0123456789ab")),
            (refused("1.4.2, worker 1.4.1"), None),
            (Why::Superseded { release: "1".to_owned(), by: "2".to_owned() }, Some("1")),
            (Why::NotAutomatic, None),
        ] {
            assert_eq!(why.release(), release, "{why}");
        }
    }
}
