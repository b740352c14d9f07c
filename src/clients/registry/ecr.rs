//! Amazon ECR beside its registry: the password that it gives for AWS credentials, and what it tells of a repository's images.
//!
//! Operations: Amazon ECR API Reference, "GetAuthorizationToken" and "DescribeImages". Manifests, blobs and tags are moved
//! through the registry itself, as on any other.

use super::Bounds;
use super::answers::{Room, Share};
use super::credentials::{Login, Proof};
use super::error::{RegistryError, nonsense};
use super::host::{Host, name_of};
use super::pace::HostState;
use super::tags::{ListedTag, Listing, Mark, TOLD_BYTES};
use crate::clients::aws::{self, Api, AwsError, Caller, Failure, Json};
use crate::clients::http::{self, Counter, Transport};
use crate::model::ecr::Place;
use crate::model::{Digest, Repository, Tag, TagList};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::{Method, Response, StatusCode, Url};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio::time::Instant;

/// The registry that everybody may read.
const PUBLIC: &str = "public.ecr.aws";
/// The one region where its API answers.
const PUBLIC_REGION: &str = "us-east-1";
/// How many images are asked for at once, the most that is allowed.
const PAGE_IMAGES: u32 = 1000;
/// The largest page: a thousand images with a hundred tags each.
const PAGE_BYTES_MAX: usize = 32 << 20;
/// How many pages are read: ten million images, a hundred times the quota of a repository.
const PAGES_MAX: usize = 10_000;
/// How long a password lives where its end makes no sense: it is said to live for twelve hours.
const LIFE_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// The longest life that is believed, the one that is documented.
const LIFE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// How long the API is left alone that says that it is asked too often.
const THROTTLED: Duration = Duration::from_secs(5);

/// The operation that gives the password of the registry itself.
const AUTHORIZE: &str = "GetAuthorizationToken";
/// The operation that tells what a repository holds.
const DESCRIBE: &str = "DescribeImages";

/// The API of one registry.
pub(super) struct Ecr {
    caller: Caller,
    place: Option<Place>,
    public: bool,
    endpoint: Option<Url>,
    transport: Transport,
    counter: Counter,
    door: OnceCell<Door>,
    login: Mutex<Option<(Login, Instant)>>,
}

/// Where the API answers.
struct Door {
    region: String,
    host: Host,
}

impl Ecr {
    /// The API beside a host, at `endpoint` where that is not the usual place.
    pub(super) fn new(
        host: &str,
        caller: Caller,
        endpoint: Option<Url>,
        transport: Transport,
        counter: Counter,
    ) -> Self {
        let (place, public) = (Place::of(host), host == PUBLIC);
        let (door, login) = (OnceCell::new(), Mutex::default());
        Self { caller, place, public, endpoint, transport, counter, door, login }
    }

    /// Whether it tells of images: the public one does so to their owner alone.
    pub(super) fn describes(&self) -> bool {
        !self.public
    }

    /// Who we are at the registry itself: `AWS` and a password that is renewed in good time.
    pub(super) async fn login(&self) -> Result<Login, RegistryError> {
        let mut kept = self.login.lock().await;
        let now = Instant::now();
        if let Some((login, until)) = kept.as_ref()
            && now < *until
        {
            return Ok(login.clone());
        }
        let mut room = self.door().await?.host.answers.room();
        let answer: Authorized = read(self.ask(AUTHORIZE, &json!({})).await?, AUTHORIZE, &mut room).await?;
        let Some(authorization) = answer.authorization_data.first() else {
            return Err(RegistryError::Invalid(format!("{}: the answer holds no token", self.shown())));
        };
        let password = BASE64_STANDARD.decode(&authorization.authorization_token).ok();
        let password = password.and_then(|bytes| String::from_utf8(bytes).ok());
        let password = password.as_deref().and_then(|pair| pair.strip_prefix("AWS:"));
        let Some(password) = password else {
            return Err(RegistryError::Invalid(format!("{}: the token is none of user and password", self.shown())));
        };
        let proof = Proof::Password("AWS".to_owned(), SecretString::from(password));
        let login = Login::named(proof, "Amazon ECR");
        let until = now + life(authorization.expires_at, aws::now()) * 4 / 5;
        Ok(kept.insert((login, until)).0.clone())
    }

    /// Forgets the password that was refused; a newer one stays.
    pub(super) async fn forget(&self, refused: &Login) {
        self.login.lock().await.take_if(|(login, _)| login.id() == refused.id());
    }

    /// What a repository holds under tags, with digests and push times; none where that is as it was at `last`. Pages are
    /// taken in as `turns` allows.
    pub(super) async fn list(
        &self,
        repository: &Repository,
        last: Option<&Mark>,
        turns: &Semaphore,
        answers: &Share,
    ) -> Result<Option<Listing>, RegistryError> {
        let (mut told, mut token): (Vec<ListedTag>, Option<String>) = (Vec::new(), None);
        let mut room = answers.room();
        for page in 0.. {
            if page >= PAGES_MAX {
                let too_long = format!("{repository}: DescribeImages has more than {PAGES_MAX} pages");
                return Err(RegistryError::Invalid(too_long));
            }
            let mut asked = json!({
                "repositoryName": repository.path(), "maxResults": PAGE_IMAGES, "filter": { "tagStatus": "TAGGED" }
            });
            if let (Some(place), Some(asked)) = (&self.place, asked.as_object_mut()) {
                asked.insert("registryId".to_owned(), place.account.clone().into());
            }
            if let (Some(token), Some(asked)) = (&token, asked.as_object_mut()) {
                asked.insert("nextToken".to_owned(), token.clone().into());
            }
            let answer = self.ask(DESCRIBE, &asked).await?;
            let turn = turns.acquire().await;
            let (before, url) = (room.bytes(), answer.url().clone());
            let Described { image_details, next_token } = read(answer, DESCRIBE, &mut room).await?;
            let n_before = told.len();
            told.extend(image_details.iter().flat_map(Image::told));
            room.give_back(room.bytes() - before);
            room.take((told.len() - n_before) * TOLD_BYTES, &url)?;
            drop(turn);
            if next_token.is_some() && next_token == token {
                return Err(RegistryError::Invalid(format!("{repository}: DescribeImages goes round in a circle")));
            }
            token = next_token;
            if token.is_none() {
                break;
            }
        }
        told.sort_unstable_by(|a, b| a.tag.cmp(&b.tag));
        let mark = Mark::of_told(&told);
        if mark.is_as(last) {
            return Ok(None);
        }
        let tags: TagList = told.iter().map(|told| &told.tag).collect();
        Ok(Some(Listing { tags, told, mark }))
    }

    async fn door(&self) -> Result<&Door, RegistryError> {
        let open = async {
            let region = match &self.place {
                Some(place) => place.region.clone(),
                None if self.public => PUBLIC_REGION.to_owned(),
                None => self.caller.region().await.map_err(not_signed)?,
            };
            let (name, plain_http) = match &self.endpoint {
                // The configuration refuses it where it can tell that an entry is about ECR.
                Some(endpoint) if endpoint.path() != "/" => return Err(below_a_path(endpoint)),
                Some(endpoint) => (endpoint.authority().to_owned(), endpoint.scheme() == "http"),
                None => (self.usual_host(&region), false),
            };
            // Amazon throttles its API early, for all that an account does.
            let requests_at_first = self.transport.requests_per_second.get();
            let transport = Transport { plain_http, requests_at_first, ..self.transport.clone() };
            Ok(Door { region, host: Host::new(&name, transport, Bounds::none(), self.counter.clone())? })
        };
        self.door.get_or_try_init(|| open).await
    }

    /// How its host is spoken to just now, once it is known.
    pub(super) fn state(&self) -> Option<HostState> {
        let api = &self.door.get()?.host;
        Some(api.pace.state(&name_of(&api.base)))
    }

    fn usual_host(&self, region: &str) -> String {
        match &self.place {
            Some(place) => place.api.clone(),
            None if self.public => format!("api.ecr-public.{region}.amazonaws.com"),
            None => format!("api.ecr.{region}.amazonaws.com"),
        }
    }

    /// One operation; once more where our credentials had run out.
    async fn ask(&self, operation: &str, asked: &Value) -> Result<Response, RegistryError> {
        let Door { region, host } = self.door().await?;
        let (service, target) = match self.public {
            true => ("ecr-public", format!("SpencerFrontendService.{operation}")),
            false => ("ecr", format!("AmazonEC2ContainerRegistry_V20150921.{operation}")),
        };
        let mut again = true;
        loop {
            let body = asked.to_string().into_bytes();
            let api = Api { endpoint: &host.base, region, service, json: Json::V1_1 };
            let request = self.caller.request(api, &target, body).await.map_err(not_signed)?;
            let response = host.send(request, true).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let refusal = host.refusal(&Method::POST, response, &Login::nobody("AWS credentials")).await;
            let failure = Failure::of(&refusal.body);
            if again && failure.says_expired() {
                self.caller.forget().await;
                again = false;
                continue;
            }
            return Err(refused(&failure, &format!("{} {operation}", refusal.request), refusal.status));
        }
    }

    fn shown(&self) -> String {
        self.door.get().map_or_else(|| "ECR".to_owned(), |door| http::shown_url(&door.host.base))
    }
}

async fn read<T: DeserializeOwned>(answer: Response, operation: &str, room: &mut Room) -> Result<T, RegistryError> {
    let url = answer.url().clone();
    let bytes = room.read_json(answer, PAGE_BYTES_MAX, "answer of ECR").await?;
    serde_json::from_slice(&bytes).map_err(|_| nonsense(&url, &format!("the answer to {operation} makes no sense")))
}

fn below_a_path(endpoint: &Url) -> RegistryError {
    let endpoint = http::shown_url(endpoint);
    RegistryError::Refused(format!(
        "{endpoint}: not asked: ECR's API is asked at a host, not below a path of one; leave the path out of `endpoint_url`"
    ))
}

fn not_signed(error: AwsError) -> RegistryError {
    match error {
        AwsError::NoCredentials { .. } | AwsError::NoRegion => RegistryError::Refused(error.to_string()),
        AwsError::Slow => RegistryError::Unreachable(error.to_string()),
        AwsError::Http(error) => error.into(),
    }
}

/// How long a password lives, by the end that is told in seconds since 1970.
fn life(end: Option<f64>, now: SystemTime) -> Duration {
    let end = end.and_then(|end| Duration::try_from_secs_f64(end).ok()).and_then(|end| UNIX_EPOCH.checked_add(end));
    let left = end.and_then(|end| end.duration_since(now).ok());
    left.filter(|left| !left.is_zero()).map_or(LIFE_DEFAULT, |left| left.min(LIFE_MAX))
}

/// One authorization of the public registry, a list of them of all others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorized {
    #[serde(deserialize_with = "one_or_many")]
    authorization_data: Vec<Authorization>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_token: String,
    expires_at: Option<f64>,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Authorization>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<Authorization>),
        One(Authorization),
    }
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::Many(many) => many,
        OneOrMany::One(one) => vec![one],
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    #[serde(default)]
    image_details: Vec<Image>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    image_digest: String,
    /// Absent where no tag names it.
    #[serde(default)]
    image_tags: Vec<String>,
    /// In seconds since 1970. It belongs to the digest: a tag that is moved to it changes nothing.
    image_pushed_at: Option<f64>,
}

impl Image {
    fn told(&self) -> Vec<ListedTag> {
        let Ok(digest) = Digest::parse(&self.image_digest) else { return Vec::new() };
        let pushed = self.image_pushed_at.and_then(time);
        let tags = self.image_tags.iter().filter_map(|tag| Tag::parse(tag).ok());
        tags.map(|tag| ListedTag { tag, digest: digest.clone(), pushed }).collect()
    }
}

fn time(seconds: f64) -> Option<Timestamp> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_millisecond(i64::try_from(since.as_millis()).ok()?).ok()
}

/// What a failed operation means.
fn refused(failure: &Failure, request: &str, status: StatusCode) -> RegistryError {
    let answer = failure.shown(request, status);
    if failure.name() == "RepositoryNotFoundException" {
        return RegistryError::Absent(format!(
            "{answer}; is the repository spelled right, and in this account and region?"
        ));
    }
    if failure.says_throttled() {
        let message = format!("{answer}; it is left alone for a while");
        return RegistryError::Busy { message, retry_after: Some(THROTTLED) };
    }
    if status.is_server_error() {
        return RegistryError::Unreachable(format!("{answer}; it is asked again later"));
    }
    RegistryError::Refused(format!(
        "{answer}; the AWS credentials need ecr:GetAuthorizationToken and ecr:DescribeImages there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::SharedCredentialsProvider;

    #[test]
    fn passwords_live_as_long_as_is_sensible() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let check = |end: Option<f64>, expected| assert_eq!(life(end, now), expected, "{end:?}");
        check(Some(1_000_100.5), Duration::from_millis(100_500));
        check(Some(1e12), LIFE_MAX);
        check(Some(999_999.0), LIFE_DEFAULT);
        check(Some(f64::NAN), LIFE_DEFAULT);
        check(None, LIFE_DEFAULT);
    }

    #[tokio::test]
    async fn a_refusal_of_an_older_password_ends_no_newer_one() {
        let keys =
            SharedCredentialsProvider::new(aws_credential_types::Credentials::new("id", "key", None, None, "test"));
        let caller = Caller::of(keys, "eu-west-1");
        let ecr = Ecr::new("reg.example.com", caller, None, Transport::default(), http::uncounted());
        let login = |password: &str| Login::named(Proof::Password("AWS".to_owned(), password.into()), "Amazon ECR");
        *ecr.login.lock().await = Some((login("new"), Instant::now() + LIFE_DEFAULT));
        ecr.forget(&login("old")).await;
        assert!(ecr.login.lock().await.is_some());
        ecr.forget(&login("new")).await;
        assert!(ecr.login.lock().await.is_none());
    }

    #[test]
    fn answers() {
        for answer in [
            r#"{"authorizationData":[{"authorizationToken":"QQ==","expiresAt":1.5,"proxyEndpoint":"https://x"}]}"#,
            r#"{"authorizationData":{"authorizationToken":"QQ=="}}"#,
        ] {
            let read: Authorized = serde_json::from_str(answer).expect("an answer");
            assert_eq!(read.authorization_data.len(), 1, "{answer}");
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        let answer = format!(
            r#"{{"imageDetails":[{{"registryId":"1","imageDigest":"{digest}","imageTags":["1.0","x/y"],"imagePushedAt":1700000000.25}},
            {{"imageDigest":"{digest}"}},{{"imageDigest":"odd","imageTags":["z"]}}],"nextToken":"t"}}"#
        );
        let read: Described = serde_json::from_str(&answer).expect("an answer");
        let told: Vec<ListedTag> = read.image_details.iter().flat_map(Image::told).collect();
        let pushed = Timestamp::from_millisecond(1_700_000_000_250).ok();
        let one =
            ListedTag { tag: Tag::parse("1.0").expect("a tag"), digest: Digest::parse(&digest).expect("one"), pushed };
        assert_eq!((told, read.next_token.as_deref()), (vec![one], Some("t")));
    }

    #[test]
    fn failures() {
        let check = |status: u16, body: &str, expected: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            let error = format!("{:?}", refused(&Failure::of(body), "POST https://api.ecr DescribeImages", status));
            assert!(error.starts_with(expected), "{body}: {error}");
        };
        check(400, r#"{"__type":"RepositoryNotFoundException","message":"no"}"#, "Absent");
        check(400, r#"{"__type":"com.amazonaws.ecr#RepositoryNotFoundException","message":"no"}"#, "Absent");
        check(400, r#"{"__type":"RepositoryNotFoundException","message":"no","Message":"no"}"#, "Absent");
        check(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#, "Busy");
        check(400, r#"{"__type":"AccessDeniedException","Message":"not allowed"}"#, "Refused");
        check(500, r#"{"__type":"ServerException","message":"oops"}"#, "Unreachable");
        check(502, "<html>", "Unreachable");
    }
}
