//! Registries that want a certificate of ours, and registries behind a proxy, as the configuration names both.

use super::proxy::{Proxy, head};
use super::registry_credentials::{Files, configured};
use super::tags;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use tagrelay::clients::registry::{Registry, RegistryError};
use tagrelay::model::Repository;

/// The host that certificates are for and that no name service knows.
const HOST: &str = "registry.corp.test";

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = parameters.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(parameters, key) }
    }

    /// A certificate and its key, for these names.
    fn certificate(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(names).expect("parameters");
        (parameters.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }
}

/// A registry with one tag everywhere, which speaks TLS, and with nobody that shows no certificate where it asks for one.
fn serving(authority: &Authority, asks: bool) -> SocketAddr {
    let (certificate, key) = authority.certificate(&["localhost", HOST]);
    let of = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(of(&authority.pem)).expect("an authority");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config =
        if asks { config.with_client_cert_verifier(verifier.expect("roots")) } else { config.with_no_client_auth() };
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = Arc::new(config.with_single_cert(vec![of(&certificate)], key).expect("a configuration"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            std::thread::spawn(move || answer(StreamOwned::new(connection, socket)));
        }
    });
    address
}

fn answer(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) {
    // Whoever is not trusted, or does not trust us, is gone here.
    if head(&mut stream).is_empty() {
        return;
    }
    let answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).and_then(|()| stream.write_all(br#"{"tags":["1.0"]}"#)).expect("written");
    stream.conn.send_close_notify();
    stream.flush().ok();
}

fn at(host: &str) -> Repository {
    Repository::parse(&format!("{host}/team/shop")).expect("a repository")
}

fn certified(files: &Files, host: &str) -> Registry {
    let named = |name: &str| format!("{{ file: {:?} }}", files.path(name));
    let (ca, cert, key) = (named("ca.pem"), named("cert.pem"), named("key.pem"));
    configured(&format!("{host:?}: {{ ca: {ca}, client_cert: {{ cert: {cert}, key: {key} }}, proxy: none }}"))
}

#[tokio::test]
async fn a_registry_that_asks_for_a_certificate_is_shown_ours() {
    let (authority, other) = (Authority::new(), Authority::new());
    let address = serving(&authority, true);
    let host = format!("localhost:{}", address.port());
    let files = Files::new();
    files.write("ca.pem", &authority.pem);
    let bare = configured(&format!("{host:?}: {{ ca: {{ file: {:?} }}, proxy: none }}", files.path("ca.pem")));
    let error = tags(&bare, &at(&host)).await.expect_err("no certificate").to_string();
    assert!(error.contains("the server wants a client certificate"), "{error}");

    let registry = certified(&files, &host);
    let error = tags(&registry, &at(&host)).await.expect_err("no file").to_string();
    assert!(error.contains("cert.pem cannot be read"), "{error}");
    let write = |(certificate, key): (String, String)| {
        files.write("cert.pem", &certificate);
        files.write("key.pem", &key);
    };
    write(other.certificate(&["tagrelay"]));
    let error = tags(&registry, &at(&host)).await.expect_err("a stranger's");
    assert!(matches!(error, RegistryError::Unreachable(_)), "{error}");
    write(authority.certificate(&["tagrelay"]));
    assert_eq!(tags(&registry, &at(&host)).await, Ok(vec!["1.0".to_owned()]), "a renewed file counts at once");
    files.write("key.pem", "-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----\n");
    let error = tags(&registry, &at(&host)).await.expect_err("no key").to_string();
    assert!(error.contains("holds no PEM private key") && !error.contains("hunter2"), "{error}");
}

/// A client of a registry that only a proxy reaches.
fn proxied(ca: &Path, proxy: &str) -> Registry {
    configured(&format!("{HOST}: {{ ca: {{ file: {ca:?} }}, proxy: {proxy} }}"))
}

#[tokio::test]
async fn a_registry_is_reached_through_the_proxy_that_is_named() {
    let authority = Authority::new();
    let address = serving(&authority, false);
    let files = Files::new();
    files.write("ca.pem", &authority.pem);
    let proxy = Proxy::to(address, None);
    let ours = proxied(&files.path("ca.pem"), &format!("\"http://{}\"", proxy.address));
    assert_eq!(tags(&ours, &at(HOST)).await, Ok(vec!["1.0".to_owned()]));
    let asked = proxy.asked();
    assert!(asked.iter().all(|head| head.starts_with("CONNECT registry.corp.test:443 HTTP/1.1\r\n")), "{asked:?}");
    assert!(!asked.is_empty() && !asked.iter().any(|head| head.contains("tags")), "it sees no request: {asked:?}");

    let error = tags(&proxied(&files.path("ca.pem"), "none"), &at(HOST)).await.expect_err("no such name");
    assert!(matches!(error, RegistryError::Unreachable(_)), "{error}");
    assert_eq!(proxy.asked().len(), asked.len(), "`none` is none");
}

#[tokio::test]
async fn a_proxy_is_shown_its_user_and_nobody_else_is() {
    let authority = Authority::new();
    let address = serving(&authority, false);
    let files = Files::new();
    files.write("ca.pem", &authority.pem);
    // bob:hunt@er2
    let proxy = Proxy::to(address, Some("proxy-authorization: Basic Ym9iOmh1bnRAZXIy\r\n"));
    let ours = proxied(&files.path("ca.pem"), &format!("{{ file: {:?} }}", files.path("proxy")));
    files.write("proxy", &format!("http://bob:wrong-one@{}\n", proxy.address));
    let error = tags(&ours, &at(HOST)).await.expect_err("the wrong password").to_string();
    assert!(error.contains("the proxy opens no way there") && error.contains("authorization"), "{error}");
    assert!(!error.contains("wrong-one"), "{error}");
    files.write("proxy", &format!("http://bob:hunt%40er2@{}\n", proxy.address));
    assert_eq!(tags(&ours, &at(HOST)).await, Ok(vec!["1.0".to_owned()]), "a changed password counts at once");
    files.write("proxy", "bob:hunt%40er2");
    let error = tags(&ours, &at(HOST)).await.expect_err("no URL").to_string();
    assert!(error.contains("the proxy's URL cannot be used") && !error.contains("hunt"), "{error}");
    files.write("proxy", "http://bob:hunt%40er2@127.0.0.1:1");
    let error = tags(&ours, &at(HOST)).await.expect_err("nobody listens").to_string();
    assert!(error.contains("or its proxy?") && !error.contains("hunt"), "{error}");
}
