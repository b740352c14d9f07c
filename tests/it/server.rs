//! The server from outside, over real HTTP: who is answered what, and what a page or a body can do.
//!
//! Behind it stands no daemon: what it would be asked is taken from the other end of its handle and answered with fixed
//! views, so that a table can say what each request reaches.

mod face;
mod form;
mod hooks;
mod loop_end;

use face::Face;
use form::check_form;
use reqwest::header::{CONTENT_TYPE, HOST};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tagrelay::config::ReadAccess;
use tagrelay::model::event::Verdict;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PROD: &str = "/api/v1/policies/shop/environments/prod";

fn signal() -> Value {
    json!({
        "rollout": "j1-7",
        "digests": { "shop": loop_end::digest("1") },
        "verdict": "failed",
        "evidence": "CrashLoopBackOff",
        "url": "https://ci.example.com/jobs/1",
    })
}

/// Every change, with a body that is right.
fn changes() -> Vec<(String, Value)> {
    let at = |rest: &str| format!("{PROD}/{rest}");
    vec![
        (at("approve"), json!({})),
        (at("reject"), json!({ "release": "1.0", "reason": "it leaks" })),
        (at("promote"), json!({})),
        (at("promote"), json!({ "release": "1.0", "force": true, "reason": "the shop is down" })),
        (at("rollback"), json!({ "reason": "it leaks" })),
        (at("verify"), json!({})),
        (at("signal"), signal()),
        ("/api/v1/hold".to_owned(), json!({ "policy": "shop", "environment": "prod", "reason": "lunch" })),
        ("/api/v1/resume".to_owned(), json!({ "policy": "shop", "environment": "prod", "of": "bob" })),
    ]
}

#[tokio::test]
async fn every_change_takes_a_token_with_the_right_there() {
    for face in [Face::open().await, Face::exposed().await] {
        for (path, body) in changes() {
            let posts = path.ends_with("/signal");
            let right = if posts { "token-of-cluster" } else { "token-of-alice" };
            let without = if posts { "token-of-bob" } else { "token-of-cluster" };
            for (token, status, code) in [
                (None, 401, "unauthorized"),
                (Some("wrong"), 401, "unauthorized"),
                (Some(""), 401, "unauthorized"),
                (Some("token-of-mallory"), 401, "unauthorized"),
                (Some("token-of-alicf"), 401, "unauthorized"),
                (Some("token-of-alice and more"), 401, "unauthorized"),
                (Some(without), 403, "forbidden"),
            ] {
                let answered = face.post(&path, token, &body).await;
                assert_eq!((answered.status, answered.code().as_str()), (status, code), "{path} {token:?}");
            }
            assert_eq!(face.heard.take(), [] as [String; 0], "{path}: what was refused reached the daemon");
            let answered = face.post(&path, Some(right), &body).await;
            assert_eq!(answered.status, 200, "{path}: {}", answered.text);
            assert_eq!(answered.json()["kept"], "kept", "{path}");
            assert_eq!(face.heard.take().len(), 1, "{path}");
        }
    }
}

#[tokio::test]
async fn a_change_reaches_the_daemon_as_it_was_said_and_with_its_name() {
    let face = Face::open().await;
    for ((path, body), expected) in changes().into_iter().zip([
        "alice: Approve { target: shop/prod, release: None, reason: \"\", by: Cli }",
        r#"alice: Reject { target: shop/prod, release: Some("1.0"), reason: "it leaks", by: Cli }"#,
        "alice: Promote { target: shop/prod, release: None, force: None }",
        r#"alice: Promote { target: shop/prod, release: Some("1.0"), force: Some("the shop is down") }"#,
        r#"alice: Rollback { target: shop/prod, release: None, reason: "it leaks" }"#,
        "alice: Verify { target: shop/prod }",
        "alice: Signal shop/prod j1-7 None 1 digests Failed CrashLoopBackOff https://ci.example.com/jobs/1",
        r#"alice: Hold { scope: shop/prod, reason: "lunch", until: None }"#,
        r#"alice: Resume { scope: shop/prod, of: Some("bob"), every: false }"#,
    ]) {
        assert_eq!(face.post(&path, Some("token-of-alice"), &body).await.status, 200, "{path}");
        assert_eq!(face.heard.take(), [expected]);
    }
}

#[tokio::test]
async fn a_right_reaches_as_far_as_its_pattern() {
    let face = Face::open().await;
    let approve = |place: &str| {
        let (policy, environment) = place.split_once('/').expect("a place");
        (format!("/api/v1/policies/{policy}/environments/{environment}/approve"), json!({}))
    };
    let hold = |over: Value| {
        let mut body = over;
        body["reason"] = json!("lunch");
        ("/api/v1/hold".to_owned(), body)
    };
    let resume = |over: Value| ("/api/v1/resume".to_owned(), over);
    let force = |reason: &str| (format!("{PROD}/promote"), json!({ "force": true, "reason": reason }));
    for (who, (path, body), status) in [
        ("bob", approve("shop/prod"), 200),
        ("bob", approve("shop/dev"), 403),
        ("bob", approve("other/prod"), 403),
        ("carol", approve("shop/dev"), 200),
        ("carol", approve("other/dev"), 403),
        ("alice", approve("other/dev"), 200),
        ("bob", force("the shop is down"), 403),
        ("carol", force("the shop is down"), 200),
        ("carol", force("  "), 400),
        ("bob", hold(json!({ "policy": "shop", "environment": "prod" })), 200),
        ("bob", hold(json!({ "policy": "shop" })), 403),
        ("bob", hold(json!({ "environment": "prod" })), 403),
        ("bob", hold(json!({})), 403),
        ("carol", hold(json!({ "policy": "shop" })), 403),
        ("carol", hold(json!({})), 403),
        ("carol", resume(json!({})), 403),
        ("carol", resume(json!({ "environment": "prod" })), 403),
        ("alice", hold(json!({ "policy": "shop" })), 200),
        ("alice", hold(json!({ "environment": "prod" })), 200),
        ("alice", hold(json!({})), 200),
        ("alice", resume(json!({})), 200),
    ] {
        let answered = face.post(&path, Some(&format!("token-of-{who}")), &body).await;
        assert_eq!(answered.status, status, "{who} {path} {body}: {}", answered.text);
        assert_eq!(face.heard.take().len(), usize::from(status == 200), "{who} {path} {body}");
    }
}

/// Every address that is read, and whether it is read by everybody.
const READ: [(&str, bool); 14] = [
    ("/healthz", true),
    ("/readyz", true),
    ("/style.css", true),
    ("/", false),
    ("/metrics", false),
    ("/api/v1/openapi.json", false),
    ("/api/v1/status", false),
    ("/api/v1/plan?policy=shop", false),
    ("/api/v1/history?policy=shop&environment=prod&before=9&limit=5&since=2026-01-01T00:00:00Z&files=true", false),
    ("/api/v1/files?path=prod.yaml", false),
    ("/api/v1/policies", false),
    ("/api/v1/policies/shop", false),
    (PROD, false),
    ("/api/v1/policies/shop/environments/prod/explain", false),
];

#[tokio::test]
async fn reading_is_open_on_loopback_and_takes_any_token_elsewhere() {
    let (open, exposed) = (Face::open().await, Face::exposed().await);
    for (path, everybody) in READ {
        assert_eq!(open.get(path).await.status, 200, "{path}");
        let unknown = if everybody { 200 } else { 401 };
        for (token, status) in [(None, unknown), (Some("wrong"), unknown), (Some("token-of-cluster"), 200)] {
            let request = exposed.request(Method::GET, path);
            let answered = exposed.send(token.iter().fold(request, |request, token| request.bearer_auth(token))).await;
            assert_eq!(answered.status, status, "{path} {token:?}");
        }
    }
    let refused = exposed.get("/api/v1/status").await;
    assert_eq!(refused.headers.get("www-authenticate").expect("a challenge"), "Bearer");
    for written in ["bearer token-of-alice", "BEARER  token-of-alice"] {
        let request = exposed.request(Method::GET, "/api/v1/status").header("authorization", written);
        assert_eq!(exposed.send(request).await.status, 200, "{written}");
    }
    for written in ["token-of-alice", "Basic token-of-alice", "Bearer", ""] {
        let request = exposed.request(Method::GET, "/api/v1/status").header("authorization", written);
        assert_eq!(exposed.send(request).await.status, 401, "{written}");
    }
}

#[tokio::test]
async fn a_person_signs_in_with_a_token_and_reads() {
    let face = Face::exposed().await;
    let page = |cookie: Option<&str>| {
        let request = face.request(Method::GET, "/").header("accept", "text/html,*/*");
        cookie.iter().fold(request, |request, cookie| request.header("cookie", *cookie))
    };
    let asked = face.send(page(None)).await;
    assert_eq!((asked.status, asked.headers["www-authenticate"].to_str().expect("text")), (401, "Bearer"));
    assert!(asked.text.contains("action=\"/sign-in\"") && !asked.text.contains("http-equiv"), "{}", asked.text);
    assert!(asked.headers["content-security-policy"].to_str().expect("text").contains("form-action 'self'"));
    let form = |token: &str| {
        let body = format!("token={token}");
        face.request(Method::POST, "/sign-in").header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    };
    let wrong = face.send(form("token-of-mallory").header("accept", "text/html")).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.text.contains("nobody has this token") && wrong.headers.get("set-cookie").is_none());
    for (request, status) in [
        (form("token-of-bob").header("sec-fetch-site", "cross-site"), 400),
        (form("token-of-bob").header("origin", "https://evil.example"), 400),
        (form(&"x".repeat(5_000)), 413),
        (face.request(Method::POST, "/sign-in").json(&json!({ "tokn": "token-of-bob" })), 400),
    ] {
        let refused = face.send(request).await;
        assert_eq!((refused.status, refused.headers.get("set-cookie")), (status, None), "{}", refused.text);
    }
    for (request, secure) in [
        (form("token-of-bob"), false),
        (face.request(Method::POST, "/sign-in").json(&json!({ "token": "token-of-bob" })), false),
        (form("token-of-bob").header("x-forwarded-proto", "https"), true),
    ] {
        let answered = face.send(request).await;
        assert_eq!((answered.status, answered.headers["location"].to_str().expect("text")), (303, "/"));
        let cookie = answered.headers["set-cookie"].to_str().expect("text").to_owned();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict") && cookie.contains("Max-Age=43200"), "{cookie}");
        assert_eq!(cookie.ends_with("; Secure"), secure, "{cookie}");
        let cookie = cookie.split(';').next().expect("a cookie");
        assert!(face.send(page(Some(cookie))).await.text.contains("shop"));
        let read = face.request(Method::GET, "/api/v1/status").header("cookie", cookie);
        assert_eq!(face.send(read).await.status, 200);
        for (path, body) in changes() {
            let change = face.request(Method::POST, &path).json(&body).header("cookie", cookie);
            assert_eq!(face.send(change).await.status, 401, "{path}: a cookie changes nothing");
        }
    }
    assert_eq!(face.heard.take(), [] as [String; 0]);
}

#[tokio::test]
async fn reading_is_as_open_as_the_configuration_says() {
    let of = async |read| Face::with(|server| server.with_reading(Some(read), Arc::new(|| ()))).await;
    let (closed, open) = (of(ReadAccess::Token).await, of(ReadAccess::Open).await);
    for (path, everybody) in READ {
        assert_eq!(closed.get(path).await.status, if everybody { 200 } else { 401 }, "{path}");
        let through_proxy = open.request(Method::GET, path).header("x-forwarded-for", "192.0.2.1");
        assert_eq!(open.send(through_proxy).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn tokens_that_nobody_has_are_counted() {
    let n_refused = Arc::new(AtomicU32::new(0));
    let counted = n_refused.clone();
    let refused = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let face = Face::with(|server| server.with_reading(Some(ReadAccess::Token), refused)).await;
    face.get("/api/v1/status").await;
    assert_eq!(n_refused.load(Ordering::SeqCst), 0, "none was shown");
    for (path, token) in [("/api/v1/status", "wrong"), ("/metrics", "guess")] {
        assert_eq!(face.send(face.request(Method::GET, path).bearer_auth(token)).await.status, 401);
    }
    assert_eq!(face.post("/api/v1/hold", Some("wrong"), &json!({})).await.status, 401);
    assert_eq!(n_refused.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_proxy_on_this_machine_reads_nothing_for_others() {
    let face = Face::open().await;
    for forwards in ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Via"] {
        for (path, everybody) in READ {
            let asked = || face.request(Method::GET, path).header(HOST, "127.0.0.1").header(forwards, "192.0.2.1");
            let status = if everybody { 200 } else { 401 };
            assert_eq!(face.send(asked()).await.status, status, "{forwards} {path}");
            assert_eq!(face.send(asked().bearer_auth("token-of-bob")).await.status, 200, "{forwards} {path}");
        }
    }
}

#[tokio::test]
async fn http_2_is_not_spoken_and_a_large_head_is_not_read() {
    let face = Face::open().await;
    for (sent, answered) in [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), None),
        (format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nx: {}\r\n\r\n", "a".repeat(64 * 1024)), Some("431")),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(), Some("200")),
    ] {
        let mut stream = TcpStream::connect(face.address).await.expect("connected");
        // The server may hang up before all is sent.
        let _sent = stream.write_all(sent.as_bytes()).await;
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        match answered {
            Some(status) => assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}"),
            None => assert!(!answer.contains("200"), "{answer}"),
        }
    }
}

#[tokio::test]
async fn silent_connections_shut_nobody_out() {
    let face = Face::open().await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(face.address).await.expect("connected"));
    }
    assert_eq!(face.get("/healthz").await.status, 200);
    assert_eq!(face.get("/").await.status, 200);
    // Whoever came first was the first to lose his seat.
    let mut byte = [0];
    assert_eq!(silent[0].read(&mut byte).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_page_of_another_site_is_not_answered() {
    let face = Face::open().await;
    for (host, status) in
        [("evil.example", 421), ("127.0.0.1.evil.example:80", 421), ("localhost:80", 200), ("[::1]", 200)]
    {
        let answered = face.send(face.request(Method::GET, "/api/v1/status").header(HOST, host)).await;
        assert_eq!(answered.status, status, "{host}");
    }
    let vote = || face.request(Method::POST, &format!("{PROD}/approve")).bearer_auth("token-of-alice").body("{}");
    for (kind, status) in [
        (None, 415),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("application/jsonp"), 415),
        (Some("application/json; charset=utf-8"), 200),
    ] {
        let request = kind.iter().fold(vote(), |request, kind| request.header(CONTENT_TYPE, *kind));
        assert_eq!(face.send(request).await.status, status, "{kind:?}");
    }
    let foreign = vote().header(CONTENT_TYPE, "application/json").header(HOST, "evil.example");
    assert_eq!(face.send(foreign).await.code(), "misdirected");
}

#[tokio::test]
async fn every_answer_lets_a_browser_do_nothing_with_it() {
    let face = Face::open().await;
    for path in ["/", "/style.css", "/api/v1/status", "/nowhere", "/metrics"] {
        let headers = face.get(path).await.headers;
        let policy = headers.get("content-security-policy").expect("a policy").to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers.get("x-content-type-options").expect("nosniff"), "nosniff");
        assert!(headers.get("access-control-allow-origin").is_none());
    }
}

/// Questions that make no sense: the status, and its code.
const NONSENSE: [(&str, u16, &str); 17] = [
    ("/api/v1/nowhere", 404, "not_found"),
    ("/api/v1/policies/none", 404, "not_found"),
    ("/api/v1/policies/shop/environments/none", 404, "not_found"),
    ("/api/v1/policies/Sh%20op", 400, "bad_request"),
    ("/api/v1/policies/%ff/environments/prod", 400, "bad_request"),
    ("/api/v1/history?limit=many", 400, "bad_request"),
    ("/api/v1/history?since=yesterday", 400, "bad_request"),
    ("/api/v1/files", 400, "bad_request"),
    ("/api/v1/files?path=./", 400, "bad_request"),
    ("/api/v1/where", 400, "bad_request"),
    ("/api/v1/where?of=1.0&not_in=shop/prod", 400, "bad_request"),
    ("/api/v1/where?not_in=shop", 400, "bad_request"),
    ("/api/v1/where?of=", 400, "bad_request"),
    ("/api/v1/where?of=1.0", 404, "not_found"),
    ("/api/v1/history?from=1", 400, "bad_request"),
    ("/api/v1/plan?policy=..", 400, "bad_request"),
    ("/api/v1/hold", 405, "method_not_allowed"),
];

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_one_sentence() {
    let face = Face::open().await;
    let with = |key: &str, value: Value| {
        let mut body = signal();
        body[key] = value;
        ("signal", body)
    };
    let without = |key: &str| {
        let mut body = signal();
        body.as_object_mut().expect("an object").remove(key);
        ("signal", body)
    };
    for ((to, body), says) in [
        (("approve", json!({ "relaese": "1.0" })), "unknown field `relaese`"),
        (("verify", json!({ "reason": "it is not kept" })), "unknown field `reason`"),
        (("approve", json!([])), "the body"),
        (("approve", json!({ "release": 1 })), "expected a string"),
        (("promote", json!({ "force": true })), "needs a `reason`"),
        (("promote", json!({ "reason": "x" })), "force: true"),
        (("promote", json!({ "force": "yes" })), "expected a boolean"),
        (("rollback", json!({ "release": "1.0" })), "needs a `reason`"),
        (("rollback", json!({ "reason": " \n" })), "needs a `reason`"),
        (("verify", json!({ "release": "1.0" })), "unknown field"),
        (with("unknown", json!(1)), "unknown field"),
        (with("verdict", json!("fine")), "unknown variant"),
        (with("verdict", json!("passed")), "name it in `check`"),
        (with("digests", json!({})), "digests"),
        (with("digests", json!({ "shop": "latest" })), "sha256"),
        (with("url", json!("javascript:alert(1)")), "http or https"),
        (with("url", json!("https://user:hunter2@example.com/")), "without user and password"),
        (without("rollout"), "name the rollout once"),
        (without("verdict"), "missing field `verdict`"),
    ] {
        let answered = face.post(&format!("{PROD}/{to}"), Some("token-of-alice"), &body).await;
        assert_eq!((answered.status, answered.code().as_str()), (400, "bad_request"), "{to} {body}");
        assert!(answered.text.contains(says), "{body}: {}", answered.text);
        assert!(!answered.text.contains("hunter2"), "{}", answered.text);
    }
    for (body, says) in [
        (json!({}), "needs a `reason`"),
        (json!({ "reason": " \n" }), "needs a `reason`"),
        (json!({ "reason": "x", "until": "tomorrow" }), "the body"),
        (json!({ "reason": "x", "policy": "Shop!" }), "Shop!"),
        (json!({ "reason": "x", "scope": "shop" }), "unknown field"),
    ] {
        let answered = face.post("/api/v1/hold", Some("token-of-alice"), &body).await;
        assert_eq!((answered.status, answered.code().as_str()), (400, "bad_request"), "{body}");
        assert!(answered.text.contains(says), "{body}: {}", answered.text);
    }
    for (path, status, code) in NONSENSE {
        let answered = face.get(path).await;
        assert_eq!((answered.status, answered.code().as_str()), (status, code), "{path}");
    }
    assert_eq!(face.heard.take().iter().filter(|heard| heard.contains(':')).count(), 0, "nothing was changed");
}

#[tokio::test]
async fn a_stranger_learns_nothing_from_bodies_and_large_ones_are_not_read() {
    let face = Face::open().await;
    let large = json!({ "release": "x".repeat(64 * 1024) });
    let to = format!("{PROD}/approve");
    for (token, body, status) in [
        (None, &large, 401),
        (None, &json!({ "relaese": "1.0" }), 401),
        (Some("token-of-cluster"), &json!({ "relaese": "1.0" }), 403),
        (Some("token-of-alice"), &large, 413),
        (Some("token-of-alice"), &json!({ "release": "x".repeat(30 * 1024) }), 200),
    ] {
        assert_eq!(face.post(&to, token, body).await.status, status);
    }
    // Without a length that is announced, the limit counts what comes.
    let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 8 * 1024]));
    let chunks = futures_util::StreamExt::take(chunks, 64);
    let request =
        face.request(Method::POST, &to).bearer_auth("token-of-alice").header(CONTENT_TYPE, "application/json");
    // The server may hang up before all is sent; what matters is that it takes no more.
    if let Ok(response) = request.body(reqwest::Body::wrap_stream(chunks)).send().await {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(face.heard.take().len(), 1);
}

#[tokio::test]
async fn what_the_daemon_refuses_has_a_status_of_its_own() {
    let face = Face::open().await;
    for (release, status, code) in [
        ("unknown", 404, "not_found"),
        ("ambiguous", 422, "ambiguous"),
        ("conflict", 409, "conflict"),
        ("unavailable", 503, "unavailable"),
    ] {
        let body = json!({ "release": release });
        let answered = face.post(&format!("{PROD}/approve"), Some("token-of-alice"), &body).await;
        assert_eq!((answered.status, answered.code().as_str()), (status, code));
        assert_eq!(answered.json()["error"]["message"], format!("the daemon says {release}"));
    }
    let mut over = signal();
    over["rollout"] = json!("conflict");
    let answered = face.post(&format!("{PROD}/signal"), Some("token-of-cluster"), &over).await;
    assert_eq!((answered.status, answered.code().as_str()), (409, "conflict"));
}

#[tokio::test]
async fn a_signal_is_read_as_the_contract_says() {
    let face = Face::open().await;
    for (verdict, check, kept) in [
        ("healthy", None, Verdict::Healthy),
        ("failed", None, Verdict::Failed),
        ("passed", Some("smoke"), Verdict::Healthy),
        ("failed", Some("smoke"), Verdict::Failed),
    ] {
        let mut body = signal();
        body["verdict"] = json!(verdict);
        if let Some(check) = check {
            body["check"] = json!(check);
        }
        for optional in ["evidence", "url"] {
            body.as_object_mut().expect("an object").remove(optional);
        }
        let answered = face.post(&format!("{PROD}/signal"), Some("token-of-cluster"), &body).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let heard = format!("cluster: Signal shop/prod j1-7 {check:?} 1 digests {kept:?}  none");
        assert_eq!(face.heard.take(), [heard]);
    }
    // Who is told of a sync knows the commit, and no digests.
    let commit = "c0ffee".repeat(6) + "c0ff";
    let by_commit = json!({ "commit": commit, "verdict": "healthy" });
    let answered = face.post(&format!("{PROD}/signal"), Some("token-of-cluster"), &by_commit).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(face.heard.take(), [format!("cluster: Signal shop/prod {commit} None no digests Healthy  none")]);
    for (wrong, says) in [
        (json!({ "verdict": "healthy" }), "name the rollout once"),
        (json!({ "rollout": "j1-7", "commit": commit, "verdict": "healthy" }), "name the rollout once"),
        (json!({ "rollout": "", "verdict": "healthy" }), "name the rollout once"),
        (json!({ "commit": "<no value>", "verdict": "healthy" }), "`<no value>` is no commit"),
        (json!({ "rollout": "j1-7", "digests": {}, "verdict": "healthy" }), "or is left out"),
    ] {
        let answered = face.post(&format!("{PROD}/signal"), Some("token-of-cluster"), &wrong).await;
        assert!(answered.status == 400 && answered.text.contains(says), "{}", answered.text);
    }
    let busy = json!({ "rollout": "unavailable", "verdict": "healthy" });
    let answered = face.post(&format!("{PROD}/signal"), Some("token-of-cluster"), &busy).await;
    assert_eq!((answered.status, answered.headers.get("retry-after").is_some()), (503, true));
}

#[tokio::test]
async fn the_page_says_what_runs_what_waits_and_what_to_type() {
    let face = Face::open().await;
    let page = face.get("/").await;
    assert_eq!(page.headers.get(CONTENT_TYPE).expect("a type"), "text/html; charset=utf-8");
    for words in [
        "tagrelay approve shop/prod ",
        "tagrelay resume shop/dev",
        "tagrelay resume --all --env staging",
        "broken.yaml:3: unknown key",
        "waits for approval: 0 of 1, by alice",
        "held</span> by alice: lunch",
        "by HOLD file: year end",
        "111111111111",
        "3 to tell",
        "registry.example.com: 401 Unauthorized",
        "http-equiv=\"refresh\" content=\"10\"",
        "href=\"https://ci.example.com/jobs/1?a=1&amp;b=2\"",
    ] {
        assert!(page.text.contains(words), "{words} is missing:\n{}", page.text);
    }
    assert_eq!(page.text.matches("by alice: lunch").count(), 1, "a hold and a reason say it once");
}

#[tokio::test]
async fn what_is_looked_for_and_opened_stands_in_the_address() {
    let face = Face::open().await;
    let shown = async |query: &str| {
        let page = face.get(&format!("/{query}")).await;
        assert_eq!(page.headers.get("cache-control").expect("a rule"), "private, no-cache");
        ["dev", "staging", "prod"].map(|name| page.text.contains(&format!("id=\"shop/{name}\"")))
    };
    assert_eq!(shown("").await, [true; 3]);
    assert_eq!(shown("?q=shop/STAGING").await, [false, true, false]);
    assert_eq!(shown("?q=year+end").await, [false, true, false]);
    assert_eq!(shown("?q=shop+is:waits").await, [false, false, true]);
    assert_eq!(shown("?q=nobody-has-this").await, [false; 3]);
    for (query, refreshes) in [("", true), ("?open=shop/dev", true), ("?q=shop", false), ("?still=1", false)] {
        let page = face.get(&format!("/{query}")).await.text;
        assert_eq!(page.contains("http-equiv=\"refresh\""), refreshes, "{query}");
    }
    let unknown = face.get("/?open=nowhere/dev&open=shop/dev").await.text;
    assert!(!unknown.contains("nowhere"), "{unknown}");
    let page = face.get("/").await.text;
    let link = "/?open=shop%2Fdev";
    assert!(page.contains(&format!("href=\"{link}#shop/dev\"")) && !page.contains("</span> by who"), "{page}");
    let opened = face.get(link).await;
    assert!(opened.text.contains("</span> by who") && opened.text.contains("href=\"/#shop/dev\""), "{}", opened.text);
    let known = opened.headers.get("etag").expect("a name").clone();
    let again = face.send(face.request(Method::GET, link).header("if-none-match", known)).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    let wrong = face.get("/?q=%3Cscript%3Ealert(1)%3C/script%3E%22%20onload=%22x&open=%22%3E%3Cb%3E").await.text;
    assert!(!wrong.contains("<script") && !wrong.contains("\"><b>") && !wrong.contains("\" onload=\""), "{wrong}");
}

#[tokio::test]
async fn text_from_outside_is_text_on_the_page() {
    let face = Face::open().await;
    let page = face.get("/?open=shop/prod&open=shop/dev&open=shop/staging").await.text;
    assert!(page.contains("&lt;script&gt;alert("), "the sample carries a script in every text");
    for live in ["<script", "<img", "javascript:", "onerror=\"", "\"><b>"] {
        assert!(!page.contains(live), "{live} is live:\n{page}");
    }
}

#[tokio::test]
async fn answers_have_the_form_that_is_described() {
    let face = Face::open().await;
    let described = face.get("/api/v1/openapi.json").await.json();
    for (path, _) in READ.into_iter().filter(|(path, _)| path.starts_with("/api/v1/") && !path.ends_with(".json")) {
        let plain = path.split('?').next().unwrap_or(path);
        let template = plain.replace("/shop", "/{policy}").replace("/prod", "/{environment}");
        let response = &described["paths"][&template]["get"]["responses"]["200"];
        let form = &response["content"]["application/json"]["schema"];
        assert!(form.is_object(), "{template} is described");
        check_form(&described, form, &face.get(path).await.json(), path);
    }
}

#[tokio::test]
async fn health_names_what_is_wrong_to_readers_and_its_kind_to_everybody() {
    let (open, exposed) = (Face::open().await, Face::exposed().await);
    for (path, first) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let words = open.get(path).await.text;
        let mut lines = words.lines();
        assert_eq!(lines.next(), Some(first));
        let trouble = lines.next().expect("a trouble");
        assert!(
            trouble.starts_with("registry_unread since 2026-01-01T23:00:00Z: registry.example.com/shop"),
            "{words}"
        );
        let stranger = exposed.get(path).await.text;
        assert_eq!(stranger, format!("{first}\nregistry_unread since 2026-01-01T23:00:00Z: 1\n"));
        let reader = exposed.request(Method::GET, path).bearer_auth("token-of-cluster");
        assert_eq!(exposed.send(reader).await.text, words);
    }
    assert_eq!(open.get("/metrics").await.text, "tagrelay_up 1\n");
    assert!(open.get("/").await.text.contains("registry_unread since"), "the page says the same");
}

#[tokio::test]
async fn probes_and_pages_ask_nothing_of_a_loop_that_hangs() {
    let face = Face::open().await;
    face.heard.hang();
    for (path, first) in [("/healthz", "ok"), ("/readyz", "ready"), ("/metrics", "tagrelay_up 1")] {
        assert_eq!(face.get(path).await.text.lines().next(), Some(first));
    }
    assert_eq!(face.get("/api/v1/status").await.status, 503, "nothing was published yet");
    let face = Face::open().await;
    assert_eq!(face.get("/").await.status, 200);
    face.heard.hang();
    assert!(face.get("/").await.text.contains("shop"), "the page shows what was published last");
}

#[tokio::test]
async fn a_daemon_whose_loop_is_over_is_neither_well_nor_ready() {
    let face = Face::open().await;
    face.heard.stop();
    let over = || async { face.get("/healthz").await.status == 503 };
    while !over().await {
        tokio::task::yield_now().await;
    }
    for path in ["/healthz", "/readyz", "/", "/api/v1/status"] {
        let answered = face.get(path).await;
        assert_eq!(answered.status, 503, "{path}");
        assert!(answered.text.contains("the daemon is stopping"), "{path}: {}", answered.text);
    }
    assert!(face.get("/").await.text.contains("http-equiv=\"refresh\""), "a page goes on looking for the daemon");
}
