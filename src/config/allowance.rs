//! What a set of policy files may cost: bytes, nodes, environments and compiled expressions, of one file and of all.
//!
//! What costs too much is refused file by file, with the limit named, and gives back what it took: one greedy file stops
//! itself alone.

use super::pattern::{self, Compiled};
use super::tree::Node;
use crate::model::budget;
use crate::model::policy::{Pattern, PolicyOrigin};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// What is left for the files that are still to be read.
#[derive(Default)]
pub(crate) struct Allowance {
    bytes: usize,
    by_repository: BTreeMap<Option<String>, usize>,
    nodes: usize,
    expressions: RefCell<Expressions>,
}

/// The expressions that were compiled: each text once, whoever wrote it.
#[derive(Default)]
struct Expressions {
    known: HashMap<String, Compiled>,
    bytes: usize,
    /// What the file in hand added.
    of_file: Vec<String>,
    bytes_of_file: usize,
    /// Whether the file in hand wanted more than there is.
    is_over: bool,
}

impl Allowance {
    /// Takes a file's bytes.
    ///
    /// # Errors
    /// When all files, or those of its repository, have too many with it; the text says which limit.
    pub(crate) fn take_file(&mut self, origin: &PolicyOrigin, text: &str) -> Result<(), String> {
        let of_repository = self.by_repository.entry(origin.repository.clone()).or_default();
        let sums = [
            ("of one repository", *of_repository, budget::POLICIES_OF_REPOSITORY_BYTES),
            ("of all repositories", self.bytes, budget::POLICIES_BYTES),
        ];
        for (whose, taken, limit) in sums {
            if taken + text.len() > limit {
                return Err(format!("the policy files {whose} have more than {limit} bytes with this one, the limit"));
            }
        }
        *of_repository += text.len();
        self.bytes += text.len();
        let expressions = self.expressions.get_mut();
        (expressions.of_file, expressions.bytes_of_file, expressions.is_over) = (Vec::new(), 0, false);
        Ok(())
    }

    /// Takes the nodes of a file, the defaults counted once for each environment.
    ///
    /// # Errors
    /// When the file, or all files, have too many with it.
    pub(crate) fn take_nodes(&mut self, root: &Node) -> Result<(), String> {
        let n = n_nodes(root) + n_merged(root);
        let (one, all) = (budget::POLICY_NODES, budget::POLICIES_NODES);
        if n > one {
            return Err(format!(
                "the file says more than {one} things, the defaults counted for each environment, which is the limit: split it"
            ));
        }
        if self.nodes + n > all {
            return Err(format!("all policy files say more than {all} things with this one, the limit"));
        }
        self.nodes += n;
        Ok(())
    }

    /// Compiles a pattern, or takes the one that was compiled from the same text.
    ///
    /// # Errors
    /// When it is no pattern, or takes too much memory by itself, with those of its file or with those of all.
    pub(crate) fn pattern(&self, text: &str) -> Result<Pattern, String> {
        let mut expressions = self.expressions.borrow_mut();
        if let Some(known) = expressions.known.get(text) {
            return Ok(known.pattern.clone());
        }
        let compiled = pattern::compiled(text)?;
        let sums = [
            ("of this file", expressions.bytes_of_file, budget::EXPRESSIONS_OF_FILE_BYTES),
            ("of all policies", expressions.bytes, budget::EXPRESSIONS_BYTES),
        ];
        for (whose, taken, limit) in sums {
            if taken + compiled.bytes > limit {
                expressions.is_over = true;
                return Err(format!(
                    "the expressions {whose} take more than {limit} bytes of memory with this one, the limit: write fewer or simpler ones"
                ));
            }
        }
        expressions.bytes += compiled.bytes;
        expressions.bytes_of_file += compiled.bytes;
        expressions.of_file.push(text.to_owned());
        let pattern = compiled.pattern.clone();
        expressions.known.insert(text.to_owned(), compiled);
        Ok(pattern)
    }

    /// Whether the expressions of the file in hand took more than there is.
    pub(crate) fn is_over(&self) -> bool {
        self.expressions.borrow().is_over
    }

    /// Gives back the expressions of the file in hand, which is refused and of which nothing is kept.
    pub(crate) fn give_back(&mut self) {
        let expressions = self.expressions.get_mut();
        for text in std::mem::take(&mut expressions.of_file) {
            expressions.known.remove(&text);
        }
        expressions.bytes -= std::mem::take(&mut expressions.bytes_of_file);
    }
}

fn n_nodes(node: &Node) -> usize {
    1 + node.children().map(n_nodes).sum::<usize>()
}

/// How many nodes the defaults add below the environments.
fn n_merged(root: &Node) -> usize {
    let environments = root.get("environments").map_or(0, |list| list.children().count());
    root.get("defaults").map_or(0, n_nodes).saturating_mul(environments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    fn origin(repository: &str) -> PolicyOrigin {
        PolicyOrigin { repository: Some(repository.to_owned()), path: "policies/shop.yaml".to_owned() }
    }

    #[test]
    fn bytes_are_counted_for_a_repository_and_for_all() {
        let mut allowance = Allowance::default();
        let text = "x".repeat(1 << 20);
        let mut taken = BTreeMap::new();
        for repository in ["a", "b", "c"] {
            let n = (0..100).take_while(|_| allowance.take_file(&origin(repository), &text).is_ok()).count();
            taken.insert(repository, n);
        }
        let (of_one, all) = (budget::POLICIES_OF_REPOSITORY_BYTES >> 20, budget::POLICIES_BYTES >> 20);
        assert_eq!(taken, BTreeMap::from([("a", of_one), ("b", all - of_one), ("c", 0)]));
        let refused = allowance.take_file(&origin("a"), "x").expect_err("too much");
        assert!(refused.contains("of one repository have more than 4194304 bytes"), "{refused}");
        assert!(allowance.take_file(&origin("c"), &text).expect_err("too much").contains("of all repositories"));
    }

    #[test]
    fn defaults_count_for_each_environment() {
        let file = |n: usize, defaults: usize| {
            let keys: String = (0..defaults).map(|n| format!("k{n}: 1, ")).collect();
            let environments = "{ name: a }, ".repeat(n);
            tree::parse(&format!("defaults: {{ {keys} }}\nenvironments: [{environments}]\n")).expect("sound")
        };
        for (n, defaults, fits) in [(10, 10, true), (100, 100, true), (1_000, 10, true), (1_000, 100, false)] {
            assert_eq!(Allowance::default().take_nodes(&file(n, defaults)).is_ok(), fits, "{n} x {defaults}");
        }
        let mut allowance = Allowance::default();
        let n = (0..1_000).take_while(|_| allowance.take_nodes(&file(100, 100)).is_ok()).count();
        assert!((20..60).contains(&n), "{n} files");
    }

    #[test]
    fn expressions_are_counted_once_and_given_back() {
        let mut allowance = Allowance::default();
        let costly = |n: usize| format!(r"\w{{2}}{n}");
        let taken = |allowance: &Allowance, from: usize| {
            (from..).take_while(|n| allowance.pattern(&costly(*n)).is_ok()).count()
        };
        allowance.take_file(&origin("a"), "").expect("room");
        let n = taken(&allowance, 0);
        assert!((4..100).contains(&n), "{n} expressions in a file");
        assert!(allowance.pattern(&costly(0)).is_ok(), "the same costs nothing more");
        let refused = allowance.pattern(&costly(n)).expect_err("too much");
        assert!(refused.contains("of this file take more than"), "{refused}");
        allowance.give_back();
        assert!(allowance.pattern(&costly(0)).is_ok(), "what a refused file took is there again");
        allowance.expressions.borrow_mut().bytes = budget::EXPRESSIONS_BYTES;
        let refused = allowance.pattern(&costly(1)).expect_err("too much");
        assert!(refused.contains("of all policies take more than") && allowance.is_over(), "{refused}");
    }
}
