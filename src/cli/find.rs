//! `kamstrup2mqtt find`: finds the port of the optical head.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use kmp::message::SerialNumber;
use serde::Serialize;

use super::ask::{print, print_json};
use super::error::Usage;
use super::signals::with_signals;
use super::table::Table;
use crate::config::{self, ConfigError, serial_port_lines};
use crate::{PROGRAM, machine};
use meter::find::{
    Askable, Candidate, ConfiguredPort, Found, Plan, Searched, Step, UsbDevice, candidates,
    is_silent, named_candidates, search,
};
use meter::transport::{Endpoint, LocalPort, PortQueues};
use tracing::{Level, warn};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Ask only these ports, like /dev/ttyUSB0. Default: each serial port of this machine, except
    /// those that are in use and those that are known as something else
    #[arg(value_name = "PORT")]
    ports: Vec<PathBuf>,
    /// Ask without a confirmation
    #[arg(long, short)]
    yes: bool,
    /// Print JSON, for programs; without `--yes`, list the ports and ask none
    #[arg(long)]
    json: bool,
    /// The configuration file. The ports of its meters are left out. Default: the one that the program
    /// uses
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let variables = super::environment::variables();
    let level = match variables.get("LOG_LEVEL").map(|level| level.to_ascii_uppercase()) {
        Some(level) if level == "DEBUG" => Level::DEBUG,
        _ => Level::WARN,
    };
    logging::start_beside(PROGRAM, level)?;
    let configured = configured(args)?;
    let root = machine::root();
    let listed = if args.ports.is_empty() {
        candidates(&root, &configured)?
    } else {
        for port in &args.ports {
            check(port)?;
        }
        named_candidates(&root, args.ports.clone(), &configured)?
    };
    let askable: Vec<Askable> = listed.iter().filter_map(Candidate::askable).collect();
    if !args.json {
        print(&table(&listed))?;
    }
    if askable.is_empty() {
        return nothing_to_ask(args, &listed);
    }
    if !args.yes {
        if args.json {
            print_json(&Json::new(&listed, &[]))?;
            return Ok(ExitCode::SUCCESS);
        }
        if !confirmed(askable.len())? {
            return Ok(ExitCode::FAILURE);
        }
    }
    let mut found = Vec::new();
    let mut broken_off = false;
    with_signals(async |stop| {
        let mut failed = None;
        found = search(&askable, &PortQueues::default(), &stop, |step| {
            let told = if args.json { Ok(()) } else { tell(&step) };
            failed = failed.take().or(told.err());
        })
        .await;
        broken_off = stop.is_cancelled();
        failed.map_or(Ok(()), Err)
    })?;
    if args.json {
        print_json(&Json::new(&listed, &found))?;
    } else {
        print(&ending(&found, broken_off))?;
    }
    let is_found = found.iter().any(|searched| searched.found.is_meter());
    Ok(if is_found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The ports of the configured meters; none if there is no configuration.
fn configured(args: &Arguments) -> anyhow::Result<Vec<ConfiguredPort>> {
    match config::load(args.config.as_deref(), &super::environment::variables()) {
        Ok(loaded) => Ok(loaded.config.meters.iter().filter_map(of_meter).collect()),
        Err(ConfigError::None) => Ok(Vec::new()),
        Err(error) if args.config.is_some() => Err(error.into()),
        Err(error) => {
            warn!("The ports of configured meters are not known: {}.", error.summary());
            Ok(Vec::new())
        }
    }
}

fn of_meter(meter: &config::Meter) -> Option<ConfiguredPort> {
    let Endpoint::Serial { path } = &meter.endpoint else { return None };
    let name = meter.name.as_ref().map(ToString::to_string);
    let meter = name.unwrap_or_else(|| meter.device_name.clone());
    Some(ConfiguredPort { path: path.clone(), meter })
}

/// Rejects what is not the path of a device.
fn check(port: &Path) -> Result<(), Usage> {
    let text = port.to_string_lossy();
    let endpoint = text.parse::<Endpoint>();
    let text = config::without_secrets(&text);
    match endpoint {
        Ok(Endpoint::Serial { .. }) => Ok(()),
        Ok(_) => Err(Usage(format!(
            "{text}: only serial ports of this machine can be searched; for a serial server use \
             `kamstrup2mqtt info --port {text}`"
        ))),
        Err(reason) => Err(Usage(format!("{text}: {reason}"))),
    }
}

fn nothing_to_ask(args: &Arguments, listed: &[Candidate]) -> anyhow::Result<ExitCode> {
    if args.json {
        print_json(&Json::new(listed, &[]))?;
    } else if listed.is_empty() {
        print(
            "This machine has no serial port. Plug in the optical head, then try again. A container \
             also needs `--device` to see it.\n",
        )?;
    } else {
        print("\nEach port is left out, so none was asked.\n")?;
    }
    Ok(ExitCode::FAILURE)
}

/// The path to show and to configure: the persistent one, if there is one.
fn name(port: &LocalPort) -> String {
    port.best_name().display().to_string()
}

fn table(listed: &[Candidate]) -> String {
    if listed.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["port", "device", "plan"]);
    for Candidate { port, usb, plan } in listed {
        let device = usb.as_ref().map_or_else(|| "–".to_owned(), UsbDevice::to_string);
        let plan = match plan {
            Plan::Ask => "will be asked".to_owned(),
            Plan::LeaveOut(reason) => format!("left out: {reason}"),
        };
        table.row([name(port), device, plan]);
    }
    table.to_string()
}

/// Whether the user agrees that the ports are asked.
fn confirmed(count: usize) -> anyhow::Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let words = "nobody can confirm that these ports are asked; add `--yes`";
        return Err(Usage(words.to_owned()).into());
    }
    let ports = if count == 1 { "this port".to_owned() } else { format!("these {count} ports") };
    let mut stderr = io::stderr().lock();
    write!(
        stderr,
        "\nAsk {ports} for the serial number of a meter, for up to 15 s each? Another device may \
         react to the request. [y/N] "
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Tells a step: on standard error which port is asked, on standard output what was found there.
fn tell(step: &Step<'_>) -> anyhow::Result<()> {
    match step {
        // If even this cannot be written, there is nothing left to do.
        Step::Asking(port) => drop(writeln!(io::stderr(), "Asking the port {}.", name(port))),
        Step::Asked(Searched { port, found }) => {
            let mut text = format!("{}: {found}\n", name(port));
            if let Some(hint) = found.hint() {
                let _ = writeln!(text, "  {hint}");
            }
            print(&text)?;
        }
    }
    Ok(())
}

/// What to write into the configuration.
fn ending(found: &[Searched], broken_off: bool) -> String {
    let mut text = String::new();
    for Searched { port, found } in found.iter().filter(|searched| searched.found.is_meter()) {
        let baud = match found {
            Found::OtherBaudRate { baud, .. } => Some(*baud),
            _ => None,
        };
        let _ =
            write!(text, "\nFor the configuration:\n\n{}", serial_port_lines(&name(port), baud));
    }
    match (text.is_empty(), broken_off) {
        (_, true) => text.push_str("\nStopped before each port was asked.\n"),
        (true, false) if is_silent(found) => text.push_str("\nNo meter answered.\n"),
        // A meter answered, or the lines above say why a port was not asked.
        (_, false) => {}
    }
    text
}

#[derive(Serialize)]
struct Json {
    ports: Vec<PortJson>,
}

#[derive(Serialize)]
struct PortJson {
    port: String,
    path: String,
    vendor_id: Option<String>,
    product_id: Option<String>,
    manufacturer: Option<String>,
    product: Option<String>,
    /// Why it is left out; null if it is asked.
    left_out: Option<String>,
    /// Null if it was not asked.
    found: Option<FoundJson>,
}

#[derive(Serialize)]
struct FoundJson {
    result: &'static str,
    words: String,
    model: Option<String>,
    serial_number: Option<String>,
    baud: Option<u32>,
}

impl Json {
    fn new(listed: &[Candidate], found: &[Searched]) -> Self {
        let port = |Candidate { port, usb, plan }: &Candidate| {
            let searched = found.iter().find(|searched| searched.port == *port);
            let usb = usb.as_ref();
            PortJson {
                port: name(port),
                path: port.path.display().to_string(),
                vendor_id: usb.map(|usb| format!("{:04x}", usb.vendor_id)),
                product_id: usb.map(|usb| format!("{:04x}", usb.product_id)),
                manufacturer: usb.and_then(|usb| usb.manufacturer.clone()),
                product: usb.and_then(|usb| usb.product.clone()),
                left_out: match plan {
                    Plan::Ask => None,
                    Plan::LeaveOut(reason) => Some(reason.to_string()),
                },
                found: searched.map(|searched| FoundJson::new(&searched.found)),
            }
        };
        Self { ports: listed.iter().map(port).collect() }
    }
}

impl FoundJson {
    fn new(found: &Found) -> Self {
        let model = match found {
            Found::Meter { model, .. } => Some(model.clone()),
            _ => None,
        };
        let baud = match found {
            Found::Meter { .. } => Some(1200),
            Found::OtherBaudRate { baud, .. } => Some(*baud),
            _ => None,
        };
        let serial_number = found.serial_number().map(|serial: SerialNumber| serial.to_string());
        Self { result: found.key(), words: found.to_string(), model, serial_number, baud }
    }
}
