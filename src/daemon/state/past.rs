//! The journal, folded: the ledgers of environments that no policy names just now, and what was said of many at once.
//!
//! An environment's ledger is with its standing while a policy names it, and here before and after: the entries
//! themselves stay in the journal.

use crate::journal::Checkpoint;
use crate::model::{Entry, Ledger, Scope, Sequence};
use std::collections::BTreeMap;

/// What the journal says, but for what stands in the memory.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Past {
    ledgers: BTreeMap<Scope, Ledger>,
    /// Entries about more than one environment (`hold --all`): they count for those that are yet to come, too.
    wide: Vec<Entry>,
    last: Option<Sequence>,
    /// How far the checkpoint goes that the ledgers began with.
    folded: Option<Sequence>,
}

impl Past {
    /// What the journal says up to its checkpoint, but for the entries that it still has of that time.
    pub(in crate::daemon) fn of(checkpoint: Option<Checkpoint>) -> Self {
        let Some(Checkpoint { folded, ledgers }) = checkpoint else { return Self::default() };
        let last = Some(folded.last);
        Self { ledgers: ledgers.into_iter().collect(), wide: Vec::new(), last, folded: last }
    }

    /// Takes in one more entry.
    pub(in crate::daemon) fn apply(&mut self, entry: &Entry) {
        self.last = Some(entry.sequence);
        for (scope, ledger) in &mut self.ledgers {
            if entry.scope.contains(scope) {
                ledger.apply(entry);
            }
        }
        if entry.scope.policy.is_none() || entry.scope.environment.is_none() {
            self.wide.push(entry.clone());
        }
    }

    /// Takes in a page of the journal, in which environments are named for the first time.
    pub(in crate::daemon) fn remember(&mut self, entry: &Entry) {
        if self.folded.is_some_and(|folded| entry.sequence <= folded) {
            // The ledgers of the checkpoint have it already; those that are yet to come do not.
            return self.wide.push(entry.clone());
        }
        let is_one = entry.scope.policy.is_some() && entry.scope.environment.is_some();
        if is_one && let Some(ledger) = self.ledgers.get_mut(&entry.scope) {
            self.last = Some(entry.sequence);
            return ledger.apply(entry);
        }
        if is_one {
            let fresh = self.take(&entry.scope);
            self.put(entry.scope.clone(), fresh);
        }
        self.apply(entry);
    }

    /// The ledger of an environment, which is the caller's from now on.
    pub(in crate::daemon) fn take(&mut self, of: &Scope) -> Ledger {
        self.ledgers.remove(of).unwrap_or_else(|| Ledger::of(of, &self.wide))
    }

    /// Gives a ledger back.
    pub(in crate::daemon) fn put(&mut self, of: Scope, ledger: Ledger) {
        self.ledgers.insert(of, ledger);
    }

    /// The ledgers of environments that no policy names just now.
    pub(in crate::daemon) fn ledgers(&self) -> impl Iterator<Item = (&Scope, &Ledger)> {
        self.ledgers.iter()
    }

    /// The number of the newest entry.
    pub(in crate::daemon) fn last(&self) -> Option<Sequence> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Folded;
    use crate::model::{EnvironmentName, Event, PolicyName};

    fn scope(policy: &str, environment: &str) -> Scope {
        Scope::of(&PolicyName::parse(policy).unwrap(), &EnvironmentName::parse(environment).unwrap())
    }

    fn held(sequence: u64, scope: &Scope, why: &str) -> Entry {
        let event = Event::Held { who: "alice".into(), why: why.into(), until: None };
        Entry { sequence: Sequence(sequence), at: jiff::Timestamp::UNIX_EPOCH, scope: scope.clone(), event }
    }

    fn holds(ledger: &Ledger) -> Vec<&str> {
        ledger.holds.iter().map(|hold| hold.why.as_str()).collect()
    }

    #[test]
    fn what_was_said_of_all_counts_for_those_that_come_later() {
        let mut past = Past::default();
        let (dev, prod) = (scope("shop", "dev"), scope("shop", "prod"));
        past.remember(&held(1, &dev, "one"));
        past.remember(&held(2, &Scope::default(), "all"));
        past.remember(&held(3, &dev, "two"));
        past.remember(&held(4, &prod, "three"));
        assert_eq!(holds(&past.take(&dev)), ["one", "all", "two"]);
        assert_eq!(holds(&past.take(&prod)), ["all", "three"]);
        assert_eq!(holds(&past.take(&scope("new", "dev"))), ["all"]);
        assert_eq!(past.last(), Some(Sequence(4)));
    }

    #[test]
    fn what_the_checkpoint_has_is_not_taken_in_twice() {
        let (dev, prod) = (scope("shop", "dev"), scope("shop", "prod"));
        let all = held(1, &Scope::default(), "all");
        let folded = Folded { last: Sequence(2), at: all.at };
        let ledger = Ledger::of(&dev, [&all, &held(2, &dev, "one")]);
        let mut past = Past::of(Some(Checkpoint { folded, ledgers: vec![(dev.clone(), ledger)] }));
        assert_eq!(past.last(), Some(Sequence(2)), "also where no entry is left");
        past.remember(&all);
        past.remember(&held(3, &dev, "two"));
        assert_eq!((holds(&past.take(&dev)), holds(&past.take(&prod))), (vec!["all", "one", "two"], vec!["all"]));
        assert_eq!(past.last(), Some(Sequence(3)));
    }

    #[test]
    fn a_ledger_goes_on_after_it_was_given_back() {
        let mut past = Past::default();
        let dev = scope("shop", "dev");
        let ledger = past.take(&dev);
        past.put(dev.clone(), ledger);
        past.apply(&held(1, &Scope::default(), "all"));
        assert_eq!(holds(&past.take(&dev)), ["all"]);
    }
}
