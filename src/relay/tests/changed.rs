//! What each release changed, as a journey's entries tell it.

use super::*;
use crate::model::event::Event;
use crate::relay::changed;

#[test]
fn each_commit_says_what_it_changed_from_what_to_what() {
    let mut world = World::new();
    let file = places::of_file("https://git.example.com/deploys", "main", "prod.yaml", "0/spec/image");
    let tag = "tag\nreg.example.com/shop:staging".to_owned();
    for index in 0..3 {
        let places = vec![file.clone(), tag.clone()];
        world.record(index, vec![Event::Claimed { places }]);
    }
    world.settle();
    world.push("dev", 1);
    world.settle();
    world.signal(0, Verdict::Healthy);
    world.settle();
    let changes_after = |index: usize, n_entries: usize, places: Vec<String>| {
        let all = world.entries.iter().filter(|entry| entry.scope == world.scope(index));
        let entries: Vec<Entry> = all.skip(n_entries).cloned().collect();
        let told = |changed: &changed::Changed| {
            let was = changed.was.as_ref().map(ToString::to_string);
            (
                changed.commit.is_some(),
                changed.places.clone(),
                was.map(|was| tag_of(&was)),
                tag_of(&changed.is.to_string()),
            )
        };
        changed::of(&entries, places).values().map(told).collect::<Vec<_>>()
    };
    let changes = |index: usize| changes_after(index, 0, Vec::new());
    let met = (true, vec![file.clone()], None, "v0".to_owned());
    let written = (true, vec![file.clone()], Some("v0".to_owned()), "v1".to_owned());
    assert_eq!(changes(0), [met.clone(), written.clone()]);
    let digest = build(1).digest.short().to_owned();
    assert_eq!(changes(1), [met.clone(), (false, vec![tag], None, digest), written], "a tag, then the file");
    assert_eq!(changes(2), [met]);
    let later = changes_after(2, 1, vec![file.clone()]);
    assert_eq!(later, changes(2), "the entry that names the places is older than those that are read");
}

fn tag_of(pin: &str) -> String {
    pin.split('@').next().unwrap_or_default().to_owned()
}

#[test]
fn places_of_files_and_tags_are_told_apart() {
    let place = places::of_file("https://git.example.com/deploys", "main", "a/b.yaml", "0/spec/image");
    let in_file = places::in_file(&place).expect("a file");
    assert_eq!((in_file.branch, in_file.file, in_file.key), ("main", "a/b.yaml", "spec/image"));
    assert_eq!(places::in_file("tag\nreg.example.com/shop:1"), None);
    assert_eq!(places::tag("tag\nreg.example.com/shop:1"), Some("reg.example.com/shop:1"));
    assert_eq!(places::tag(&place), None);
}
