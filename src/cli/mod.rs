//! The command line.

mod ask;
mod forget;
mod info;
mod read;
mod registers;
mod scan;
mod simulate;
mod table;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, CommandFactory, Parser, Subcommand};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{self, ConfigError, Variables};
use crate::{app, logging};

/// Reads a Kamstrup MULTICAL heat meter and publishes its values to MQTT and Home Assistant.
///
/// Without a command it runs until it is stopped.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration. Without it: config.yaml, ../config.yaml, then
    /// /etc/kamstrup2mqtt/config.yaml; environment variables override it
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read values once and show them
    Read(read::Arguments),
    /// Show which meter this is: model, serial number, software, clock and faults
    Info(info::Arguments),
    /// Find out which registers the meter has; reading them all takes some minutes
    Scan(scan::Arguments),
    /// List the registers that are known
    Registers(registers::Arguments),
    /// Take away what the broker keeps of this program: entities of Home Assistant, retained values
    Forget(forget::Arguments),
    /// Be a meter: answers KMP over TCP, or on a pseudo-terminal, from a table of registers
    Simulate(simulate::Arguments),
}

/// Runs the program: what `main` does.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, mistakes to standard error.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let result = match &cli.command {
        None => read_and_publish(cli.run.config.as_deref()).map(|()| ExitCode::SUCCESS),
        Some(Command::Read(args)) => read::run(args),
        Some(Command::Info(args)) => info::run(args),
        Some(Command::Scan(args)) => scan::run(args),
        Some(Command::Registers(args)) => registers::run(args),
        Some(Command::Forget(args)) => forget::run(args),
        Some(Command::Simulate(args)) => simulate::run(args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| report(&error))
}

/// The command line as data, from which the manual page and the completions of shells are made.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Options that contradict each other, in a way that only this program knows.
#[derive(Debug, Error)]
#[error("{0}")]
struct Usage(String);

/// The environment, as far as it is text in its names.
fn variables() -> Variables {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
    std::env::vars_os().filter_map(text).collect()
}

/// Tells the error and what to do about it. 2 is for what the user wrote, 1 for the rest.
fn report(error: &anyhow::Error) -> ExitCode {
    // Who reads through `head` has seen enough.
    let is_closed = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(is_closed) {
        return ExitCode::SUCCESS;
    }
    let mut stderr = io::stderr().lock();
    // When even this cannot be written, nothing is left to be done.
    let _ = writeln!(stderr, "error: {error:#}");
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        let _ = writeln!(stderr, "hint: {}", config.hint());
        ExitCode::from(2)
    } else if error.is::<Usage>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

fn read_and_publish(file: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load(file, &variables())?;
    logging::start(loaded.config.log_level)?;
    if let Some(file) = &loaded.file {
        info!("The configuration is {}.", file.display());
    } else {
        info!("The configuration is in environment variables; there is no file.");
    }
    for warning in &loaded.warnings {
        warn!("In the configuration: {warning}.");
    }
    with_signals(|stop| app::run(loaded.config, stop))
}

/// Runs a future that SIGINT and SIGTERM ask to stop; the second one does not wait for it.
fn with_signals<F: Future<Output = anyhow::Result<()>>>(
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    // One thread does: all there is to do is to wait for the line.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (asked, at_once) = (stop.clone(), CancellationToken::new());
        let again = at_once.clone();
        tokio::spawn(async move {
            // Whoever asks twice does not want to wait for a goodbye.
            for ask in [asked, again] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                ask.cancel();
            }
        });
        tokio::select! {
            biased;
            result = work(stop) => result,
            () = at_once.cancelled() => Err(anyhow!("stopped at once, as asked twice")),
        }
    });
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    result
}
