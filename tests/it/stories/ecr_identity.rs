//! Who tagrelay is at Amazon where no variable holds a key: each link of the standard chain, asked of a stand-in of the
//! place that hands out its keys, leads to a release that is found by the API and retagged.

use super::ecr::{once, well};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tagrelay::sandbox::registry::ecr::ACCESS_KEY;

const ROLE: &str = "arn:aws:iam::123456789012:role/tagrelay";
const SECRET: &str = "what-only-amazon-knows";
const END: &str = "2126-01-01T00:00:00Z";

/// The places that hand out keys, on one address; what each request was.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Vec<String>>>);

impl Places {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let service = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, service).await.expect("served") });
        format!("http://{address}")
    }

    fn asked(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

async fn answer(State(places): State<Places>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 16).await.expect("a body");
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let shown = [header("authorization"), header("x-aws-ec2-metadata-token")].concat();
    let form = if header("content-type").contains("form") { String::from_utf8_lossy(&body) } else { "".into() };
    let asked = format!("{} {} {shown}{form}", parts.method, parts.uri.path());
    places.0.lock().expect("no panic").push(asked.trim_end().to_owned());
    match (parts.method.as_str(), parts.uri.path()) {
        // Amazon ECS and the EKS Pod Identity agent.
        ("GET", "/v1/credentials") => {
            let keys = json!({ "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET, "Token": "t", "Expiration": END });
            axum::Json(keys).into_response()
        }
        // The metadata service of an instance, version 2.
        ("PUT", "/latest/api/token") => {
            ([("x-aws-ec2-metadata-token-ttl-seconds", "21600")], "session").into_response()
        }
        (
            "GET",
            "/latest/meta-data/iam/security-credentials/" | "/latest/meta-data/iam/security-credentials-extended/",
        ) => "node".into_response(),
        ("GET", path) if path.starts_with("/latest/meta-data/iam/security-credentials") => {
            let keys = json!({
                "Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC", "AccountId": "123456789012",
                "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET, "Token": "t", "Expiration": END
            });
            axum::Json(keys).into_response()
        }
        // The security token service.
        ("POST", "/") => {
            let keys = format!(
                "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{ACCESS_KEY}</AccessKeyId>\
                 <SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{END}</Expiration>\
                 </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            );
            ([("content-type", "text/xml")], keys).into_response()
        }
        _ => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}

/// Tells the story with these variables, in which ADDRESS and TOKEN stand for the stand-in and a file with a token; what the
/// stand-in was asked first.
async fn by(variables: &[(&str, &str)]) -> String {
    let (story, mut command, digests) = once().await;
    let (places, token) = (Places::default(), story.home.path().join("token"));
    let address = places.start().await;
    std::fs::write(&token, "the-pods-token").expect("written");
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"] {
        command.env_remove(variable);
    }
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    for (variable, value) in variables {
        let value = value.replace("ADDRESS", &address).replace("TOKEN", &token.display().to_string());
        command.env(variable, value);
    }
    let told = well(&story, command).await;
    assert_eq!(story.world.registry.digest_of("shop", "prod").as_ref(), Some(&digests[0]), "{told}");
    assert!(!told.contains(SECRET) && !told.contains("the-pods-token"), "{told}");
    places.asked().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_of_eks_by_web_identity() {
    let variables =
        [("AWS_ROLE_ARN", ROLE), ("AWS_WEB_IDENTITY_TOKEN_FILE", "TOKEN"), ("AWS_ENDPOINT_URL_STS", "ADDRESS")];
    let asked = by(&variables).await;
    assert!(asked.starts_with("POST / ") && asked.contains("Action=AssumeRoleWithWebIdentity"), "{asked}");
    assert!(asked.contains("WebIdentityToken=the-pods-token") && !asked.contains('\n'), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_of_eks_by_its_pod_identity() {
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "ADDRESS/v1/credentials"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "TOKEN"),
    ];
    assert_eq!(by(&variables).await, "GET /v1/credentials the-pods-token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_ecs() {
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "ADDRESS/v1/credentials")];
    assert_eq!(by(&variables).await, "GET /v1/credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_by_its_metadata_service_version_2() {
    let asked = by(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ADDRESS")]).await;
    assert!(asked.starts_with("PUT /latest/api/token\n"), "{asked}");
    let with_session = asked.lines().skip(1).all(|asked| asked.starts_with("GET ") && asked.ends_with(" session"));
    assert!(with_session && asked.contains("security-credentials"), "{asked}");
}
