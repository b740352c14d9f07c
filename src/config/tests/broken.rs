//! Policies with something wrong: the exact place and words.

use super::*;

#[track_caller]
fn check(added: &str, expected: &[&str]) {
    assert_eq!(errors(&format!("{HEAD}{added}")), expected, "\n{added}");
}

/// An environment `dev` with these keys, on line 4.
#[track_caller]
fn check_environment(keys: &str, expected: &[&str]) {
    check(&format!("environments: [{{ name: dev, {keys} }}]\n"), expected);
}

#[test]
fn keys() {
    check(&format!("{DEV}setle: 1m\n"), &["5 [setle] unknown key `setle` in `policy` | did you mean `settle`?"]);
    check(
        &format!("{DEV}colour: red\n"),
        &[
            "5 [colour] unknown key `colour` in `policy` | known here: `apiVersion`, `name`, `images`, `together`, `settle`, `poll`, \
         `timezone`, `suspend`, `defaults`, `environments`",
        ],
    );
    check("", &["1 [apiVersion] `environments` is missing here"]);
    check(&format!("{DEV}{DEV}"), &["5 [environments] duplicate mapping key: environments"]);
    check(
        "environmnets: []\n",
        &["4 [environmnets] unknown key `environmnets` in `policy` | did you mean `environments`?"],
    );
    assert_eq!(
        errors(""),
        ["1 [] expected a mapping with `apiVersion`, `name`, `images`, `together`, `settle`, `poll`, \
        `timezone`, `suspend`, `defaults`, `environments`, found nothing"]
    );
    assert_eq!(errors("[a"), ["1 [] unclosed bracket '['"]);
}

#[test]
fn files_of_others_are_no_policies() {
    for text in [
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a]\nimages: [{ name: a, newTag: b }]\n",
        "resources: [a.yaml]\n",
        "image: { tag: 1.0.0 }\n",
    ] {
        let first = text.split(':').next().unwrap_or_default();
        let said = format!(
            "1 [{first}] this is no policy: `apiVersion: tagrelay/v1` is missing | delete it from the folder of the policies, or \
             name the policies by a pattern in the configuration, as in `policies: \"policies/*.policy.yaml\"`"
        );
        assert_eq!(errors(text), [said], "{text}");
    }
    assert_eq!(
        errors(&format!("{HEAD}{DEV}").replace("apiVersion: tagrelay/v1\n", "")),
        ["1 [name] `apiVersion` is missing here"]
    );
}

#[test]
fn every_error_at_once() {
    let text = "\
apiVersion: tagrelay/v2
name: Shop
images:
  - reg.io/shop:1
  - { repository: reg.io/Worker, platfroms: [linux] }
settle: 5x
poll: 99 * * * *
timezone: Mars/Olympus
suspend: 'yes'
defaults: { gates: { freeze: [{ from: 2026-13-01, until: 2026-01-01 }] } }
environments:
  - name: dev
    select: { newest: psuhed, match: '(' }
    write: [{ kustomize: /etc }]
  - name: prod
    promote: { form: dev }
    deadline: 15
";
    assert_eq!(
        errors(text),
        [
            "1 [tagrelay/v2] `tagrelay/v2` is no value of `apiVersion` | did you mean `tagrelay/v1`?",
            "2 [Shop] `Shop` is no policy name: lower-case letters, digits and `-`, at most 63, starting and ending with a letter or digit",
            "4 [reg.io/shop:1] `reg.io/shop:1` is no image repository: write it without a tag",
            "5 [reg.io/Worker] `reg.io/Worker` is no image repository: its path is lower-case letters and digits, joined by `.`, `_`, `__`, `-` and `/`",
            "5 [platfroms] unknown key `platfroms` in `image` | did you mean `platforms`?",
            "6 [5x] `5x` is no duration: write it like `90s`, `15m`, `1h30m` or `7d`, at most 3650d",
            "7 [99 * * * *] `99 * * * *` is no cron expression: Component error: Number out of bounds.",
            "8 [Mars/Olympus] `Mars/Olympus` is no time zone: write an IANA name like `Europe/Berlin`",
            "9 ['yes'] expected `true` or `false`, found text",
            "10 [2026-13-01] `2026-13-01` is no date: write it like `2026-12-20`, `2026-12-20T09:00` or `2026-12-20T09:00:00Z`",
            "13 [psuhed] `psuhed` is no value of `newest` | did you mean `pushed`?",
            "13 ['('] `(` is no regular expression: unclosed group",
            "14 [/etc] `/etc` is no path inside the repository: write it from the root of the repository, without `/` in front",
            "16 [form] unknown key `form` in `promote` | did you mean `from`?",
            "17 [15] `15` is no duration: write it like `90s`, `15m`, `1h30m` or `7d`, at most 3650d",
        ]
    );
}

#[test]
fn kinds_of_values() {
    check(&format!("{DEV}poll: [1m]\n"), &["5 [[] expected text, found a list"]);
    check(&format!("{DEV}poll: 0s\n"), &["5 [0s] a registry is read at most every 1s"]);
    check(&format!("{DEV}settle: {{ a: b }}\n"), &["5 [{] expected a duration, found a mapping"]);
    check(
        "environments: dev\n",
        &["4 [dev] expected a list, found text | write `[...]`, or one line for each item beginning with `- `"],
    );
    check("environments: [dev]\n", &["4 [dev] expected a mapping with the keys of an environment, found text"]);
    check("environments: []\n", &["4 [[] a policy needs an environment"]);
    check_environment(
        "select: { pinned: false }, write: [{ kustomize: a }]",
        &["4 [false] `pinned` is `true`, or left out"],
    );
    check_environment(
        "select: { pinned: 1 }, write: [{ kustomize: a }]",
        &["4 [1] expected `true` or `false`, found a number"],
    );
    check(&format!("{DEV}defaults: {{ name: x }}\n"), &["5 [x] `name` has no default: each environment has its own"]);
}

#[test]
fn images() {
    let with = |images: &str| errors(&format!("apiVersion: tagrelay/v1\nname: shop\nimages: {images}\n{DEV}"));
    assert_eq!(with("[]"), ["3 [[] a policy needs an image"]);
    assert_eq!(
        with("[a.io/shop, b.io/shop]"),
        [
            "3 [b.io/shop] two images are named `shop` | give one of them a `name`, as in `{ name: worker, repository: ... }`",
        ]
    );
    assert_eq!(
        with("[a.io/shop, { name: x, repository: a.io/shop }]"),
        ["3 [a.io/shop] two images have the repository `a.io/shop`",]
    );
    assert_eq!(
        with("[{ repository: a.io/shop, platforms: [linux] }]"),
        ["3 [linux] `linux` is no platform: write it like `linux/amd64`",]
    );
}

#[test]
fn selections() {
    let select = |keys: &str, expected: &[&str]| {
        check_environment(&format!("select: {{ {keys} }}, write: [{{ kustomize: a }}]"), expected);
    };
    let six = "`semver`, `newest`, `numeric`, `alphabetical`, `follow`, `pinned`";
    select("match: a", &[&format!("4 [{{] this selection has no strategy | write one of {six}")]);
    select(
        "newest: seen, follow: x",
        &[&format!("4 [x] `follow` is a second strategy: a selection has exactly one of {six}")],
    );
    select(
        "numeric: biggest",
        &["4 [biggest] `biggest` is no value of `numeric` | write one of `largest`, `smallest`"],
    );
    select(
        "semver: '>=1 <'",
        &[
            "4 ['>=1 <'] the range `>=1 <` is wrong at column 6: expected a version like `1.2.3`, `1.2`, `1.x` or `*`, found nothing",
        ],
    );
    select(
        "newest: seen, extract: '$1'",
        &["4 ['$1'] `extract` is for semver, numeric and alphabetical: this strategy compares no part of the tag"],
    );
    select(
        "numeric: largest, extract: '$1'",
        &["4 ['$1'] `extract` takes the groups of `match`, and there is no `match`"],
    );
    select(
        "numeric: largest, match: '([0-9]+)', extract: '$2'",
        &["4 ['$2'] extract `$2` is wrong: `match` has no group `2`"],
    );
    select("newest: seen, ignore: ['glob:[']", &["4 ['glob:['] `[` is no glob: unclosed character class; missing ']'"]);
    select(
        "newest: seen, ignore: ['(a{1000}){1000}']",
        &["4 ['(a{1000}){1000}'] `(a{1000}){1000}` is no regular expression: it takes too much memory"],
    );
    select(
        "newest: seen, branch: dev",
        &[
            "4 [dev] `branch` asks GitLab about the image `shop`, whose project is not known | write `source: group/project` beside \
         its repository, or a report with `sha: revision` for it",
        ],
    );
    select("follow: tagrelay-dev-1", &["4 [tagrelay-dev-1] tags that begin with `tagrelay-` are tagrelay's own"]);
    select(
        "follow: 'a b'",
        &["4 ['a b'] `a b` is no tag: letters, digits, `_`, `.` and `-`, at most 128, not starting with `.` or `-`"],
    );
}

#[test]
fn places() {
    let write = |place: &str, expected: &[&str]| {
        check_environment(&format!("select: {{ newest: seen }}, write: [{place}]"), expected);
    };
    write("{ kustomize: ../x }", &["4 [../x] `../x` is no path inside the repository: `..` leads out of it"]);
    write(
        "{ kustomize: '{{ env }}' }",
        &[
            "4 ['{{ env }}'] the template `{{ env }}` uses `env`, which is not defined here; the names are policy, environment, images",
        ],
    );
    write(
        "{ kustomize: a, helm: b }",
        &["4 [{] a place has exactly one of `kustomize`, `helm` and `yaml` | name its kind once"],
    );
    write(
        "{ missing: add }",
        &["4 [{] a place has exactly one of `kustomize`, `helm` and `yaml` | name its kind once"],
    );
    write(
        "{ markers: a }",
        &["4 [markers] `markers` is not built yet | this version refuses what it would not do: leave it out"],
    );
    write("{ kustomize: a, for: shop }", &["4 [shop] `for` says nothing about a `kustomize` place: leave it out"]);
    write("{ helm: a.yaml, for: shpo }", &["4 [shpo] no image of this policy is named `shpo` | its images: `shop`"]);
    write(
        "{ helm: a.yaml, keys: { repository: r } }",
        &[
            "4 [{] `pin: tag` has nowhere to go: `keys` needs `tag` or `image` | as in `keys: { tag: image.tag, digest: image.digest }`",
        ],
    );
    write(
        "{ helm: a.yaml, keys: { tag: 'a[' } }",
        &[
            "4 ['a['] `a[` is no path: between brackets stands a position (0, 1, ..) or `key=value` (keys joined by dots, `\\.` for a dot inside a key, `[0]`, `[name=web]`)",
        ],
    );
    write(
        "{ yaml: a.yaml }",
        &["4 [{] `yaml` needs a `path` | name the scalar, as in `path: spec.template.spec.containers[name=web].image`"],
    );
    check_environment(
        "select: { newest: seen }, pin: digest, write: [{ helm: a.yaml }]",
        &[
            "4 [{] `pin: digest` has nowhere to go: `keys` needs `digest` or `image` | as in `keys: { tag: image.tag, digest: image.digest }`",
        ],
    );
    check_environment(
        "select: { newest: seen }",
        &[
            "4 [{] an environment without `write` has no pin | name the files that pin it; only with `promote: { retag: ... }` can the \
         tag itself be the pin",
        ],
    );
}

#[test]
fn delivery() {
    let deliver = |keys: &str, expected: &[&str]| {
        check_environment(
            &format!("select: {{ newest: seen }}, write: [{{ kustomize: a }}], deliver: {{ {keys} }}"),
            expected,
        );
    };
    deliver(
        "repository: othr",
        &["4 [othr] the configuration has no repository `othr` | its repositories: `default`, `other`"],
    );
    deliver(
        "repository: other",
        &[
            "4 [other] policies of this repository may not write to `other` (`may.repositories`) | write `repository: self` for the \
         repository of the policy file",
        ],
    );
    deliver("branch: 'a b'", &["4 ['a b'] `a b` is no name for a branch"]);
    deliver("base: -x", &["4 [-x] `-x` is no name for a branch"]);
    deliver(
        "mode: merge_request",
        &[
            "4 [merge_request] `merge_request` is not built yet | this version refuses what it would not do: leave it out",
        ],
    );
    deliver(
        "commit: { message: '{{ nwe.tag }}' }",
        &[
            "4 ['{{ nwe.tag }}'] the template `{{ nwe.tag }}` uses `nwe.tag`, which is not defined here; the names are policy, environment, images, release, old, new, mr, commit",
        ],
    );
}

#[test]
fn evidence() {
    let base = "select: { newest: seen }, write: [{ kustomize: a }]";
    check_environment(
        &format!("{base}, rollout: {{}}"),
        &["4 [{] a signal has exactly one kind | write `webhook: {}`"],
    );
    check_environment(
        &format!("{base}, rollout: [{{ argocd: {{ application: a }} }}]"),
        &["4 [argocd] `argocd` is not built yet | this version refuses what it would not do: leave it out"],
    );
    let verify = |check: &str, expected: &[&str]| check_environment(&format!("{base}, verify: [{check}]"), expected);
    verify("{ name: x }", &["4 [{] a check has exactly one of `http` and `webhook` | name its kind once"]);
    verify(
        "{ webhook: {} }, { webhook: {} }",
        &["4 [{] two checks of this environment are named `webhook`: name them apart"],
    );
    verify(
        "{ http: { url: 'shop.example.com' } }",
        &["4 ['shop.example.com'] a URL begins with `https://` or `http://`"],
    );
    verify("{ http: { url: 'https://a.b', status: 20 } }", &["4 [20] `20` is no status of HTTP"]);
    verify("{ http: { url: 'https://a.b', times: 0 } }", &["4 [0] expected 1 to 1000 times"]);
    verify(
        "{ http: { url: 'https://a.b', times: 100 } }",
        &["4 [100] 100 times every 5s do not fit into the timeout of 5m"],
    );
    check_environment(
        &format!("{base}, evidence: none"),
        &["4 [none] no environment is promoted from here: leave `evidence: none` out"],
    );
    check_environment(
        &format!("{base}, evidence: some"),
        &["4 [some] `some` is no value of `evidence` | write `none`"],
    );
    check_environment(&format!("{base}, keep: 101"), &["4 [101] expected at most 100 releases"]);
}

#[test]
fn gates() {
    let gate = |gates: &str, expected: &[&str]| {
        check_environment(
            &format!("select: {{ newest: seen }}, write: [{{ kustomize: a }}], gates: {{ {gates} }}"),
            expected,
        );
    };
    gate(
        "soak: 1h",
        &[
            "4 [1h] `soak` is time spent in the environment that `promote` names, and there is no `promote` | leave it out, or \
             write `promote: { from: ... }`",
        ],
    );
    gate("approvals: { required: 0 }", &["4 [0] no vote is asked for: leave `approvals` out, or require at least 1"]);
    gate("approvals: { required: -1 }", &["4 [-1] expected a whole number from 0 to 4294967295, found `-1`"]);
    gate(
        "approvals: { required: 2, approvers: [a, b], exclude: [b] }",
        &["4 [[] 2 must approve, and only 1 of these may"],
    );
    gate(
        "approvals: { approvers: [{ gitlab_group: g }] }",
        &["4 [gitlab_group] `gitlab_group` is not built yet | this version refuses what it would not do: leave it out"],
    );
    gate(
        "approvals: { by: [cli, merge] }",
        &["4 [merge] `merge` is not built yet | this version refuses what it would not do: leave it out"],
    );
    gate(
        "window: { open: '0 9 * *', for: 8h }",
        &[
            "4 ['0 9 * *'] `0 9 * *` is no cron expression: write five fields: minute, hour, day of month, month, day of week",
        ],
    );
    gate(
        "window: { open: '0 9 * * *', for: 60d }",
        &["4 [60d] a window stays open for more than nothing and at most 31d"],
    );
    gate("freeze: [{ from: 2026-01-02, until: 2026-01-01 }]", &["4 [2026-01-01] this freeze ends before it begins"]);
    gate(
        "signature: { key: a }",
        &["4 [signature] `signature` is not built yet | this version refuses what it would not do: leave it out"],
    );
}

#[test]
fn reports() {
    let base = "select: { newest: seen }, write: [{ kustomize: a }]";
    let report = |keys: &str, expected: &[&str]| {
        check_environment(&format!("{base}, report: [{{ gitlab: {{ {keys} }} }}]"), expected);
    };
    report("project: g/p", &["4 [{] `sha` is missing here"]);
    report("project: g/p, sha: head", &["4 [head] `head` is no value of `sha` | write one of `revision`, `commit`"]);
    report(
        "project: g/p, sha: commit, tier: live",
        &[
            "4 [live] `live` is no value of `tier` | write one of `production`, `staging`, `testing`, `development`, `other`",
        ],
    );
    report(
        "project: g/p, sha: commit, url: 'https://{{ new.tag }}.io'",
        &[
            "4 ['https://{{ new.tag }}.io'] the template `https://{{ new.tag }}.io` uses `new.tag`, which is not defined here; the names are policy, environment, images",
        ],
    );
    let without = "repositories: { default: { url: 'https://a.b', policies: p } }";
    let text = format!(
        "{HEAD}environments: [{{ name: dev, {base}, report: [{{ gitlab: {{ project: g/p, sha: commit }} }}] }}]"
    );
    assert_eq!(
        errors_under(without, &text),
        ["4 [g/p] a report needs `gitlab` in the configuration, which is missing"]
    );
}
