//! The path of the file with readings (`history`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

const FILE: &str = "history.db";
/// Our directory inside those that many programs share.
const OURS: &str = "kamstrup2mqtt";

/// The path of the file. For an add-on it is in the directory of its options (`/data`). Otherwise it
/// is in the directory from systemd (`StateDirectory=`) or in the user's; `None` if there is neither.
///
/// `variable` reads the environment. Relative paths in it are ignored, as the XDG base directory
/// specification requires.
#[must_use]
pub(crate) fn path(
    options: Option<&Path>,
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Option<PathBuf> {
    let directory_in = |name, below: &str| {
        let value = variable(name)?;
        // A unit may have several. systemd separates them by colons.
        let first = value
            .to_str()
            .map_or(value.as_os_str(), |all| all.split(':').next().unwrap_or_default().as_ref());
        let path = Path::new(first);
        path.is_absolute().then(|| path.join(below))
    };
    let directory = if let Some(options) = options {
        options.parent()?.to_owned()
    } else {
        directory_in("STATE_DIRECTORY", "")
            .or_else(|| directory_in("XDG_STATE_HOME", OURS))
            .or_else(|| directory_in("HOME", ".local/state").map(|state| state.join(OURS)))?
    };
    Some(directory.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(is_add_on: bool, environment: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let options = is_add_on.then_some(Path::new("/data/options.json"));
        path(options, variable).map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_first_configured_directory_is_used() {
        let all = [
            ("STATE_DIRECTORY", "/var/lib/kamstrup2mqtt:/var/lib/more"),
            ("XDG_STATE_HOME", "/home/me/state"),
            ("HOME", "/home/me"),
        ];
        assert_eq!(found(true, &all).unwrap(), "/data/history.db");
        assert_eq!(found(true, &[]).unwrap(), "/data/history.db");
        assert_eq!(found(false, &all).unwrap(), "/var/lib/kamstrup2mqtt/history.db");
        assert_eq!(found(false, &all[1..]).unwrap(), "/home/me/state/kamstrup2mqtt/history.db");
        let home = "/home/me/.local/state/kamstrup2mqtt/history.db";
        assert_eq!(found(false, &all[2..]).unwrap(), home);
        assert_eq!(found(false, &[]), None);
    }

    #[test]
    fn relative_paths_are_ignored() {
        let relative = [("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "state"), ("HOME", "/home/me")];
        let home = "/home/me/.local/state/kamstrup2mqtt/history.db";
        assert_eq!(found(false, &relative).unwrap(), home);
        assert_eq!(found(false, &[("HOME", "")]), None);
    }
}
