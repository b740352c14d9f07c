//! What holds of every choice: the order of the list, worse tags and what was known before change nothing.

use super::*;
use proptest::prelude::{ProptestConfig, Strategy as Generator, prop_assert_eq, prop_oneof, proptest};

/// Tags with versions, numbers, words, equal versions and equal times.
fn some_tags() -> impl Generator<Value = Vec<(String, i64)>> {
    let text = prop_oneof!["v?[0-3](\\.[0-3]){0,2}(-rc[0-9])?", "[0-9]{1,3}", "[a-c]{1,2}"];
    proptest::collection::btree_map(text, 0..4_i64, 0..40).prop_map(|tags| tags.into_iter().collect())
}

fn strategies() -> Vec<Select> {
    let mut all = vec![semver("*"), semver(">=1.0-0 <3")];
    all.extend([Newest::Created, Newest::Pushed, Newest::Seen].map(|newest| by(Strategy::Newest(newest))));
    for extreme in [Extreme::Largest, Extreme::Smallest] {
        all.extend([by(Strategy::Numeric(extreme)), by(Strategy::Alphabetical(extreme))]);
    }
    all
}

fn world_of(select: &Select, tags: &[(String, i64)]) -> World {
    let known = tags.iter().map(|(text, minutes)| built(text, *minutes, *minutes / 2)).collect();
    World::new(select.clone(), &[("shop", known)])
}

/// More tags than a choice may hold candidates: some moved, some without a build, some too young, some in one image alone.
fn many_tags() -> impl Generator<Value = Vec<(String, (i64, u8))>> {
    let text = prop_oneof!["v?[0-3](\\.[0-3]){0,2}", "[0-9]{1,3}"];
    proptest::collection::btree_map(text, (0..50_i64, 0..12_u8), 0..150).prop_map(|tags| tags.into_iter().collect())
}

/// Two images with these tags, of which more is known than the best.
fn full_world(
    select: &Select,
    tags: &[(String, (i64, u8))],
    together: Together,
) -> (World, Vec<HashMap<Tag, TagFacts>>) {
    let known = |image: u8| {
        let tags = tags.iter().filter(|(_, (_, state))| *state != 11 || image == 0);
        let known = tags.map(|(text, (minutes, state))| {
            let mut known = from(text, &format!("{:040x}", minutes / 2), *minutes);
            match state {
                0 => known.was = Some(Digest::of(b"another")),
                1 => known.own_commit = Some(true),
                _ => known.own_commit = Some(false),
            }
            known
        });
        known.collect::<Vec<_>>()
    };
    let mut world = World::new(select.clone(), &[("shop", known(0)), ("worker", known(1))]);
    (world.together, world.own_commits, world.now) = (together, true, at(50));
    let all = world.images.iter().map(|(_, truth)| {
        let tagged = truth.iter().filter_map(|known| Some((known.build.as_ref()?.tag.clone(), known.clone())));
        tagged.collect()
    });
    let all = all.collect();
    (world, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_the_list_means_nothing(tags in some_tags(), seed in 0_usize..1000) {
        for select in strategies() {
            let expected = world_of(&select, &tags).outcome();
            let mut other = tags.clone();
            other.reverse();
            if !other.is_empty() {
                let middle = seed % other.len();
                other.rotate_left(middle);
            }
            prop_assert_eq!(world_of(&select, &other).outcome(), expected);
        }
    }

    #[test]
    fn a_worse_tag_changes_nothing(tags in some_tags()) {
        for select in strategies() {
            let mut world = world_of(&select, &tags);
            world.depth = CANDIDATES_MAX;
            let (chosen, _) = world.choose();
            let ranked: Vec<String> = chosen.releases.iter().map(Release::to_string).collect();
            for worse in ranked.iter().skip(1) {
                let fewer: Vec<_> = tags.iter().filter(|(text, _)| text != worse).cloned().collect();
                prop_assert_eq!(&world_of(&select, &fewer).outcome(), &ranked[0]);
            }
        }
    }

    #[test]
    fn what_is_put_away_changes_nothing_and_is_not_asked_for(tags in many_tags(), min_age in 0..20_i64) {
        let all = [Together::SameTag, Together::SameRevision, Together::Latest];
        for (select, together) in strategies().into_iter().flat_map(|select| all.map(|together| (select.clone(), together))) {
            let select = Select { min_age: Span::seconds(min_age.unsigned_abs() * 60), ..select };
            let (mut world, mut known) = full_world(&select, &tags, together);
            let choices = |world: &mut World, known: &[HashMap<Tag, TagFacts>]| -> Vec<(Vec<Release>, usize, Option<Why>)> {
                let choices = [1, 8].into_iter().map(|depth| {
                    world.depth = depth;
                    let chosen = world.ask(known, choose);
                    (chosen.releases, chosen.wanted.len(), chosen.why)
                });
                choices.collect()
            };
            let expected = choices(&mut world, &known);
            let front: HashSet<(ImageName, Tag)> = world.ask(&known, |request| {
                front(request).into_iter().map(|(image, tag)| (image.clone(), tag.to_tag())).collect()
            });
            for (position, known) in known.iter_mut().enumerate() {
                let image = world.images[position].0.name.clone();
                let away = known.iter().filter(|(tag, _)| !front.contains(&(image.clone(), (*tag).clone())));
                world.away.push(away.map(|(tag, known)| known.dated(tag.by_ref())).collect());
                known.retain(|tag, _| front.contains(&(image.clone(), tag.clone())));
            }
            prop_assert_eq!(choices(&mut world, &known), expected);
        }
    }

    #[test]
    fn what_is_known_already_changes_nothing(tags in some_tags(), which in proptest::collection::vec(0..3_u8, 40)) {
        for select in strategies() {
            let world = world_of(&select, &tags);
            let expected = world.outcome();
            let mut known = vec![HashMap::new()];
            for ((text, _), how) in tags.iter().zip(&which) {
                let need = [None, Some(Need::Digest), Some(Need::Facts)][usize::from(*how)];
                if let Some(need) = need {
                    world.read(&Want { image: name("shop"), tag: tag(text), need }, &mut known);
                }
            }
            let chosen = loop {
                let chosen = world.ask(&known, choose);
                if chosen.wanted.is_empty() {
                    break chosen;
                }
                chosen.wanted.iter().for_each(|want| world.read(want, &mut known));
            };
            let found = chosen.releases.first().map_or("NoTagMatches".to_owned(), Release::to_string);
            prop_assert_eq!(found, expected);
        }
    }
}
