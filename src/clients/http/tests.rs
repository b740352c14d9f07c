//! HTTP as it goes wrong, on raw sockets, and TLS with an authority of our own.

use super::*;
use reqwest::header::HeaderValue;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::{Read as _, Write as _};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[test]
fn urls_are_shown_without_secrets() {
    let check = |url: &str, expected: &str| assert_eq!(shown_url(&Url::parse(url).expect("a URL")), expected);
    check("https://reg.example.com/v2/", "https://reg.example.com/v2/");
    check("http://reg:5000/a?token=secret#x", "http://reg:5000/a?…");
    check("https://bob:secret@reg.example.com/a", "https://reg.example.com/a");
    assert!(shown_url(&Url::parse(&format!("https://a/{}", "b".repeat(1000))).expect("a URL")).len() < 250);
}

#[test]
fn a_server_says_how_long_to_wait() {
    let now: Timestamp = "1994-11-06T08:49:00Z".parse().expect("a time");
    let check = |value: &str, expected: Option<u64>| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).expect("a value"))]);
        assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
    };
    check("0", Some(0));
    check("120", Some(120));
    check("99999999", Some(3600));
    check("Sun, 06 Nov 1994 08:49:37 GMT", Some(37));
    check("Sun, 06 Nov 1994 08:48:37 GMT", Some(0));
    check("soon", None);
    check("-5", None);
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

#[test]
fn a_bad_bundle_is_a_setting_to_change() {
    for bundle in [&b"not a certificate"[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let transport = Transport { ca: vec![bundle.to_vec()], ..Transport::default() };
        assert!(matches!(client(&transport), Err(HttpError::Setting(_))));
    }
    assert!(client(&Transport::default()).is_ok());
    assert!(blocking_client(&Transport::default()).is_ok());
}

/// Serves one connection with these bytes, then holds it open.
async fn serving(answer: &'static str) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/x?secret=1", listener.local_addr().expect("an address"));
    drop(tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let request = stream.read(&mut [0; 4096]).await.expect("a request");
        assert!(request > 0);
        stream.write_all(answer.as_bytes()).await.expect("written");
        std::future::pending::<()>().await;
    }));
    Url::parse(&url).expect("a URL")
}

async fn read(answer: &'static str, max: usize) -> Result<Vec<u8>, HttpError> {
    let url = serving(answer).await;
    let transport = Transport { timeout: Duration::from_millis(200), ..Transport::default() };
    let request = Request::new(Method::GET, url);
    let client = client(&transport).expect("a client");
    body(send(&client, request, &uncounted()).await?, max, "page").await
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let ten = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n";
    for answer in [ten, chunked] {
        assert_eq!(read(answer, 10).await, Ok(b"0123456789".to_vec()));
        assert!(matches!(read(answer, 9).await, Err(HttpError::TooLarge { limit: 9, .. })), "{answer}");
    }
    for stalled in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234"] {
        assert!(matches!(read(stalled, 10).await, Err(HttpError::TimedOut { .. })), "{stalled}");
    }
}

#[tokio::test]
async fn no_answer_is_counted_and_told_without_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://bob:hunter2@{}/x?secret=1", listener.local_addr().expect("an address"));
    drop(listener);
    let counted = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&counted);
    let counter: Counter = Arc::new(move |url: &Url, status| {
        seen.lock().expect("a lock").push((url.host_str().map(str::to_owned), status));
    });
    let request = Request::new(Method::GET, Url::parse(&url).expect("a URL"));
    let client = client(&Transport::default()).expect("a client");
    let error = send(&client, request, &counter).await.expect_err("nobody listens");
    let text = error.to_string();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{text}");
    assert!(text.contains("refused") && !text.contains("hunter2") && !text.contains("secret"), "{text}");
    assert_eq!(*counted.lock().expect("a lock"), [(Some("127.0.0.1".to_owned()), None)]);
}

/// Answers one TLS connection as `localhost`, whose certificate is of an authority that nobody knows.
///
/// The fixtures are made by openssl for a hundred years; their keys guard nothing.
fn serving_tls() -> Url {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("fixtures/server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("fixtures/server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a configuration");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://localhost:{}/", listener.local_addr().expect("an address").port());
    drop(std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        let mut connection = ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        // A client that does not trust us hangs up here.
        if stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("written");
        }
    }));
    Url::parse(&url).expect("a URL")
}

#[tokio::test]
async fn a_server_without_tls_is_told_by_its_name_and_what_to_write() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        let _read = socket.read(&mut [0; 4096]);
        let _written = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    }));
    let client = client(&Transport::default()).expect("a client");
    let url = Url::parse(&format!("https://127.0.0.1:{port}/v2/")).expect("a URL");
    let error = send(&client, Request::new(Method::GET, url), &uncounted()).await.expect_err("no TLS").to_string();
    let setting = format!("registries: {{ \"127.0.0.1:{port}\": {{ plain_http: true }} }}");
    assert!(error.contains("speaks plain HTTP") && error.contains(&setting), "{error}");
}

#[tokio::test]
async fn an_authority_of_our_own_is_trusted_where_it_is_named() {
    let authority = include_bytes!("fixtures/authority.pem").to_vec();
    for (ca, trusted) in [(vec![authority], true), (vec![], false)] {
        let client = client(&Transport { ca, ..Transport::default() }).expect("a client");
        match send(&client, Request::new(Method::GET, serving_tls()), &uncounted()).await {
            Ok(response) => assert_eq!((trusted, body(response, 2, "page").await), (true, Ok(b"ok".to_vec()))),
            Err(HttpError::NoRoots { .. }) => assert!(!trusted && system_roots().is_empty()),
            Err(error) => assert!(!trusted && error.to_string().contains("UnknownIssuer"), "{error}"),
        }
    }
}
