//! The pace by the clock: what is sent when, after what was heard.

use super::*;

fn after(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

fn dead() -> Option<Heard> {
    Some(Heard::Nothing("connection refused".to_owned()))
}

/// One request from beginning to end, at one moment.
fn ask(state: &mut State, now: Instant, heard: Option<Heard>) {
    let Entry::Go { probe, .. } = state.enter(now) else { panic!("not sent: {state:?}") };
    ended(state, heard, now, probe, now);
}

fn ended(state: &mut State, heard: Option<Heard>, begun: Instant, probe: bool, now: Instant) {
    state.leave();
    state.learn(heard, begun, probe, now);
}

#[test]
fn requests_come_at_the_rate_after_one_burst() {
    let start = Instant::now();
    let mut state = State::new(10, 10, start);
    state.at_once = AT_ONCE_MAX;
    let mut at = |millis| {
        let now = after(start, millis);
        let Entry::Go { at, probe } = state.enter(now) else { panic!("not sent: {state:?}") };
        ended(&mut state, Some(Heard::Answer(None)), now, probe, now);
        (at - now).as_millis()
    };
    assert!((0..10).all(|_| at(0) == 0), "a second's worth at once");
    assert_eq!([at(0), at(0), at(0)], [100, 200, 300]);
    assert!((0..10).all(|_| at(10_000) == 0), "and after a rest");
    assert_eq!(at(10_000), 100);
    assert_eq!(at(10_050), 150);
}

/// How long 400 requests take by the clock, where a host that gets 50 in a second answers the nth so, after so many
/// milliseconds.
fn seconds_for_400(at_first: u32, answers: impl Fn(usize) -> (u64, Heard)) -> f64 {
    let start = Instant::now();
    let mut state = State::new(50, at_first, start);
    let (mut now, mut n_sent, mut under_way) = (start, 0, Vec::new());
    while n_sent < 400 || !under_way.is_empty() {
        if n_sent < 400
            && let Entry::Go { at, probe } = state.enter(now)
        {
            let (millis, heard) = answers(n_sent);
            n_sent += 1;
            under_way.push((after(at, millis), at, probe, heard));
            continue;
        }
        let first = (0..under_way.len()).min_by_key(|n| under_way[*n].0).expect("one is under way");
        let (end, begun, probe, heard) = under_way.swap_remove(first);
        now = now.max(end);
        ended(&mut state, Some(heard), begun, probe, now);
    }
    (now - start).as_secs_f64()
}

#[test]
fn a_first_reading_is_as_quick_as_the_host_that_keeps_up() {
    let well = |millis: u64| (millis, Heard::Answer(None));
    let check = |what: &str, took: f64, expected: std::ops::Range<f64>| {
        assert!(expected.contains(&took), "{what}: {took} s");
    };
    check("a host that keeps up", seconds_for_400(500, |_| well(20)), 0.3..1.0);
    check("one whose answers vary", seconds_for_400(500, |n| well(if n % 7 == 0 { 90 } else { 20 })), 0.3..2.0);
    check("a slow one", seconds_for_400(500, |_| well(100)), 2.5..4.0);
    check("one with a rate of its own", seconds_for_400(50, |_| well(20)), 6.9..7.5);
    let busy = |n: usize| if n == 100 { (20, Heard::Busy(None)) } else { well(20) };
    check("one that refuses", seconds_for_400(500, busy), 5.5..7.0);
    let crowded = |n: usize| well(if n < 100 { 20 } else { 150 });
    check("one that is slower with sixteen at once than with two", seconds_for_400(500, crowded), 2.0..4.0);
}

#[test]
fn answers_that_take_ever_longer_end_the_burst() {
    let start = Instant::now();
    for (at_once, millis, expected) in [(2.0, 30, false), (2.0, 300, true), (16.0, 200, false), (16.0, 600, true)] {
        let mut state = State::new(50, 500, start);
        for took in [20; 10].into_iter().chain([millis; 30]) {
            state.at_once = at_once;
            state.learn(Some(Heard::Answer(None)), start, false, after(start, took));
        }
        assert_eq!(state.calm_until.is_some(), expected, "{millis} ms with {at_once} at once");
    }
}

#[test]
fn a_host_that_had_trouble_gets_its_burst_back_after_a_minute() {
    let start = Instant::now();
    let mut state = State::new(10, 100, start);
    let quick = |state: &mut State, now: Instant| {
        let mut n = 0;
        while let Entry::Go { at, probe } = state.enter(now) {
            ended(state, Some(Heard::Answer(None)), at, probe, at);
            if at > now {
                break;
            }
            n += 1;
        }
        n
    };
    assert_eq!(quick(&mut state, start), 100);
    ask(&mut state, after(start, 20_000), Some(Heard::Busy(None)));
    assert_eq!(quick(&mut state, after(start, 20_000)), 0, "at the even rate at once");
    assert_eq!(quick(&mut state, after(start, 40_000)), 10, "a second's worth after a rest");
    assert_eq!(quick(&mut state, after(start, 100_000)), 100);
}

#[test]
fn requests_at_once_grow_on_success_and_halve_when_it_is_too_much() {
    let start = Instant::now();
    let mut state = State::new(1000, 1000, start);
    assert!(matches!(state.enter(start), Entry::Go { .. }));
    assert!(matches!(state.enter(start), Entry::Go { .. }));
    assert_eq!(state.enter(start), Entry::Full, "two at first");
    ended(&mut state, Some(Heard::Answer(None)), start, false, start);
    ended(&mut state, Some(Heard::Answer(None)), start, false, start);
    (0..500).for_each(|_| ask(&mut state, start, Some(Heard::Answer(None))));
    assert!((state.at_once - AT_ONCE_MAX).abs() < f64::EPSILON);
    let later = after(start, 1);
    for _ in 0..2 {
        state.enter(start);
    }
    for _ in 0..2 {
        ended(&mut state, Some(Heard::Busy(None)), start, false, later);
    }
    assert!((state.at_once - 8.0).abs() < f64::EPSILON, "two that were under way together are one lesson");
    ask(&mut state, later, Some(Heard::Answer(None)));
    ask(&mut state, later, dead());
    assert!((state.at_once - 4.0).abs() < 0.1);
}

#[test]
fn a_host_that_asks_for_patience_has_it() {
    let start = Instant::now();
    for heard in [Heard::Busy(Some(Duration::from_secs(30))), Heard::Answer(Some(Duration::from_secs(30)))] {
        let mut state = State::new(10, 10, start);
        ask(&mut state, start, Some(heard));
        ask_shut(&mut state, after(start, 1_000), 29);
        assert!(matches!(state.enter(after(start, 30_000)), Entry::Go { .. }));
    }
}

fn ask_shut(state: &mut State, now: Instant, seconds: u64) {
    let Entry::Shut(Shut { wait, .. }) = state.enter(now) else { panic!("sent: {state:?}") };
    assert_eq!(wait.as_secs(), seconds, "{state:?}");
}

#[test]
fn a_dead_host_is_probed_ever_more_seldom_and_alone() {
    let start = Instant::now();
    let mut state = State::new(1000, 1000, start);
    (0..FAILURES_MAX).for_each(|_| ask(&mut state, start, dead()));
    ask_shut(&mut state, start, 2);
    let mut now = start;
    for pause in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        ask_shut(&mut state, now, pause);
        now += Duration::from_secs(pause);
        let Entry::Go { probe: true, .. } = state.enter(now) else { panic!("no probe: {state:?}") };
        assert_eq!(state.enter(now), Entry::Full, "one probe alone");
        ended(&mut state, dead(), start, false, now);
        assert_eq!(state.enter(now), Entry::Full, "an older request that fails late says nothing new");
        state.under_way += 1;
        ended(&mut state, dead(), now, true, now);
    }
    now += PAUSE_MAX;
    ask(&mut state, now, None);
    assert!(matches!(state.enter(now), Entry::Go { probe: true, .. }), "a probe given up is made again");
    ended(&mut state, Some(Heard::Answer(None)), now, true, now);
    assert_eq!(state.circuit, Circuit::Closed);
    ask(&mut state, now, dead());
    assert!(matches!(state.enter(now), Entry::Go { probe: false, .. }), "one failure is none");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_goes_on_in_turn_or_learns_why_not() {
    let pace = Pace::new(1000, 1000);
    let first = pace.turn().await.expect("a turn");
    let second = pace.turn().await.expect("a turn");
    let wait = async || tokio::time::timeout(Duration::from_secs(1), pace.turn()).await;
    assert!(wait().await.is_err(), "both places are taken");
    let (third, fourth, ()) = tokio::join!(wait(), wait(), async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(first);
        tokio::time::sleep(Duration::from_millis(10)).await;
        second.end(Heard::Busy(Some(Duration::from_secs(60))));
    });
    drop(third.expect("in time").expect("a turn"));
    assert!(fourth.expect("in time").is_err(), "the host asked to be left alone meanwhile");
    assert!(pace.state("reg.io").shut.is_some_and(|why| why.contains("left alone")));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_stalls_leaves_its_place_and_is_still_heard() {
    let pace = Pace::new(1000, 1000);
    let (mut first, second) = (pace.turn().await.expect("a turn"), pace.turn().await.expect("a turn"));
    let full = tokio::time::timeout(STALL, pace.turn()).await;
    assert!(full.is_err(), "two at first");
    first.leave();
    first.leave();
    let third = pace.turn().await.expect("a turn");
    assert_eq!(held(&pace.state).under_way, 2);
    second.end(Heard::Answer(None));
    third.end(Heard::Answer(None));
    assert_eq!(held(&pace.state).under_way, 0);
    first.end(Heard::Nothing("no whole answer within the time limit".to_owned()));
    let state = held(&pace.state);
    assert_eq!((state.under_way, state.failures), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_carries_much_takes_nobodys_place_and_keeps_the_rate() {
    let pace = Pace::new(1000, 1000);
    let in_time = Duration::from_secs(1);
    let mut large = Vec::new();
    for _ in 0..LARGE_AT_ONCE {
        large.push(pace.large_turn().await.expect("a turn"));
    }
    assert!(tokio::time::timeout(in_time, pace.large_turn()).await.is_err(), "as many as may be");
    let small = [pace.turn().await.expect("a turn"), pace.turn().await.expect("a turn")];
    assert!(tokio::time::timeout(in_time, pace.turn()).await.is_err(), "two places, as without");
    drop(large.pop());
    assert!(tokio::time::timeout(in_time, pace.large_turn()).await.is_err(), "it goes out through the same door");
    drop(small);
    large.push(pace.large_turn().await.expect("a turn"));
    assert_eq!(pace.state("reg.io").requests, 5);
    large.pop().expect("a turn").end(Heard::Busy(Some(Duration::from_secs(60))));
    assert!(pace.large_turn().await.is_err() && pace.turn().await.is_err(), "the host asked to be left alone");
    drop(large);
    assert_eq!(held(&pace.state).under_way, 0);
}
