//! What counts at once of a configuration that was read again while the daemon runs, and what waits for a restart.
//!
//! What a request, a reading or a judgement looks up each time counts at once. What a task or a client was made from at
//! the start waits: `docs/operating.md` lists both.

use super::settings::{Config, ServerSettings};

/// A configuration that was read again, against the one in use.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// The one in use from now on: what counts at once is new, the rest is as it was.
    pub config: Config,
    /// The keys that differ on the disk and wait for a restart.
    pub waiting: Vec<&'static str>,
}

/// Takes what counts at once out of `read` into `running`.
#[must_use]
pub fn reload(running: &Config, read: Config) -> Reloaded {
    // Each key is named here, so that a new one is put on one side or the other.
    let Config {
        mode,
        repositories,
        policies,
        policy_names,
        floors,
        limits,
        registries,
        gitlab,
        egress,
        journal,
        server,
    } = read;
    let ServerSettings { listen, read: reading, access, webhooks, queue } = server;
    let mut config = running.clone();
    (config.floors, config.limits, config.registries) = (floors, limits, registries);
    config.journal.keep = journal.keep;
    config.server.access = access;
    let mut has_repositories_waiting = repositories.len() != running.repositories.len();
    for (name, settings) in repositories {
        match config.repositories.get_mut(&name) {
            Some(in_use) => {
                in_use.may = settings.may.clone();
                has_repositories_waiting |= *in_use != settings;
            }
            None => has_repositories_waiting = true,
        }
    }
    let waiting = [
        ("mode", mode != running.mode),
        ("repositories", has_repositories_waiting),
        ("policies", (policies, policy_names) != (running.policies.clone(), running.policy_names.clone())),
        ("gitlab", gitlab != running.gitlab),
        ("egress", egress != running.egress),
        ("journal.url", journal.url != running.journal.url),
        ("server.listen", listen != running.server.listen),
        ("server.read", reading != running.server.read),
        ("server.webhooks", webhooks != running.server.webhooks || queue != running.server.queue),
    ];
    Reloaded { config, waiting: waiting.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const RUNNING: &str = "
repositories: { default: { url: 'https://git.example.com/deploys.git', policies: policies/, may: { write: ['a/**'] } } }
server:
  access: [{ who: { name: alice, token: { file: /run/alice } }, may: [hold], on: ['*'] }]
";

    fn config(text: &str) -> Config {
        let text = text.to_owned();
        let config = super::super::load(Path::new("tagrelay.yaml"), &move |_| Ok(text.clone()));
        config.unwrap_or_else(|errors| panic!("{}", errors.render(false)))
    }

    #[test]
    fn each_key_counts_at_once_or_waits_for_a_restart() {
        let running = config(RUNNING);
        let table: [(&str, &str, &[&str]); 10] = [
            ("", "", &[]),
            ("name: alice", "name: bob", &[]),
            ("may: { write: ['a/**'] }", "may: { write: [] }", &[]),
            ("server:", "registries: { 'reg.io': { plain_http: true } }\nserver:", &[]),
            ("server:", "limits: { changes: 3 }\nserver:", &[]),
            ("server:", "mode: observe\nserver:", &["mode"]),
            ("deploys.git", "others.git", &["repositories"]),
            ("server:", "journal: sqlite:///other.db\nserver:", &["journal.url"]),
            ("server:", "journal: { keep: 400d }\nserver:", &[]),
            ("server:", "egress: { private: true }\nserver:\n  listen: 127.0.0.1:9090", &["egress", "server.listen"]),
        ];
        for (from, to, waiting) in table {
            let reloaded = reload(&running, config(&RUNNING.replace(from, to)));
            assert_eq!(reloaded.waiting, waiting, "{to}");
        }
    }

    #[test]
    fn what_counts_is_new_and_what_waits_is_as_it_was() {
        let read = RUNNING.replace("alice", "bob").replace("deploys.git", "others.git").replace("a/**", "b/**");
        let read =
            read.replace("server:", "limits: { changes: 3 }\nregistries: { 'reg.io': { plain_http: true } }\nserver:");
        let Reloaded { config, waiting } = reload(&config(RUNNING), config(&read));
        assert_eq!(waiting, ["repositories"]);
        assert_eq!((config.server.access[0].name.as_str(), config.limits.changes), ("bob", 3));
        assert!(config.registries.of("reg.io").is_some_and(|settings| settings.plain_http));
        let repository = &config.repositories["default"];
        assert_eq!(repository.url, "https://git.example.com/deploys.git");
        assert_eq!(repository.may.write.as_ref().expect("a bound")[0].as_str(), "b/**");
    }
}
