//! Where readings are kept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file's name.
const FILE: &str = "history.db";
/// Our directory where many programs keep their state.
const OURS: &str = "kamstrup2mqtt";

/// The file that readings are kept in: for an add-on beside its options (`/data`), else in the directory that systemd
/// gives (`StateDirectory=`), else in that of the user; `None` where there is none of these.
///
/// `variable` gives the environment. What is not an absolute path there does not count, as the XDG
/// base directory specification has it.
#[must_use]
pub fn place(
    options: Option<&Path>,
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Option<PathBuf> {
    let path = |name, below: &str| {
        let value = variable(name)?;
        // systemd gives several, separated by colons, where several are asked for.
        let first = value
            .to_str()
            .map_or(value.as_os_str(), |all| all.split(':').next().unwrap_or_default().as_ref());
        let path = Path::new(first);
        path.is_absolute().then(|| path.join(below))
    };
    let directory = if let Some(options) = options {
        options.parent()?.to_owned()
    } else {
        path("STATE_DIRECTORY", "")
            .or_else(|| path("XDG_STATE_HOME", OURS))
            .or_else(|| path("HOME", ".local/state").map(|state| state.join(OURS)))?
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
        place(options, variable).map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_first_directory_that_there_is() {
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
    fn what_is_no_absolute_path_does_not_count() {
        let odd = [("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "state"), ("HOME", "/home/me")];
        let home = "/home/me/.local/state/kamstrup2mqtt/history.db";
        assert_eq!(found(false, &odd).unwrap(), home);
        assert_eq!(found(false, &[("HOME", "")]), None);
    }
}
