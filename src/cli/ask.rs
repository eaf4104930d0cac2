//! Shared by the commands that ask a meter: which meter, how to reach it, and how to show its
//! answers.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use kmp::value::Value;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::error::Usage;
use super::table::Table;
use crate::config::{self, Loaded, MeterName, Parameter};
use crate::similar::{self, most_like, question};
use crate::units::{self, Published, UnitSystem};
use crate::words::sentence;
use crate::{PROGRAM, app, payload};
use meter::RunsAs;
use meter::identity::Identity;
use meter::poll::{Explanation, Plan, PollResult, Reader};
use meter::reading::{Missing, Reading};
use meter::transport::{Endpoint, Port, local_ports};
use meter::waiting::saying;

/// Which meter to ask, and how to show the answer.
#[derive(Args)]
pub(super) struct Target {
    /// Ask the meter in this configuration file. Default: the first of
    /// config.yaml, ../config.yaml, /etc/kamstrup2mqtt/config.yaml and
    /// /var/lib/kamstrup2mqtt/config.yaml
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask the meter at this port, without a configuration: a device like /dev/ttyUSB0, or
    /// socket://host:port
    #[arg(long, value_name = "PORT", conflicts_with = "config")]
    port: Option<String>,
    /// Ask the meter with this name in the configuration
    #[arg(long, value_name = "NAME", conflicts_with = "port")]
    meter: Option<String>,
    /// Print JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// The port may contain the key of a node.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config: file, port, meter, json } = self;
        f.debug_struct("Target")
            .field("config", file)
            .field("port", &port.as_deref().map(config::without_secrets))
            .field("meter", meter)
            .field("json", json)
            .finish()
    }
}

/// A meter that can be asked.
pub(super) struct Asking {
    pub(super) meter: config::Meter,
    pub(super) plan: Plan<Port>,
}

impl Target {
    /// The option `--config`, and the option that is used and conflicts with it.
    pub(super) fn config(&mut self) -> (&mut Option<PathBuf>, Option<&'static str>) {
        (&mut self.config, self.port.as_ref().map(|_| "`--port`"))
    }

    /// Finds out how to reach the meter, and starts the log on standard error.
    pub(super) fn resolve(&self) -> anyhow::Result<Asking> {
        let variables = super::environment::variables();
        let level = variables.get("LOG_LEVEL").is_some_and(|level| !level.is_empty());
        let loaded = match &self.port {
            Some(port) => {
                let endpoint = port.parse::<Endpoint>();
                endpoint.map_err(|reason| {
                    Usage(format!("--port {}: {reason}", config::without_secrets(port)))
                })?;
                config::for_port(port, &variables)?
            }
            None => config::load(self.config.as_deref(), &variables)?,
        };
        let Loaded { config, warnings, .. } = loaded;
        // A command logs only warnings, unless the user sets another level.
        logging::start_beside(
            PROGRAM,
            if level { config.logging.level } else { tracing::Level::WARN },
        )?;
        for warning in warnings {
            tracing::warn!("In the configuration: {}", sentence(&warning.words(RunsAs::Program)));
        }
        let meter = self.choose(config.meters)?;
        let plan = app::plan(&meter, RunsAs::Program);
        Ok(Asking { meter, plan })
    }

    fn choose(&self, meters: Vec<config::Meter>) -> anyhow::Result<config::Meter> {
        let names = meters.iter().filter_map(|meter| meter.name.as_ref()).map(MeterName::as_str);
        let names = names.collect::<Vec<_>>().join(", ");
        let several = meters.len() > 1;
        let mut meters = meters.into_iter();
        let found = match &self.meter {
            Some(wanted) => meters.find(|meter| {
                meter.name.as_ref().is_some_and(|name| name.as_str().eq_ignore_ascii_case(wanted))
            }),
            None if several => None,
            None => meters.next(),
        };
        found
            .ok_or_else(|| {
                let problem = match &self.meter {
                    Some(wanted) if names.is_empty() => {
                        return Usage(format!(
                            "--meter {wanted}: the configured meter has no name; leave `--meter` out"
                        ));
                    }
                    Some(wanted) => {
                        format!("--meter {wanted}: the configuration has no meter of this name")
                    }
                    None => "the configuration has several meters".to_owned(),
                };
                let known = names.split(", ").filter(|name| !name.is_empty());
                let meant = self.meter.as_ref().and_then(|wanted| most_like(wanted, known));
                let meant = question(meant);
                Usage(format!("{problem}; choose one with `--meter`: {names}{meant}"))
            })
            .map_err(Into::into)
    }
}

impl Asking {
    /// The meter, what reads it, and the words while it does not answer.
    pub(super) fn reader(self) -> (config::Meter, Reader<Port>, String) {
        let waiting = self.plan.waiting_words();
        (self.meter, Reader::new(self.plan), waiting)
    }
}

/// Does the work. If it is not done soon, says on standard error what it waits for.
pub(super) async fn waiting_for<T>(what: &str, work: impl Future<Output = T>) -> T {
    // If even this cannot be written, there is nothing left to do.
    saying(Some(|| drop(writeln!(io::stderr(), "{what}"))), work).await
}

/// Reports what is wrong with the meter or its port, and what to do.
pub(super) fn complain(complaint: &Explanation, meter: &config::Meter) {
    let Explanation { words, hint } = complaint;
    let ports = other_ports(meter).map(|ports| format!(" {ports}")).unwrap_or_default();
    // If even this cannot be written, there is nothing left to do.
    let _ = writeln!(io::stderr().lock(), "error: {words}.\nhint: {hint}{ports}");
}

/// The serial ports that this machine has, if the meter's is missing.
pub(super) fn other_ports(meter: &config::Meter) -> Option<String> {
    match &meter.endpoint {
        Endpoint::Serial { path } if !path.exists() => similar::port(path, &local_ports().ok()?),
        _ => None,
    }
}

/// Writes one JSON object.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    print(&text)
}

/// Writes text to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// A meter's identity in JSON.
#[derive(Debug, Serialize)]
pub(super) struct MeterJson {
    /// `None` if it is unknown, perhaps because the meter was not asked.
    model: Option<String>,
    serial_number: Option<String>,
    customer_number: Option<String>,
    #[serde(rename = "type")]
    meter_type: Option<String>,
    software: Option<String>,
    port: String,
}

impl MeterJson {
    pub(super) fn new(identity: &Identity, meter: &config::Meter) -> Self {
        Self {
            model: (!identity.models.is_empty()).then(|| identity.model_words()),
            serial_number: identity.serial.map(|serial| serial.to_string()),
            customer_number: identity.customer.map(|number| number.to_string()),
            meter_type: identity.meter_type.map(|of| format!("{:#06x}", of.code)),
            software: identity.meter_type.map(|of| of.revision.to_string()),
            port: meter.endpoint.to_string(),
        }
    }
}

/// A value in JSON: a number with all its digits, or a text.
#[derive(Debug, Serialize)]
pub(super) struct ValueJson {
    pub(super) register: u16,
    pub(super) value: Box<RawValue>,
    pub(super) unit: Option<&'static str>,
    /// The register's bytes in the answer: id, unit, length, sign and exponent, mantissa.
    pub(super) raw: String,
}

/// A register without a value in JSON.
#[derive(Debug, Serialize)]
pub(super) struct MissingJson {
    register: u16,
    reason: String,
}

/// Pairs as a JSON object, in their order.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) Vec<(String, T)>);

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The values that were read and those that were not, in the order of the parameters.
pub(super) struct Shown {
    pub(super) values: Vec<(Parameter, Reading, Published)>,
    pub(super) missing: Vec<(Parameter, String)>,
}

impl Shown {
    pub(super) fn new(parameters: &[Parameter], result: &PollResult, system: UnitSystem) -> Self {
        let mut shown = Self { values: Vec::new(), missing: Vec::new() };
        for parameter in parameters {
            let register = parameter.register();
            let reading = result.readings.iter().find(|reading| reading.register == register);
            match reading.map(|reading| (reading, units::publish(reading, system))) {
                Some((reading, Ok(published))) => {
                    shown.values.push((parameter.clone(), reading.clone(), published));
                }
                Some((_, Err(error))) => {
                    shown.missing.push((parameter.clone(), error.to_string()));
                }
                None => {
                    let reason = result.missing.iter().find(|(missing, _)| *missing == register);
                    let reason = reason.map_or(&Missing::NoAnswer, |(_, reason)| reason);
                    shown.missing.push((parameter.clone(), reason.to_string()));
                }
            }
        }
        shown
    }

    pub(super) fn values_json(&self) -> anyhow::Result<Object<ValueJson>> {
        let values = self.values.iter().map(|(parameter, reading, published)| {
            let is_number = matches!(reading.value, Value::Number(_));
            let value = payload::exact(&published.text, is_number)
                .context("the value cannot be written as JSON")?;
            let json = ValueJson {
                register: parameter.register().get(),
                value,
                unit: published.measure.unit,
                raw: hex(&reading.raw),
            };
            anyhow::Ok((parameter.name().to_owned(), json))
        });
        values.collect::<Result<_, _>>().map(Object)
    }

    pub(super) fn missing_json(&self) -> Object<MissingJson> {
        let missing = self.missing.iter().map(|(parameter, reason)| {
            let register = parameter.register().get();
            (parameter.name().to_owned(), MissingJson { register, reason: reason.clone() })
        });
        Object(missing.collect())
    }

    /// A table of the values, and a line for each missing one.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new(["name", "value", "unit", "register", "bytes"]).right([1, 3]);
        for (parameter, reading, published) in &self.values {
            table.row([
                parameter.name().to_owned(),
                published.text.clone(),
                published.measure.unit.unwrap_or_default().to_owned(),
                parameter.register().to_string(),
                hex(&reading.raw),
            ]);
        }
        let mut text = if self.values.is_empty() { String::new() } else { table.to_string() };
        for (parameter, reason) in &self.missing {
            let name = parameter.name();
            let register = parameter.register();
            let _ = if parameter.register().info().is_some() {
                writeln!(text, "{name} (register {register}): {reason}")
            } else {
                writeln!(text, "register {register}: {reason}")
            };
        }
        text
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
