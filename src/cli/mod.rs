//! The command line.

mod ask;
mod backup;
mod check;
mod environment;
mod error;
mod find;
mod forget;
mod health;
mod history;
mod info;
mod page_address;
mod read;
mod registers;
mod reload;
mod scan;
mod service;
mod set_up;
mod signals;
mod simulate;
mod statistics;
mod table;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::error::Usage;
use self::service::RunArgs;
use crate::config::{self, ConfigError};
use crate::resources::{self, Shortage};
use meter::RunsAs;

/// Reads a Kamstrup MULTICAL heat meter and publishes its values to MQTT and Home Assistant.
///
/// Without a command it runs until it is stopped.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configuration; with `--online`, also the meters and the broker
    Check(check::Arguments),
    /// Read values once and show them
    Read(read::Arguments),
    /// Show the meter's model, serial number, software, clock and faults
    Info(info::Arguments),
    /// Find the serial port with the optical head, by asking each port for a meter
    Find(find::Arguments),
    /// Find out which values (registers) the meter has; this takes a few minutes
    Scan(scan::Arguments),
    /// Read what the meter has logged: hours, days, months or years
    History(history::Arguments),
    /// List the known registers
    Registers(registers::Arguments),
    /// Remove this program's entities from Home Assistant, and its messages from the broker
    Forget(forget::Arguments),
    /// For scripts: ask the status page whether the program is running. Exit code 0 means yes
    Health(health::Arguments),
    /// Pause or resume writing the stored readings, so that you can back them up
    Backup(backup::Arguments),
    /// Fill gaps in Home Assistant's statistics, and write what the meter counted before
    Statistics(statistics::Arguments),
    /// Simulate a meter, for tests: it answers over TCP or on a simulated serial port
    Simulate(simulate::Arguments),
}

/// Runs the program; `main` calls only this.
#[must_use]
pub fn run() -> ExitCode {
    resources::spare_addresses();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, errors to standard error.
            let words = error.to_string();
            let shown = without_given_secrets(&words);
            let _ = if shown == words { error.print() } else { write!(io::stderr(), "{shown}") };
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let cli = match cli.with_config_in_front() {
        Ok(cli) => cli,
        Err(error) => return report(&error.into(), RunsAs::Program),
    };
    let runs_as = match cli.run.options {
        Some(_) => RunsAs::AddOn,
        None => RunsAs::Program,
    };
    if let Err(shortage) = resources::check() {
        return report(&shortage.into(), runs_as);
    }
    let result = match &cli.command {
        None => service::start(&cli.run).map(|()| ExitCode::SUCCESS),
        Some(Command::Check(args)) => check::run(args),
        Some(Command::Read(args)) => read::run(args),
        Some(Command::Info(args)) => info::run(args),
        Some(Command::Find(args)) => find::run(args),
        Some(Command::Scan(args)) => scan::run(args),
        Some(Command::History(args)) => history::run(args),
        Some(Command::Registers(args)) => registers::run(args),
        Some(Command::Forget(args)) => forget::run(args),
        Some(Command::Health(args)) => health::run(args),
        Some(Command::Backup(args)) => backup::run(args),
        Some(Command::Statistics(args)) => statistics::run(args),
        Some(Command::Simulate(args)) => simulate::run(args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| report(&error, runs_as))
}

impl Cli {
    /// Accepts `--config` before the command too. The other options there are only for a run
    /// without a command.
    fn with_config_in_front(mut self) -> Result<Self, Usage> {
        let Some(command) = &mut self.command else { return Ok(self) };
        for (option, is_there) in [
            ("--options", self.run.options.is_some()),
            ("--stay", self.run.stay),
            ("--no-setup", self.run.no_setup),
            ("--listen", self.run.listen.is_some()),
        ] {
            if is_there {
                return Err(Usage(format!("`{option}` cannot be used with a command")));
            }
        }
        let Some(front) = self.run.config.take() else { return Ok(self) };
        let (config, other) = match command {
            Command::Check(args) => (&mut args.config, None),
            Command::Read(args) => args.target.config(),
            Command::Info(args) => args.target.config(),
            Command::Find(args) => (&mut args.config, None),
            Command::Scan(args) => args.target.config(),
            Command::History(args) => args.target.config(),
            Command::Forget(args) => (&mut args.config, None),
            Command::Health(args) => (&mut args.config, None),
            Command::Statistics(args) => (&mut args.config, None),
            Command::Registers(args) => args.config(),
            Command::Backup(_) | Command::Simulate(_) => {
                return Err(Usage("this command reads no configuration: remove `--config`".into()));
            }
        };
        if let Some(other) = other.or(config.as_ref().map(|_| "another `--config`")) {
            return Err(Usage(format!("`--config` cannot be used with {other}")));
        }
        *config = Some(front);
        Ok(self)
    }
}

/// The command line as data, for the manual page and the completions of shells.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// A message without the secrets of the command line: an address that is in the wrong place may
/// contain the key of a node.
fn without_given_secrets(words: &str) -> String {
    let given = env::args_os().map(|word| word.to_string_lossy().into_owned());
    hide_secrets_of(given, words)
}

fn hide_secrets_of(given: impl Iterator<Item = String>, words: &str) -> String {
    given.fold(words.to_owned(), |words, word| {
        // `--option=address`
        let address = word.find("://").and_then(|end| word.get(..end)?.rfind('='));
        let word = address.and_then(|at| word.get(at.saturating_add(1)..)).unwrap_or(&word);
        words.replace(word, &config::without_secrets(word))
    })
}

/// Prints the error and a hint. The exit code is 2 for errors in the configuration or on the
/// command line, otherwise 1.
fn report(error: &anyhow::Error, runs_as: RunsAs) -> ExitCode {
    // `head` closes the pipe when it has enough lines.
    let is_closed = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(is_closed) {
        return ExitCode::SUCCESS;
    }
    let mut stderr = io::stderr().lock();
    // If even this cannot be written, there is nothing left to do.
    let words = match error.downcast_ref::<Shortage>() {
        Some(shortage) => shortage.words(runs_as),
        None => format!("{error:#}"),
    };
    let _ = writeln!(stderr, "error: {}", without_given_secrets(&words));
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        let _ = writeln!(stderr, "hint: {}", config.hint());
        ExitCode::from(2)
    } else if error.is::<Usage>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}
