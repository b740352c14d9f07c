//! GitLab refuses, or is away: nothing waits for it, and what it is told comes later, in order, once.

use super::people::{BOTH, chain};
use super::world::Story;
use std::time::Duration;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};

fn policy() -> String {
    chain("")
        .replace("evidence: none", "evidence: none\n    report: [{ gitlab: { project: group/shop, sha: revision } }]")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_away_delays_reports_and_nothing_else() {
    let mut story = Story::new(&policy(), BOTH).await;
    story.world.gitlab.face.faults.add(Rule::every(Fault::answer(503)));
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    story.wait(Duration::from_secs(3600));
    story
        .until("the status says so", || async {
            let projects = story.status().await.projects;
            let away = |project: &tagrelay::daemon::view::ProjectView| {
                project.n_pending == 4 && project.error.as_ref().is_some_and(|error| error.contains("503"))
            };
            projects.len() == 2 && projects.iter().all(away)
        })
        .await;
    story.stop().await;
    story.world.gitlab.face.faults.clear();
    story.wait(Duration::from_secs(600));
    story.start().await;
    for project in ["group/shop", "group/deploys"] {
        let environment = if project == "group/shop" { "dev" } else { "prod" };
        let told = || async { story.told(project, environment) == [["running", "success"], ["running", "success"]] };
        story.until("all is told, once and in order", told).await;
    }
    story.looked_again().await;
    assert_eq!(story.told("group/shop", "dev").len(), 2);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_parked_with_its_reason_and_the_next_goes() {
    for (fault, words) in [(400, "400"), (422, "422")] {
        let mut story = Story::new(&policy(), BOTH).await;
        let refuse = Rule::every(Fault::answer(fault).body("application/json", "{\"message\":\"no\\n/merge\"}"));
        let post = refuse.method(axum::http::Method::POST).path("/api/v4/projects/group%2Fshop/deployments");
        story.world.gitlab.face.faults.add(post.times(1));
        let first = story.push("dev", 1);
        story.start().await;
        story.until_at("prod", &first, "verified").await;
        let parked = || async {
            let projects = story.status().await.projects;
            let mut parked = projects.into_iter().flat_map(|project| project.parked);
            parked.any(|it| it.contains(words) && !it.contains('\n'))
        };
        story.until("it is parked", parked).await;
        let second = story.push("dev", 2);
        story.until_at("dev", &second, "verified").await;
        let told = || async { story.told("group/shop", "dev") == [["running", "success"]] };
        story.until("the second is told", told).await;
        story.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_mends_is_told_in_order_after_a_retry() {
    let mut story = Story::new(&policy(), BOTH).await;
    let refuse = Rule::every(Fault::answer(403).body("application/json", "{\"message\":\"403 Forbidden\"}"));
    let post = refuse.method(axum::http::Method::POST).path("/api/v4/projects/group%2Fshop/deployments");
    story.world.gitlab.face.faults.add(post);
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    let waits = || async {
        let reports = story.handle().reports(true).await.expect("reports");
        let first = reports.iter().find(|report| report.attempts > 0);
        let refused = first.is_some_and(|report| report.reason.as_ref().is_some_and(|why| why.contains("403")));
        reports.len() == 4 && refused && reports.iter().all(|report| report.status == "waits")
    };
    story.until("two releases wait to be told, and the other project is not held back", waits).await;
    assert_eq!(story.told("group/deploys", "prod"), [["running", "success"], ["running", "success"]]);
    story.world.gitlab.face.faults.clear();
    let said = story.handle().retry_reports("alice").await.expect("retried");
    assert!(said.contains("tried again now"), "{said}");
    let told = || async {
        let left = story.handle().reports(true).await.expect("reports");
        left.is_empty() && story.told("group/shop", "dev") == [["running", "success"], ["running", "success"]]
    };
    story.until("all is told, once and in order, and nothing is left", told).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_makes_no_second_deployment() {
    let mut story = Story::new(&policy(), BOTH).await;
    let lost = Rule::every(Fault::Drop(Moment::After)).method(axum::http::Method::POST);
    story.world.gitlab.face.faults.add(lost.path("/api/v4/projects/group%2Fshop/deployments").times(1));
    story.push("dev", 1);
    story.start().await;
    let told = || async { story.told("group/shop", "dev") == [["running", "success"]] };
    story.until("it is told once", told).await;
    story.looked_again().await;
    assert_eq!(story.told("group/shop", "dev").len(), 1);
    story.stop().await;
}
