//! `kamstrup2mqtt check`: checks the configuration and shows the effective settings.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::ask::{print, print_json};
use super::health;
use super::signals::with_signals;
use super::table::Table;
use crate::advice::MadeBy;
use crate::config::{
    self, Config, ConfigError, Effect, Entry, Loaded, Meter, Origin, Spot, warning_words,
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
    /// ../config.yaml and /etc/kamstrup2mqtt/config.yaml
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Also read each meter once and try the broker; stop the running program first
    #[arg(long)]
    online: bool,
    /// Print JSON, for programs
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
        print(&words(&loaded, &warnings, found.as_deref()))?;
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

fn words(loaded: &Loaded, warnings: &[String], found: Option<&[Trial]>) -> String {
    let Loaded { settings, file, .. } = loaded;
    let mut text = match file {
        Some(file) => format!("The configuration {} is valid.\n", file.display()),
        None => "The configuration in environment variables is valid.\n".to_owned(),
    };
    // These come first because the settings fill a screen.
    if let Some(found) = found {
        text.extend(found.iter().map(|found| format!("{}: {}\n", found.what, found.said)));
    }
    let sections = ("setting".to_owned(), &settings.sections);
    let meters = settings.meters.iter().map(|(meter, entries)| (meter.to_string(), entries));
    for (head, entries) in [sections].into_iter().chain(meters) {
        let mut table = Table::new([head.as_str(), "from", "value"]);
        for Entry { key, value, origin, .. } in entries {
            table.row([(*key).to_owned(), origin.to_string(), value.to_string()]);
        }
        let _ = write!(text, "\n{table}");
    }
    if !warnings.is_empty() {
        text.push_str("\nWarnings:\n");
        let lines = warnings.iter().map(|warning| format!("  - {warning}\n"));
        text.extend(lines);
    }
    text
}

/// Reads each meter in turn, and tries the broker.
fn try_all(config: &Config) -> anyhow::Result<Vec<Trial>> {
    // This command prints the results itself, so it logs little below DEBUG.
    let debug = config.logging.level == Level::DEBUG;
    logging::start_beside(PROGRAM, if debug { Level::DEBUG } else { Level::ERROR })?;
    let mut found = Vec::new();
    with_signals(async |stop| {
        for meter in &config.meters {
            found.push(try_meter(meter, &stop).await);
        }
        found.push(try_broker(config, &stop).await?);
        Ok(())
    })?;
    Ok(found)
}

async fn try_meter(meter: &Meter, stop: &CancellationToken) -> Trial {
    let mut reader = Reader::new(app::plan(meter, RunsAs::Program));
    let result = reader.read(stop).await;
    let name = meter.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    let what = format!("meter{name}");
    let works = !result.readings.is_empty() || result.identity.serial.is_some();
    let said = match result.trouble {
        Some(trouble) if !works => format!("{}. {}", trouble.words, trouble.hint),
        _ => {
            let serial = result.identity.serial;
            let serial = serial.map(|serial| format!(", serial number {serial}"));
            format!(
                "{} at {}{}: read {} in {}.",
                result.identity.model_words(),
                meter.endpoint,
                serial.unwrap_or_default(),
                poll::count_words(result.readings.len(), meter.parameters.len()),
                duration::words(result.took),
            )
        }
    };
    Trial { what, works, said }
}

async fn try_broker(config: &Config, stop: &CancellationToken) -> anyhow::Result<Trial> {
    let broker = &config.broker;
    let what = format!("broker {}", broker.name());
    let is_running = match config.page {
        Some(page) => health::is_running(page).await,
        None => false,
    };
    let tried = mqtt::rehearse(broker, &app::rehearsal(config), is_running, stop).await;
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
        Ok(Rehearsed::Nothing) => (
            false,
            "it was not checked. The program is running, and the broker rejected a connection with \
             another client id. Stop the program, then check again."
                .to_owned(),
        ),
        Ok(Rehearsed::Stopped) => anyhow::bail!("stopped before everything was checked"),
        Err(advice) => (false, advice.words(MadeBy::File)),
    };
    Ok(Trial { what, works, said })
}
