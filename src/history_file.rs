//! The path of the file with readings (`history`), and what to do about its errors.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::neighbour::advice;
use history::{Hint, HistoryError};
use meter::RunsAs;

const FILE: &str = "history.db";
/// Our directory inside those that many programs share.
const OURS: &str = "kamstrup2mqtt";

/// The folder of the program's state, where the file is.
#[must_use]
pub(crate) fn folder(variable: impl Fn(&'static str) -> Option<OsString>) -> Option<PathBuf> {
    Some(path(None, variable)?.parent()?.to_owned())
}

/// The path of the file. For an app it is in the directory of its options (`/data`). Otherwise
/// it is in the directory from systemd (`StateDirectory=`) or in the user's; `None` if there is
/// neither.
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

/// The hint for an error of the file, for whoever reads it.
pub(crate) fn hint(runs_as: RunsAs) -> Hint {
    match runs_as {
        RunsAs::Program => |error| match error {
            HistoryError::InUse(_) => concat!(advice!(), "."),
            other => other.hint(),
        },
        RunsAs::AddOn => HistoryError::hint_in_app,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Stop one of the two" is wrong for a program that reads another meter.
    #[test]
    fn whoever_starts_a_second_program_learns_what_it_needs() {
        let in_use = HistoryError::InUse("/var/lib/kamstrup2mqtt/history.db".into());
        let program = hint(RunsAs::Program)(&in_use);
        for setting in ["mqtt.client", "mqtt.topic", "mqtt.device_id", "homeassistant.id_prefix"] {
            assert!(program.contains(&format!("`{setting}`")), "{program}");
        }
        assert!(program.contains("`web.listen`") && program.contains("`STATE_DIRECTORY`"));
        let app = hint(RunsAs::AddOn)(&in_use);
        assert!(!app.contains('`'), "{app}");
        let full = HistoryError::Full("/data/history.db".into());
        assert_eq!(hint(RunsAs::Program)(&full), full.hint());
        assert_eq!(hint(RunsAs::AddOn)(&full), full.hint_in_app());
    }

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
