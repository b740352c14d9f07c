//! tagrelay carries container images through environments: from a registry into a GitOps repository, through a rollout,
//! to GitLab, and, when the gates are open, to the next environment.
//!
//! # The flow
//! Each stage hands the next a plain value. `e` is an effect, `p` a pure function.
//! ```text
//! observe  e  clients::registry     tags, digests, facts of builds   -> Observation
//! select   p  relay::select         which build is best              -> Chosen
//! judge    p  relay::gate           may it go on                     -> Verdict::{Cleared, Wait}
//! carry    e  clients::registry     copy(Cleared)                    -> the same digest in a repository of its own
//! promote  e  clients::registry     retag(Cleared)                   -> the same digest under the next tag
//! keep     e  clients::registry     keep(Kept), let_go(Lapsed)       -> tags of our own that lifecycle rules spare
//! plan     p  relay::edit           which bytes change               -> ChangePlan
//! write    e  clients::git          push where the judged files stand -> Commit | Raced (back to the pass)
//! follow   p  relay::follow         what the signals say             -> Rollout::{Progressing, Healthy, Failed}
//! verify   e  clients::checks       smoke tests                      -> CheckResult
//! report   p  relay::report         what GitLab is told              -> rows of the outbox; e clients::gitlab::send
//! ```
//! A *pass* gathers facts, calls [`relay::next_step`], makes one effect, and forgets; again, until the environment rests.
//! Where a release stands is folded from the journal's events each time ([`model::ledger`]), never stored; the journal's
//! checkpoint holds only what events came to that were deleted.
//!
//! # The floors
//! A folder uses only what stands below it; folders of one floor do not know each other. `tests/it/tidy.rs` holds it so.
//! ```text
//! 6  cli                          one file a subcommand
//! 5  server                       page, JSON interface, signals, health, metrics
//! 4  daemon                       the loop; below it requests, effects, sources, state
//! 3  clients                      one folder an outside system; they translate, and never decide
//! 2  config   journal  telemetry  text to typed values; the only SQL; logs and metrics
//! 1  relay                        the decisions, pure
//! 0  model                        the words: no I/O, no clock, no async, no serde
//! -  sandbox                      beside: the embedded world of the demo and the tests, using none of the above
//! ```
//!
//! # The invariants
//!  1. Nothing in `model` and `relay` reads a clock, a file, a socket or the environment, and none of it can fail for a
//!     reason outside its arguments.
//!  2. A release reaches an environment only if that same digest set satisfied every gate of the policy and of `require`,
//!     judged again right before the effect, whoever moved the tag, by whatever name or target its place is written. The
//!     exceptions are a rollback order to a release that was verified in that environment or adopted by it, which only a
//!     freeze with `rollback: false` stops (a person's passes holds too; one by `on_failure` only those that tagrelay itself
//!     made), and a forced order, which passes all and is kept with its reason. [`relay::authority`] is the page on it.
//!  3. A pin never moves to an older release unless a person asked for it or the policy allows it; a build made from our
//!     own commit is never a candidate.
//!  4. An edit replaces a scalar, or inserts or removes one named entry; every other byte stays. A second parser proves it,
//!     or nothing is written.
//!  5. A commit is pushed only on the tip it was planned on, or on commits of ours above it; a lost race is
//!     planned again on the tip that won where the judged files, the policies and the HOLD files stand as they were, else it
//!     goes back to the pass; nothing is forced, nothing dropped.
//!  6. A rollout is reported to GitLab once per state, in order, also when GitLab was away or the daemon was killed between
//!     any two steps.
//!  7. A person wins: a revert of a pin, a tag moved back, an edit, a hold, a HOLD file. Automation waits until a person
//!     lifts it. The brake fails shut: what cannot be read of it holds.
//!  8. Secrets are never logged, journaled, put on a page, or sent to another host than their own.
//!  9. Every queue, body, retry, page count, history walk, template and regular expression has a named limit, and so has
//!     their sum.
//! 10. A broken policy finishes and reports what is in flight under its last good text, begins nothing new, and says file
//!     and line. It stops itself alone.
//! 11. One failing registry, repository, file, environment, GitLab project or policy delays no other.
//! 12. Text from outside reaches messages, pages and logs through [`model::text::shown`]: one line, bounded, harmless.
//! 13. Order is the journal's sequence; clocks measure durations alone. A deadline counts only time in which this process
//!     could hear; one that ends without a signal is held for a person, never a reason to roll back. A clock that jumps, or
//!     disagrees with the servers', opens no gate. A rollout is judged to its end by the rules that it began with.

#[cfg(feature = "sandbox")]
pub mod sandbox;

pub mod model;

pub mod relay;

pub mod config;
pub mod journal;
pub mod telemetry;

pub mod clients;

pub mod daemon;

pub mod server;

pub mod cli;
