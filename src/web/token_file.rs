//! The program's own token. It is random, and is in a private file so that it survives restarts.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};

use crate::file;
use meter::cause;

/// The name of the file.
pub(super) const FILE: &str = "web-token";

/// Easy to type on a phone, and to read: no `0`, `1`, `l` or `o`. 32 of them, so each has 5 bits.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// 5 groups of 4 characters have 100 bits.
const GROUPS: usize = 5;
const GROUP: usize = 4;

/// No token is longer, so a longer file is not ours.
const LONGEST: u64 = 64;

/// A new token.
pub(super) fn random() -> Result<String, Unspecified> {
    random_of([0; GROUPS * GROUP])
}

/// A code that is valid for one start. With 40 bits, and a wait after a few wrong ones, nobody
/// guesses it meanwhile.
pub(super) fn random_code() -> Result<String, Unspecified> {
    random_of([0; 2 * GROUP])
}

fn random_of<const N: usize>(mut bytes: [u8; N]) -> Result<String, Unspecified> {
    SystemRandom::new().fill(&mut bytes)?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
    let groups = bytes.chunks(GROUP).map(|group| group.iter().filter_map(letter).collect());
    Ok(groups.collect::<Vec<String>>().join("-"))
}

/// The token in the folder, if it is one that this program has written and nobody else could.
pub(super) fn read(folder: &Path) -> Option<String> {
    read_of(folder, own_user())
}

/// The user that runs the program, if the system says which.
fn own_user() -> Option<u32> {
    Path::new("/proc/self").metadata().ok().map(|process| process.uid())
}

/// The same for a user. The owner of a file knows what is in it, and can make it private.
fn read_of(folder: &Path, user: Option<u32>) -> Option<String> {
    let path = folder.join(FILE);
    let metadata = path.symlink_metadata().ok()?;
    let is_open = metadata.permissions().mode() & 0o077 != 0;
    let is_own = user.is_none_or(|user| metadata.uid() == user);
    if !metadata.is_file() || is_open || !is_own {
        return None;
    }
    let text = String::from_utf8(file::bytes(&path, LONGEST).ok()??).ok()?;
    let text = text.trim_end();
    let is_group =
        |group: &str| group.len() == GROUP && group.bytes().all(|b| LETTERS.contains(&b));
    let is_ours = text.split('-').count() == GROUPS && text.split('-').all(is_group);
    is_ours.then(|| text.to_owned())
}

/// Writes the token, as a whole or not at all. The error is a clause in words.
pub(super) fn write(folder: &Path, token: &str) -> Result<(), String> {
    write_to(folder, token).map_err(|error| cause::of_file(&error))
}

fn write_to(folder: &Path, token: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    let new = folder.join(format!("{FILE}.new"));
    // An earlier start may have ended here.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(format!("{token}\n").as_bytes())?;
    std::fs::rename(&new, folder.join(FILE))
}

/// Removes a file that others can read, if possible.
pub(super) fn remove(folder: &Path) {
    let _ = std::fs::remove_file(folder.join(FILE));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn tokens_are_random_and_easy_to_type() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), GROUPS * GROUP + GROUPS - 1, "{one}");
        assert!(!one.contains(['0', '1', 'l', 'o']), "{one}");
    }

    #[test]
    fn a_written_token_is_private_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("new/state");
        let token = random().unwrap();
        assert_eq!(read(&below), None);
        write(&below, &token).unwrap();
        assert_eq!(read(&below).as_ref(), Some(&token));
        let mode = below.join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&below).unwrap().count(), 1);
        // It can be replaced, also after a start that ended halfway.
        fs::write(below.join("web-token.new"), "half").unwrap();
        let other = random().unwrap();
        write(&below, &other).unwrap();
        assert_eq!(read(&below), Some(other));
    }

    /// Whoever owns it has written it, and knows the token.
    #[test]
    fn a_file_of_another_user_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path) = (folder.path(), folder.path().join(FILE));
        let token = random().unwrap();
        write(folder, &token).unwrap();
        let owner = path.metadata().unwrap().uid();
        assert_eq!(own_user(), Some(owner));
        assert_eq!(read_of(folder, Some(owner)).as_ref(), Some(&token));
        assert_eq!(read_of(folder, Some(owner + 1)), None);
        // Only root can give a file to another user.
        if std::os::unix::fs::chown(&path, Some(owner + 1), None).is_ok() {
            assert_eq!(read(folder), None);
            write(folder, &token).unwrap();
            assert_eq!(read(folder), Some(token));
        }
    }

    /// Others may know it or may have written it.
    #[test]
    fn a_file_that_others_can_read_or_that_is_no_token_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path) = (folder.path(), folder.path().join(FILE));
        let token = random().unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602] {
            write(folder, &token).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(folder), None, "{mode:o}");
        }
        for text in ["", "hunter2", &token[1..], &format!("{token}-{token}"), &"x".repeat(100_000)]
        {
            write(folder, text).unwrap();
            assert_eq!(read(folder), None, "{text}");
        }
        let elsewhere = folder.join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        write(&elsewhere, &token).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(elsewhere.join(FILE), &path).unwrap();
        assert_eq!(read(folder), None);
        // A folder of that name cannot be replaced.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(read(folder), None);
        assert!(write(folder, &token).is_err());
    }
}
