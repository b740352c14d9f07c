//! Git remotes to test against: a path, the sandbox's git server, and a real web server.
//!
//! Histories are written by `git fast-import` straight into the bare repository, so that our code has no part in them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tagrelay::clients::git::{Author, Mirror, NewCommit, Remote, location};
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::model::CommitId;
use tagrelay::sandbox::World as Sandbox;
use tempfile::TempDir;

/// The password that the sandbox asks for.
pub(super) const TOKEN: &str = "glpat-hunter2";

/// Who serves repositories.
pub(super) struct World {
    pub(super) name: &'static str,
    server: Server,
    scratch: TempDir,
    count: AtomicUsize,
}

enum Server {
    Path,
    Sandbox(Box<Sandbox>),
    /// Its URL and the directory below it.
    Real(String, PathBuf),
}

impl World {
    /// Repositories that are reached by their path.
    pub(super) fn path() -> Self {
        Self::new("path", Server::Path)
    }

    /// The sandbox's git server, which asks for [`TOKEN`].
    pub(super) async fn sandbox() -> Self {
        let sandbox = Sandbox::start().await.expect("a sandbox");
        sandbox.git.require_token(Some(TOKEN));
        Self::new("sandbox", Server::Sandbox(Box::new(sandbox)))
    }

    /// A web server at this URL that serves the repositories in this directory.
    pub(super) fn real(url: String, root: String) -> Self {
        Self::new("real", Server::Real(url, root.into()))
    }

    fn new(name: &'static str, server: Server) -> Self {
        Self { name, server, scratch: tempfile::tempdir().expect("a directory"), count: AtomicUsize::new(0) }
    }

    /// The sandbox's git server, with its faults and its record; nothing elsewhere.
    pub(super) fn git(&self) -> Option<&tagrelay::sandbox::git::Git> {
        match &self.server {
            Server::Sandbox(sandbox) => Some(&sandbox.git),
            Server::Path | Server::Real(..) => None,
        }
    }

    /// Begins to count requests anew.
    pub(super) fn forget(&self) {
        self.git().into_iter().for_each(|git| git.face.forget());
    }

    /// How many requests were made since, where somebody counts.
    pub(super) fn requests(&self) -> usize {
        self.git().map_or(0, |git| git.face.requests().len())
    }

    /// Whether this is a server and not a path.
    pub(super) fn is_served(&self) -> bool {
        !matches!(self.server, Server::Path)
    }

    /// A bare repository without commits, of a server that can leave contents away.
    pub(super) async fn repository(&self) -> Repository {
        // A real server's directory is shared by all runs.
        let run = self.scratch.path().file_name().expect("a name").display().to_string();
        let name = format!("{}-{}", run.trim_start_matches('.'), self.count.fetch_add(1, Ordering::Relaxed));
        let (path, url) = match &self.server {
            Server::Path => {
                let path = self.scratch.path().join(&name);
                (path.clone(), path.display().to_string())
            }
            Server::Real(url, root) => (root.join(format!("{name}.git")), format!("{url}{name}.git")),
            Server::Sandbox(sandbox) => {
                let made = sandbox.git.create(&name, &[("README", "")]).await.expect("made");
                (made.path().to_owned(), made.url().to_owned())
            }
        };
        let repository = Repository { path, url, mirrors: tempfile::tempdir().expect("a directory") };
        std::fs::create_dir_all(&repository.path).expect("made");
        repository.git(&["init", "-q", "--bare", "-b", "main", "."]);
        repository.git(&["update-ref", "-d", "refs/heads/main"]);
        for (key, value) in [
            ("uploadpack.allowFilter", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("http.receivepack", "true"),
        ] {
            repository.git(&["config", key, value]);
        }
        repository
    }
}

/// A bare repository that is served.
pub(super) struct Repository {
    pub(super) path: PathBuf,
    pub(super) url: String,
    mirrors: TempDir,
}

/// A commit to write, by whom and on what.
pub(super) struct Deed<'a> {
    pub(super) branch: &'a str,
    pub(super) parents: &'a [&'a CommitId],
    /// Mode, path and content; no content removes the file.
    pub(super) files: &'a [(&'a str, &'a str, Option<&'a str>)],
    pub(super) message: &'a str,
}

impl Repository {
    /// A mirror of it in a directory of that name.
    pub(super) fn mirror(&self, name: &str) -> Mirror {
        self.mirror_as(name, TOKEN)
    }

    pub(super) fn mirror_as(&self, name: &str, token: &str) -> Mirror {
        let token = token.to_owned();
        let remote = Remote {
            url: location(&self.url).expect("a location"),
            username: "oauth2".to_owned(),
            token: Some(std::sync::Arc::new(move || Ok(token.as_str().into()))),
            transport: Transport { plain_http: true, ..Transport::default() },
        };
        Mirror::open(&self.mirror_path(name), remote, uncounted()).expect("a mirror")
    }

    pub(super) fn mirror_path(&self, name: &str) -> PathBuf {
        self.mirrors.path().join(name)
    }

    /// Runs git in the served repository and returns what it prints.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments, "")
    }

    /// Writes a commit, and moves its branch there whatever it stood on.
    pub(super) fn commit(&self, deed: &Deed<'_>) -> CommitId {
        let script = format!("{}get-mark :1\n", script(deed, 1, ""));
        let out = git(&self.path, &["fast-import", "--quiet", "--force"], &script);
        CommitId::parse(out.trim()).expect("a commit")
    }

    /// A commit with plain files.
    pub(super) fn write(&self, branch: &str, parents: &[&CommitId], files: &[(&str, &str)], message: &str) -> CommitId {
        let files: Vec<_> = files.iter().map(|(path, content)| ("100644", *path, Some(*content))).collect();
        self.commit(&Deed { branch, parents, files: &files, message })
    }

    /// So many commits on top of one, each writing its number to a file.
    pub(super) fn pile(&self, on: &CommitId, count: usize, path: &str) -> CommitId {
        let mut script = String::new();
        for number in 1..=count {
            let content = number.to_string();
            let files = [("100644", path, Some(content.as_str()))];
            let deed = Deed { branch: "main", parents: &[], files: &files, message: "foreign" };
            let from = if number == 1 { format!("from {on}\n") } else { format!("from :{}\n", number - 1) };
            script.push_str(&self::script(&deed, number, &from));
        }
        script.push_str(&format!("get-mark :{count}\n"));
        let out = git(&self.path, &["fast-import", "--quiet", "--force"], &script);
        CommitId::parse(out.trim()).expect("a commit")
    }

    /// What git itself says of the objects in a mirror: how many of that kind.
    pub(super) fn objects(&self, mirror: &str, kind: &str) -> usize {
        let all = ["cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"];
        git(&self.mirror_path(mirror), &all, "").lines().filter(|line| *line == kind).count()
    }
}

/// The clock of all written commits: each is a second after the one before.
static CLOCK: AtomicI64 = AtomicI64::new(1_700_000_000);

fn script(deed: &Deed<'_>, mark: usize, from: &str) -> String {
    let now = CLOCK.fetch_add(1, Ordering::Relaxed);
    let mut script = format!(
        "{}commit refs/heads/{}\nmark :{mark}\ncommitter Ann <ann@example.com> {now} +0000\ndata {}\n{}\n{from}",
        if deed.parents.is_empty() && from.is_empty() {
            format!("reset refs/heads/{}\n\n", deed.branch)
        } else {
            String::new()
        },
        deed.branch,
        deed.message.len(),
        deed.message
    );
    for (index, parent) in deed.parents.iter().enumerate() {
        script.push_str(&format!("{} {parent}\n", if index == 0 { "from" } else { "merge" }));
    }
    for (mode, path, content) in deed.files {
        match content {
            Some(content) => script.push_str(&format!("M {mode} inline {path}\ndata {}\n{content}\n", content.len())),
            None => script.push_str(&format!("D {path}\n")),
        }
    }
    script.push('\n');
    script
}

fn git(directory: &Path, arguments: &[&str], input: &str) -> String {
    use std::io::Write as _;
    let mut child = std::process::Command::new("git")
        .args(["-c", "safe.directory=*"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("git is installed");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// A commit of ours with these files.
pub(super) fn ours(files: &[(&str, Option<&str>)], message: &str) -> NewCommit {
    let files = files.iter().map(|(path, content)| ((*path).to_owned(), content.map(str::to_owned))).collect();
    NewCommit { files, message: message.to_owned() }
}

pub(super) fn author() -> Author {
    Author { name: "tagrelay".to_owned(), email: "tagrelay@example.com".to_owned() }
}
