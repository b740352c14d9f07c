//! Kills at random moments: one release after another travels to prod while the process is killed again and again, and
//! each must leave behind what one without a kill does. No step is lost, none is made twice.
//!
//! A test run makes a few kills. By hand: `TAGRELAY_KILLS=2000 TAGRELAY_KILLS_SEED=7 cargo test --test it crash::random -- --nocapture`.

use super::journey::{End, Journey, PATIENCE, Point};
use std::time::{Duration, Instant};

/// How many kills a plain test run makes.
const KILLS: usize = 12;
/// The longest life between two kills: about twice what a start and one step take.
const LIFE_MAX: Duration = Duration::from_millis(2500);

/// SplitMix64, so that a seed tells every kill's moment.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// How long the process lives after so many kills of one release: on a machine that has much else to do a start alone
    /// may take longer than the longest life, so lives grow until the release arrives.
    fn life(&mut self, n_kills: u32) -> Duration {
        let longest = LIFE_MAX * 2_u32.pow((n_kills / 6).min(10));
        Duration::from_millis(self.below(u64::try_from(longest.as_millis()).expect("a short time")))
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var_os(variable)?;
    Some(value.to_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{variable}: not a number")))
}

/// What `n` releases leave behind when nothing is killed, told from what one leaves.
fn expected(calm: &End, end: &End, n: usize) -> End {
    let times = |lines: &[String]| lines.iter().flat_map(|line| vec![line.clone(); n]).collect::<Vec<_>>();
    let deployments = calm.deployments.iter().flat_map(|told| vec![told.clone(); n]).collect();
    // Files and tags name the newest release, which the messages of its three commits name too.
    let (files, tags) = (end.files.clone(), end.tags.clone());
    End { files, tags, commits: end.commits.clone(), deployments, journal: times(&calm.journal) }
}

/// Commit messages that stand on the branch more than once: each release is written once into each environment.
fn doubled(end: &End) -> Vec<&String> {
    let mut seen = std::collections::BTreeSet::new();
    end.commits.iter().filter(|message| !seen.insert(*message)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_at_random_moments_lose_and_double_no_step() {
    let kills = number("TAGRELAY_KILLS").map_or(KILLS, |n| usize::try_from(n).expect("a size"));
    let seed = number("TAGRELAY_KILLS_SEED").unwrap_or(1);
    let calm = Journey::new(Point::Nowhere).await;
    calm.release(1);
    let calm = calm.travel(Point::Nowhere, 1).await;

    let (journey, mut random) = (Journey::new(Point::Nowhere).await, Random(seed));
    let (mut n_releases, mut n_kills) = (0, 0);
    while n_kills < kills {
        n_releases += 1;
        journey.release(n_releases);
        let (begun, mut n_here) = (Instant::now(), 0);
        while !journey.is_over(n_releases) {
            journey.keep_running();
            let killed_at = Instant::now() + random.life(n_here);
            while Instant::now() < killed_at && !journey.is_over(n_releases) {
                journey.approve().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            journey.kill();
            n_kills += 1;
            n_here += 1;
            let patience = PATIENCE * 3;
            assert!(begun.elapsed() < patience, "seed {seed}, kill {n_kills}: no end\n{}", journey.account());
        }
    }
    let end = journey.end(n_releases, Instant::now()).await;
    println!("{n_kills} kills over {n_releases} releases, seed {seed}");
    assert_eq!(end, expected(&calm, &end, n_releases), "seed {seed}, {n_kills} kills");
    assert_eq!(end.commits.len(), 1 + 3 * n_releases, "seed {seed}: {:#?}", end.commits);
    assert_eq!(doubled(&end), Vec::<&String>::new(), "seed {seed}");
    let newest = format!("1.0.{n_releases}");
    assert!(end.files.iter().all(|file| file.contains(&newest)), "seed {seed}: {:#?}", end.files);
}
