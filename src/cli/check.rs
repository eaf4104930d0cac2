//! `kamstrup2mqtt check`: checks the configuration, and on request the meters and the broker. The
//! last line of its output is the verdict.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::ask::{other_ports, print, print_json, waiting_for};
use super::health;
use super::signals::with_signals;
use super::table::Table;
use crate::advice::MadeBy;
use crate::config::{
    self, Config, ConfigError, Effect, Entry, Loaded, Meter, Origin, Parameter, Spot, warning_words,
};
use meter::RunsAs;
use meter::duration;
use meter::poll;
use meter::poll::Reader;

use crate::mqtt::Rehearsed;
use crate::{PROGRAM, app, mqtt};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file. Default: the first of config.yaml,
    /// ../config.yaml, /etc/kamstrup2mqtt/config.yaml and /var/lib/kamstrup2mqtt/config.yaml
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Also read each meter once and try the broker. Before you use this, stop the running program
    /// yourself
    #[arg(long)]
    online: bool,
    /// Also show the effective settings, and where each of them comes from
    #[arg(long)]
    settings: bool,
    /// Print JSON, for programs; it always includes what --settings shows
    #[arg(long)]
    json: bool,
}

#[derive(Default, Serialize)]
struct Json<'a> {
    valid: bool,
    file: Option<String>,
    /// The error with which the program would end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
    warnings: Vec<String>,
    settings: Vec<EntryJson<'a>>,
    /// The settings of each meter in a list.
    meters: Vec<MeterJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<Vec<Trial>>,
}

#[derive(Serialize)]
struct MeterJson<'a> {
    meter: String,
    settings: Vec<EntryJson<'a>>,
}

#[derive(Serialize)]
struct EntryJson<'a> {
    key: &'static str,
    /// Stars for a secret; null if nothing is set.
    value: Option<String>,
    from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
}

impl<'a> From<&'a Entry> for EntryJson<'a> {
    fn from(Entry { key, value, origin, .. }: &'a Entry) -> Self {
        let value = Some(value).filter(|value| **value != Effect::Nothing).map(Effect::to_string);
        let (name, file, line, column) = (None, None, None, None);
        let json = |from| Self { key, value, from, name, file, line, column };
        match origin {
            Origin::Default => json("default"),
            Origin::Form(_) => json("options"),
            Origin::HomeAssistant => json("home assistant"),
            Origin::Option(option) => Self { name: Some(option), ..json("option") },
            Origin::Variable(variable) => Self { name: Some(variable), ..json("variable") },
            Origin::SecretFile { variable, path } => Self {
                name: Some(variable),
                file: Some(path.display().to_string()),
                ..json("secret file")
            },
            Origin::File(Spot { path, line, column }) => Self {
                file: Some(path.display().to_string()),
                line: Some(*line),
                column: Some(*column),
                ..json("file")
            },
        }
    }
}

/// The result of reading a meter or logging in at the broker.
#[derive(Debug, Serialize)]
struct Trial {
    /// Which meter, or which broker.
    what: String,
    works: bool,
    /// Something does not work, or was not tried.
    #[serde(skip)]
    in_part: bool,
    said: String,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(args.config.as_deref(), &super::environment::variables()) {
        Ok(loaded) => loaded,
        Err(error) if args.json => {
            print_json(&rejected(&error))?;
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(error.into()),
    };
    let mut warnings = warning_words(&loaded.warnings, RunsAs::Program);
    warnings.extend(log_trouble(&loaded.config.logging));
    let found = if args.online { Some(try_all(&loaded.config)?) } else { None };
    let works = found.iter().flatten().all(|found| found.works);
    if args.json {
        print_json(&json(&loaded, warnings, found))?;
    } else {
        print(&words(&loaded, args.settings, &warnings, found.as_deref()))?;
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why this user cannot write the log file. The program may run as another user.
fn log_trouble(logging: &logging::Settings) -> Option<String> {
    let file = &logging.file.as_ref()?.file;
    let error = file.probe().err()?;
    Some(format!("the log file {}. {}", file.failure(&error), PROGRAM.hints.for_file(&error)))
}

fn rejected(error: &ConfigError) -> Json<'_> {
    let problems = match error {
        ConfigError::Problems { problems, .. } => problems.as_slice(),
        _ => &[],
    };
    let problems = problems.iter().map(|problem| problem.words(RunsAs::Program)).collect();
    let warnings = warning_words(error.warnings(), RunsAs::Program);
    Json { error: Some(error.to_string()), problems, warnings, ..Json::default() }
}

fn json(loaded: &Loaded, warnings: Vec<String>, online: Option<Vec<Trial>>) -> Json<'_> {
    let Loaded { settings, file, .. } = loaded;
    let meters = settings.meters.iter().map(|(meter, entries)| MeterJson {
        meter: meter.to_string(),
        settings: entries.iter().map(EntryJson::from).collect(),
    });
    Json {
        valid: true,
        file: file.as_ref().map(|file| file.display().to_string()),
        warnings,
        settings: settings.sections.iter().map(EntryJson::from).collect(),
        meters: meters.collect(),
        online,
        ..Json::default()
    }
}

/// The settings on request, what was found, the warnings, and last the verdict.
fn words(
    loaded: &Loaded,
    with_settings: bool,
    warnings: &[String],
    found: Option<&[Trial]>,
) -> String {
    let mut text = if with_settings { settings(loaded) } else { String::new() };
    if let Some(found) = found {
        text.extend(found.iter().map(|found| format!("{}: {}\n", found.what, found.said)));
        text.push('\n');
    }
    if !warnings.is_empty() {
        text.push_str("Warnings:\n");
        text.extend(warnings.iter().map(|warning| format!("  - {warning}\n")));
        text.push('\n');
    }
    text.push_str(&verdict(loaded, warnings.len(), found));
    text
}

fn settings(loaded: &Loaded) -> String {
    let mut text = String::new();
    let Loaded { settings, .. } = loaded;
    let sections = ("setting".to_owned(), &settings.sections);
    let meters = settings.meters.iter().map(|(meter, entries)| (meter.to_string(), entries));
    for (head, entries) in [sections].into_iter().chain(meters) {
        let mut table = Table::new([head.as_str(), "from", "value"]);
        for Entry { key, value, origin, .. } in entries {
            table.row([(*key).to_owned(), origin.to_string(), value.to_string()]);
        }
        let _ = writeln!(text, "{table}");
    }
    text
}

/// Says that all is well only if it is.
fn verdict(loaded: &Loaded, warnings: usize, found: Option<&[Trial]>) -> String {
    let subject = match &loaded.file {
        Some(file) => format!("The configuration {}", file.display()),
        None => "The configuration in environment variables".to_owned(),
    };
    let with = match warnings {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        several => format!(", with {several} warnings"),
    };
    let all = match found {
        Some([_, _, _, ..]) => "The meters and the broker",
        _ => "The meter and the broker",
    };
    let found = found.unwrap_or_default();
    let failed: Vec<_> = found.iter().filter(|found| !found.works).map(|it| &*it.what).collect();
    let online = match (failed.as_slice(), found) {
        ([], []) => String::new(),
        ([], _) if found.iter().any(|found| found.in_part) => {
            format!(" {all} answer, but not all is well: see above.")
        }
        ([], _) => format!(" {all} work."),
        ([only], _) => format!(" This does not work: the {only}."),
        (several, _) => format!(" These do not work: the {}.", several.join(", the ")),
    };
    format!("{subject} is valid{with}.{online}\n")
}

/// Reads each meter in turn, and tries the broker.
fn try_all(config: &Config) -> anyhow::Result<Vec<Trial>> {
    // This command prints the results itself, so it logs little below DEBUG.
    let debug = config.logging.level == Level::DEBUG;
    logging::start_beside(PROGRAM, if debug { Level::DEBUG } else { Level::ERROR })?;
    let waiting = format!("Waiting for the broker {} to answer.", config.broker.name());
    let mut found = Vec::new();
    with_signals(async |stop| {
        for meter in &config.meters {
            found.push(try_meter(meter, &stop).await);
        }
        found.push(waiting_for(&waiting, Box::pin(try_broker(config, &stop))).await?);
        Ok(())
    })?;
    Ok(found)
}

async fn try_meter(meter: &Meter, stop: &CancellationToken) -> Trial {
    let plan = app::plan(meter, RunsAs::Program);
    let waiting = plan.waiting_words();
    let mut reader = Reader::new(plan);
    let result = waiting_for(&waiting, reader.read(stop)).await;
    let name = meter.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    let what = format!("meter{name}");
    let works = !result.readings.is_empty() || result.identity.serial.is_some();
    let trouble = result.trouble.as_ref();
    let trouble = trouble.map(|trouble| format!("{}. {}", trouble.words, trouble.hint));
    if let Some(mut said) = trouble.clone().filter(|_| !works) {
        said.extend(other_ports(meter).map(|ports| format!(" {ports}")));
        return Trial { what, works, in_part: false, said };
    }
    let serial = result.identity.serial.map(|serial| format!(", serial number {serial}"));
    let mut said = format!(
        "{} at {}{}: read {} in {}.",
        result.identity.model_words(),
        meter.endpoint,
        serial.unwrap_or_default(),
        poll::count_words(result.readings.len(), meter.parameters.len()),
        duration::words(result.took),
    );
    for (register, reason) in &result.missing {
        let _ = write!(said, " No value of `{}`: {reason}.", Parameter::of(*register).name());
    }
    let fault = result.condition.as_ref().filter(|condition| condition.code != 0);
    let fault = fault.map(|condition| format!("The meter reports {condition}."));
    let remarks: Vec<_> = trouble.into_iter().chain(fault).collect();
    said.extend(remarks.iter().flat_map(|remark| [" ", remark]));
    let in_part = !result.missing.is_empty() || !remarks.is_empty();
    Trial { what, works, in_part, said }
}

async fn try_broker(config: &Config, stop: &CancellationToken) -> anyhow::Result<Trial> {
    let broker = &config.broker;
    let what = format!("broker {}", broker.name());
    let is_running = match config.page {
        Some(page) => health::is_running(page).await,
        None => false,
    };
    let tried = mqtt::rehearse(broker, &app::rehearsal(config), is_running, stop).await;
    let in_part = matches!(tried, Ok(Rehearsed::Login | Rehearsed::Online));
    let (works, said) = match tried {
        Ok(Rehearsed::Everything { subscriptions, messages }) => (
            true,
            format!(
                "it accepts the login, the last will, {subscriptions} subscriptions, and {messages} \
                 messages, one of each kind."
            ),
        ),
        Ok(Rehearsed::Login) => (
            true,
            "the login works. The program is running, so nothing else was tried. Stop it to try \
             its last will, its subscriptions and its messages too."
                .to_owned(),
        ),
        Ok(Rehearsed::Online) => (
            true,
            "the login works. The program's status at the broker is `online`, so nothing else was \
             tried: it is running somewhere, or it ended together with the broker. Stop it, or if it \
             is not running, start and stop it once. Then check again."
                .to_owned(),
        ),
        Ok(Rehearsed::Nothing) => (
            false,
            "it was not checked. The program is running, and the broker rejected a connection with \
             another client id. Stop the program, then check again."
                .to_owned(),
        ),
        Ok(Rehearsed::Stopped) => anyhow::bail!("stopped before everything was checked"),
        Err(advice) => (false, advice.words(MadeBy::File)),
    };
    Ok(Trial { what, works, in_part, said })
}
