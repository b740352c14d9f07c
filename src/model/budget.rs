//! Every bound on what others can make this process hold, and every sum of such bounds.
//!
//! A limit on one thing says little while there may be a thousand of it: so each kind has its sum here, and all sums
//! together stay below [`ALL_BYTES`], whatever strangers, policy authors, registries and repositories send at once. Times
//! and counts that bound no memory stay with what they bound.

/// A kibibyte.
const KIB: usize = 1024;
/// A mebibyte.
const MIB: usize = 1024 * KIB;

/// What others can make this process hold in all, beside its ordinary memory: five eighths of what the pod gets. Two million
/// tags take half of the rest.
pub const ALL_BYTES: usize = 320 * MIB;

/// How many connections are open at once: people, a proxy's pool and senders of signals stay far below it, and it is a
/// quarter of the 1024 files that a process may open by default.
pub const SEATS: usize = 256;
/// The head of one request, and the piece of its body that is being read: browsers and proxies send at most 8 KiB.
pub const HEAD_BYTES: usize = 16 * KIB;
/// What a connection itself costs: its task, its timers, and what the answer's head is written into.
const SEAT_BYTES: usize = 2 * HEAD_BYTES + 16 * KIB;

/// One body that is read before it is known who sent it: the registries that sign their deliveries send far less.
pub const UNPROVEN_BODY_BYTES: usize = 256 * KIB;
/// All such bodies together: whoever comes beyond that is told to come again.
pub const UNPROVEN_BYTES: usize = 8 * MIB;
/// The body of somebody who signs in: a token.
pub const SIGN_IN_BYTES: usize = 4 * KIB;
/// One delivery of a registry that has proven itself: an envelope holds many events of half a kilobyte.
pub const DELIVERY_BYTES: usize = MIB;
/// All such deliveries together.
pub const DELIVERIES_BYTES: usize = 8 * MIB;
/// The body of a request with a token: a signal with its evidence is a few kilobytes.
pub const BODY_BYTES: usize = 32 * KIB;

/// One policy file: a policy with a hundred environments has some tens of KiB.
pub const POLICY_BYTES: usize = MIB;
/// The policy files of one repository: some two thousand ordinary ones.
pub const POLICIES_OF_REPOSITORY_BYTES: usize = 4 * MIB;
/// The policy files of all repositories.
pub const POLICIES_BYTES: usize = 8 * MIB;
/// The nodes of one policy file, aliases expanded and the defaults counted for each environment: ten times what the
/// largest sensible policy holds.
pub const POLICY_NODES: usize = 25_000;
/// The nodes of all policy files: some four thousand ordinary ones.
pub const POLICIES_NODES: usize = 400_000;
/// What a node of a policy takes while it is judged, as measured with the densest lists.
const NODE_BYTES: usize = 100;
/// The environments of one policy.
pub const POLICY_ENVIRONMENTS: usize = 100;
/// The compiled expressions of one policy file.
pub const EXPRESSIONS_OF_FILE_BYTES: usize = 4 * MIB;
/// The compiled expressions of all policies, each text once: some fifteen hundred ordinary ones.
pub const EXPRESSIONS_BYTES: usize = 32 * MIB;

/// One file that is edited: half as much again as the largest values file that was ever met.
pub const TARGET_BYTES: usize = 8 * MIB;
/// The nodes of all files that one environment writes into: what the largest values file that was ever met holds.
pub const TARGET_NODES: usize = 150_000;
/// What a node takes while its file is edited, with the second tree that proves the edit.
const TARGET_NODE_BYTES: usize = 450;
/// The texts of the files that are looked at together, of one environment or of several small ones; and the texts that one
/// push writes.
pub const TARGETS_BYTES: usize = TARGET_BYTES;
/// How often such texts are held while they are edited: as they were, as they are, and in the commit.
const TARGETS_COPIES: usize = 3;
/// A push that writes no more than this is a small one.
pub const PUSH_SMALL_BYTES: usize = 128 * KIB;
/// What all small pushes write that are made at once. Beside them one large push is made at a time.
pub const PUSHES_SMALL_BYTES: usize = 2 * MIB;
/// How often the texts of a push are held: in the commits, as objects, as a pack, and in the request.
const PUSH_COPIES: usize = 4;

/// The large answers of registries that are in flight at once, with what they become while they are parsed: a list of a
/// million tags takes some forty of it.
pub const ANSWERS_BYTES: usize = 64 * MIB;
/// What one host may have of it, so that there is always some for the others.
pub const ANSWERS_OF_HOST_BYTES: usize = 56 * MIB;
/// What an answer may have beside that: nearly all manifests and configs are smaller.
pub const ANSWER_FREE_BYTES: usize = 16 * KIB;
/// How many builds are read at once, each with an index, a manifest and a config in hand.
pub const BUILDS_AT_ONCE: usize = 80;

/// Every sum, by what it is of.
pub const SUMS: &[(&str, usize)] = &[
    ("connections", SEATS * SEAT_BYTES),
    ("bodies of strangers", UNPROVEN_BYTES),
    ("deliveries of registries", DELIVERIES_BYTES),
    ("bodies of people", SEATS * BODY_BYTES),
    ("texts of policies", 2 * POLICIES_BYTES),
    ("policies while they are judged", POLICIES_NODES * NODE_BYTES),
    ("compiled expressions", EXPRESSIONS_BYTES),
    ("large answers of registries", ANSWERS_BYTES),
    ("small answers of registries", 3 * BUILDS_AT_ONCE * ANSWER_FREE_BYTES),
    ("one edit at a time", TARGET_NODES * TARGET_NODE_BYTES),
    ("the texts of the files of one edit", TARGETS_COPIES * TARGETS_BYTES),
    ("one large push at a time", PUSH_COPIES * TARGETS_BYTES),
    ("small pushes", PUSH_COPIES * PUSHES_SMALL_BYTES),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sums_together_fit_into_what_others_may_make_us_hold() {
        let all: usize = SUMS.iter().map(|(_, bytes)| bytes).sum();
        assert!(all <= ALL_BYTES, "{} MiB in all: {SUMS:?}", all / MIB);
    }

    #[test]
    fn no_single_thing_is_larger_than_its_sum() {
        for (one, all) in [
            (UNPROVEN_BODY_BYTES, UNPROVEN_BYTES),
            (DELIVERY_BYTES, DELIVERIES_BYTES),
            (PUSH_SMALL_BYTES, PUSHES_SMALL_BYTES),
        ] {
            assert!(one * 8 <= all, "a few of them leave room for others");
        }
    }
}
