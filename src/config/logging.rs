//! The checks of the section `logging`.

use super::check::Checker;
use super::keys;
use super::setting::Setting;
use super::settings::Raw;
use super::value::Destination;
use logging::{
    DateFormat, FileSettings, Format, LineFormat, RotatingFile, Rotation, Settings, Style,
    SyslogSettings,
};

impl Checker<'_> {
    /// Checks all settings, even those of a destination that is not used.
    pub(super) fn logging(&mut self) -> Option<Settings> {
        let level = self.value(&keys::LOG_LEVEL);
        let destinations = self.items(&keys::DESTINATIONS);
        let is_wanted = |destination| destinations.contains(&destination);
        // One format for all destinations, as in the older program.
        let format = self.filled(&keys::LOG_FORMAT);
        let date = self.filled(&keys::LOG_DATE_FORMAT);
        let stdout = self.stdout(format.as_ref(), date.as_ref());
        let file = self.file(format.as_ref(), date.as_ref());
        let syslog = self.syslog(format, date);
        Some(Settings {
            level: level?,
            stdout: is_wanted(Destination::Stdout).then_some(stdout),
            file: is_wanted(Destination::File).then_some(file?),
            syslog: is_wanted(Destination::Syslog).then_some(syslog?),
        })
    }

    fn stdout(&mut self, format: Option<&Format>, date: Option<&DateFormat>) -> LineFormat {
        let is_json = self.given(&keys::STDOUT_FORMAT).is_some_and(
            |given| matches!(&given.raw, Raw::Text(text) if text.trim().eq_ignore_ascii_case("json")),
        );
        let own = if is_json { None } else { self.filled(&keys::STDOUT_FORMAT) };
        let own_date = self.filled(&keys::STDOUT_DATE_FORMAT).or(date.cloned());
        match own.or(format.cloned().filter(|_| !is_json)) {
            Some(format) => {
                let date = own_date.or_else(|| keys::STDOUT_DATE_FORMAT.default());
                LineFormat { style: Style::Format(format), date }
            }
            None if is_json => LineFormat { style: Style::Json, date: own_date },
            None => LineFormat { style: Style::Plain, date: own_date },
        }
    }

    fn file(&mut self, format: Option<&Format>, date: Option<&DateFormat>) -> Option<FileSettings> {
        let own = self.filled(&keys::FILE_FORMAT).or(format.cloned());
        let own = own.or_else(|| keys::FILE_FORMAT.default());
        let own_date = self.filled(&keys::FILE_DATE_FORMAT).or(date.cloned());
        let own_date = own_date.or_else(|| keys::FILE_DATE_FORMAT.default());
        let directory = self.value(&keys::LOG_DIRECTORY);
        let filename = self.value(&keys::LOG_FILENAME);
        let when = self.value(&keys::ROTATE_WHEN);
        let interval = self.value(&keys::ROTATE_INTERVAL);
        let keep = self.value(&keys::BACKUP_COUNT);
        Some(FileSettings {
            file: RotatingFile {
                directory: directory?,
                filename: filename?,
                rotation: Rotation { when: when?, interval: interval?, keep: keep? },
            },
            line_format: LineFormat { style: Style::Format(own?), date: own_date },
        })
    }

    fn syslog(
        &mut self,
        format: Option<Format>,
        date: Option<DateFormat>,
    ) -> Option<SyslogSettings> {
        let address = self.value(&keys::SYSLOG_ADDRESS);
        let facility = self.filled(&keys::SYSLOG_FACILITY);
        let facility = facility.or_else(|| keys::SYSLOG_FACILITY.default());
        let format = self.filled(&keys::SYSLOG_FORMAT).or(format);
        let date = self.filled(&keys::SYSLOG_DATE_FORMAT).or(date);
        Some(SyslogSettings { address: address?, facility: facility?, format, date })
    }

    /// `None` if a setting is not set or blank, or is invalid and noted.
    fn filled<T>(&mut self, setting: &'static Setting<T>) -> Option<T> {
        let given = self.given(setting)?;
        let is_blank = matches!(&given.raw, Raw::Text(text) if text.trim().is_empty());
        if is_blank { None } else { self.one(setting, given) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tracing::Level;

    use super::super::tests::data_of;
    use super::super::{ConfigError, Variables, check};
    use super::*;

    fn settings(section: &str) -> Result<Settings, String> {
        let yaml = format!("serial_device:\n  com_port: /dev/ttyUSB0\nlogging:\n{section}");
        let checked = check(Some((Path::new("test.yaml"), &yaml)), &Variables::new());
        checked.map(|loaded| loaded.config.logging).map_err(|error: ConfigError| data_of(&error))
    }

    #[test]
    fn the_default_destination_is_standard_output() {
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
    fn any_combination_of_destinations_is_accepted() {
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
    fn samples_are_accepted() {
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
    fn a_destinations_own_format_overrides_the_common_one() {
        let found = settings(
            "  destinations: [stdout, file, syslog]\n  format: '%(message)s'\n  date_format: '%H'\n  \
             file_format: '%(name)s'\n  syslog_date_format: '%M'\n",
        )
        .unwrap();
        let format = |text: &str| Some(Style::Format(text.parse().unwrap()));
        let date = |text: &str| Some(text.parse::<DateFormat>().unwrap());
        let (stdout, file) = (found.stdout.unwrap(), found.file.unwrap().line_format);
        let syslog = found.syslog.unwrap();
        assert_eq!((Some(stdout.style), stdout.date), (format("%(message)s"), date("%H")));
        assert_eq!((Some(file.style), file.date), (format("%(name)s"), date("%H")));
        assert_eq!(
            (syslog.format.map(Style::Format), syslog.date),
            (format("%(message)s"), date("%M"))
        );
    }

    #[test]
    fn settings_of_an_unused_destination_are_checked_too() {
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
