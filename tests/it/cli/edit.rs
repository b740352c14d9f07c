//! `tagrelay edit`: the diff is printed, and `--write` leaves every other byte.

use super::{directory, said, tagrelay};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

const VALUES: &str = "# kept\nimage:\n  tag: \"1.0\"   # the pin\n  repository: x\nreplicas:   3\n";
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const KUSTOMIZATION: &str = "images:\n- name: registry.example.com/shop\n  newTag: v1\n";
const DEPLOYMENT: &str = "spec:\n  containers:\n  - name: side\n    image: a:1\n  - name: web\n    image: b:1\n";

#[test]
fn what_would_have_no_effect_or_break_the_file_is_refused() {
    let digest = format!("image:\n  tag: v1\n  digest: {DIGEST}\n");
    let set_digest = format!("image.digest={DIGEST}");
    let signed = "image:\n  tag: v1\nsops:\n  mac: x\n";
    for (values, arguments, told) in [
        (digest.as_str(), &["image.tag=v2"][..], "`image.digest` stands beside `image.tag`"),
        (&digest, &["image.tag=v2", &set_digest], ""),
        (signed, &["image.tag=v2"], "SOPS signs this file"),
    ] {
        let home = directory(&[("values.yaml", values)]);
        let arguments = ["edit", "helm", "values.yaml", "--write"].iter().chain(arguments);
        let said = said(&mut tagrelay(home.path(), arguments), "");
        assert_eq!(said.code, Some(if told.is_empty() { 0 } else { 2 }), "{}", said.err);
        assert!(said.err.contains(told), "{}", said.err);
        let after = fs::read_to_string(home.path().join("values.yaml")).expect("readable");
        assert_eq!(after == values, !told.is_empty());
    }
}

#[test]
fn other_bytes_stay() {
    let with_digest = format!("images:\n- name: registry.example.com/shop\n  newTag: v2\n  digest: {DIGEST}\n");
    let reference = format!("registry.example.com/shop=v2@{DIGEST}");
    for (arguments, file, before, after) in [
        (&["helm", "values.yaml", "image.tag=1.10"][..], "values.yaml", VALUES, VALUES.replace("1.0", "1.10")),
        (
            &["helm", "values.yaml", "image.tag=1.10", "image.repository=z"],
            "values.yaml",
            VALUES,
            VALUES.replace("1.0", "1.10").replace("repository: x", "repository: z"),
        ),
        (
            &["yaml", "web.yaml", "spec.containers[name=web].image=b:2"],
            "web.yaml",
            DEPLOYMENT,
            DEPLOYMENT.replace("b:1", "b:2"),
        ),
        (
            &["kustomize", "overlays/dev", "registry.example.com/shop=v2"],
            "overlays/dev/kustomization.yaml",
            KUSTOMIZATION,
            KUSTOMIZATION.replace("v1", "v2"),
        ),
        (
            &["kustomize", "overlays/dev/kustomization.yaml", reference.as_str()],
            "overlays/dev/kustomization.yaml",
            KUSTOMIZATION,
            with_digest,
        ),
    ] {
        let home = directory(&[(file, before)]);
        let path = home.path().join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        let arguments = ["edit"].iter().chain(arguments);
        let shown = said(&mut tagrelay(home.path(), arguments.clone()), "");
        assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(shown.out.starts_with(&format!("--- a/{file}\n+++ b/{file}\n@@ ")), "{}", shown.out);
        assert_eq!(fs::read_to_string(&path).expect("readable"), before, "without --write nothing is changed");
        let written = said(&mut tagrelay(home.path(), arguments.clone().chain(&["--write"])), "");
        assert_eq!(written, shown);
        assert_eq!(fs::read_to_string(&path).expect("readable"), after);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(path.parent().expect("a parent")).expect("readable").count(), 1, "nothing is left");
        let again = said(&mut tagrelay(home.path(), arguments), "");
        assert_eq!((again.code, again.out.as_str()), (Some(0), ""), "what says so already is no change");
    }
}

#[test]
fn a_link_stays_a_link() {
    let home = directory(&[("real/values.yaml", VALUES)]);
    symlink("real/values.yaml", home.path().join("values.yaml")).expect("linked");
    let edit = ["edit", "helm", "values.yaml", "image.tag=1.10", "--write"];
    assert_eq!(said(&mut tagrelay(home.path(), edit), "").code, Some(0));
    assert!(home.path().join("values.yaml").is_symlink());
    assert!(fs::read_to_string(home.path().join("real/values.yaml")).expect("readable").contains("1.10"));
}

#[test]
fn json_holds_both_texts() {
    let home = directory(&[("values.yaml", VALUES)]);
    let said = said(&mut tagrelay(home.path(), ["edit", "helm", "values.yaml", "image.tag=1.10", "--json"]), "");
    let value: serde_json::Value = serde_json::from_str(&said.out).expect("one document");
    let after = VALUES.replace("1.0", "1.10");
    let changed = serde_json::json!([{ "file": "values.yaml", "before": VALUES, "after": after }]);
    assert_eq!(value, serde_json::json!({ "changed": changed, "written": false }));
}

#[test]
fn colour_is_for_terminals_or_asked_for() {
    let home = directory(&[("values.yaml", VALUES)]);
    let edit = ["edit", "helm", "values.yaml", "image.tag=1.10"];
    let plain = said(&mut tagrelay(home.path(), edit), "").out;
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let coloured = said(&mut tagrelay(home.path(), edit.iter().chain(&["--color", "always"])), "").out;
    assert!(coloured.contains("\u{1b}[32m+  tag: \"1.10\""), "{coloured}");
    let forced = said(tagrelay(home.path(), edit).env("CLICOLOR_FORCE", "1"), "").out;
    assert_eq!(forced, coloured);
    let silenced = said(tagrelay(home.path(), edit).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"), "").out;
    assert_eq!(silenced, plain);
}

#[test]
fn what_cannot_be_edited_is_left_alone() {
    let files =
        [("values.yaml", VALUES), ("broken.yaml", "a: [1\n"), ("overlays/dev/kustomization.yaml", KUSTOMIZATION)];
    let home = directory(&files);
    for arguments in [
        &["helm", "values.yaml", "image.nothing=1"][..],
        &["helm", "values.yaml", "image.tag"],
        &["helm", "values.yaml", "image.tag="],
        &["helm", "values.yaml", "image=1"],
        &["helm", "values.yaml", "image.tag=1.10", "image.nothing=1"],
        &["helm", "nowhere.yaml", "a=1"],
        &["helm", "overlays", "a=1"],
        &["yaml", "broken.yaml", "a=1"],
        &["yaml", "values.yaml", "image[0].tag=1"],
        &["kustomize", "overlays/dev", "registry.example.com/other=v1"],
        &["kustomize", "overlays/dev", "registry.example.com/shop=not a tag"],
        &["kustomize", "overlays/dev", "registry.example.com/shop"],
        &["kustomize", "overlays", "registry.example.com/shop=v2"],
        &["markers", "overlays", "shop=v2"],
        &[],
    ] {
        let said = said(&mut tagrelay(home.path(), ["edit"].iter().chain(arguments).chain(&["--write"])), "");
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}: {}", said.err);
        assert!(!said.err.is_empty(), "{arguments:?}");
    }
    for (file, text) in files {
        assert_eq!(fs::read_to_string(home.path().join(file)).expect("readable"), text);
    }
}
