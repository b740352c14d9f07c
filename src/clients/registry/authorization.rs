//! What a request shows to a host: nothing, user and password, or a token from the host's realm.
//!
//! Some realms give tokens that are good for every repository (GHCR, Gitea), most do not (Docker Hub, GitLab, Harbor),
//! and none says which. So a repository without a token tries another's; when the host refuses one, it lends no more.

use super::challenge::Challenge;
use super::credentials::Login;
use super::error::{RegistryError, in_the_way, nonsense};
use super::host::held;
use super::origin;
use super::session::{Access, Session};
use super::token::{self, Token};
use crate::clients::http;
use reqwest::{Method, RequestBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// What a request shows.
pub(super) enum Shown {
    Nothing,
    Login,
    Token(token::Key, SecretString),
}

impl Shown {
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Puts it on a request.
    pub(super) fn on(&self, request: RequestBuilder, login: &Login) -> RequestBuilder {
        match self {
            Self::Nothing => request,
            Self::Login => login.show(request),
            Self::Token(_, token) => request.bearer_auth(token.expose_secret()),
        }
    }
}

impl Session<'_> {
    /// What the host wants to be shown, as far as it is known, with the token of this repository.
    pub(super) async fn what_to_show(&self, login: &Login) -> Result<Shown, RegistryError> {
        let challenge = held(&self.host.challenge).clone();
        match challenge {
            None => Ok(Shown::Nothing),
            Some(Challenge::Basic) if login.has_password() => Ok(Shown::Login),
            Some(Challenge::Basic) => Ok(Shown::Nothing),
            Some(Challenge::Bearer { realm, service }) => {
                let mounts = self.mounts().is_some();
                match self.token(&realm, service.clone(), login).await {
                    // Most realms grant less than was asked for; some refuse it all.
                    Err(RegistryError::Refused(_)) if mounts => {
                        self.streams.store(true, Ordering::Relaxed);
                        self.token(&realm, service, login).await
                    }
                    shown => shown,
                }
            }
        }
    }

    async fn token(&self, realm: &Url, service: Option<String>, login: &Login) -> Result<Shown, RegistryError> {
        let key = self.key(realm, service, login);
        let fetched = self.fetch_token(realm.clone(), &key, login);
        let token = self.host.tokens.get(&key, Instant::now(), fetched).await?;
        Ok(Shown::Token(key, token))
    }

    /// Another repository's token, where this one has none and the host may honour it.
    pub(super) fn what_to_borrow(&self, login: &Login) -> Option<Shown> {
        let challenge = held(&self.host.challenge).clone();
        match challenge {
            Some(Challenge::Bearer { realm, service }) if self.host.lends.load(Ordering::Relaxed) => {
                let key = self.key(&realm, service, login);
                let (lender, token) = self.host.tokens.borrow(&key, Instant::now())?;
                Some(Shown::Token(lender, token))
            }
            _ => None,
        }
    }

    /// Learns what the host wants, and whether showing that is any use after what was shown.
    pub(super) fn can_show_more(&self, learned: Option<Challenge>, shown: &Shown, login: &Login) -> bool {
        let Some(learned) = learned else { return false };
        let basic = learned == Challenge::Basic;
        *held(&self.host.challenge) = Some(learned);
        match shown {
            Shown::Nothing => !basic || login.has_password(),
            Shown::Login => !basic || self.credentials.may_change(),
            Shown::Token(..) => true,
        }
    }

    /// Forgets what was shown as this login, for it was refused.
    pub(super) async fn forget(&self, shown: &Shown, login: &Login) {
        if let Shown::Token(key, token) = shown {
            self.host.tokens.forget(key, token).await;
        }
        if !shown.is_nothing() {
            self.host.forget_login(login).await;
        }
    }

    fn key(&self, realm: &Url, service: Option<String>, login: &Login) -> token::Key {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
            Access::Delete => "pull,delete",
            Access::Metadata => "metadata_read",
        };
        let repository = self.repository.path().to_owned();
        let mounts = self.mounts().map(|repository| repository.path().to_owned());
        token::Key { realm: realm.to_string(), service, login: login.id(), repository, actions, mounts }
    }

    async fn fetch_token(&self, realm: Url, key: &token::Key, login: &Login) -> Result<Token, RegistryError> {
        let host = self.host;
        if let Err(why) = origin::may_lead_to(&host.base, &realm) {
            return Err(nonsense(
                &host.base,
                &format!("its token realm {} is refused: {why}", http::shown_url(&realm)),
            ));
        }
        host.may_ask(&realm)?;
        if !host.trusts(&realm) && (login.has_password() || login.identity().is_some()) {
            let (realm, name) = (http::shown_url(&realm), super::host::name_of(&realm));
            return Err(RegistryError::Refused(format!(
                "{}: its token realm {realm} is another host, which the credentials of this one are not shown to; \
                 if it is the right one, name it under `registries` of the configuration: `\"{name}\": {{}}`",
                http::shown_url(&host.base)
            )));
        }
        let asked_at = Instant::now();
        let answer = match login.identity() {
            Some(identity) => self.exchange(&realm, key, login, identity).await?,
            None => self.ask_realm(&realm, key, login).await?,
        };
        Token::read(&answer, asked_at).ok_or_else(|| in_the_way(&realm, "the answer holds no token"))
    }

    async fn ask_realm(&self, realm: &Url, key: &token::Key, login: &Login) -> Result<Vec<u8>, RegistryError> {
        let (host, mut url) = (self.host, realm.clone());
        url.query_pairs_mut().extend_pairs(key.service.iter().map(|service| ("service", service)));
        url.query_pairs_mut().extend_pairs(key.scopes().iter().map(|scope| ("scope", scope)));
        let request = login.show(host.client.get(url.clone())).build();
        let request = request.map_err(|error| http::failure(&Method::GET, &url, &error))?;
        let response = host.send(request, true).await?;
        if !response.status().is_success() {
            return Err(host.refusal(&Method::GET, response, login).await.into_error());
        }
        Ok(http::body(response, token::TOKEN_BYTES_MAX, "token").await?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Credentials;
    use super::super::host::Host;
    use super::super::session;
    use super::super::session::{Answer, Call};
    use super::*;
    use crate::clients::http::{Judged, Proxy, Transport, uncounted};
    use crate::model::Repository;
    use reqwest::dns::{Addrs, Name, Resolve, Resolving};
    use std::net::{IpAddr, SocketAddr};
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Every name is at this address.
    struct At(IpAddr);

    impl Resolve for At {
        fn resolve(&self, _: Name) -> Resolving {
            let address = SocketAddr::new(self.0, 0);
            Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
        }
    }

    /// Answers each request with `good` where it shows a token, else with `other`; how many came, and the port.
    async fn serving(good: String, other: String) -> (Arc<AtomicU32>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(AtomicU32::new(0));
        let n_asked = Arc::clone(&asked);
        drop(tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                n_asked.fetch_add(1, Ordering::Relaxed);
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.expect("a request");
                let text = String::from_utf8_lossy(request.get(..length).unwrap_or_default()).to_ascii_lowercase();
                let answer = if text.contains("authorization: bearer") { &good } else { &other };
                let answer = answer.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.expect("written");
            }
        }));
        (asked, port)
    }

    /// Asks a registry whose realm is at `realm`, where every name is at `address`; how often the realm was asked, and what
    /// came of it.
    async fn asking(registry: &str, realm: &str, address: &str) -> (u32, Result<(), RegistryError>) {
        let token = "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"token\":\"t\"}".to_owned();
        let (asked, realm_port) = serving(token.clone(), token).await;
        let challenge = format!("www-authenticate: Bearer realm=\"http://{realm}:{realm_port}/token\"");
        let (yes, no) = ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 401 Unauthorized\r\n");
        let (_, port) = serving(yes.to_owned(), format!("{no}{challenge}\r\ncontent-length: 0\r\n\r\n")).await;
        let transport = Transport { plain_http: true, proxy: Proxy::Direct, ..Transport::default() };
        let name = format!("{registry}:{port}");
        let names = Arc::new(At(address.parse().expect("an address")));
        let host = Host::among(&name, transport, uncounted(), |own| Judged::by(own, names)).expect("a host");
        let repository = Repository::parse(&format!("{name}/shop")).expect("a repository");
        let session = session(&host, &Credentials::Anonymous, &repository, Access::Pull);
        let call = Call {
            method: Method::GET,
            url: session.url("tags/list"),
            accept: "application/json",
            content: None,
            special: None,
        };
        let answer = session.ask(&call).await.and_then(Answer::accepted).map(drop);
        (asked.load(Ordering::Relaxed), answer)
    }

    #[tokio::test]
    async fn a_realm_whose_name_leads_to_nobody_is_not_asked() {
        assert_eq!(asking("reg.test", "auth.test", "127.0.0.1").await, (1, Ok(())), "whose name leads to somebody");
        // A connection to this one would arrive, as one to a metadata service would.
        let nobody = "0.0.0.0";
        let (n_asked, answer) = asking("127.0.0.1", "auth.test", nobody).await;
        let said = answer.expect_err("refused").to_string();
        assert_eq!(n_asked, 0, "{said}");
        assert!(said.contains("/token") && said.contains("auth.test is at 0.0.0.0, an unspecified address"), "{said}");
        assert_eq!(
            asking("reg.test", "reg.test", nobody).await,
            (1, Ok(())),
            "the registry itself, where it was named"
        );
    }
}
