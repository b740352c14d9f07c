//! An OCI registry (distribution-spec 1.1) that answers as CNCF distribution v3 does.
//!
//! It keeps nothing on disk, deletes nothing by itself and knows no webhooks. What one host does differently is a
//! setting here, what goes wrong is a [fault](super::fault).

mod auth;
mod blobs;
pub mod ecr;
mod image;
mod manifests;
mod store;
#[cfg(test)]
mod tests;

pub use auth::{Auth, Bearer};
pub use image::ImageSpec;

use self::auth::Door;
use self::store::{Store, Unfit};
use super::effects::Effects;
use super::face::{Face, System};
use super::fault::{Fault, Moment};
use super::{Error, held};
use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The registry: what is in it, and its face.
#[derive(Debug)]
pub struct Registry {
    /// Its HTTP face: URL, faults, record.
    pub face: Face,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    store: Mutex<Store>,
    door: Mutex<Door>,
    page_cap: Mutex<Option<usize>>,
}

impl Registry {
    pub(super) async fn start(effects: Effects) -> Result<Self, Error> {
        let state = Arc::new(State::default());
        let face = Face::start(Arc::clone(&state), effects).await.map_err(Error::io("listen as the registry"))?;
        Ok(Self { face, state })
    }

    /// The host and port that image references begin with.
    #[must_use]
    pub fn host(&self) -> String {
        self.face.address().to_string()
    }

    /// Asks who comes in this way from now on.
    pub fn require(&self, auth: Auth) {
        held(&self.state.door).auth = auth;
    }

    /// Gives somebody an account: all may pull from every repository.
    pub fn add_account(&self, user: &str, password: &str, may_push: bool) {
        held(&self.state.door).add_account(user, password, may_push);
    }

    /// Ends every token given out so far, though it was said to live longer.
    pub fn expire_tokens(&self) {
        held(&self.state.door).expire_tokens();
    }

    /// Says when a build was pushed, in seconds since 1970.
    pub fn pushed_at(&self, repository: &str, digest: &str, seconds: f64) {
        held(&self.state.store).repository(repository).pushed.insert(digest.to_owned(), seconds);
    }

    /// Lists at most so many tags or referrers on a page, whatever is asked, as GHCR and Quay do.
    pub fn cap_pages(&self, tags: Option<usize>) {
        *held(&self.state.page_cap) = tags;
    }

    /// Builds an image and pushes it, as CI would; the digest of what the tag then names.
    ///
    /// # Errors
    /// When the specification has no platform.
    pub fn push_image(&self, repository: &str, tag: &str, spec: &ImageSpec) -> Result<String, Error> {
        spec.push(held(&self.state.store).repository(repository), tag).map_err(|unfit| {
            let why = match unfit {
                Unfit::Invalid(why) => why.to_owned(),
                Unfit::Missing(digest) => format!("{digest} is missing"),
            };
            Error::Refused { what: format!("to push {repository}:{tag}"), why }
        })
    }

    /// Signs what a digest names as cosign and notation would: a referrer of it, and a tag `sha256-<hex>.sig`; the digest
    /// of the referrer.
    ///
    /// # Errors
    /// When the repository has no such manifest.
    pub fn sign(&self, repository: &str, digest: &str) -> Result<String, Error> {
        let mut store = held(&self.state.store);
        let found = store.repositories.get_mut(repository).filter(|found| found.manifests.contains_key(digest));
        let found = found.ok_or_else(|| Error::unknown("manifest", &format!("{repository}@{digest}")))?;
        image::sign(found, digest).map_err(|_| Error::unknown("manifest", digest))
    }

    /// The digests of all manifests of a repository.
    #[must_use]
    pub fn manifests(&self, repository: &str) -> Vec<String> {
        let store = held(&self.state.store);
        store.repositories.get(repository).map(|found| found.manifests.keys().cloned().collect()).unwrap_or_default()
    }

    /// Moves a tag to a digest that the repository has, as a person would.
    ///
    /// # Errors
    /// When the repository has no such manifest.
    pub fn retag(&self, repository: &str, tag: &str, digest: &str) -> Result<(), Error> {
        let mut store = held(&self.state.store);
        let found = store.repositories.get_mut(repository).filter(|found| found.manifests.contains_key(digest));
        let found = found.ok_or_else(|| Error::unknown("manifest", &format!("{repository}@{digest}")))?;
        found.tags.insert(tag.to_owned(), digest.to_owned());
        Ok(())
    }

    /// Removes a tag, or a manifest by its digest with all its tags; whether there was one.
    pub fn remove(&self, repository: &str, reference: &str) -> bool {
        held(&self.state.store).repositories.get_mut(repository).is_some_and(|found| found.remove(reference))
    }

    /// The fault that a tag is moved while a request waits, or removed, where it is given no digest.
    #[must_use]
    pub fn meanwhile_tagged(&self, moment: Moment, repository: &str, tag: &str, digest: Option<&str>) -> Fault {
        let (state, repository) = (Arc::clone(&self.state), repository.to_owned());
        let (tag, digest) = (tag.to_owned(), digest.map(str::to_owned));
        Fault::meanwhile(moment, move || {
            let mut store = held(&state.store);
            let tags = &mut store.repository(&repository).tags;
            drop(tags.remove(&tag));
            tags.extend(digest.clone().map(|digest| (tag.clone(), digest)));
            std::future::ready(())
        })
    }

    /// The fault that every token ends while a request waits.
    #[must_use]
    pub fn meanwhile_expired(&self, moment: Moment) -> Fault {
        let state = Arc::clone(&self.state);
        Fault::meanwhile(moment, move || {
            held(&state.door).expire_tokens();
            std::future::ready(())
        })
    }

    /// The tags of a repository, in the registry's order; none where there is no such repository.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let store = held(&self.state.store);
        store.repositories.get(repository).map(|found| found.tags.keys().cloned().collect()).unwrap_or_default()
    }

    /// What a tag names.
    #[must_use]
    pub fn digest_of(&self, repository: &str, tag: &str) -> Option<String> {
        held(&self.state.store).repositories.get(repository)?.tags.get(tag).cloned()
    }

    /// How many requests its token endpoint has had.
    #[must_use]
    pub fn token_requests(&self) -> usize {
        self.face.requests().iter().filter(|asked| asked.path == "/token").count()
    }
}

impl System for State {
    const NAME: &'static str = "registry";

    fn mutates(request: &Request<Bytes>) -> bool {
        let reads = request.uri().path() == "/token" || ecr::operation(request.headers()).is_some();
        !matches!(*request.method(), Method::GET | Method::HEAD) && !reads
    }

    async fn answer(self: Arc<Self>, request: Request<Bytes>) -> Response {
        let mut response = self.route(&request);
        response.headers_mut().insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
        response
    }
}

/// What a path below `/v2/` names.
enum Place<'a> {
    Tags,
    Manifest(&'a str),
    Referrers(&'a str),
    Uploads,
    Upload(&'a str),
    Blob(&'a str),
}

/// Splits `<name>/<kind>/<last>`; the name may hold slashes, so it is sought from the end.
fn place(path: &str) -> Option<(&str, Place<'_>)> {
    let (rest, last) = path.rsplit_once('/')?;
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        return Some((name, if last.is_empty() { Place::Uploads } else { Place::Upload(last) }));
    }
    let (name, kind) = rest.rsplit_once('/')?;
    let place = match (kind, last) {
        ("tags", "list") => Place::Tags,
        ("manifests", _) => Place::Manifest(last),
        ("referrers", _) => Place::Referrers(last),
        ("blobs", "uploads") => Place::Uploads,
        ("blobs", _) => Place::Blob(last),
        _ => return None,
    };
    Some((name, place))
}

impl State {
    fn route(&self, request: &Request<Bytes>) -> Response {
        let path = request.uri().path();
        let is_amazons = held(&self.door).is_amazons();
        if is_amazons && let Some(operation) = ecr::operation(request.headers()) {
            return ecr::answer(self, operation, request);
        }
        if path == "/token" {
            return held(&self.door).give_token(request);
        }
        let Some(below) = path.strip_prefix("/v2/").or((path == "/v2").then_some("")) else {
            return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
        };
        let (name, place) = match place(below) {
            Some((name, place)) => (name, Some(place)),
            None if below.is_empty() => ("", None),
            None => return (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
        };
        if let Err(turned_away) = held(&self.door).check(request, name) {
            return *turned_away;
        }
        match place {
            None => Json(json!({})).into_response(),
            Some(Place::Tags) => manifests::tags(self, name, request),
            Some(Place::Manifest(reference)) => manifests::manifest(self, name, reference, request),
            Some(Place::Referrers(subject)) => manifests::referrers(self, name, subject, request),
            Some(Place::Uploads) => blobs::begin_upload(self, name, request),
            Some(Place::Upload(upload)) => blobs::upload(self, name, upload, request),
            Some(Place::Blob(digest)) => blobs::blob(self, name, digest, request),
        }
    }
}

/// The fault that this registry refuses with an error of its own (`TOOMANYREQUESTS`, `DENIED`, ..).
#[must_use]
pub fn refusing(status: u16, code: &str, message: &str) -> Fault {
    Fault::answer(status).body("application/json", errors(code, message, &Value::Null).to_string())
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    refusal_with(status, code, message, &Value::Null)
}

fn refusal_with(status: StatusCode, code: &str, message: &str, detail: &Value) -> Response {
    (status, Json(errors(code, message, detail))).into_response()
}

fn errors(code: &str, message: &str, detail: &Value) -> Value {
    let mut error = json!({ "code": code, "message": message });
    if !detail.is_null() {
        error["detail"] = detail.clone();
    }
    json!({ "errors": [error] })
}
