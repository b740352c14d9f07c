//! Amazon's APIs as whoever we are there: credentials by the standard chain, requests signed with them.
//!
//! The chain (environment, profile, web identity, EKS Pod Identity, ECS, IMDSv2) and `AssumeRole` are Amazon's own code and
//! make their own requests; what we ask goes through our client. The operations are known to whoever asks them.

mod failure;
pub mod sqs;

pub(crate) use failure::Failure;

use crate::clients::http::{self, HttpError};
use crate::model::text;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long the chain may take: its last link asks an address that only Amazon's machines have.
const CHAIN_TIME_MAX: Duration = Duration::from_secs(30);
/// How long before their end credentials are renewed; Amazon hands out new ones five minutes before.
const RENEW_BEFORE: Duration = Duration::from_secs(4 * 60);
/// How long credentials without an end are kept: a file or an environment may be changed by a person.
const KEPT: Duration = Duration::from_secs(5 * 60);
/// How long it is kept that there are none: each of those who wait would else ask the whole chain, one after the other.
const NONE_KEPT: Duration = Duration::from_secs(30);
/// By which a role's sessions are known in CloudTrail.
const SESSION: &str = "tagrelay";
/// How the operation is named in AWS JSON.
const TARGET: &str = "x-amz-target";

/// What belongs to temporary keys.
const SESSION_TOKEN: &str = "x-amz-security-token";

/// Why no request could be signed. Names what the chain tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// Nobody says who we are, or the role is refused: a person has to look.
    #[error(
        "no AWS credentials{role}: {why}; give the process a role (IRSA, EKS Pod Identity, an instance profile) or set \
         AWS_PROFILE or AWS_ACCESS_KEY_ID"
    )]
    NoCredentials {
        /// ` for ROLE`, where one is assumed.
        role: String,
        /// What the chain says, outermost first.
        why: String,
    },
    /// The chain gave no answer in time: try later.
    #[error("AWS credentials were not there within {} s", CHAIN_TIME_MAX.as_secs())]
    Slow,
    /// No region is known.
    #[error("no AWS region is known: set AWS_REGION")]
    NoRegion,
    /// The request cannot be made.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// The machine's own time: Amazon refuses what is signed for another, and says when credentials end in it.
#[expect(clippy::disallowed_methods, reason = "a signature is good for the machine's time alone, not for a test's")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Which version of AWS JSON an API speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Json {
    /// 1.0: SQS.
    V1_0,
    /// 1.1: ECR.
    V1_1,
}

impl Json {
    fn content_type(self) -> &'static str {
        match self {
            Self::V1_0 => "application/x-amz-json-1.0",
            Self::V1_1 => "application/x-amz-json-1.1",
        }
    }
}

/// One of Amazon's APIs, and where it answers.
#[derive(Debug, Clone, Copy)]
pub struct Api<'a> {
    /// Where.
    pub endpoint: &'a Url,
    /// The region that it answers for.
    pub region: &'a str,
    /// What it is called in a signature.
    pub service: &'a str,
    /// What it speaks.
    pub json: Json,
}

/// Somebody at Amazon. Clones share the credentials.
#[derive(Clone)]
pub struct Caller(Arc<Who>);

struct Who {
    role: Option<String>,
    given: Option<(SharedCredentialsProvider, Region)>,
    /// What the chain said last, be it why there are none, and until when that is kept.
    kept: Mutex<Option<(Result<Credentials, AwsError>, SystemTime)>>,
}

impl Caller {
    /// Whoever the standard chain says, in the role of this ARN where one is named. Nothing is asked yet.
    #[must_use]
    pub fn of_chain(role: Option<String>) -> Self {
        Self(Arc::new(Who { role, given: None, kept: Mutex::default() }))
    }

    /// Whoever has these credentials.
    #[must_use]
    pub fn of(credentials: SharedCredentialsProvider, region: &str) -> Self {
        let given = Some((credentials, Region::new(region.to_owned())));
        Self(Arc::new(Who { role: None, given, kept: Mutex::default() }))
    }

    /// The region that the environment or the profile names.
    ///
    /// # Errors
    /// When none does.
    pub async fn region(&self) -> Result<String, AwsError> {
        if let Some((_, region)) = &self.0.given {
            return Ok(region.to_string());
        }
        let region = chain().await.region().map(ToString::to_string);
        region.ok_or(AwsError::NoRegion)
    }

    /// A request of an operation, signed with Signature Version 4.
    ///
    /// # Errors
    /// When nobody says who we are, or the request cannot be made.
    pub async fn request(&self, api: Api<'_>, operation: &str, body: Vec<u8>) -> Result<Request, AwsError> {
        let credentials = self.0.credentials().await?;
        signed(api, operation, body, credentials, now()).map_err(AwsError::Http)
    }

    /// Forgets the credentials, for they were refused: the next are asked for anew.
    pub async fn forget(&self) {
        *self.0.kept.lock().await = None;
    }
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("role", &self.0.role).finish_non_exhaustive()
    }
}

impl Who {
    async fn provider(&self) -> Option<SharedCredentialsProvider> {
        if let Some((given, _)) = &self.given {
            return Some(given.clone());
        }
        let chain = chain().await;
        match &self.role {
            None => chain.credentials_provider(),
            Some(role) => {
                let role = AssumeRoleProvider::builder(role).session_name(SESSION).configure(&chain);
                Some(SharedCredentialsProvider::new(role.build().await))
            }
        }
    }

    /// The kept answer of the chain while it lasts; else a new one, which whoever asks meanwhile waits for.
    async fn credentials(&self) -> Result<Credentials, AwsError> {
        let mut kept = self.kept.lock().await;
        let now = self::now();
        if let Some((answer, until)) = kept.as_ref()
            && now < *until
        {
            return answer.clone();
        }
        let none = |why: String| {
            let role = self.role.as_ref().map(|role| format!(" for {role}")).unwrap_or_default();
            AwsError::NoCredentials { role, why }
        };
        let ask = async {
            let provider = self.provider().await.ok_or_else(|| none("the chain is empty".to_owned()))?;
            provider.provide_credentials().await.map_err(|error| none(causes(&error)))
        };
        let answer = timeout(CHAIN_TIME_MAX, ask).await.unwrap_or(Err(AwsError::Slow));
        let until = match &answer {
            Ok(credentials) => credentials.expiry().and_then(|end| end.checked_sub(RENEW_BEFORE)).unwrap_or(now + KEPT),
            Err(_) => self::now() + NONE_KEPT,
        };
        kept.insert((answer, until)).0.clone()
    }
}

/// The standard chain as the environment and the profile's files have it now: it keeps what it read of them, so whoever asks
/// anew who we are begins with a new one.
async fn chain() -> SdkConfig {
    let tls = Provider::Rustls(CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, parts| {
        let mut connector = Connector::builder().tls_provider(tls.clone()).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(parts.and_then(|parts| parts.sleep_impl()));
        connector.build()
    });
    aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http).load().await
}

/// An error of Amazon's code with its causes, bounded. None of them shows a secret: they name files, variables and hosts.
fn causes(error: &dyn Error) -> String {
    let mut told = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push(error.to_string());
        cause = error.source();
    }
    told.dedup();
    text::shown(&told.join(": "))
}

/// Signs a request (IAM User Guide, "Create a signed AWS API request").
fn signed(
    api: Api<'_>,
    operation: &str,
    body: Vec<u8>,
    credentials: Credentials,
    now: SystemTime,
) -> Result<Request, HttpError> {
    let Api { endpoint, region, service, json } = api;
    let wrong = |why: String| HttpError::Setting(format!("{}: {why}", http::shown_url(endpoint)));
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| wrong(error.to_string()))?
        .into();
    let headers = [(CONTENT_TYPE.as_str(), json.content_type()), (TARGET, operation)];
    let signable = SignableRequest::new("POST", endpoint.as_str(), headers.into_iter(), SignableBody::Bytes(&body));
    let signable = signable.map_err(|error| wrong(error.to_string()))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| wrong(error.to_string()))?.into_parts();
    let mut request = Request::new(Method::POST, endpoint.clone());
    for (name, value) in headers.into_iter().chain(instructions.headers()) {
        let name = HeaderName::try_from(name).map_err(|error| wrong(error.to_string()))?;
        let mut value = HeaderValue::from_str(value).map_err(|error| wrong(error.to_string()))?;
        value.set_sensitive(name == AUTHORIZATION || name.as_str() == SESSION_TOKEN);
        request.headers_mut().insert(name, value);
    }
    *request.body_mut() = Some(body.into());
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::UNIX_EPOCH;

    fn keys(expiry: Option<SystemTime>) -> Credentials {
        Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            Some("session".into()),
            expiry,
            "test",
        )
    }

    #[test]
    fn a_signed_request_names_key_place_and_headers_and_shows_no_secret() {
        let endpoint = Url::parse("https://api.ecr.eu-west-1.amazonaws.com/").expect("a URL");
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let api = Api { endpoint: &endpoint, region: "eu-west-1", service: "ecr", json: Json::V1_1 };
        let request = signed(api, "X.DescribeImages", b"{}".to_vec(), keys(None), now);
        let request = request.expect("signed");
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let authorization = header("authorization");
        let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/eu-west-1/ecr/aws4_request, SignedHeaders=";
        assert!(authorization.starts_with(begin), "{authorization}");
        assert!(authorization.contains("content-type;host;x-amz-date;x-amz-security-token;x-amz-target"));
        assert_eq!((header("x-amz-date"), header("x-amz-security-token")), ("20231114T221320Z", "session"));
        assert_eq!(
            (header("x-amz-target"), header("content-type")),
            ("X.DescribeImages", "application/x-amz-json-1.1")
        );
        let shown = format!("{request:?}");
        assert!(!shown.contains("AKIDEXAMPLE") && !shown.contains("\"session\""), "{shown}");
    }

    #[tokio::test]
    async fn credentials_are_kept_until_shortly_before_their_end() {
        let check = async |left: Option<u64>, kept: bool| {
            let end = left.map(|left| now() + Duration::from_secs(left));
            let caller = Caller::of(SharedCredentialsProvider::new(keys(end)), "eu-west-1");
            caller.0.credentials().await.expect("credentials");
            let until = caller.0.kept.lock().await.as_ref().map(|(_, until)| *until).expect("kept");
            assert_eq!(until > now(), kept, "{left:?}");
            caller.forget().await;
            assert!(caller.0.kept.lock().await.is_none());
        };
        check(None, true).await;
        check(Some(3600), true).await;
        check(Some(200), false).await;
    }

    #[tokio::test]
    async fn a_chain_that_fails_is_not_asked_by_each_in_turn() {
        #[derive(Debug, Default)]
        struct Failing(Arc<AtomicU32>);
        impl ProvideCredentials for Failing {
            fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                self.0.fetch_add(1, Ordering::Relaxed);
                future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none here")))
            }
        }
        let asked = Arc::new(AtomicU32::new(0));
        let caller = Caller::of(SharedCredentialsProvider::new(Failing(Arc::clone(&asked))), "eu-west-1");
        let (one, other) = tokio::join!(caller.0.credentials(), caller.0.credentials());
        assert!(one.is_err() && one == other, "{one:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        caller.forget().await;
        assert!(caller.0.credentials().await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
