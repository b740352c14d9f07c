//! Files and folders that are ours alone: the journal says who did what, lists and mirrors hold what registries and
//! repositories show to us and perhaps not to our neighbours on this machine.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// What others may do with our files: nothing.
pub(super) const FILE_MODE: u32 = 0o600;
/// What others may do with our folders: nothing.
const FOLDER_MODE: u32 = 0o700;

/// Makes a folder, and those above it that are missing, for us alone. One that is there stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Makes a folder of ours, or takes it from others who could look into it.
///
/// # Errors
/// When it cannot be made, or is not ours.
pub fn take_folder(path: &Path) -> io::Result<()> {
    make_folder(path)?;
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// Makes a file for us alone before its engine fills it, or takes it from others who could read it. What the engine makes
/// beside it has the same mode.
pub(super) fn take_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)?;
    let is_open_to_others = |permissions: &Permissions| permissions.mode() & 0o077 != 0;
    if is_open_to_others(&file.metadata()?.permissions()) {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        match fs::metadata(&beside) {
            Ok(metadata) if is_open_to_others(&metadata.permissions()) => {
                fs::set_permissions(&beside, Permissions::from_mode(FILE_MODE))?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_ours_is_closed_to_others() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("a/b");
        make_folder(&folder).expect("made");
        assert_eq!([mode(&folder), mode(&home.path().join("a"))], [0o700; 2]);
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("opened");
        make_folder(&folder).expect("there");
        assert_eq!(mode(&folder), 0o755, "somebody else's folder stays as it is");
        take_folder(&folder).expect("taken");
        assert_eq!(mode(&folder), 0o700);
        let journal = folder.join("journal.db");
        let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", journal.display()));
        take_file(&journal).expect("made");
        assert_eq!(mode(&journal), 0o600);
        for path in [journal.clone(), beside("-wal"), beside("-shm")] {
            fs::write(&path, "kept").expect("written");
            fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("opened");
        }
        take_file(&journal).expect("taken");
        for path in [journal.clone(), beside("-wal"), beside("-shm")] {
            assert_eq!((mode(&path), fs::read_to_string(&path).expect("read").as_str()), (0o600, "kept"));
        }
    }
}
