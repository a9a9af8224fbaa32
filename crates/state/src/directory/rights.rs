//! Whose a state directory is, and who may look into it. What lies there are the records of its application,
//! and what is found there is believed: it belongs to the user that runs the process, and to nobody else.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

use millstream_types::{Error, ErrorKind, Result};

use super::refused;

/// Begins the name of the file that tells this process who it is: its owner. Others may look at the same time.
const PROBE_FILE: &str = ".owner";

/// Makes the directory if need be, for its owner only, and refuses one that others can look into or replace.
pub(super) fn prepare(state_dir: &Path, path: &Path) -> Result<()> {
    create(path).map_err(|error| refused(path, "cannot be created", error))?;
    refuse_link(path)?;
    #[cfg(unix)]
    {
        let own = own_user(path)?;
        refuse_foreign(path, own)?;
        let parent = state_dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if parent.is_some_and(is_for_everybody) {
            // Somebody else may have been here first.
            refuse_link(state_dir)?;
            refuse_foreign(state_dir, own)?;
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(path, mode).map_err(|error| refused(path, "cannot be kept from others", error))?;
    }
    #[cfg(not(unix))]
    let _ = state_dir;
    // Of a time when others could write here.
    let entries = fs::read_dir(path).map_err(|error| refused(path, "cannot be read", error))?;
    for entry in entries {
        refuse_link(&entry.map_err(|error| refused(path, "cannot be read", error))?.path())?;
    }
    Ok(())
}

/// Opens a file to write, made for its owner only.
pub(super) fn writable(path: &Path, is_fresh: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(is_fresh).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn refuse_link(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {}
        // Files come and go.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(refused(path, "cannot be looked at", error));
        }
        _ => return Ok(()),
    }
    let message = format!(
        "{} is a symbolic link, which may lead anywhere; set state.dir to the place it should lead to, and remove it",
        path.display()
    );
    Err(Error::new(ErrorKind::Storage, message))
}

#[cfg(unix)]
fn refuse_foreign(path: &Path, own: u32) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let owner = fs::symlink_metadata(path).map_err(|error| refused(path, "cannot be looked at", error))?.uid();
    // The superuser reads and writes everywhere anyway.
    if owner == own || owner == 0 {
        return Ok(());
    }
    let message = format!(
        "{} belongs to user {owner}, this process runs as user {own}: what lies there is not to be believed; set \
         state.dir to a directory of this user's own, or change the owner",
        path.display()
    );
    Err(Error::new(ErrorKind::Storage, message))
}

/// Whether any user may make a directory here.
#[cfg(unix)]
fn is_for_everybody(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o002 != 0)
}

/// The user of this process: the owner of what it makes. The system's number for it would not do: file systems
/// that are shared (NFS, or between containers) show owners under other numbers.
#[cfg(unix)]
fn own_user(path: &Path) -> Result<u32> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let file = path.join(format!("{PROBE_FILE}-{}", std::process::id()));
    let probed = (|| {
        // Of a process that was killed in between.
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let owner = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&file)?.metadata()?.uid();
        fs::remove_file(&file)?;
        Ok(owner)
    })();
    probed.map_err(|error| refused(&file, "cannot be made", error))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::StateDirectory;
    use super::*;

    fn open(state_dir: &Path) -> Result<StateDirectory> {
        StateDirectory::open(state_dir, "app", || "11111111-2222-3333-4444-555555555555".to_owned())
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[track_caller]
    fn assert_refused(state_dir: &Path, words: &str) {
        let error = open(state_dir).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        assert!(error.message().contains(words) && error.message().contains("state.dir"), "{error}");
    }

    #[test]
    fn what_is_made_is_for_its_owner_only() {
        let temporary = tempfile::tempdir().unwrap();
        let state_dir = temporary.path().join("state");
        let directory = open(&state_dir).unwrap();
        directory.keep_threads(3).unwrap();
        assert_eq!((mode(&state_dir), mode(&state_dir.join("app"))), (0o700, 0o700));
        let names = fs::read_dir(state_dir.join("app")).unwrap().map(|entry| entry.unwrap().path());
        let mut count = 0;
        for path in names {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            count += 1;
        }
        assert_eq!(count, 4);
    }

    #[test]
    fn a_directory_that_others_could_look_into_is_closed_to_them() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("app");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        open(temporary.path()).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn links_are_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let elsewhere = temporary.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let state_dir = temporary.path().join("state");
        fs::create_dir(&state_dir).unwrap();
        symlink(&elsewhere, state_dir.join("app")).unwrap();
        assert_refused(&state_dir, "symbolic link");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);

        // A file that is not ours, where ours would be.
        let victim = temporary.path().join("victim");
        for name in [".lock", "millstream-format", "millstream-format.tmp", "millstream.db"] {
            fs::write(&victim, "precious").unwrap();
            fs::remove_file(state_dir.join("app")).or_else(|_| fs::remove_dir_all(state_dir.join("app"))).unwrap();
            fs::create_dir(state_dir.join("app")).unwrap();
            symlink(&victim, state_dir.join("app").join(name)).unwrap();
            assert_refused(&state_dir, name);
            assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        }
    }

    #[test]
    fn a_directory_that_somebody_else_made_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("app");
        fs::create_dir(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
            // Only the superuser can give a directory away: without it this cannot come to be.
            return;
        }
        assert_refused(temporary.path(), "12345");
    }

    #[test]
    fn a_state_directory_that_somebody_else_made_where_everybody_may_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o1777)).unwrap();
        let state_dir = temporary.path().join("millstream");
        fs::create_dir(&state_dir).unwrap();
        if std::os::unix::fs::chown(&state_dir, Some(12_345), None).is_err() {
            return;
        }
        assert_refused(&state_dir, "12345");
        // Where only the administrator may, it is theirs to say.
        fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o755)).unwrap();
        open(&state_dir).unwrap();
    }

    #[test]
    fn a_number_of_threads_that_cannot_be_is_not_believed() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = open(temporary.path()).unwrap();
        for (text, expected) in
            [("3\n", 3), ("18446744073709551615", 0), ("1000000", 0), ("-1", 0), ("", 0), ("\u{0}", 0)]
        {
            fs::write(temporary.path().join("app/millstream-threads"), text).unwrap();
            assert_eq!(directory.kept_threads(), expected, "{text:?}");
        }
    }
}
