//! A repository as people use it: commits by hand, reverts, resets, looking at branches; all with git's own plumbing.
//!
//! It never goes through the HTTP face, and it has no work tree: an index of its own for each commit is enough.

use super::plumbing::run;
use super::{Error, Git};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::watch;

/// How many commits of a branch are listed at most: a story makes tens, two hours of kills a thousand, a demo of weeks more.
const LOG_MAX: usize = 20_000;

/// A commit, as `git log` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full id.
    pub sha: String,
    /// Its author, `Name <email>`.
    pub author: String,
    /// Its whole message.
    pub message: String,
    /// The ids of its parents.
    pub parents: Vec<String>,
    /// When it was committed, in RFC 3339.
    pub committed: String,
}

/// A bare repository of the world; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) url: String,
    pub(super) path: PathBuf,
    /// Bumped after each change, whoever made it.
    pub(super) moved: Arc<watch::Sender<u64>>,
    /// Keeps the folder as long as anybody uses the repository.
    pub(super) _root: Arc<TempDir>,
}

impl Repository {
    /// Where it is served, for `git clone`; credentials are not part of it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bare repository on disk.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells of each change of the repository, pushed or made here.
    pub fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Commits on top of a branch, which is begun where there is none: text to write, or none to remove the file.
    /// The author reads `Name <email>`.
    ///
    /// # Errors
    /// When git refuses; also when somebody else moved the branch meanwhile.
    pub async fn commit(
        &self,
        branch: &str,
        files: &[(&str, Option<&str>)],
        message: &str,
        author: &str,
    ) -> Result<String, Error> {
        let tip = self.tip(branch).await?;
        // One process for all of it: each further one costs more than what it does.
        let told = import(branch, tip.as_deref(), files, message, author);
        self.git(&["fast-import", "--quiet", "--date-format=now"], &told).await?;
        self.bump();
        self.tip(branch).await?.ok_or_else(|| Error::unknown("branch", branch))
    }

    /// Undoes one commit on top of a branch, as `git revert` does.
    ///
    /// # Errors
    /// When the commit cannot be undone there any more.
    pub async fn revert(&self, branch: &str, sha: &str, author: &str) -> Result<String, Error> {
        let tip = self.tip(branch).await?.ok_or_else(|| Error::unknown("branch", branch))?;
        let subject = self.git(&["log", "-1", "--format=%s", sha], "").await?;
        let undone =
            self.git_raw(&["diff-tree", "-p", "--binary", "--full-index", sha, &format!("{sha}^")], "").await?;
        let scratch = self.scratch(Some(&tip)).await?;
        scratch.git(&["apply", "--cached", "-"], &undone).await?;
        let message = format!("Revert \"{subject}\"\n\nThis reverts commit {sha}.\n");
        scratch.commit(branch, Some(&tip), &message, author).await
    }

    /// Merges a branch into another with a merge commit, as a merge request does; the files are those of a clean merge.
    ///
    /// # Errors
    /// When the two conflict.
    pub async fn merge(&self, from: &str, into: &str, message: &str, author: &str) -> Result<String, Error> {
        let ours = self.tip(into).await?.ok_or_else(|| Error::unknown("branch", into))?;
        let theirs = self.tip(from).await?.ok_or_else(|| Error::unknown("branch", from))?;
        let tree = self.git(&["merge-tree", "--write-tree", &ours, &theirs], "").await?;
        let scratch = self.scratch(Some(&tree)).await?;
        let merged = scratch.commit_tree(&tree, &[&ours, &theirs], message, author).await?;
        self.move_branch(into, &merged, &ours).await?;
        Ok(merged)
    }

    /// Points a branch at a commit, whatever it held: a force push. A new branch is made so, too.
    ///
    /// # Errors
    /// When there is no such commit.
    pub async fn reset(&self, branch: &str, sha: &str) -> Result<(), Error> {
        self.git(&["update-ref", &reference(branch), sha], "").await?;
        self.bump();
        Ok(())
    }

    /// Puts a tag on a commit.
    ///
    /// # Errors
    /// When there is no such commit.
    pub async fn tag(&self, name: &str, sha: &str) -> Result<(), Error> {
        self.git(&["update-ref", &format!("refs/tags/{name}"), sha], "").await?;
        self.bump();
        Ok(())
    }

    /// Removes a branch.
    ///
    /// # Errors
    /// When git refuses.
    pub async fn remove_branch(&self, branch: &str) -> Result<(), Error> {
        self.git(&["update-ref", "-d", &reference(branch)], "").await?;
        self.bump();
        Ok(())
    }

    /// A file at a branch, tag or commit; none where there is none.
    ///
    /// # Errors
    /// When the revision is unknown.
    pub async fn read(&self, revision: &str, path: &str) -> Result<Option<String>, Error> {
        let listed = self.git(&["ls-tree", revision, "--", path], "").await?;
        if listed.is_empty() {
            return Ok(None);
        }
        self.git_raw(&["cat-file", "blob", &format!("{revision}:{path}")], "").await.map(Some)
    }

    /// The commits of a branch, tag or commit, newest first.
    ///
    /// # Errors
    /// When the revision is unknown.
    pub async fn log(&self, revision: &str) -> Result<Vec<Commit>, Error> {
        let format = "--format=%H%x00%an <%ae>%x00%P%x00%cI%x00%B%x00%x00";
        let all = self.git_raw(&["log", "--topo-order", &format!("-{LOG_MAX}"), format, revision, "--"], "").await?;
        let commit = |text: &str| {
            let mut parts = text.trim_start().splitn(5, '\0');
            Some(Commit {
                sha: parts.next()?.to_owned(),
                author: parts.next()?.to_owned(),
                parents: parts.next()?.split_whitespace().map(str::to_owned).collect(),
                committed: parts.next()?.to_owned(),
                message: parts.next()?.to_owned(),
            })
        };
        Ok(all.split("\0\0\n").filter_map(commit).collect())
    }

    /// The tip of a branch; none where there is no such branch.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn tip(&self, branch: &str) -> Result<Option<String>, Error> {
        self.resolve(&reference(branch)).await
    }

    /// The commit that a branch, tag, id or short id names; none where it names none.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn resolve(&self, revision: &str) -> Result<Option<String>, Error> {
        let commit = format!("{revision}^{{commit}}");
        match self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], "").await {
            Ok(sha) => Ok(Some(sha)),
            Err(Error::Git { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Names and tips of all branches (`heads`) or tags (`tags`), perhaps only of those that contain a commit.
    pub(in crate::sandbox) async fn references(
        &self,
        kind: &str,
        containing: Option<&str>,
    ) -> Result<Vec<(String, String)>, Error> {
        let below = format!("refs/{kind}/");
        let containing = containing.map(|sha| format!("--contains={sha}"));
        let format = "--format=%(refname:lstrip=2) %(objectname)";
        let arguments = ["for-each-ref", format, &below].into_iter().chain(containing.as_deref());
        let listed = self.git(&arguments.collect::<Vec<_>>(), "").await?;
        Ok(listed.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
    }

    /// The best common ancestor of commits; none where they have none.
    pub(in crate::sandbox) async fn merge_base(&self, commits: &[String]) -> Result<Option<String>, Error> {
        let arguments = ["merge-base", "--octopus"].into_iter().chain(commits.iter().map(String::as_str));
        match self.git(&arguments.collect::<Vec<_>>(), "").await {
            Ok(base) => Ok(Some(base)),
            Err(Error::Git { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn bump(&self) {
        self.moved.send_modify(|moves| *moves += 1);
    }

    /// Moves a branch only from where it was seen; an empty `from` means that it must not exist.
    async fn move_branch(&self, branch: &str, to: &str, from: &str) -> Result<(), Error> {
        self.git(&["update-ref", &reference(branch), to, from], "").await?;
        self.bump();
        Ok(())
    }

    /// An index of its own, filled from a commit or tree.
    async fn scratch(&self, tree: Option<&str>) -> Result<Scratch<'_>, Error> {
        let folder = TempDir::new().map_err(Error::io("make a folder for an index"))?;
        let scratch = Scratch { repository: self, folder };
        scratch.git(&["read-tree", tree.unwrap_or("--empty")], "").await?;
        Ok(scratch)
    }

    async fn git(&self, arguments: &[&str], input: &str) -> Result<String, Error> {
        Ok(self.git_raw(arguments, input).await?.trim_end().to_owned())
    }

    async fn git_raw(&self, arguments: &[&str], input: &str) -> Result<String, Error> {
        run(&self.path, &[], arguments, input).await
    }
}

/// An index beside the repository, for one commit.
struct Scratch<'a> {
    repository: &'a Repository,
    folder: TempDir,
}

impl Scratch<'_> {
    async fn git(&self, arguments: &[&str], input: &str) -> Result<String, Error> {
        let index = self.folder.path().join("index");
        let said =
            run(&self.repository.path, &[("GIT_INDEX_FILE", &index.to_string_lossy())], arguments, input).await?;
        Ok(said.trim_end().to_owned())
    }

    /// Commits what the index holds, and moves the branch if it still stands at its parent.
    async fn commit(&self, branch: &str, parent: Option<&str>, message: &str, author: &str) -> Result<String, Error> {
        let tree = self.git(&["write-tree"], "").await?;
        let parents: Vec<&str> = parent.into_iter().collect();
        let sha = self.commit_tree(&tree, &parents, message, author).await?;
        self.repository.move_branch(branch, &sha, parent.unwrap_or_default()).await?;
        Ok(sha)
    }

    async fn commit_tree(&self, tree: &str, parents: &[&str], message: &str, author: &str) -> Result<String, Error> {
        let (name, email) = author.split_once(" <").unwrap_or((author, "nobody@example.org"));
        let email = email.trim_end_matches('>');
        let person = [
            ("GIT_AUTHOR_NAME", name),
            ("GIT_AUTHOR_EMAIL", email),
            ("GIT_COMMITTER_NAME", name),
            ("GIT_COMMITTER_EMAIL", email),
        ];
        let arguments = ["commit-tree", tree].into_iter().chain(parents.iter().flat_map(|parent| ["-p", parent]));
        let sha = run(&self.repository.path, &person, &arguments.collect::<Vec<_>>(), message).await?;
        Ok(sha.trim_end().to_owned())
    }
}

/// A commit above this tip, in the words of `git fast-import`, which moves the branch only forward.
fn import(branch: &str, tip: Option<&str>, files: &[(&str, Option<&str>)], message: &str, author: &str) -> String {
    let author = if author.contains(" <") { author.to_owned() } else { format!("{author} <nobody@example.org>") };
    let data = |text: &str| format!("data {}\n{text}\n", text.len());
    let mut told = format!("commit {}\nauthor {author} now\ncommitter {author} now\n", reference(branch));
    told += &data(message);
    told += &tip.map(|tip| format!("from {tip}\n")).unwrap_or_default();
    for (path, text) in files {
        told += &match text {
            Some(text) => format!("M 100644 inline {path}\n{}", data(text)),
            None => format!("D {path}\n"),
        };
    }
    told
}

fn reference(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// What every repository is set to. Nothing of the world outlives the world: no background process may.
const SETTINGS: &str = "[http]
\treceivepack = true
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[gc]
\tauto = 0
[receive]
\tautogc = false
";

/// Makes a bare repository that can be cloned without blobs, and pushed to.
pub(super) async fn create(git: &Git, name: &str) -> Result<Repository, Error> {
    let path = git.root.path().join(format!("{name}.git"));
    tokio::fs::create_dir_all(&path).await.map_err(Error::io("make the folder of a repository"))?;
    run(&path, &[], &["init", "--quiet", "--bare", "--initial-branch=main", "."], "").await?;
    let config = path.join("config");
    let begun = tokio::fs::read_to_string(&config).await.map_err(Error::io("read the settings of a repository"))?;
    let settings = format!("{begun}{SETTINGS}");
    tokio::fs::write(&config, settings).await.map_err(Error::io("write the settings of a repository"))?;
    let url = format!("{}/{name}.git", git.face.url());
    Ok(Repository { url, path, moved: Arc::new(watch::Sender::new(0)), _root: Arc::clone(&git.root) })
}
