//! Reads files that users name. Pipes, devices and endless files must not block the program.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use meter::cause;

/// The content of a file; `None` if it has more than `longest` bytes. The error is a clause in
/// words.
pub(crate) fn bytes(path: &Path, longest: u64) -> Result<Option<Vec<u8>>, String> {
    let metadata = path.metadata().map_err(|error| link_to_nowhere(path, &error))?;
    if metadata.is_dir() {
        return Err("it is a folder, not a file (Docker creates a folder if the file to mount is \
                    missing)"
            .to_owned());
    }
    // Opening a pipe would block until somebody writes to it.
    if !metadata.is_file() {
        return Err("it is not a file, but a pipe, a socket or a device".to_owned());
    }
    let file = File::open(path).map_err(|error| cause::of_file(&error))?;
    let mut bytes = Vec::new();
    let read = file.take(longest.saturating_add(1)).read_to_end(&mut bytes);
    let count = read.map_err(|error| cause::of_file(&error))?;
    Ok(u64::try_from(count).is_ok_and(|count| count <= longest).then_some(bytes))
}

/// Why nothing is known about a file. The path of a link exists, but not the file that is meant.
fn link_to_nowhere(path: &Path, error: &io::Error) -> String {
    match path.read_link() {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => {
            format!("it is a link to {}, which does not exist", target.display())
        }
        _ => cause::of_file(error),
    }
}
