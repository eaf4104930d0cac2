//! `kamstrup2mqtt simulate`: simulates a meter for tests and demonstrations.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::Level;

use super::error::{Usage, simulator_address};
use super::signals::with_signals_alone;
use crate::PROGRAM;
use crate::similar::{self, most_like, question};
use kmp::line::Line;
use logging;
use meter::RunsAs;
use meter::cause::{Cause, shortage_hint};
use simulator::{
    Behaviour, EnergyUnit, Fault, FaultRate, FaultRateError, Faults, Logs, Model, Registers,
    RegistersError, Simulator, SummerStamp,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen, as a network serial server does; port 0 means any free port
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        value_parser = simulator_address,
        default_value = "127.0.0.1:2003",
        conflicts_with = "pty"
    )]
    listen: SocketAddr,
    /// Open a simulated serial port (a pseudo-terminal) instead, and print its path
    #[arg(long)]
    pty: bool,
    /// The meter to simulate. Default, without `--registers`: `generic`
    #[arg(long, value_parser = models(), ignore_case = true)]
    model: Option<Model>,
    /// A file with registers, which the meter has in addition to those of its model. The file takes
    /// precedence for a register that is in both
    #[arg(long, value_name = "FILE", long_help = registers_help())]
    registers: Option<PathBuf>,
    /// The unit in which the meter counts energy. The amount of energy stays the same, for example
    /// 1.000 MWh instead of 1000 kWh. Default: kWh, or MWh for the models 303, 403 and 603
    #[arg(long, value_name = "UNIT", value_parser = energy_units())]
    energy_unit: Option<EnergyUnit>,
    /// Send at the speed of a serial line, like 1200. Default: answers are sent at once
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    baud: Option<u32>,
    /// How long the meter waits before it answers
    #[arg(long, value_name = "MILLISECONDS", default_value = "0")]
    turnaround: u64,
    /// Send each request back first, as many optical heads do; model 21 always does
    #[arg(long)]
    echo: bool,
    /// A fault and the share of answers that have it, like `noise=5%` or `all=0.5%`; may be given
    /// more than once
    #[arg(long = "fault", value_name = "FAULT=RATE", value_parser = fault, long_help = fault_help())]
    faults: Vec<FaultRate>,
    /// The seed for random faults: the same seed and the same requests give the same faults.
    /// Default: a random one, which is printed
    #[arg(long, value_name = "NUMBER", requires = "faults")]
    seed: Option<u64>,
}

fn models() -> impl TypedValueParser<Value = Model> {
    let value = |model: Model| {
        let others: &[&'static str] = match model {
            Model::Generic => &[],
            Model::Multical303 => &["mc303", "multical303"],
            Model::Multical402 => &["mc402", "multical402"],
            Model::Multical403 => &["mc403", "multical403"],
            Model::Multical603 => &["mc603", "multical603"],
            Model::Multical21 => &["mc21", "multical21"],
        };
        PossibleValue::new(model.name()).aliases(others.iter().copied()).help(model.about())
    };
    let known = |name: String| {
        let name = name.to_ascii_lowercase();
        let name = name.trim_start_matches("multical").trim_start_matches("mc");
        Model::ALL.into_iter().find(|model| model.name() == name)
    };
    PossibleValuesParser::new(Model::ALL.map(value)).try_map(move |name| known(name).ok_or(NoSuch))
}

fn fault(text: &str) -> Result<FaultRate, String> {
    text.parse().map_err(|error: FaultRateError| {
        let meant = match &error {
            FaultRateError::Name { found } => {
                let known = Fault::every().map(Fault::name).chain(["all"]);
                most_like(found, known)
            }
            _ => None,
        };
        format!("{error}{}", question(meant))
    })
}

/// What is wrong with a file of registers, with a suggestion for a misspelled name.
fn registers_error(error: &RegistersError) -> String {
    let meant = match error {
        RegistersError::Name { register } => {
            similar::parameter(register).or(most_like(register, ["GetType", "GetSerialNo"]))
        }
        RegistersError::Unit { unit, .. } => similar::unit(unit),
        _ => None,
    };
    format!("{error}{}", question(meant))
}

fn energy_units() -> impl TypedValueParser<Value = EnergyUnit> {
    let value = |unit: EnergyUnit| {
        let lower = match unit {
            EnergyUnit::KilowattHour => "kwh",
            EnergyUnit::MegawattHour => "mwh",
            EnergyUnit::Gigajoule => "gj",
        };
        PossibleValue::new(unit.name()).alias(lower).help(unit.about())
    };
    let known = |name: String| {
        EnergyUnit::ALL.into_iter().find(|unit| unit.name().eq_ignore_ascii_case(&name))
    };
    let values = EnergyUnit::ALL.map(value);
    PossibleValuesParser::new(values).try_map(move |name| known(name).ok_or(NoSuch))
}

/// No value has this name. `PossibleValuesParser` reports that before.
#[derive(Debug, Error)]
#[error("no such value")]
struct NoSuch;

fn registers_help() -> String {
    let example = Registers::YAML_EXAMPLE.lines().map(|line| format!("\n    {line}"));
    format!(
        "A file with registers, which the meter has in addition to those of its model. The file takes \
         precedence for a register that is in both. Without `--model`, the meter has only the registers \
         of the file. YAML, one line per register, by name or number:\n{}",
        example.collect::<String>()
    )
}

fn fault_help() -> String {
    let line = |fault: Fault| format!("\n    {:<15}{}", fault.name(), fault.about());
    let faults = Fault::every().map(line);
    format!(
        "A fault and the share of answers that have it: `0%` to `100%` in steps of `0.1%`. May be \
         given more than once; for each fault, the last one is used:\n{}\n    \
         all            All of these except `forged`, each at this rate",
        faults.collect::<String>()
    )
}

/// The meter's registers and its model.
fn registers(args: &Arguments) -> anyhow::Result<(Registers, Model)> {
    let model = args.model.unwrap_or(Model::Generic);
    let from_file_alone = args.model.is_none() && args.registers.is_some();
    if args.energy_unit.is_some() {
        if from_file_alone {
            bail!("`--energy-unit` has no effect here: the file sets the unit of energy");
        }
        if model.energy_unit().is_none() {
            bail!("`--energy-unit` has no effect here: this meter counts no energy");
        }
    }
    let energy = args.energy_unit.or(model.energy_unit()).unwrap_or(EnergyUnit::KilowattHour);
    let mut registers =
        if from_file_alone { Registers::empty() } else { Registers::model(model, energy, 0) };
    if let Some(path) = &args.registers {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let replaced = registers.replace_from_yaml(&text);
        replaced.map_err(|error| anyhow!("{}: {}", path.display(), registers_error(&error)))?;
    }
    Ok((registers, model))
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<()> {
    let _log = logging::start(PROGRAM, &logging::Settings::to_stdout(Level::INFO))?;
    let (registers, model) = registers(args).map_err(|error| Usage(format!("{error:#}")))?;
    let behaviour = Behaviour {
        line: args.baud.map(Line::new),
        turnaround: Duration::from_millis(args.turnaround),
        echo: args.echo || model.echoes(),
    };
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let faults = Faults::from_rates(seed, &args.faults);
    let energy = args.energy_unit.or(model.energy_unit()).unwrap_or(EnergyUnit::KilowattHour);
    // The registers of a file alone are those of no model.
    let is_model = args.model.is_some() || args.registers.is_none();
    let logs = Logs::model(model, energy, SummerStamp::Standard).filter(|_| is_model);
    with_signals_alone(async |stop| {
        let (_keep, registers) = watch::channel(registers);
        let mut meter = Simulator::new(registers, behaviour);
        if let Some(logs) = logs {
            meter = meter.with_logs(logs);
        }
        if let Some(faults) = faults {
            writeln!(io::stdout(), "Random faults use `--seed {seed}`.")?;
            meter = meter.with_faults(faults);
        }
        let serving = async {
            if args.pty {
                let (path, pty) = Simulator::open_pty().context("cannot open a pseudo-terminal")?;
                announce(&path.display().to_string())?;
                meter.serve_pty(pty).await;
            } else {
                let listener = TcpListener::bind(args.listen).await.map_err(|error| {
                    anyhow!("cannot listen on {}: {}", args.listen, unavailable(&error))
                })?;
                announce(&format!("socket://{}", listener.local_addr()?))?;
                meter.serve_tcp(listener).await?;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            result = serving => result,
            () = stop.cancelled() => Ok(()),
        }
    })
}

/// Why the simulator cannot listen, and what to do.
fn unavailable(error: &io::Error) -> String {
    let hint = match Cause::from(error) {
        Cause::AddressInUse => {
            "Choose another port with `--listen`; port 0 means any free port".to_owned()
        }
        Cause::AddressElsewhere => "Choose an address of this machine with `--listen`".to_owned(),
        Cause::Denied => "Choose a port from 1024 on with `--listen`".to_owned(),
        Cause::Shortage => shortage_hint(RunsAs::Program).trim_end_matches('.').to_owned(),
        _ => return error.to_string(),
    };
    format!("{error}. {hint}")
}

/// Prints the port to set as `com_port`.
fn announce(com_port: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "A simulated meter answers at {com_port}")?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};
    use kmp::register::RegisterId;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "simulate")]
    struct Simulate {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, String> {
        let words = ["simulate"].into_iter().chain(line.split_whitespace());
        let matches = Simulate::command().try_get_matches_from(words);
        let parsed = matches.and_then(|matches| Simulate::from_arg_matches(&matches));
        parsed.map(|simulate| simulate.arguments).map_err(|error| error.to_string())
    }

    fn simulated(line: &str) -> Result<(Registers, Model), String> {
        registers(&parse(line)?).map_err(|error| format!("{error:#}"))
    }

    /// Of an address that is not this machine's, it said that another port helps.
    #[test]
    fn what_to_do_depends_on_why_it_cannot_listen() {
        let words = |kind: io::ErrorKind| unavailable(&kind.into());
        assert!(words(io::ErrorKind::AddrInUse).contains("another port"));
        assert!(words(io::ErrorKind::AddrNotAvailable).contains("an address of this machine"));
        assert!(words(io::ErrorKind::PermissionDenied).contains("from 1024 on"));
        assert!(!words(io::ErrorKind::OutOfMemory).contains("port"));
    }

    #[test]
    fn options_choose_the_registers_and_their_units() {
        let unit = |line: &str| {
            let (registers, model) = simulated(line).unwrap();
            let energy = &registers.values[&RegisterId::new(60)];
            (model, registers.values.len(), energy.unit.to_string())
        };
        let kilowatt_hours = "kWh".to_owned();
        assert_eq!(unit(""), (Model::Generic, 32, kilowatt_hours.clone()));
        assert_eq!(unit("--model generic --energy-unit GJ"), (Model::Generic, 32, "GJ".to_owned()));
        assert_eq!(unit("--model 402"), (Model::Multical402, 54, kilowatt_hours.clone()));
        assert_eq!(unit("--model 403"), (Model::Multical403, 36, "MWh".to_owned()));
        assert_eq!(unit("--model 403 --energy-unit kWh"), (Model::Multical403, 36, kilowatt_hours));

        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("registers.yaml");
        std::fs::write(&file, "energy: 1.5 Gcal\n4000: 1\n").unwrap();
        let file = file.display();
        let unit_of = |options: &str| unit(&format!("--registers {file} {options}"));
        assert_eq!(unit_of(""), (Model::Generic, 2, "Gcal".to_owned()));
        assert_eq!(unit_of("--model generic"), (Model::Generic, 33, "Gcal".to_owned()));
        assert_eq!(
            unit_of("--model 403 --energy-unit GJ"),
            (Model::Multical403, 37, "Gcal".to_owned())
        );
        let error = simulated(&format!("--registers {file} --energy-unit GJ")).unwrap_err();
        assert!(error.contains("the file sets"), "{error}");
        let error = simulated("--model 21 --energy-unit GJ").unwrap_err();
        assert!(error.contains("counts no energy"), "{error}");
    }

    /// A terminal must not wrap the tables. It may be 80 columns wide, and the help indents its
    /// texts by 10.
    #[test]
    fn tables_of_the_help_fit() {
        for text in [registers_help(), fault_help()] {
            let lines = text.lines().filter(|line| line.starts_with("    "));
            let wide: Vec<_> = lines.filter(|line| line.chars().count() > 70).collect();
            assert_eq!(wide, [""; 0]);
        }
    }

    #[test]
    fn invalid_arguments_are_rejected() {
        for (line, expected) in [
            ("--fault noises=5%", "flipped-bits, dropped-byte, doubled-byte, truncated, noise"),
            ("--fault noise=0.05%", "in steps of `0.1%`"),
            ("--seed 1", "--fault <FAULT=RATE>"),
            ("--model 404", "[possible values: generic, 303, 402, 403, 603, 21]"),
            ("--registers /nowhere/registers.yaml", "cannot read /nowhere/registers.yaml"),
        ] {
            let error = simulated(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
