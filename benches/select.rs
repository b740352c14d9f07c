//! How long it takes to choose among a hundred thousand tags, and how often that allocates.
//!
//! Run with `cargo bench --bench select`. It measures one choice over tags that are parsed already; it compares with
//! nothing and fails nothing.
#![expect(unsafe_code, reason = "allocations can be counted only in a global allocator")]
#![expect(clippy::print_stdout, reason = "a bench reports to whoever runs it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tagrelay::model::policy::{Extreme, Image, Pattern, Select, Strategy, Together};
use tagrelay::model::{ImageName, Repository, Span, TagList};
use tagrelay::relay::select::{Request, Tags, choose};

/// How many tags are chosen from.
const TAGS: u64 = 100_000;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn select(strategy: Strategy, pattern: Option<(&str, &str)>) -> Select {
    let matches =
        pattern.and_then(|(text, _)| Some(Pattern { text: text.to_owned(), regex: regex::Regex::new(text).ok()? }));
    Select {
        strategy,
        matches,
        extract: pattern.map(|(_, extract)| extract.to_owned()),
        ignore: Vec::new(),
        branch: None,
        labels: Vec::new(),
        min_age: Span::ZERO,
        allow_downgrade: false,
    }
}

/// Tags of a long life.
fn tags(form: impl Fn(u64) -> String) -> TagList {
    let names: Vec<String> = (0..TAGS).map(form).collect();
    TagList::of(names.iter().map(String::as_str)).0
}

fn measure(name: &str, select: &Select, tags: &TagList) {
    let (Ok(image_name), Ok(repository)) = (ImageName::parse("shop"), Repository::parse("localhost/shop")) else {
        return;
    };
    let image = Image { name: image_name, repository, before: Vec::new(), platforms: Vec::new(), source: None };
    let (known, reserved, known_releases) = (HashMap::new(), HashSet::new(), HashSet::new());
    let images = [Tags { image: &image, tags, known: &known, dated: None, reserved: &reserved }];
    let request = Request {
        select,
        images: &images,
        together: Together::SameTag,
        settle: Span::ZERO,
        known_releases: &known_releases,
        own_commits: false,
        depth: 1,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let (before, begun) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
    let chosen = choose(&request);
    let (took, allocations) = (begun.elapsed(), ALLOCATIONS.load(Ordering::Relaxed) - before);
    let best = chosen.wanted.first().map_or_else(String::new, |want| want.tag.to_string());
    println!("{name}: {best} of {} tags in {took:?}, {allocations} allocations", tags.len());
}

fn main() {
    let semver = |range: &str| Strategy::Semver(range.to_owned());
    let versions = tags(|n| format!("v{}.{}.{}", n / 10_000, n / 100 % 100, n % 100));
    let candidates = tags(|n| format!("{}.{}.{}-rc.{}", n / 10_000, n / 100 % 100, n % 100, n % 7));
    let builds = tags(|n| format!("build-{n}-{:08x}", n * 2_654_435_761 % 4_294_967_296));
    measure("semver", &select(semver("^8"), None), &versions);
    measure("semver, all", &select(semver("*"), None), &versions);
    measure("semver, pre-releases", &select(semver(">=1.0-0"), None), &candidates);
    measure(
        "numeric, extracted",
        &select(Strategy::Numeric(Extreme::Largest), Some(("^build-([0-9]+)-", "$1"))),
        &builds,
    );
    measure("alphabetical", &select(Strategy::Alphabetical(Extreme::Largest), None), &builds);
}
