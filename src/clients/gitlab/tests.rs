//! What the client makes of single answers, on a server that says what it is told to.
//!
//! Whole conversations are in the contract tests.

use super::*;
use crate::model::{CommitId, Sequence, Tag};
use crate::relay::report::{Revision, Row, State};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;
use tokio::net::TcpListener;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const TIP: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// One answer: the status, headers and body.
type Answer = (u16, Vec<(&'static str, String)>, String);

/// A server that gives these answers in turn, and the requests that it got.
struct Script {
    gitlab: GitLab,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn of(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            assert_eq!(headers.get("private-token").map(|token| token.as_bytes()), Some(&b"secret"[..]));
            let body = String::from_utf8_lossy(&body).into_owned();
            record.lock().expect("a lock").push(format!("{method} {uri} {body}").trim_end().to_owned());
            let answer = answers.lock().expect("a lock").pop_front();
            let (status, headers, body) =
                answer.unwrap_or_else(|| (418, Vec::new(), "one request too many".to_owned()));
            let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
            for (name, value) in headers {
                response.headers_mut().append(name, value.parse().expect("a value"));
            }
            std::future::ready(response)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        drop(tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await }));
        let settings = Settings {
            url,
            tokens: Arc::new(|_| Ok(SecretString::from("secret"))),
            transport: Transport { plain_http: true, timeout: Duration::from_secs(5), ..Transport::default() },
            counter: http::uncounted(),
        };
        Self { gitlab: GitLab::new(settings).expect("settings"), asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").clone()
    }
}

fn json(status: u16, body: impl Into<String>) -> Answer {
    (status, Vec::new(), body.into())
}

fn commit(id: &str) -> Answer {
    json(200, format!(r#"{{"id":"{id}","extra":1}}"#))
}

fn named(id: &str) -> Answer {
    json(200, format!(r#"{{"name":"x","commit":{{"id":"{id}"}}}}"#))
}

fn row(state: State) -> Row {
    Row {
        project: "group/shop".to_owned(),
        environment: "prod".to_owned(),
        rollout: Sequence(7),
        state,
        revision: Revision::Commit(CommitId::parse(SHA).expect("a commit")),
        git_tag: None,
        git_ref: Some("main".to_owned()),
        is_tag: false,
        tier: None,
        url: None,
    }
}

#[test]
fn a_token_goes_only_where_it_should() {
    let check = |url: &str, plain_http: bool, expected: Result<&str, &str>| {
        let settings = Settings {
            url: url.to_owned(),
            tokens: Arc::new(|_| Ok(SecretString::from("t"))),
            transport: Transport { plain_http, ..Transport::default() },
            counter: http::uncounted(),
        };
        match (GitLab::new(settings), expected) {
            (Ok(gitlab), Ok(debug)) => assert_eq!(format!("{gitlab:?}"), debug),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (other, expected) => panic!("{url}: {other:?}, expected {expected:?}"),
        }
    };
    check("https://gitlab.example.com", false, Ok("GitLab(https://gitlab.example.com/)"));
    check("https://example.com/gitlab/", false, Ok("GitLab(https://example.com/gitlab/)"));
    check("http://127.0.0.1:80", true, Ok("GitLab(http://127.0.0.1/)"));
    check("http://gitlab.example.com", false, Err("plain_http: true"));
    check("https://bob:hunter2@gitlab.example.com", false, Err("plain address"));
    check("https://gitlab.example.com?private_token=x", false, Err("plain address"));
    check("ssh://gitlab.example.com", true, Err("must begin with https://"));
    check("gitlab.example.com", false, Err("is no URL"));
}

#[tokio::test]
async fn revisions_mean_commits_and_tags_and_never_branches() {
    let missing = || json(404, r#"{"message":"404 Commit Not Found"}"#);
    let check = async |revision: &str, answers: Vec<Answer>, expected: Option<&str>, requests: usize| {
        let script = Script::of(answers).await;
        let found = script.gitlab.resolve("g/p", revision).await;
        assert_eq!(found, Ok(expected.map(str::to_owned)), "{revision}");
        assert_eq!(script.asked().len(), requests, "{:?}", script.asked());
    };
    check("0123456", vec![commit(SHA)], Some(SHA), 1).await;
    check("0123456789ABCDEF", vec![commit(SHA)], Some(SHA), 1).await;
    // A branch that is called like a short sha resolves to a commit with another id.
    check("deadbeef", vec![commit(SHA), json(404, r#"{"message":"404 Tag Not Found"}"#)], None, 2).await;
    check("20260101", vec![commit(SHA), named(TIP)], Some(TIP), 2).await;
    check("v1.2.3", vec![named(SHA)], Some(SHA), 1).await;
    check("main", vec![missing()], None, 1).await;
    check("012345", vec![missing()], None, 1).await;
    check("", vec![], None, 0).await;
    check("..", vec![], None, 0).await;
    let script = Script::of([json(404, r#"{"message":"404 Project Not Found"}"#), json(404, "")]).await;
    let error = script.gitlab.resolve("g/p", "v1").await.expect_err("no project");
    assert!(error.waits_for_a_person() && error.to_string().contains("is the path g/p right"), "{error}");
}

#[tokio::test]
async fn a_branch_holds_a_commit() {
    let check = async |answers: Vec<Answer>, expected: bool| {
        let script = Script::of(answers).await;
        assert_eq!(script.gitlab.is_on_branch("g/p", SHA, "feat/x").await, Ok(expected));
        assert_eq!(script.asked()[0], "GET /api/v4/projects/g%2Fp/repository/branches/feat%2Fx");
        if let Some(second) = script.asked().get(1) {
            let expected =
                format!("GET /api/v4/projects/g%2Fp/repository/merge_base?refs%5B%5D={SHA}&refs%5B%5D={TIP}");
            assert_eq!(*second, expected);
        }
    };
    check(vec![named(SHA)], true).await;
    check(vec![named(TIP), commit(SHA)], true).await;
    check(vec![named(TIP), commit(TIP)], false).await;
    check(vec![named(TIP), json(404, r#"{"message":"404 Merge Base Not Found"}"#)], false).await;
    check(vec![named(TIP), json(400, r#"{"message":"Could not find ref: x"}"#)], false).await;
    let script = Script::of([json(404, r#"{"message":"404 Branch Not Found"}"#)]).await;
    let error = script.gitlab.is_on_branch("g/p", SHA, "dve").await.expect_err("no branch");
    assert!(error.to_string().contains("no branch `dve`: correct `branch`"), "{error}");
}

#[tokio::test]
async fn a_moved_project_names_its_new_path() {
    let script = async |path: &'static str| {
        let moved = |url: &str| (301, vec![("location", url.to_owned())], String::new());
        let project = json(200, r#"{"path_with_namespace":"new/shop","default_branch":"main"}"#);
        Script::of([moved(path), project]).await
    };
    let moved = script("/api/v4/projects/42").await;
    let error = moved.gitlab.default_branch("old/shop").await.expect_err("moved");
    assert!(
        error.waits_for_a_person() && error.to_string().contains("old/shop is new/shop now: write that path"),
        "{error}"
    );
    assert_eq!(moved.asked()[1], "GET /api/v4/projects/42");
    for elsewhere in ["https://login.example.com/?next=x", "/users/sign_in", "http://127.0.0.1:1/api/v4/projects/42"] {
        let script = script(elsewhere).await;
        let error = script.gitlab.default_branch("old/shop").await.expect_err("redirected");
        assert!(!error.is_final() && error.to_string().contains("where no token is sent"), "{error}");
        assert_eq!(script.asked().len(), 1, "nothing is followed with a token");
    }
}

#[tokio::test]
async fn a_write_to_a_moved_project_says_so() {
    let script = Script::of([
        json(404, r#"{"message":"404 Project Not Found"}"#),
        (301, vec![("location", "/api/v4/projects/42".to_owned())], String::new()),
        json(200, r#"{"path_with_namespace":"new/shop"}"#),
    ])
    .await;
    let error = send(&script.gitlab, &row(State::Running), None, None, false).await.expect_err("moved");
    assert!(error.waits_for_a_person() && error.to_string().contains("group/shop is new/shop now"), "{error}");
}

#[tokio::test]
async fn what_is_not_gitlab_is_told_and_tried_again() {
    let page = "<html>Sign in</html>";
    for (answer, part) in [
        (json(200, page), "not that of GitLab's API"),
        (json(502, page), "no reason is given"),
        (json(200, "x".repeat(5 << 20)), "larger than"),
        ((429, vec![("retry-after", "17".to_owned())], "Retry later\n".to_owned()), "asks to wait 17s: Retry later"),
        ((503, vec![("retry-after", "60".to_owned())], page.to_owned()), "asks to wait 60s"),
        (json(401, r#"{"error":"invalid_token","error_description":"Token is expired."}"#), "Token is expired."),
    ] {
        let script = Script::of([answer]).await;
        let error = script.gitlab.default_branch("g/p").await.expect_err(part);
        assert!(!error.is_final() && error.to_string().contains(part), "{error}");
        assert!(!format!("{error:?}").contains("secret"));
    }
    let settings = Settings {
        url: "http://127.0.0.1:1".to_owned(),
        tokens: Arc::new(|project| Err(format!("no token for {project}"))),
        transport: Transport { plain_http: true, ..Transport::default() },
        counter: http::uncounted(),
    };
    let error = GitLab::new(settings).expect("settings").default_branch("g/p").await.expect_err("no token");
    assert_eq!(error.to_string(), "no token for g/p");
}

#[tokio::test]
async fn lists_are_read_by_their_links_and_no_further_than_needed() {
    let entry = |id: u64, sha: &str, deployable: &str| {
        format!(
            r#"{{"id":{id},"sha":"{sha}","status":"running","environment":{{"name":"prod"}},"deployable":{deployable}}}"#
        )
    };
    let page = |entries: &[String], next: Option<&str>| {
        let link = next.map(|next| ("link", format!("<{next}>; rel=\"next\"")));
        (200, link.into_iter().collect(), format!("[{}]", entries.join(",")))
    };
    let answers = vec![
        page(&[entry(30, TIP, "null"), entry(29, SHA, r#"{"id":1}"#)], Some("/api/v4/second?page=2")),
        page(&[entry(28, SHA, "null"), entry(27, SHA, "null"), entry(12, SHA, "null")], Some("/api/v4/third")),
    ];
    let script = Script::of(answers).await;
    let found = script.gitlab.running_since("g/p", "prod", SHA, Some(DeploymentId(12))).await;
    let found = found.expect("pages").expect("a deployment");
    assert_eq!((found.id, found.is_of_ci), (DeploymentId(27), false));
    let first =
        "GET /api/v4/projects/g%2Fp/deployments?environment=prod&status=running&order_by=id&sort=desc&per_page=100";
    assert_eq!(script.asked(), [first, "GET /api/v4/second?page=2"]);

    let endless = std::iter::repeat_with(|| page(&[], Some("/api/v4/again"))).take(20);
    let script = Script::of(endless).await;
    assert_eq!(script.gitlab.running_since("g/p", "prod", SHA, None).await, Ok(None));
    assert_eq!(script.asked().len(), 10);

    let script = Script::of([page(&[], Some("https://evil.example.com/page"))]).await;
    let error = script.gitlab.running_since("g/p", "prod", SHA, None).await.expect_err("elsewhere");
    assert!(error.to_string().contains("https://evil.example.com/page, where no token is sent"), "{error}");
}

#[tokio::test]
async fn rows_that_cannot_be_told_ask_nothing() {
    let script = Script::of([]).await;
    let unknown = Row { revision: Revision::Unknown("nothing is known".to_owned()), ..row(State::Running) };
    for (row, part) in [(unknown, "nothing is known"), (row(State::Failed), "its `running` was never told")] {
        let error = send(&script.gitlab, &row, None, None, false).await.expect_err(part);
        assert!(error.is_final() && error.to_string().contains(part), "{error}");
    }
    let sent = send(&script.gitlab, &row(State::Running), Some(DeploymentId(3)), None, true).await;
    assert_eq!(sent, Ok(Sent { id: DeploymentId(3), adopted: true, remark: None }), "it was told before");
    assert_eq!(script.asked(), Vec::<String>::new());

    let missing = || json(404, r#"{"message":"404 Tag Not Found"}"#);
    let script = Script::of([missing(), missing()]).await;
    let tagged = Row { revision: Revision::Tag(Tag::parse("latest").expect("a tag")), ..row(State::Running) };
    let error = send(&script.gitlab, &tagged, None, None, false).await.expect_err("no commit");
    assert!(error.is_final() && error.to_string().contains("`latest`, but group/shop has none of these"), "{error}");
}

#[tokio::test]
async fn the_commit_is_sought_by_the_template_then_by_the_tag_then_with_or_without_a_v() {
    let missing = || json(404, r#"{"message":"404 Tag Not Found"}"#);
    let found = || json(200, format!(r#"{{"name":"x","commit":{{"id":"{SHA}"}}}}"#));
    let made = || json(201, format!(r#"{{"id":9,"sha":"{SHA}","status":"running"}}"#));
    for (tag, git_tag, answers, asked) in [
        ("1.1.0", None, vec![missing(), found(), made()], vec!["1.1.0", "v1.1.0"]),
        ("v1.1.0", None, vec![missing(), found(), made()], vec!["v1.1.0", "1.1.0"]),
        ("1.1.0", Some("web-v1.1.0"), vec![found(), made()], vec!["web-v1.1.0"]),
        ("1.1.0", Some("web-v1.1.0"), vec![missing(), found(), made()], vec!["web-v1.1.0", "1.1.0"]),
    ] {
        let script = Script::of(answers).await;
        let revision = Revision::Tag(Tag::parse(tag).expect("a tag"));
        let row = Row { revision, git_tag: git_tag.map(str::to_owned), ..row(State::Running) };
        let sent = send(&script.gitlab, &row, None, None, false).await.expect("sent");
        assert_eq!(sent.id, DeploymentId(9));
        let mut all = script.asked();
        assert!(all.pop().is_some_and(|made| made.contains(SHA)));
        let tags = "GET /api/v4/projects/group%2Fshop/repository/tags/";
        assert_eq!(all, asked.iter().map(|name| format!("{tags}{name}")).collect::<Vec<_>>());
    }
    let script = Script::of([missing(), missing(), missing()]).await;
    let revision = Revision::Tag(Tag::parse("1.1.0").expect("a tag"));
    let row = Row { revision, git_tag: Some("web-1.1.0".to_owned()), ..row(State::Running) };
    let error = send(&script.gitlab, &row, None, None, false).await.expect_err("no tag").to_string();
    for tried in ["`web-1.1.0` of `git_tag`", "commit or git tag `1.1.0`", "git tag `v1.1.0`", "reports retry"] {
        assert!(error.contains(tried), "{error}");
    }
}

#[tokio::test]
async fn an_environment_that_cannot_be_changed_is_a_remark() {
    let script = Script::of([
        json(200, "[]"),
        json(403, r#"{"message":"403 Forbidden"}"#),
        json(201, format!(r#"{{"id":9,"sha":"{SHA}","status":"running"}}"#)),
    ])
    .await;
    let row = Row { tier: Some("production".to_owned()), ..row(State::Running) };
    let sent = send(&script.gitlab, &row, None, None, false).await.expect("sent");
    assert_eq!((sent.id, sent.adopted), (DeploymentId(9), false));
    assert!(sent.remark.is_some_and(|remark| remark.contains("403 Forbidden")));
    let made = format!(r#"{{"environment":"prod","sha":"{SHA}","ref":"main","tag":false,"status":"running"}}"#);
    assert_eq!(
        script.asked(),
        [
            "GET /api/v4/projects/group%2Fshop/environments?name=prod".to_owned(),
            r#"POST /api/v4/projects/group%2Fshop/environments {"name":"prod","tier":"production"}"#.to_owned(),
            format!("POST /api/v4/projects/group%2Fshop/deployments {made}"),
        ]
    );
}

#[tokio::test]
async fn an_environment_is_changed_only_where_it_differs() {
    let found = r#"[{"id":5,"name":"prod","tier":"production","external_url":null}]"#;
    let wanted = async |answers: Vec<Answer>, tier, url| {
        let script = Script::of(answers).await;
        let ensured = script.gitlab.ensure_environment("g/p", "prod", tier, url).await;
        (ensured, script.asked().split_off(1))
    };
    let (ensured, asked) = wanted(vec![json(200, found)], Some("production"), None).await;
    assert_eq!((ensured, asked), (Ok(Ensured::Unchanged), vec![]));
    let changed = json(200, r#"{"id":5,"name":"prod"}"#);
    let (ensured, asked) = wanted(vec![json(200, found), changed], Some("production"), Some("https://x")).await;
    let put = r#"PUT /api/v4/projects/g%2Fp/environments/5 {"external_url":"https://x"}"#.to_owned();
    assert_eq!((ensured, asked), (Ok(Ensured::Updated), vec![put]));
    // Somebody else makes it between the look and the deed.
    let taken = json(400, r#"{"message":{"name":["has already been taken"]}}"#);
    let (ensured, asked) = wanted(vec![json(200, "[]"), taken, json(200, found)], Some("production"), None).await;
    assert_eq!((ensured, asked.len()), (Ok(Ensured::Unchanged), 2));
}
