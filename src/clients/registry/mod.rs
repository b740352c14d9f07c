//! OCI registries: which tags and builds there are, the facts of a build, and moving a tag.
//!
//! It speaks distribution-spec 1.1 with token authentication and one host's quirks at a time. It retries nothing but the
//! pieces of a copy, keeps no facts, unpacks no layers and decides nothing; what a cloud's own API tells better has a client of its own.

mod answers;
mod authorization;
mod challenge;
mod copy;
mod credentials;
mod docker;
mod ecr;
mod error;
mod facts;
mod grant;
mod helper;
mod host;
mod identity;
mod keep;
mod manifest;
mod met;
mod origin;
mod pace;
mod patience;
mod realms;
mod retag;
mod session;
mod tags;
mod times;
mod token;

pub use copy::{Carriage, Copied};
pub use credentials::{Credentials, docker_config};
pub use error::RegistryError;
pub use grant::MayPush;
pub use keep::Removed;
pub use met::Met;
pub use pace::HostState;
pub use retag::Retagged;
pub use tags::{Last, ListedTag, Listing, Mark};

use self::answers::Answers;
use self::ecr::Ecr;
use self::host::Host;
use self::session::{Access, Session};
use super::aws::Caller;
use super::egress::Egress;
use super::http::{Counter, Transport};
use crate::model::{BuildFacts, Digest, ImageName, Provider, Release, Repository, Tag};
use crate::relay::attach::Attach;
use crate::relay::gate::Cleared;
use crate::relay::keep::{Kept, Lapsed};
use reqwest::Url;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// How many pages of lists are taken in at once, of all hosts together: to parse them costs time. Nobody holds one of these turns while a host is waited for to begin its answer.
const PAGES_AT_ONCE: usize = 8;
/// How many lists of tags of one host are read at once.
const LISTS_OF_HOST_MAX: usize = 4;

/// How to speak to one host, and as whom.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// Whose registry it is.
    pub provider: Provider,
    /// Who asks its provider's own API, where that is Amazon's.
    pub amazon: Option<Caller>,
    /// Where its provider's own API answers, where that is not the usual place.
    pub endpoint: Option<Url>,
    /// Its connection.
    pub transport: Transport,
    /// Who reads.
    pub pull: Credentials,
    /// Who moves tags; nobody may where there is none.
    pub push: Option<Credentials>,
}

/// What bounds the requests to one host, and whom its credentials may be shown to.
#[derive(Clone)]
pub struct Bounds {
    /// Where the host may be; none where a person named it in the configuration: it may be anywhere.
    pub egress: Option<Arc<Egress>>,
    /// Whether the configuration names a host (with its port where that is not the usual one), so that it may see
    /// credentials of registries that have their realm there.
    pub names: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Bounds {
    /// For a host that a person named, whose realm has its own name.
    #[must_use]
    pub fn none() -> Self {
        Self { egress: None, names: Arc::new(|_| false) }
    }
}

/// The client of all registries. Clones share connections and tokens.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    settings: Box<dyn Fn(&str) -> HostSettings + Send + Sync>,
    bounds: Box<dyn Fn(&str) -> Bounds + Send + Sync>,
    counter: Counter,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    pages: Semaphore,
    answers: Answers,
}

impl Registry {
    /// A client that asks for a host's settings before each operation, so that a changed password is used at once.
    #[must_use]
    pub fn new(settings: impl Fn(&str) -> HostSettings + Send + Sync + 'static, counter: Counter) -> Self {
        Self::bounded(settings, |_| Bounds::none(), counter)
    }

    /// The same, for hosts that policies name: each within its bounds.
    #[must_use]
    pub fn bounded(
        settings: impl Fn(&str) -> HostSettings + Send + Sync + 'static,
        bounds: impl Fn(&str) -> Bounds + Send + Sync + 'static,
        counter: Counter,
    ) -> Self {
        Self(Arc::new(Shared {
            settings: Box::new(settings),
            bounds: Box::new(bounds),
            counter,
            hosts: Mutex::default(),
            pages: Semaphore::new(PAGES_AT_ONCE),
            answers: Answers::default(),
        }))
    }

    /// What a repository holds; none where that is as it was at `last`. Names that no tag can have are left out. Where
    /// `times` are wanted, more requests may be made for them: for those of tags that are new since `last`, which is to be
    /// a list that was read with times, and of which what was told is kept.
    ///
    /// # Errors
    /// As [`RegistryError`] says; a repository that does not exist is `Absent`.
    pub async fn list(
        &self,
        repository: &Repository,
        times: bool,
        last: Option<&dyn Last>,
    ) -> Result<Option<Listing>, RegistryError> {
        let (host, settings) = self.host(repository)?;
        let (_turn, pages) = (host.lists.acquire().await, &self.0.pages);
        if let (Credentials::Amazon, Some(ecr)) = (&settings.pull, host.ecr.as_ref().filter(|ecr| ecr.describes())) {
            // On the heap, as below: thousands may wait here for a slow host, and few of them come this way.
            return Box::pin(ecr.list(repository, last.map(Last::mark), pages, &host.answers)).await;
        }
        let session = session(&host, &settings.pull, repository, Access::Pull);
        // A list that is as it was is read all the same when it is time to ask for its push times again.
        let last = last.filter(|_| !times || !host.times.is_due(repository.path()));
        let Some(mut listing) = tags::list(&session, times, last.map(Last::mark), pages).await? else {
            return Ok(None);
        };
        if times && listing.told.is_empty() {
            let endpoint = settings.endpoint.as_ref();
            let told = times::told(&session, settings.provider, endpoint, &listing.tags, last);
            listing.told = Box::pin(told).await?;
        }
        Ok(Some(listing))
    }

    /// Why nothing was told of when a repository's tags were pushed, where its registry could have told it.
    #[must_use]
    pub fn no_times(&self, repository: &Repository) -> Option<String> {
        let hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(repository.host())?.times.why_none(repository.path())
    }

    /// The digest that a tag names: the index, where there is one. None where there is no such tag or repository.
    ///
    /// # Errors
    /// As [`RegistryError`] says.
    pub async fn digest(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        let (host, settings) = self.host(repository)?;
        manifest::digest(&session(&host, &settings.pull, repository, Access::Pull), tag).await
    }

    /// Whether a build is there, by its digest: one request, which carries no manifest.
    ///
    /// # Errors
    /// As [`RegistryError`] says.
    pub async fn has(&self, repository: &Repository, digest: &Digest) -> Result<bool, RegistryError> {
        let (host, settings) = self.host(repository)?;
        let session = session(&host, &settings.pull, repository, Access::Pull);
        Ok(manifest::named(&session, digest.as_str()).await?.is_some())
    }

    /// What a tag names, as [`Self::digest`] tells it, for whoever goes on to [`Self::facts_of`]: one request, whose answer
    /// holds the manifest already, except on Docker Hub, which counts that as a pull.
    ///
    /// # Errors
    /// As [`RegistryError`] says; a manifest that is none, or does not have the digest it came with, is `Invalid`.
    pub async fn meet(&self, repository: &Repository, tag: &Tag) -> Result<Option<Met>, RegistryError> {
        let (host, settings) = self.host(repository)?;
        met::meet(&session(&host, &settings.pull, repository, Access::Pull), settings.provider, tag).await
    }

    /// The facts of what was met, as [`Self::facts`] tells them: where its manifest came along, one request less.
    ///
    /// # Errors
    /// As those of [`Self::facts`].
    pub async fn facts_of(&self, repository: &Repository, met: &Met) -> Result<BuildFacts, RegistryError> {
        let (host, settings) = self.host(repository)?;
        met::facts(&session(&host, &settings.pull, repository, Access::Pull), met).await
    }

    /// The facts of a build, which never change: two requests, three for an index that names its platforms. What only
    /// others know (`pushed`, `seen`) is left open.
    ///
    /// # Errors
    /// As [`RegistryError`] says; a build that is gone is `Absent`, one that does not have its digest is `Invalid`.
    pub async fn facts(&self, repository: &Repository, digest: &Digest) -> Result<BuildFacts, RegistryError> {
        let (host, settings) = self.host(repository)?;
        facts::read(&session(&host, &settings.pull, repository, Access::Pull), digest).await
    }

    /// Makes a tag name the build of `image` in the release that was cleared, unless it does.
    ///
    /// # Errors
    /// As [`RegistryError`] says; a tag that may not move is `Immutable`. After `Unreachable` it may have moved: look.
    pub async fn retag(
        &self,
        cleared: &Cleared,
        image: &ImageName,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Retagged, RegistryError> {
        self.tag(repository, build(cleared.release(), image, repository)?, tag).await
    }

    /// Makes the tag of a release that is kept name its build of `image`, unless it does.
    ///
    /// # Errors
    /// As [`RegistryError`] says; a build that is gone is `Absent`. After `Unreachable` it may have been made: look.
    pub async fn keep(
        &self,
        kept: &Kept,
        image: &ImageName,
        repository: &Repository,
    ) -> Result<Retagged, RegistryError> {
        self.tag(repository, build(kept.release(), image, repository)?, kept.tag()).await
    }

    /// Removes the tag of a release that is kept no longer, where it names its build of `image`.
    ///
    /// # Errors
    /// As [`RegistryError`] says. That these credentials or this registry remove no tag is no error.
    pub async fn let_go(
        &self,
        lapsed: &Lapsed,
        image: &ImageName,
        repository: &Repository,
    ) -> Result<Removed, RegistryError> {
        let digest = build(lapsed.release(), image, repository)?;
        let (host, settings) = self.host(repository)?;
        let push = pusher(&settings, repository, lapsed.tag())?;
        let session = session(&host, push, repository, Access::Delete);
        match keep::remove(&session, digest, lapsed.tag()).await {
            // A realm that grants no such right says so before the registry can.
            Err(RegistryError::Refused(why)) => Ok(Removed::Unsupported(why)),
            removed => removed,
        }
    }

    /// Copies the build of an image in the release that was cleared, with its signatures and attestations: whatever the
    /// destination has already is left as it is, so that what was broken off goes on where it stood.
    ///
    /// # Errors
    /// As [`RegistryError`] says, with what was copied from where to where. What was copied until then stays.
    pub async fn copy(&self, cleared: &Cleared, carriage: &Carriage) -> Result<Copied, RegistryError> {
        let Carriage { image, from, to, tag } = carriage;
        let digest = build(cleared.release(), image, to)?;
        let ((source, reading), (target, writing)) = (self.host(from)?, self.host(to)?);
        let push = writing.push.as_ref().ok_or_else(|| nobody_may_push(&to.to_string(), to.host()))?;
        let source = Session { waits: true, ..session(&source, &reading.pull, from, Access::Pull) };
        let mounts = (from.host() == to.host()).then_some(from);
        let target = Session { mounts, waits: true, ..session(&target, push, to, Access::Push) };
        copy::copy(&source, &target, digest, tag.as_ref()).await
    }

    /// Copies what came to be attached to the build of an image after it was copied: signatures, attestations, scans.
    ///
    /// # Errors
    /// As of [`Registry::copy`].
    pub async fn attach(&self, attach: &Attach, carriage: &Carriage) -> Result<Copied, RegistryError> {
        let Carriage { image, from, to, tag: _ } = carriage;
        let digest = build(attach.release(), image, to)?;
        let ((source, reading), (target, writing)) = (self.host(from)?, self.host(to)?);
        let push = writing.push.as_ref().ok_or_else(|| nobody_may_push(&to.to_string(), to.host()))?;
        let source = session(&source, &reading.pull, from, Access::Pull);
        copy::attach(&source, &session(&target, push, to, Access::Push), digest).await
    }

    async fn tag(&self, repository: &Repository, digest: &Digest, tag: &Tag) -> Result<Retagged, RegistryError> {
        let (host, settings) = self.host(repository)?;
        let push = pusher(&settings, repository, tag)?;
        retag::retag(&session(&host, push, repository, Access::Push), digest, tag).await
    }

    /// Whether a repository may be read: one request.
    ///
    /// # Errors
    /// As [`RegistryError`] says; a repository that does not exist, or that this login may not see, is `Absent`.
    pub async fn may_pull(&self, repository: &Repository) -> Result<(), RegistryError> {
        let (host, settings) = self.host(repository)?;
        grant::may_pull(&session(&host, &settings.pull, repository, Access::Pull)).await
    }

    /// Whether a repository may be pushed to, as far as its host says without a push.
    ///
    /// # Errors
    /// As [`RegistryError`] says: nobody is set who may push, or the host refuses the login.
    pub async fn may_push(&self, repository: &Repository) -> Result<MayPush, RegistryError> {
        let (host, settings) = self.host(repository)?;
        let push = settings.push.as_ref().ok_or_else(|| nobody_may_push(&repository.to_string(), repository.host()))?;
        grant::may_push(&session(&host, push, repository, Access::Push)).await
    }

    /// How every host that was asked is spoken to just now, by name: registries, and the hosts of their providers' own APIs.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostState> {
        let hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states: Vec<HostState> = hosts.iter().flat_map(|(name, host)| host.states(name)).collect();
        states.sort_by(|a, b| a.host.cmp(&b.host));
        states.dedup_by(|next, kept| {
            let is_same = next.host == kept.host;
            if is_same {
                kept.add(next);
            }
            is_same
        });
        states
    }

    /// Makes the connections to all hosts anew, because what is set for them changed.
    pub fn forget_hosts(&self) {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn host(&self, repository: &Repository) -> Result<(Arc<Host>, HostSettings), RegistryError> {
        let name = repository.host();
        let settings = (self.0.settings)(name);
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name).filter(|host| host.transport == settings.transport) {
            return Ok((Arc::clone(host), settings));
        }
        let (transport, counter) = (settings.transport.clone(), Arc::clone(&self.0.counter));
        let mut host = Host::new(name, transport.clone(), (self.0.bounds)(name), Arc::clone(&counter))?;
        host.answers = self.0.answers.share();
        host.ecr = settings
            .amazon
            .clone()
            .map(|caller| Box::new(Ecr::new(name, caller, settings.endpoint.clone(), transport, counter)));
        let host = Arc::new(host);
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok((host, settings))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

/// The build of an image in a release.
fn build<'r>(release: &'r Release, image: &ImageName, of: &Repository) -> Result<&'r Digest, RegistryError> {
    let build = release.builds().get(image).map(|build| &build.digest);
    build.ok_or_else(|| RegistryError::Invalid(format!("{of}: release {} has no image {image}", release.id())))
}

/// Who moves a tag.
fn pusher<'s>(settings: &'s HostSettings, of: &Repository, tag: &Tag) -> Result<&'s Credentials, RegistryError> {
    settings.push.as_ref().ok_or_else(|| nobody_may_push(&format!("{of}:{tag}"), of.host()))
}

fn nobody_may_push(what: &str, host: &str) -> RegistryError {
    RegistryError::Refused(format!("{what}: nobody may push; set `push` for {host} under `registries`"))
}

fn session<'a>(
    host: &'a Host,
    credentials: &'a Credentials,
    repository: &'a Repository,
    access: Access,
) -> Session<'a> {
    Session { host, credentials, repository, access, mounts: None, streams: AtomicBool::new(false), waits: false }
}
