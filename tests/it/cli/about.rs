//! What tagrelay says of itself, and how it takes wrong use.

use super::{directory, root, said, tagrelay};
use serde_json::Value;
use std::process::Stdio;

#[test]
fn it_says_what_it_is() {
    let version = env!("CARGO_PKG_VERSION");
    for (arguments, begins) in [
        (&["version"][..], format!("tagrelay {version}\n")),
        (&["--version"], format!("tagrelay {version}\n")),
        (&["version", "--json"], format!("{{\n  \"version\": \"{version}\"\n}}\n")),
        (&["completions", "bash"], "_tagrelay()".to_owned()),
        (&["completions", "zsh"], "#compdef tagrelay\n".to_owned()),
        (&["completions", "fish"], String::new()),
    ] {
        let said = said(&mut tagrelay(&root(), arguments), "");
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(said.out.starts_with(&begins) && !said.out.is_empty(), "{arguments:?}: {}", said.out);
    }
    for (arguments, title) in [(&["man"][..], ".TH tagrelay 1"), (&["man", "edit", "helm"], ".TH tagrelay-edit-helm 1")]
    {
        let said = said(&mut tagrelay(&root(), arguments), "");
        assert!(said.code == Some(0) && said.out.contains(title), "{}", said.out);
    }
}

#[test]
fn schemas_are_json_and_know_what_is_built() {
    for (of, key, unbuilt) in [("policy", "environments", "argocd"), ("config", "repositories", "clusters")] {
        let said = said(&mut tagrelay(&root(), ["schema", of]), "");
        assert_eq!(said.code, Some(0));
        let schema: Value = serde_json::from_str(&said.out).expect("JSON");
        assert!(schema["properties"][key].is_object(), "{of} has {key}");
        assert!(!said.out.contains(&format!("\"{unbuilt}\":")), "{of} promises {unbuilt}");
    }
}

#[test]
fn help_names_what_is_built_and_nothing_else() {
    let help = said(&mut tagrelay(&root(), ["--help"]), "");
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for command in
        ["run", "once", "plan", "check", "explain", "status", "history", "promote", "approve", "reject", "hold"]
            .iter()
            .chain(&[
                "where",
                "doctor",
                "resume",
                "rollback",
                "verify",
                "select",
                "edit",
                "journal",
                "schema",
                "completions",
                "man",
                "version",
            ])
    {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command} is missing");
    }
    for unbuilt in ["login", "canary"] {
        assert!(!help.out.contains(&format!("\n  {unbuilt} ")));
    }
}

#[test]
fn wrong_use_exits_2() {
    let home = directory(&[("broken.yaml", "journal: 5\nserver: { listen: everywhere }\n")]);
    for arguments in [
        &[][..],
        &["nonsense"],
        &["where"],
        &["where", "v1", "--not-in", "shop/prod"],
        &["where", "v1", "--wait", "prod:done"],
        &["doctor", "--config", "broken.yaml"],
        &["explain", "shop", "--file", "prod.yaml"],
        &["history", "--since", "yesterday"],
        &["schema"],
        &["schema", "journal"],
        &["completions", "tcl"],
        &["man", "nonsense"],
        &["--color", "sometimes", "version"],
        &["run", "--config", "broken.yaml"],
        &["run", "--config", "nowhere.yaml"],
        &["once", "--config", "broken.yaml"],
        &["journal", "backup", "copy.db", "--config", "nowhere.yaml"],
        &["status", "--server", "mailto:x@example.com"],
        &["status", "--server", "http://tagrelay.example.com", "--token", "t0ken"],
        &["status", "No Policy"],
        &["history", "-n", "0"],
        &["explain"],
        &["explain", "shop/prod/x"],
        &["approve", "shop"],
        &["promote", "shop/prod", "--force"],
        &["hold", "--all"],
        &["rollback", "shop/prod"],
        &["hold", "shop/prod", "--all", "--reason", "x"],
        &["hold", "shop/prod", "--env", "prod", "--reason", "x"],
        &["hold", "shop/prod", "--reason", "x", "--until", "2020-01-01T00:00:00Z"],
        &["resume"],
    ] {
        let said = said(&mut tagrelay(home.path(), arguments), "");
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}: {}", said.err);
        assert!(!said.err.is_empty() && !said.err.contains("t0ken"), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn a_daemon_that_does_not_answer_is_a_failure() {
    let server = format!("http://{}", crate::port::free_address());
    let said =
        said(tagrelay(&root(), ["status"]).env("TAGRELAY_SERVER", &server).env("http_proxy", "http://127.0.0.1:1"), "");
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains(&server) && said.err.contains("--server"), "{}", said.err);
}

#[test]
fn a_closed_pipe_is_no_panic() {
    for arguments in [&["schema", "policy"][..], &["completions", "bash"], &["--help"]] {
        let mut child = tagrelay(&root(), arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.code().is_some(), "no signal ended it");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
