//! Which daemon is asked: the one that the command line names, else the one of the configuration, else one on this machine.

use crate::cli::{Drawn, print, run};
use crate::journal::Journal;
use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The configuration that is looked for where none is named.
pub(super) const CONFIGURATION: &str = "tagrelay.yaml";
/// Where a daemon listens whose configuration says nothing of it.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The daemon that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Daemon {
    /// Its address.
    pub(super) url: Url,
    /// The journal that the configuration names, where that can be read here: the daemon must answer from it.
    pub(super) journal: Option<Kept>,
}

/// A journal on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its id.
    pub(super) id: String,
    /// The configuration that names it.
    pub(super) by: PathBuf,
}

/// The daemon that is asked where the command line names this server and this configuration.
pub(super) async fn daemon(server: Option<&Url>, config: Option<&Path>) -> anyhow::Result<Daemon> {
    if let Some(url) = server {
        return Ok(Daemon { url: url.clone(), journal: None });
    }
    let found = Path::new(CONFIGURATION);
    let Some(path) = config.or_else(|| found.exists().then_some(found)) else {
        return Ok(Daemon { url: at(ADDRESS)?, journal: None });
    };
    let config = run::configuration(path).map_err(|errors| {
        let drawn = errors.render(print::complains_in_colour());
        Drawn(format!(
            "{drawn}\n\nA daemon that runs goes on with the last good configuration: name it with --server URL"
        ))
    })?;
    let journal = Journal::open_for_reading(&config.journal.url).await.ok();
    let journal = journal.map(|journal| Kept { id: journal.id().to_owned(), by: path.to_owned() });
    Ok(Daemon { url: at(config.server.listen)?, journal })
}

/// The URL under which a program on this machine reaches a daemon that listens on this address.
fn at(listen: SocketAddr) -> anyhow::Result<Url> {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    Ok(format!("http://{}", SocketAddr::new(ip, listen.port())).parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_configuration_says_where_its_daemon_listens() {
        let folder = tempfile::tempdir().expect("a folder");
        for (listen, expected) in [
            ("127.0.0.1:8085", "http://127.0.0.1:8085/"),
            ("0.0.0.0:8086", "http://127.0.0.1:8086/"),
            ("'[::]:8087'", "http://[::1]:8087/"),
        ] {
            let path = folder.path().join("tagrelay.yaml");
            let text = format!(
                "policies: policies\nrepositories: {{}}\njournal: sqlite://{}/none.db\nserver: {{ listen: {listen} }}\n",
                folder.path().display()
            );
            std::fs::write(&path, text).expect("written");
            let daemon = daemon(None, Some(&path)).await.expect("a daemon");
            assert_eq!((daemon.url.as_str(), daemon.journal), (expected, None), "{listen}");
        }
        let named = "http://tagrelay.example.com/".parse().expect("a URL");
        let asked = daemon(Some(&named), Some(&folder.path().join("nothing.yaml"))).await.expect("a daemon");
        assert_eq!(asked, Daemon { url: named, journal: None });
        let missing = daemon(None, Some(&folder.path().join("nothing.yaml"))).await.expect_err("no configuration");
        assert!(missing.to_string().contains("nothing.yaml"), "{missing}");
    }
}
