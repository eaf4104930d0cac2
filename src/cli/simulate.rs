//! `kamstrup2mqtt simulate`: a meter for tests and demonstrations.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::Level;

use super::with_signals;
use crate::line::Line;
use crate::logging;
use crate::simulator::{Behaviour, EnergyUnit, Registers, Simulator};

#[derive(Debug, Args)]
pub(super) struct Arguments {
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

pub(super) fn run(args: &Arguments) -> anyhow::Result<()> {
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
