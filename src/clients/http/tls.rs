//! TLS: whom we trust, and the certificate by which a server knows us.
//!
//! No process-wide setting of the TLS library is read or set.

use super::HttpError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret as _, SecretString};
use std::error::Error;
use std::sync::{Arc, OnceLock};

/// A certificate that a server is shown when it asks for one.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate and those between it and an authority that the server knows, as PEM.
    pub chain: Vec<u8>,
    /// Its private key, as PEM (PKCS#8, PKCS#1 or SEC1), without a passphrase.
    pub key: SecretString,
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && self.key.expose_secret() == other.key.expose_secret()
    }
}

impl Eq for ClientCertificate {}

/// TLS with the machine's roots and these.
pub(super) fn config(ca: &[Vec<u8>], client: Option<&ClientCertificate>) -> Result<ClientConfig, HttpError> {
    let mut roots = RootCertStore::empty();
    // The machine's bundle may hold a certificate that webpki refuses; the rest is still good.
    roots.add_parsable_certificates(system_roots().iter().cloned());
    for bundle in ca {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            let certificate = certificate.map_err(|error| unreadable("the CA bundle", &error))?;
            roots.add(certificate).map_err(|error| unreadable("the CA bundle", &error))?;
        }
        if roots.len() == before {
            return Err(HttpError::Setting("the CA bundle holds no PEM certificate".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Setting(error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let (chain, key) = parsed(client)?;
            let said = |error| unreadable("the client certificate with its key", &error);
            builder.with_client_auth_cert(chain, key).map_err(said)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn parsed(client: &ClientCertificate) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), HttpError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&client.chain).collect();
    let chain = chain.map_err(|error| unreadable("the client certificate", &error))?;
    if chain.is_empty() {
        return Err(HttpError::Setting("the client certificate holds no PEM certificate".to_owned()));
    }
    // The parser's own words may hold a line of the key.
    let key = PrivateKeyDer::from_pem_slice(client.key.expose_secret().as_bytes()).map_err(|_| {
        HttpError::Setting("the client certificate's key holds no PEM private key that has no passphrase".to_owned())
    })?;
    Ok((chain, key))
}

fn unreadable(what: &str, error: &dyn Error) -> HttpError {
    HttpError::Setting(format!("{what} cannot be used: {error}"))
}

/// The machine's certificate authorities, read once; SSL_CERT_FILE and SSL_CERT_DIR are honoured.
pub(super) fn system_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}
