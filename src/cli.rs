//! The command line.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{Level, info, warn};

use crate::config::{self, ConfigError};
use crate::line::Line;
use crate::simulator::{Behaviour, EnergyUnit, Registers, Simulator};
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
    /// Be a meter: answers KMP over TCP, or on a pseudo-terminal, from a table of registers
    Simulate(SimulateArgs),
}

#[derive(Debug, Args)]
struct SimulateArgs {
    /// Where to listen, as a network serial server does; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:2003",
        conflicts_with = "pty"
    )]
    listen: SocketAddr,
    /// Open a pseudo-terminal instead, and print its path
    #[arg(long)]
    pty: bool,
    /// Registers instead of the built-in example, in YAML: lines like `energy: 55.006 MWh`,
    /// `volume: 1917.57 m³`, `flow: 128 l/h in 2 bytes`, `0x0063: 0`, `maxflowdate_y: 2026-01-31`
    #[arg(long, value_name = "FILE", conflicts_with = "energy_unit")]
    registers: Option<PathBuf>,
    /// The unit in which the built-in example counts energy; its values stay as they are
    #[arg(long, value_name = "UNIT", value_enum, default_value = "kWh")]
    energy_unit: EnergyUnit,
    /// Keep to the speed of a line, like 1200; without it answers come at once
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    baud: Option<u32>,
    /// How long the meter thinks before it answers
    #[arg(long, value_name = "MILLISECONDS", default_value = "0")]
    turnaround: u64,
    /// Send back each request first, as many optical heads do
    #[arg(long)]
    echo: bool,
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
        None => read_and_publish(cli.run.config.as_deref()),
        Some(Command::Simulate(args)) => simulate(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// Tells the error and what to do about it. 2 is for what the user wrote, 1 for the rest.
fn report(error: &anyhow::Error) -> ExitCode {
    let mut stderr = io::stderr().lock();
    let config = error.downcast_ref::<ConfigError>();
    // When even this cannot be written, nothing is left to be done.
    let _ = writeln!(stderr, "error: {error:#}");
    let Some(config) = config else {
        return ExitCode::FAILURE;
    };
    let _ = writeln!(stderr, "hint: {}", config.hint());
    ExitCode::from(2)
}

fn read_and_publish(file: Option<&Path>) -> anyhow::Result<()> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect();
    let loaded = config::load(file, &variables)?;
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

fn simulate(args: &SimulateArgs) -> anyhow::Result<()> {
    logging::start(Level::INFO)?;
    let registers = match &args.registers {
        None => Registers::example(args.energy_unit, 0),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            Registers::from_yaml(&text).with_context(|| format!("{}", path.display()))?
        }
    };
    let behaviour = Behaviour {
        line: args.baud.map(Line::new),
        turnaround: Duration::from_millis(args.turnaround),
        echo: args.echo,
    };
    with_signals(async |stop| {
        let (_keep, registers) = watch::channel(registers);
        let meter = Simulator::new(registers, behaviour);
        let serving = async {
            if args.pty {
                let (path, pty) = Simulator::open_pty().context("no pseudo-terminal")?;
                announce(&path.display().to_string())?;
                meter.serve_pty(pty).await;
            } else {
                let listener = TcpListener::bind(args.listen)
                    .await
                    .with_context(|| format!("{} cannot be listened on", args.listen))?;
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

/// What to write as `com_port`.
fn announce(com_port: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "A simulated meter answers at {com_port}")?;
    stdout.flush()
}

/// Runs a future that SIGINT and SIGTERM ask to stop.
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
        let asked = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            asked.cancel();
        });
        work(stop).await
    });
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    result
}
