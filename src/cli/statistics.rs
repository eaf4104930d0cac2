//! `kamstrup2mqtt statistics`: fills gaps in Home Assistant's statistics, and writes what was before
//! them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tracing::Level;

use super::ask::{print, waiting_for};
use super::signals::with_signals;
use crate::PROGRAM;
use crate::config::{self, Config};
use crate::gaps::{
    self, LogUse, Report, Source, fill_all, filled_words, is_universal, undo_all, undone_words,
};
use crate::history_file;
use history::Reader;
use logging::LocalTime;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file, which has `homeassistant.url` and `homeassistant.token`. Default: the
    /// one that the program uses
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The file of readings. Default: the file that the program uses if it has the same environment
    /// variables as this command
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Use the meter's logs, too: write what it counted before the first hour of Home Assistant, fill
    /// gaps without readings, and raise sums that began again at 0
    #[arg(long, conflicts_with = "undo")]
    pub(super) full: bool,
    /// Show what would be written and what Home Assistant's sums would be, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Take back everything that was written. These hours are then left alone for good
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) undo: bool,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let variables = super::environment::variables();
    let loaded = config::load(args.config.as_deref(), &variables)?;
    let Config { publishing, meters, home_assistant, logging: log, .. } = loaded.config;
    // A command logs only warnings, unless the level is DEBUG.
    logging::start_beside(
        PROGRAM,
        if log.level == Level::DEBUG { Level::DEBUG } else { Level::WARN },
    )?;
    let access = home_assistant.context(
        "the address of Home Assistant or a token for it is missing; set `homeassistant.url` and \
         `homeassistant.token`",
    )?;
    let file =
        args.file.clone().or_else(|| history_file::path(None, |name| variables.get(name).cloned()));
    let file = file.context(
        "there is no folder for readings, so there is no file; use `--file` to name another one",
    )?;
    if !args.undo && !file.exists() {
        bail!("there are no readings in {}; use `--file` to name another file", file.display());
    }
    let journal = file.with_file_name(gaps::JOURNAL);
    let zone = LocalTime::now().time_zone().clone();
    // The command `history` keeps what it reads in this folder. The program may use another one.
    let beside = file.parent().map(Path::to_owned);
    let own = history_file::folder(|name| variables.get(name).cloned());
    let mut source =
        Source::new(Reader::of_file(file, zone.clone()), &meters, &publishing.id_prefix);
    if args.full {
        if is_universal(&zone) {
            bail!(
                "the time zone here is UTC, so it is not known when the meter made the entries of its \
                 log; set the variable `TZ` to the zone of the meter, like Europe/Copenhagen"
            );
        }
        let folders = [beside, own].into_iter().flatten();
        source = source.with_logs(folders, zone, LogUse::ByHand);
    }
    let waiting = format!(
        "Waiting for Home Assistant at {} to compile statistics. This takes up to 5 minutes.",
        access.address
    );
    with_signals(async |stop| {
        let (mut report, mut undone) = (Report::default(), Vec::new());
        let work = async {
            if args.undo {
                undo_all(&access, &journal, &mut undone).await
            } else {
                fill_all(&access, &source, &journal, gaps::ALL, args.dry_run, &mut report).await
            }
        };
        let done = tokio::select! {
            done = waiting_for(&waiting, work) => done.map_err(anyhow::Error::from),
            () = stop.cancelled() => Err(anyhow!("stopped before everything was done")),
        };
        if done.is_err() {
            report.close();
        }
        // What was done is shown before what went wrong.
        if done.is_ok() || !undone.is_empty() || !report.entities.is_empty() {
            let words = || filled_words(&report, args.dry_run);
            print(&if args.undo { undone_words(&undone) } else { words() })?;
        }
        done
    })?;
    Ok(ExitCode::SUCCESS)
}
