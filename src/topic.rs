//! The names of topics, and the unique ids of entities.
//!
//! This module knows no client, and not when a topic is used.

use std::collections::BTreeSet;

use crate::name::{self, MeterName, Parameter};

/// The topics of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topics {
    base: String,
}

impl Topics {
    /// The topics below the configured one.
    #[must_use]
    pub(crate) fn new(base: &str) -> Self {
        Self { base: base.to_owned() }
    }

    /// The topic of `online` and `offline`.
    #[must_use]
    pub(crate) fn status(&self) -> String {
        format!("{}/status", self.base)
    }

    /// The topic of a fact about the program.
    #[must_use]
    pub(crate) fn about(&self, about: About) -> String {
        format!("{}/{}", self.base, about.key())
    }

    /// The topics of all states of the program and of these meters, given by name, parameters and
    /// names of means.
    #[must_use]
    pub(crate) fn states<'a>(
        &self,
        meters: impl IntoIterator<Item = (Option<&'a MeterName>, &'a [Parameter], Vec<&'static str>)>,
    ) -> BTreeSet<String> {
        let mut states: BTreeSet<_> = About::ALL.map(|about| self.about(about)).into();
        for (name, parameters, means) in meters {
            let topics = self.meter(name);
            states.extend((!means.is_empty()).then(|| topics.means()));
            states.extend(means.into_iter().map(|name| topics.mean(name)));
            states.insert(topics.reading());
            states.extend(Diagnostic::ALL.map(|diagnostic| topics.diagnostic(diagnostic)));
            states.extend(parameters.iter().map(|parameter| topics.value(parameter)));
        }
        states
    }

    /// The filters of all states. Those of meters with a name are one level deeper.
    #[must_use]
    pub(crate) fn state_filters(&self, has_names: bool) -> Vec<String> {
        let deeper = has_names.then(|| format!("{}/+/+", self.base));
        [format!("{}/+", self.base)].into_iter().chain(deeper).collect()
    }

    /// The topics of a meter. Without a name they are directly below the configured topic.
    #[must_use]
    pub(crate) fn meter(&self, name: Option<&MeterName>) -> MeterTopics {
        let base = match name {
            None => self.base.clone(),
            Some(name) => format!("{}/{name}", self.base),
        };
        MeterTopics { base }
    }
}

/// The topics of one meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MeterTopics {
    base: String,
}

impl MeterTopics {
    /// The topic of a value, in lower case.
    #[must_use]
    pub(crate) fn value(&self, parameter: &Parameter) -> String {
        format!("{}/{}", self.base, parameter.name().to_ascii_lowercase())
    }

    /// The topic of a whole poll.
    #[must_use]
    pub(crate) fn reading(&self) -> String {
        format!("{}/{READING}", self.base)
    }

    /// The topic of answers to requests for the meter's own logs.
    #[must_use]
    pub(crate) fn history(&self) -> String {
        format!("{}/{HISTORY}", self.base)
    }

    /// The topic of a mean.
    #[must_use]
    pub(crate) fn mean(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// The topic of all means, with what they cover.
    #[must_use]
    pub(crate) fn means(&self) -> String {
        format!("{}/{MEANS}", self.base)
    }

    /// The topic of a diagnostic.
    #[must_use]
    pub(crate) fn diagnostic(&self, diagnostic: Diagnostic) -> String {
        format!("{}/{}", self.base, diagnostic.key())
    }

    /// The filter of commands to the meter.
    #[must_use]
    pub(crate) fn commands(&self) -> String {
        format!("{}/{COMMAND}/+", self.base)
    }

    /// The command to read the meter now.
    #[must_use]
    pub(crate) fn read_command(&self) -> String {
        format!("{}/{COMMAND}/{READ}", self.base)
    }

    /// The command in a topic; `None` if it is not a command to this meter.
    #[must_use]
    pub(crate) fn command<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let command = topic.strip_prefix(&self.base)?.strip_prefix('/')?.strip_prefix(COMMAND)?;
        command.strip_prefix('/').filter(|command| !command.contains('/'))
    }
}

/// Whether a topic may be that of a state of any meter under this topic. Nothing else has such
/// names: no status, no command and no wildcard.
#[must_use]
pub(crate) fn is_state_below(base: &str, topic: &str) -> bool {
    let Some(rest) = topic.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) else {
        return false;
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let is_name = |part: &&str| name::identifier(part).as_deref() == Some(*part);
    parts.len() <= 2
        && parts.iter().all(is_name)
        && rest != "status"
        && parts.first() != Some(&COMMAND)
}

/// The topic of a meter's whole polls, from that of one of its states.
#[must_use]
pub(crate) fn reading_beside(state: &str) -> Option<String> {
    Some(format!("{}/{READING}", state.rsplit_once('/')?.0))
}

/// The topics of a meter's diagnostics and of these values, from that of its whole polls. `None` if
/// this is another topic.
#[must_use]
pub(crate) fn states_beside<'a>(
    reading: &str,
    values: impl Iterator<Item = &'a str>,
) -> Option<Vec<String>> {
    let base = reading.strip_suffix(READING)?.strip_suffix('/')?;
    let topics = MeterTopics { base: base.to_owned() };
    let diagnostics = Diagnostic::ALL.map(|diagnostic| topics.diagnostic(diagnostic));
    let values = values.map(|name| format!("{base}/{}", name.to_ascii_lowercase()));
    Some(values.chain(diagnostics).collect())
}

const READING: &str = "reading";
const MEANS: &str = "tariff";
const COMMAND: &str = "command";
/// The command to read a meter now.
pub(crate) const READ: &str = "read";
/// The command to read one of the meter's own logs, and the topic of the answer.
pub(crate) const HISTORY: &str = "history";

/// A published fact about reading a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Diagnostic {
    /// `ON` while the meter answers, otherwise `OFF`.
    Connection,
    /// The time of the last reading.
    LastRead,
    /// Its duration in seconds.
    ReadDuration,
    /// The number of polls since the start that failed, in whole or in part.
    FailedReads,
    /// The info code in words.
    Info,
    /// `ON` while the info code reports a fault, otherwise `OFF`.
    Problem,
}

impl Diagnostic {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Connection,
        Self::LastRead,
        Self::ReadDuration,
        Self::FailedReads,
        Self::Info,
        Self::Problem,
    ];

    /// Its name in topics and unique ids.
    #[must_use]
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::LastRead => "last_read",
            Self::ReadDuration => "read_duration",
            Self::FailedReads => "failed_reads",
            Self::Info => "info",
            Self::Problem => "problem",
        }
    }
}

/// A published fact about the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum About {
    /// Its version.
    Version,
    /// The time of its start.
    Started,
}

impl About {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Version, Self::Started];

    /// Its name in topics and unique ids.
    #[must_use]
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Started => "started",
        }
    }
}

/// Home Assistant's identifier of the program's own device, through which it reaches those of the
/// meters. No device can be reached through itself (Home Assistant 2026.9 rejects that), so this is
/// none of `taken`, the identifiers of the meters.
#[must_use]
pub(crate) fn program_id<'a>(prefix: &str, taken: impl Iterator<Item = &'a str>) -> String {
    let usual = format!("{prefix}_bridge");
    let taken: BTreeSet<&str> = taken.collect();
    let numbered = (2_usize..).map(|number| format!("{usual}_{number}"));
    let mut all = std::iter::once(usual.clone()).chain(numbered);
    all.find(|id| !taken.contains(id.as_str())).unwrap_or(usual)
}

/// The unique ids of a meter's entities, which are also part of their discovery topics.
///
/// The spelling is that of the older Python program, with its upper case, so that its entities keep
/// their history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    prefix: String,
}

impl Ids {
    /// The ids of a meter, or of the program if there is no name.
    #[must_use]
    pub(crate) fn new(prefix: &str, name: Option<&MeterName>) -> Self {
        let prefix = match name {
            None => prefix.to_owned(),
            Some(name) => format!("{prefix}_{name}"),
        };
        Self { prefix }
    }

    /// The id of a parameter's entity.
    #[must_use]
    pub(crate) fn parameter(&self, parameter: &Parameter) -> String {
        self.with(parameter.name())
    }

    /// The id of another entity.
    #[must_use]
    pub(crate) fn with(&self, key: &str) -> String {
        format!("{}_{key}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::name::RESERVED;

    #[test]
    fn no_meter_has_the_name_of_a_reserved_topic() {
        let topics = Topics::new("x");
        let meter = topics.meter(None);
        let diagnostics = Diagnostic::ALL.map(|diagnostic| meter.diagnostic(diagnostic));
        let about = About::ALL.map(|about| topics.about(about));
        let others = [topics.status(), meter.reading(), meter.history(), meter.commands()];
        let taken: BTreeSet<_> = diagnostics.into_iter().chain(about).chain(others).collect();
        let first_level = |topic: &String| topic.split('/').nth(1).unwrap().to_owned();
        assert_eq!(
            taken.iter().map(first_level).collect::<BTreeSet<_>>(),
            BTreeSet::from(RESERVED.map(str::to_owned))
        );
    }

    #[test]
    fn a_named_meter_has_its_own_topic_level() {
        let topics = Topics::new("kamstrup");
        let energy: Parameter = "maxflowDate_m".parse().unwrap();
        let name: MeterName = "Garage".parse().unwrap();
        assert_eq!(topics.meter(None).value(&energy), "kamstrup/maxflowdate_m");
        assert_eq!(topics.meter(Some(&name)).value(&energy), "kamstrup/Garage/maxflowdate_m");
        assert_eq!(Ids::new("kamstrup", None).parameter(&energy), "kamstrup_maxflowDate_m");
        let named = Ids::new("kamstrup", Some(&name));
        assert_eq!(named.parameter(&energy), "kamstrup_Garage_maxflowDate_m");
    }

    #[test]
    fn a_command_is_recognized_by_its_topic() {
        let topics = Topics::new("kamstrup");
        let (only, name) = (topics.meter(None), "garage".parse().unwrap());
        let garage = topics.meter(Some(&name));
        assert_eq!(only.command("kamstrup/command/read"), Some("read"));
        assert_eq!(only.command("kamstrup/command/fly"), Some("fly"));
        assert_eq!(only.command("kamstrup/command/read/now"), None);
        assert_eq!(only.command("kamstrup/garage/command/read"), None);
        assert_eq!(garage.command("kamstrup/garage/command/read"), Some("read"));
        assert_eq!(garage.command("kamstrup/garagecommand/read"), None);
        assert_eq!(only.command(&only.read_command()), Some(READ));
    }
}
