//! The checks of the section `logging`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::source::Raw;
use super::{Checker, keys, level, parse};
use crate::logging::{DateFormat, FileSettings, Format, Look, Place, Rotation};
use crate::logging::{Settings, Style, SyslogSettings};

/// Which destinations are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Wanted {
    stdout: bool,
    file: bool,
    syslog: bool,
}

impl Checker<'_> {
    /// All is checked, whether it is used or not.
    pub(super) fn logging(&mut self) -> Option<Settings> {
        let level = self.value("logging.level", level);
        let wanted = self.destinations();
        // One for all, as the older program had it.
        let format = self.parsed("logging.format");
        let date: Option<DateFormat> = self.parsed("logging.date_format");
        let stdout = self.stdout(format.as_ref(), date.as_ref());
        let file = self.file(format.as_ref(), date.as_ref());
        let syslog = self.syslog(format, date);
        Some(Settings {
            level: level?,
            stdout: wanted.stdout.then_some(stdout),
            file: wanted.file.then_some(file?),
            syslog: wanted.syslog.then_some(syslog?),
        })
    }

    fn destinations(&mut self) -> Wanted {
        const PATH: &str = "logging.destinations";
        let default = [keys::default(PATH).unwrap_or_default()];
        let setting = self.setting(PATH);
        let names: Vec<&str> = match setting.map(|setting| &setting.raw) {
            None => default.to_vec(),
            Some(Raw::Text(text)) => text.split(',').collect(),
            Some(Raw::List(items)) => items.iter().flat_map(|item| item.split(',')).collect(),
        };
        let mut wanted = Wanted::default();
        for name in names.into_iter().map(str::trim).filter(|name| !name.is_empty()) {
            match (name.to_ascii_lowercase().as_str(), setting) {
                ("stdout", _) => wanted.stdout = true,
                ("file", _) => wanted.file = true,
                ("syslog", _) => wanted.syslog = true,
                (_, Some(setting)) => self.wrong(PATH, setting, &format!("`{name}`")),
                (_, None) => {}
            }
        }
        if wanted == Wanted::default() {
            wanted.stdout = true;
        }
        wanted
    }

    fn stdout(&mut self, format: Option<&Format>, date: Option<&DateFormat>) -> Look {
        const FORMAT: &str = "logging.stdout_format";
        let is_json = self.setting(FORMAT).is_some_and(|setting| {
            matches!(&setting.raw, Raw::Text(text) if text.trim().eq_ignore_ascii_case("json"))
        });
        let own = if is_json { None } else { self.parsed(FORMAT) };
        let own_date = self.parsed("logging.stdout_date_format").or(date.cloned());
        match own.or(format.cloned().filter(|_| !is_json)) {
            Some(format) => {
                let date = own_date.or_else(|| parse(keys::default("logging.stdout_date_format")?));
                Look { style: Style::Format(format), date }
            }
            None if is_json => Look { style: Style::Json, date: own_date },
            None => Look { style: Style::Plain, date: own_date },
        }
    }

    fn file(&mut self, format: Option<&Format>, date: Option<&DateFormat>) -> Option<FileSettings> {
        let own = self.parsed("logging.file_format").or(format.cloned());
        let own = own.or_else(|| parse(keys::default("logging.file_format")?));
        let own_date = self.parsed("logging.file_date_format").or(date.cloned());
        let own_date = own_date.or_else(|| parse(keys::default("logging.file_date_format")?));
        let directory = self.value("logging.directory", directory);
        let filename = self.value("logging.filename", filename);
        let when = self.value("logging.rotate_when", parse);
        let interval = self.value("logging.rotate_interval", parse);
        let keep = self.value("logging.backup_count", |text| {
            parse::<u32>(text).and_then(|count| usize::try_from(count).ok())
        });
        Some(FileSettings {
            place: Place {
                directory: directory?,
                filename: filename?,
                rotation: Rotation { when: when?, interval: interval?, keep: keep? },
            },
            look: Look { style: Style::Format(own?), date: own_date },
        })
    }

    fn syslog(
        &mut self,
        format: Option<Format>,
        date: Option<DateFormat>,
    ) -> Option<SyslogSettings> {
        let address = self.value("logging.syslog_address", parse);
        let facility = self.parsed("logging.syslog_facility");
        let facility = facility.or_else(|| parse(keys::default("logging.syslog_facility")?));
        let format = self.parsed("logging.syslog_format").or(format);
        let date = self.parsed("logging.syslog_date_format").or(date);
        Some(SyslogSettings { address: address?, facility: facility?, format, date })
    }

    /// A setting that says itself what is wrong with it. `None` where it was not made or is empty,
    /// or is wrong and noted.
    fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, path: &str) -> Option<T> {
        let setting = self.setting(path)?;
        let Raw::Text(text) = &setting.raw else {
            self.wrong(path, setting, "a list");
            return None;
        };
        if text.trim().is_empty() {
            return None;
        }
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(why) => {
                self.wrong(path, setting, &format!("`{text}`"));
                // Beside what is accepted, since what was found is cut where it is long.
                if let Some(problem) = self.problems.last_mut() {
                    problem.accepted = format!("{} ({why})", problem.accepted);
                }
                None
            }
        }
    }
}

fn directory(text: &str) -> Option<PathBuf> {
    let fits = !text.is_empty() && text.len() < 4096 && !text.contains('\0');
    (fits && in_home(text).is_none()).then(|| text.into())
}

/// What follows the `~` of a path in somebody's home; a folder of that name is `./~`.
pub(super) fn in_home(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('~')?;
    rest.find('/').map_or(Some(""), |end| rest.get(end..))
}

/// With room for the date behind it.
fn filename(text: &str) -> Option<String> {
    let fits = !matches!(text, "" | "." | "..") && text.len() <= 200 && !text.contains(['/', '\0']);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tracing::Level;

    use super::super::{ConfigError, Variables, check};
    use super::*;

    fn settings(section: &str) -> Result<Settings, String> {
        let yaml = format!("serial_device:\n  com_port: /dev/ttyUSB0\nlogging:\n{section}");
        let checked = check(Some((Path::new("test.yaml"), &yaml)), &Variables::new());
        checked.map(|loaded| loaded.config.logging).map_err(|error: ConfigError| error.to_string())
    }

    #[test]
    fn without_a_word_all_goes_to_standard_output() {
        assert_eq!(settings("  level: INFO\n"), Ok(Settings::to_stdout(Level::INFO)));
        for none in ["  destinations:\n", "  destinations: []\n", "  destinations: ' , '\n"] {
            assert_eq!(settings(none), Ok(Settings::to_stdout(Level::INFO)), "{none}");
        }
        for (name, level) in [
            ("debug", Level::DEBUG),
            ("Info", Level::INFO),
            ("WARNING", Level::WARN),
            ("warn", Level::WARN),
            ("error", Level::ERROR),
            ("CRITICAL", Level::ERROR),
        ] {
            assert_eq!(settings(&format!("  level: {name}\n")), Ok(Settings::to_stdout(level)));
        }
    }

    #[test]
    fn any_set_of_destinations() {
        for (written, expected) in [
            ("[file]", [false, true, false]),
            ("'stdout, Syslog'", [true, false, true]),
            ("[STDOUT, file, syslog]", [true, true, true]),
            ("syslog", [false, false, true]),
        ] {
            let found = settings(&format!("  destinations: {written}\n")).unwrap();
            let found = [found.stdout.is_some(), found.file.is_some(), found.syslog.is_some()];
            assert_eq!(found, expected, "{written}");
        }
    }

    #[test]
    fn the_samples() {
        insta::assert_debug_snapshot!(
            "logging_of_the_samples",
            [
                "  level: INFO
  destinations:
    - stdout
    - file
  stdout_format: \"%(asctime)s [%(name)s] %(levelname)s %(message)s\"
  stdout_date_format: \"%Y-%m-%dT%H:%M:%S%z\"
  file_format: \"[%(asctime)s %(filename)s %(funcName)s:%(lineno)d] %(levelname)s %(message)s\"
  file_date_format: \"%Y-%m-%d %H:%M:%S\"
",
                "  level: INFO
  destinations:
    - stdout
    - syslog
  stdout_format: \"%(asctime)s [%(name)s] %(levelname)s %(message)s\"
  stdout_date_format: \"%Y-%m-%dT%H:%M:%S%z\"
  syslog_facility: local0
  syslog_address: /dev/log
  syslog_format: \"%(name)s[%(process)d]: %(levelname)s %(message)s\"
",
                "  destinations: [stdout, file, syslog]
  directory: logs
  filename: meter.log
  rotate_when: d
  rotate_interval: 1
  backup_count: 5
  format: \"%(message)s\"
  date_format: \"%H:%M\"
  stdout_format: json
"
            ]
            .map(|section| settings(section).unwrap())
        );
    }

    #[test]
    fn a_format_for_all_gives_way_to_one_of_its_own() {
        let found = settings(
            "  destinations: [stdout, file, syslog]\n  format: '%(message)s'\n  date_format: '%H'\n  \
             file_format: '%(name)s'\n  syslog_date_format: '%M'\n",
        )
        .unwrap();
        let format = |text: &str| Some(Style::Format(text.parse().unwrap()));
        let date = |text: &str| Some(text.parse::<DateFormat>().unwrap());
        let (stdout, file) = (found.stdout.unwrap(), found.file.unwrap().look);
        let syslog = found.syslog.unwrap();
        assert_eq!((Some(stdout.style), stdout.date), (format("%(message)s"), date("%H")));
        assert_eq!((Some(file.style), file.date), (format("%(name)s"), date("%H")));
        assert_eq!(
            (syslog.format.map(Style::Format), syslog.date),
            (format("%(message)s"), date("%M"))
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_whether_it_is_used_or_not() {
        let problems = settings(
            "  level: LOUD
  destinations: [stdout, printer]
  stdout_format: '%(asctime)s %(levelnam)s'
  stdout_date_format: '%Y-%Q'
  file_format: 100 % %(message)s
  syslog_format: '%(name)d'
  file_date_format: [a]
  directory: ''
  filename: ../meter.log
  rotate_when: w7
  rotate_interval: 0
  backup_count: -1
  syslog_facility: local9
  syslog_address: dev/log
",
        );
        insta::assert_snapshot!("logging_mistakes", problems.unwrap_err());
    }
}
