//! The file that setup writes: where it is, and writing it once.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::words::capital;
use meter::RunsAs;
use meter::cause::{self, Cause};

/// The name of the file.
const FILE: &str = "config.yaml";

/// Where a file is if it is for a service, and nobody says otherwise.
const SERVICE: &str = "/etc/kamstrup2mqtt";

/// Its owner can change it, its group can read it. It contains the broker's password.
const MODE: u32 = 0o640;

/// The file that setup writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    path: PathBuf,
}

/// Why the file cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WriteError {
    /// It exists. Setup replaces nothing.
    #[error("the file {} already exists, so it was not written", _0.display())]
    Exists(PathBuf),
    /// Its folder does not exist.
    #[error("the folder {} does not exist", _0.display())]
    NoFolder(PathBuf),
    /// The folder cannot be written to.
    #[error("cannot write to the folder {}: {reason}", folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// A clause in words.
        reason: String,
        /// What to do depends on it.
        cause: Cause,
    },
    /// What was chosen is no configuration, for these reasons.
    #[error("the file was not written, because the configuration is invalid: {_0}")]
    Invalid(String),
}

/// What to do if the parts of a draft contradict each other.
pub(super) const CHANGE_IT: &str = "Go back to the step of this setting, and change it there.";

impl WriteError {
    /// What to do about it.
    #[must_use]
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Exists(path) => format!(
                "kamstrup2mqtt uses that file from now on. To set it up again, move {} to another \
                 place, and restart kamstrup2mqtt.",
                path.display()
            ),
            Self::NoFolder(folder) => format!(
                "Create the folder, and make the user that runs kamstrup2mqtt its owner: `sudo mkdir \
                 -p {0} && sudo chown USER {0}`. Replace USER with the name of that user. Or restart \
                 kamstrup2mqtt with `--config` and a path in another folder.",
                folder.display()
            ),
            Self::Folder { cause, .. } => folder_hint(cause),
            Self::Invalid(_) => CHANGE_IT.to_owned(),
        }
    }
}

/// What to do about a folder that cannot be written to.
fn folder_hint(cause: &Cause) -> String {
    const ELSEWHERE: &str = "restart kamstrup2mqtt with `--config` and a path in another folder.";
    const VOLUME: &str = "In a container, mount a volume or a writable folder there.";
    match cause {
        Cause::Shortage => cause::shortage_hint(RunsAs::Program).to_owned(),
        Cause::Full => "Free some space on that disk, then try again.".to_owned(),
        Cause::Denied => format!(
            "Let the user that runs kamstrup2mqtt write to this folder. Or {ELSEWHERE} {VOLUME}"
        ),
        Cause::ReadOnly => format!("{} {VOLUME}", capital(ELSEWHERE)),
        _ => format!("Check this path and its disk. Or {ELSEWHERE}"),
    }
}

impl Target {
    /// Chooses the file: the one that the user has named, or one in the folder of a service's
    /// state, which is for a service: it can write nowhere else. A program that was started by
    /// hand writes it to the working directory, where it looks for it.
    pub(crate) fn choose(named: Option<&Path>, state: Option<&Path>) -> Self {
        let of_state = state.map(|folder| folder.join(FILE));
        let path = match (named, of_state) {
            (Some(named), Some(of_state)) if !is_writable(folder_of(named)) => of_state,
            (Some(named), _) => named.to_owned(),
            (None, Some(of_state)) => of_state,
            (None, None) if is_writable(Path::new(".")) => PathBuf::from(FILE),
            (None, None) if is_writable(Path::new(SERVICE)) => Path::new(SERVICE).join(FILE),
            (None, None) => PathBuf::from(FILE),
        };
        Self { path: std::path::absolute(&path).unwrap_or(path) }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Why it could not be written at present.
    pub(crate) fn probe(&self) -> Result<(), WriteError> {
        if self.path.symlink_metadata().is_ok() {
            return Err(WriteError::Exists(self.path.clone()));
        }
        let folder = folder_of(&self.path);
        probe(folder).map_err(|error| failed(folder, &error))
    }

    /// Writes the file, as a whole or not at all, and never over another one.
    pub(crate) fn write(&self, text: &str) -> Result<(), WriteError> {
        let folder = folder_of(&self.path);
        self.write_in(folder, text).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists(self.path.clone()),
            _ => failed(folder, &error),
        })
    }

    fn write_in(&self, folder: &Path, text: &str) -> io::Result<()> {
        if self.path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let new = temporary(folder);
        let written = create(&new, text).and_then(|()| self.put(&new, text));
        let _ = fs::remove_file(&new);
        written?;
        // A file system that cannot do this keeps the file too.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// Gives the finished file its name. A link, unlike a renamed file, replaces nothing.
    fn put(&self, new: &Path, text: &str) -> io::Result<()> {
        match fs::hard_link(new, &self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // Some file systems have no links.
                create(&self.path, text)
            }
            linked => linked,
        }
    }
}

/// Creates a file that does not exist yet.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(MODE).open(path)?;
    let mut write = || {
        // The process may have a mask that removes more.
        file.set_permissions(Permissions::from_mode(MODE))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn temporary(folder: &Path) -> PathBuf {
    folder.join(format!(".{FILE}.{}-{:08x}.new", std::process::id(), fastrand::u32(..)))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_writable(folder: &Path) -> bool {
    probe(folder).is_ok()
}

/// Writes a file and removes it. Permissions alone do not say whether a file system can be written.
fn probe(folder: &Path) -> io::Result<()> {
    let path = temporary(folder);
    create(&path, "")?;
    fs::remove_file(path)
}

fn failed(folder: &Path, error: &io::Error) -> WriteError {
    let cause = Cause::from(error);
    // The folder may exist without accepting files, or may be a link to nowhere.
    if cause == Cause::Missing && folder.symlink_metadata().is_err() {
        return WriteError::NoFolder(folder.to_owned());
    }
    let reason = match cause {
        Cause::Missing => "no file can be created there".to_owned(),
        _ => cause::of_file(error),
    };
    WriteError::Folder { folder: folder.to_owned(), reason, cause }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn at(path: &Path) -> Target {
        Target { path: path.to_owned() }
    }

    #[test]
    fn the_file_is_written_once_as_a_whole_and_for_few() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        let target = at(&path);
        assert_eq!(target.probe(), Ok(()));
        target.write("mqtt:\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "mqtt:\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        let exists = Err(WriteError::Exists(path.clone()));
        assert_eq!((target.write("other"), target.probe()), (exists.clone(), exists));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mqtt:\n");
        // Nothing else stays there.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Whoever puts something there decides where the password would go.
    #[test]
    fn links_and_folders_are_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("config.yaml"), folder.path().join("secret"));
        symlink(&elsewhere, &path).unwrap();
        assert_eq!(at(&path).write("x"), Err(WriteError::Exists(path.clone())));
        assert!(!elsewhere.exists());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(at(&path).write("x"), Err(WriteError::Exists(path.clone())));
        assert!(fs::read_dir(&path).unwrap().next().is_none());
    }

    /// Many visitors press the button at once.
    #[test]
    fn of_many_writers_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let target = at(&folder.path().join("config.yaml"));
        let write = |number: usize| target.write(&format!("writer: {number}\n")).is_ok();
        let succeeded: Vec<bool> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8).map(|it| scope.spawn(move || write(it))).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(succeeded.iter().filter(|it| **it).count(), 1);
        let winner = succeeded.iter().position(|it| *it).unwrap();
        let text = fs::read_to_string(target.path()).unwrap();
        assert_eq!(text, format!("writer: {winner}\n"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_wrong_with_the_folder_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none/config.yaml");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let errors = [
            at(&missing).write("x").unwrap_err(),
            at(&missing).probe().unwrap_err(),
            at(&file.join("config.yaml")).write("x").unwrap_err(),
            at(Path::new("/proc/config.yaml")).write("x").unwrap_err(),
            WriteError::Exists("/etc/kamstrup2mqtt/config.yaml".into()),
            failed(&file, &io::ErrorKind::PermissionDenied.into()),
            failed(&file, &io::ErrorKind::StorageFull.into()),
            failed(&file, &io::ErrorKind::ReadOnlyFilesystem.into()),
            failed(&file, &io::Error::from_raw_os_error(24)),
        ];
        let words = errors.map(|error| format!("{error}. {}", error.hint()));
        let shown = words.join("\n").replace(folder.path().to_str().unwrap(), "FOLDER");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn a_named_file_is_preferred_if_it_can_be_written() {
        let (named, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let chosen = |named: Option<&Path>, state: Option<&Path>| Target::choose(named, state).path;
        let file = named.path().join("garage.yaml");
        let of_state = state.path().join("config.yaml");
        assert_eq!(chosen(Some(&file), None), file);
        assert_eq!(chosen(Some(&file), Some(state.path())), file);
        assert_eq!(chosen(None, Some(state.path())), of_state);
        // As a service, whose file would be in `/etc`.
        let elsewhere = named.path().join("none/config.yaml");
        assert_eq!(chosen(Some(&elsewhere), Some(state.path())), of_state);
        // By hand, with a misspelled folder.
        assert_eq!(chosen(Some(&elsewhere), None), elsewhere);
        assert_eq!(chosen(None, None), std::env::current_dir().unwrap().join("config.yaml"));
    }
}
