//! Which proxy a host is reached through.
//!
//! What the environment says of proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) is read by reqwest.

use super::HttpError;
use reqwest::{ClientBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};

/// Which proxy a host is reached through.
#[derive(Debug, Clone, Default)]
pub enum Proxy {
    /// The environment's, if it names one for the host.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// The one at this URL, whatever the environment says. User and password may be in it.
    At(SecretString),
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::At(one), Self::At(other)) => one.expose_secret() == other.expose_secret(),
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Proxy {}

impl Proxy {
    pub(super) fn on(&self, builder: ClientBuilder) -> Result<ClientBuilder, HttpError> {
        match self {
            Self::Environment => Ok(builder),
            Self::Direct => Ok(builder.no_proxy()),
            Self::At(url) => {
                let unusable = || {
                    HttpError::Setting(
                        "the proxy's URL cannot be used; write it as in `http://proxy.example.com:3128`".to_owned(),
                    )
                };
                let url = checked(url.expose_secret()).ok_or_else(unusable)?;
                Ok(builder.proxy(reqwest::Proxy::all(url).map_err(|_| unusable())?))
            }
        }
    }
}

fn checked(url: &str) -> Option<Url> {
    let url = Url::parse(url.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_proxy_is_refused_without_its_password() {
        let at = |url: &str| Proxy::At(url.into());
        for good in ["http://proxy:3128", "https://proxy.example.com", "http://bob:hunter2@10.0.0.1:3128/\n"] {
            assert!(at(good).on(ClientBuilder::new()).is_ok(), "{good}");
        }
        for bad in ["", "hunter2", "proxy:3128", "socks5://bob:hunter2@proxy", "http://bob:hunter2@", "http://"] {
            let refused = at(bad).on(ClientBuilder::new()).map(|_| ()).expect_err("unusable");
            assert!(matches!(&refused, HttpError::Setting(why) if !why.contains("hunter2")), "{refused}");
        }
        assert!(!format!("{:?}", at("http://bob:hunter2@proxy")).contains("hunter2"));
    }

    #[test]
    fn a_changed_password_is_another_proxy() {
        assert_eq!(Proxy::At("http://a:1@b".into()), Proxy::At("http://a:1@b".into()));
        assert_ne!(Proxy::At("http://a:1@b".into()), Proxy::At("http://a:2@b".into()));
        assert_eq!(Proxy::Direct, Proxy::Direct);
        assert_ne!(Proxy::Direct, Proxy::Environment);
    }
}
