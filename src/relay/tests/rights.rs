//! Which rights the policies need, and what a token's role and scopes say of them.

use super::*;
use crate::model::policy::{Report, ReportSha};
use crate::relay::rights::{self, Answer, Of, Right};

#[test]
fn each_policy_needs_what_it_reads_writes_and_tells() {
    let mut world = World::new();
    let told = Report {
        project: "group/shop".to_owned(),
        sha: ReportSha::Commit,
        image: world.policy.images[0].name.clone(),
        environment: "prod".to_owned(),
        tier: None,
        url: None,
        git_ref: None,
        is_tag: false,
        git_tag: None,
    };
    world.policy.environments[2].report = vec![told];
    let needs = rights::needs([&world.policy]);
    let listed: Vec<(String, &str, String)> = needs
        .iter()
        .map(|((of, right), by)| {
            let of = match of {
                Of::Policies(_) => "policies".to_owned(),
                Of::Branch(repository, branch) => format!("{repository} {branch}"),
                Of::Images(repository) => repository.to_string(),
                Of::Project(project) => project.clone(),
            };
            (of, right.code(), by.iter().cloned().collect::<Vec<_>>().join(" "))
        })
        .collect();
    let all = "shop/dev shop/prod shop/staging";
    let expected = [
        ("default main", "read", all),
        ("default main", "write", all),
        ("reg.example.com/shop", "read", all),
        ("reg.example.com/shop", "write", "shop/staging"),
        ("group/shop", "deploy", "shop/prod"),
    ];
    let listed: Vec<(&str, &str, &str)> =
        listed.iter().map(|(of, right, by)| (of.as_str(), *right, by.as_str())).collect();
    assert_eq!(listed, expected);
    for (of, right) in needs.keys() {
        assert!(rights::remedy(of, *right).contains(" "), "{of:?} {right:?}");
    }
}

#[test]
fn what_is_kept_on_ecr_is_to_be_spared() {
    for (repository, expected) in
        [("123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop", true), ("registry.example.com/shop", false)]
    {
        let mut world = World::new();
        let repository = Repository::parse(repository).unwrap();
        world.policy.environments[0].images[0].repository = repository.clone();
        let spares = |world: &World| {
            rights::needs([&world.policy]).contains_key(&(Of::Images(repository.clone()), Right::Spare))
        };
        assert!(!spares(&world), "nothing is kept");
        world.policy.environments[0].keep = 2;
        assert_eq!(spares(&world), expected, "{repository}");
    }
}

#[test]
fn a_token_of_gitlab_has_a_role_and_scopes() {
    let scopes = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
    let check = |right: Right, role: Option<u64>, known: Option<&[&str]>, expected: &str| {
        let known = known.map(scopes);
        let answer: Answer = rights::in_gitlab(right, role, known.as_deref());
        assert_eq!(answer.code(), expected, "{right:?} {role:?} {known:?}: {answer:?}");
    };
    check(Right::Deploy, Some(30), Some(&["api"]), "has");
    check(Right::Deploy, Some(40), None, "has");
    check(Right::Deploy, Some(20), Some(&["api"]), "missing");
    check(Right::Deploy, Some(40), Some(&["read_api"]), "missing");
    check(Right::Deploy, None, Some(&["api"]), "untried");
    check(Right::Deploy, None, Some(&[]), "missing");
    check(Right::Read, Some(20), Some(&["read_api"]), "has");
    check(Right::Read, Some(10), Some(&["api"]), "missing");
    check(Right::Read, Some(20), Some(&["write_repository"]), "missing");
}
