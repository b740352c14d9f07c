//! The decisions: pure functions over plain values, and the whole control flow on one page.
//!
//! Nothing here reads a clock, a file or a socket, and nothing can fail for a reason outside of its arguments.

pub mod attach;
pub mod authority;
pub mod brake;
pub mod candidate;
pub mod change;
pub mod changed;
pub mod edit;
pub mod facts;
pub mod find;
pub mod follow;
pub mod gate;
pub mod health;
pub mod keep;
pub mod limits;
pub mod meet;
pub mod order;
pub mod places;
pub mod report;
pub mod resume;
pub mod rights;
pub mod select;
pub mod since;
pub mod verdict;
pub mod verify_all;
pub mod way_back;

pub use facts::{Facts, From};
pub use gate::Cleared;

use crate::model::{Event, Sequence, Tag, Why};

#[cfg(test)]
pub(crate) mod tests;

/// The one effect that comes next for an environment.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing: why, as far as the stages can tell.
    Rest(Vec<Why>),
    /// These facts are kept, in one journal transaction.
    Record(Vec<Event>),
    /// The release's builds are copied into the environment's repositories.
    Copy(Cleared),
    /// This tag moves to the release's digest in every image's repository.
    Retag(Cleared, Tag),
    /// The release is written into the environment's places.
    Write(Cleared),
    /// This smoke test is begun.
    Check {
        /// The rollout that it tests.
        rollout: Sequence,
        /// The check's name.
        check: String,
    },
}

/// What a stage says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Turn {
    /// This is next.
    Act(Step),
    /// Nothing here; the stages after it go on.
    Pass(Vec<Why>),
    /// Nothing here, and nothing may happen after it.
    Stop(Why),
}

/// The next effect for an environment, or why there is none.
///
/// What is met comes first, then what is begun is finished (a half-done retag, a person's order, the rollout in flight),
/// and only then something new begins.
#[must_use]
pub fn next_step(facts: &Facts<'_>) -> Step {
    // Where another environment was first, what is in flight is followed, and nothing else is done: no order passes that.
    let stages: &[fn(&Facts<'_>) -> Turn] = match facts.taken {
        Some(_) => &[follow::turn],
        None => &[meet::turn, order::turn, follow::turn, change::turn],
    };
    let mut why: Vec<Why> = facts.taken.iter().cloned().collect();
    for stage in stages {
        match stage(facts) {
            Turn::Act(step) => match facts.blocked(&step) {
                None => return step,
                Some(blocked) => why.push(blocked),
            },
            Turn::Pass(reasons) => why.extend(reasons),
            Turn::Stop(reason) => {
                why.push(reason);
                break;
            }
        }
    }
    Step::Rest(why)
}
