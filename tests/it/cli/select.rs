//! `tagrelay select`: tags in, the chosen one out.

use super::{root, said, tagrelay};

fn check(arguments: &[&str], input: &str, code: i32, out: &str) {
    let said = said(&mut tagrelay(&root(), ["select"].iter().chain(arguments)), input);
    assert_eq!((said.code, said.out.as_str()), (Some(code), out), "{arguments:?}: {}", said.err);
    assert_eq!(said.err.is_empty(), code == 0, "{arguments:?}: {}", said.err);
}

#[test]
fn the_best_tag_is_printed() {
    let versions = "1.2.0\n1.2.9\n1.3.0\nlatest\n2.0.0-rc.1\n\n";
    for (arguments, input, out) in [
        (&["--semver", "~1.2"][..], versions, "1.2.9\n"),
        (&["--semver", ">=1 <2 || 3.x"], versions, "1.3.0\n"),
        (&["--semver", ">=1-0"], versions, "2.0.0-rc.1\n"),
        (&["--semver", "1.x", "--ignore", "^1[.]3", "--ignore", "glob:*.9"], versions, "1.2.0\n"),
        (&["--semver", "1.x", "--match", "^app-(.*)$", "--extract", "$1"], "app-1.4.0\n1.9.0\n", "app-1.4.0\n"),
        (&["--numeric", "largest"], "9\n10\nx\n", "10\n"),
        (
            &["--numeric", "smallest", "--match", "^build-([0-9]+)$", "--extract", "$1"],
            "build-9\nbuild-10\n",
            "build-9\n",
        ),
        (&["--alphabetical", "last"], "a\nc\nb\n", "c\n"),
        (&["--alphabetical", "first"], "b\r\na\r\n", "a\n"),
        (&["--newest"], "b\t2026-01-01T00:00:00Z\na\t2026-01-02T00:00:00Z\n", "a\n"),
        (&["--semver", "~1.2", "--json"], versions, "{\n  \"tag\": \"1.2.9\",\n  \"why\": null\n}\n"),
    ] {
        check(arguments, input, 0, out);
    }
}

#[test]
fn nothing_to_choose_is_told_by_the_exit_code() {
    check(&["--semver", "~9"], "1.0.0\n", 3, "");
    check(&["--semver", "1.x"], "", 3, "");
    check(&["--numeric", "largest"], "sha256-0123.sig\ntagrelay-prod-1\n", 3, "");
    let said = said(&mut tagrelay(&root(), ["select", "--semver", "~9", "--json"]), "1.0.0\n");
    let found: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let why = "1 tag: 1 is outside of the range (1.0.0)";
    assert_eq!((said.code, found), (Some(3), serde_json::json!({ "tag": null, "why": why })));
}

#[test]
fn what_was_compared_is_told_where_nothing_is_chosen() {
    let input = "20260528-153652-aaaaaaa\n20260601-000001-ccccccc\nlatest\n";
    let number = ["--numeric", "largest", "--match", r"^(?P<ts>\d{8}-\d{6})-[0-9a-f]+$", "--extract", "$ts"];
    let said = said(&mut tagrelay(&root(), ["select"].iter().chain(&number)), input);
    let why = "no tag passes the filters and the strategy: 3 tags: 2 are no number (20260528-153652), 1 does not match \
               (latest)\n";
    assert_eq!((said.code, said.err.as_str()), (Some(3), why));
}

#[test]
fn a_pattern_may_begin_with_a_hyphen() {
    let tags = "1.0.0-alpine\n1.1.0-debian\n";
    check(&["--alphabetical", "last", "--match", "-alpine$"], tags, 0, "1.0.0-alpine\n");
    check(&["--alphabetical", "last", "--ignore", "-debian$"], tags, 0, "1.0.0-alpine\n");
    check(&["--numeric", "largest", "--match", "([0-9])$", "--extract", "-$1"], "a1\na2\n", 0, "a1\n");
}

#[test]
fn wrong_use_is_told_by_the_exit_code() {
    for arguments in [
        &[][..],
        &["--semver", "~1", "--newest"],
        &["--semver", "not a range"],
        &["--semver", "1.x", "--match", "("],
        &["--semver", "1.x", "--extract", "$1"],
        &["--semver", "1.x", "--match", "v(.*)", "--extract", "$2"],
        &["--numeric", "middle"],
        &["--newest"],
    ] {
        check(arguments, "1.0.0\n", 2, "");
    }
    check(&["--semver", "1.x"], "1.0.0\nno tag at all\n", 2, "");
}
