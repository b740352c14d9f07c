//! The file system that a journal lies on: one that is shared over a network is refused.
//!
//! SQLite's write-ahead log needs memory that is shared between processes, and our lock needs a kernel that knows of
//! every holder. A network file system gives neither: two daemons on two machines would both write.

use super::JournalError;
use std::path::{Path, PathBuf};

/// Where Linux tells what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";
/// The file systems that lie on another machine, or in a process that may put them there.
const SHARED: [&str; 17] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse",
    "fuse.s3fs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
];

/// Refuses a journal on a file system that is shared over a network. Where nobody tells what is mounted, nothing is
/// refused.
///
/// # Errors
/// `SharedFileSystem` with its name and where it is mounted.
pub(super) fn must_be_local(journal: &Path) -> Result<(), JournalError> {
    let Ok(mounts) = std::fs::read_to_string(MOUNTS) else { return Ok(()) };
    match mount_of(&mounts, journal) {
        Some((mounted, kind)) if is_shared(kind) => {
            Err(JournalError::SharedFileSystem { path: journal.to_owned(), mounted, kind: kind.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

fn is_shared(kind: &str) -> bool {
    SHARED.contains(&kind) || kind.starts_with("fuse.")
}

/// The mount that a path lies on, and its kind: the longest mount point above it, and of several there the last, which
/// covers those before it.
fn mount_of<'m>(mounts: &'m str, path: &Path) -> Option<(PathBuf, &'m str)> {
    let mounts = mounts.lines().filter_map(|line| {
        // `36 35 98:0 /root /mount/point options [optional fields] - kind source options`
        let (mount, rest) = line.split_once(" - ")?;
        let point = unescaped(mount.split(' ').nth(4)?);
        Some((point, rest.split(' ').next()?))
    });
    mounts.filter(|(point, _)| path.starts_with(point)).max_by_key(|(point, _)| point.as_os_str().len())
}

/// A mount point: blanks, tabs, line ends and backslashes stand there in octal.
fn unescaped(point: &str) -> PathBuf {
    let plain = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    plain.iter().fold(point.to_owned(), |text, (code, plain)| text.replace(code, plain)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTED: &str = "\
22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw
40 22 0:36 / /data rw,relatime - nfs4 efs.example.com:/ rw,vers=4.1
41 40 0:37 / /data/local rw - xfs /dev/nvme1n1 rw
42 22 0:38 / /with\\040blank rw - fuse.sshfs host:/x rw
43 22 0:39 / /twice rw - ext4 /dev/sdb rw
44 22 0:40 / /twice rw - cifs //server/share rw
45 22 0:41 / /disk rw - fuseblk /dev/sdc rw
";

    #[test]
    fn the_mount_that_covers_a_path_decides() {
        for (path, kind, shared) in [
            ("/var/lib/tagrelay/journal.db", "ext4", false),
            ("/data/journal.db", "nfs4", true),
            ("/database/journal.db", "ext4", false),
            ("/data/local/journal.db", "xfs", false),
            ("/with blank/journal.db", "fuse.sshfs", true),
            ("/twice/journal.db", "cifs", true),
            ("/disk/journal.db", "fuseblk", false),
        ] {
            let (_, found) = mount_of(MOUNTED, Path::new(path)).expect("a mount");
            assert_eq!((found, is_shared(found)), (kind, shared), "{path}");
        }
        assert!(["9p", "nfs", "smb3", "fuse"].into_iter().all(is_shared));
        assert_eq!(mount_of("nonsense\n", Path::new("/a")), None);
    }

    #[test]
    fn the_words_say_what_to_do() {
        let (path, mounted) = ("/data/journal.db".into(), "/data".into());
        let error = JournalError::SharedFileSystem { path, mounted, kind: "nfs4".to_owned() }.to_string();
        for part in ["/data/journal.db", "nfs4", "mounted at /data", "a disk of this machine"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
