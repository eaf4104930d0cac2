//! `kamstrup2mqtt backup`: makes the file of readings safe to copy while the program runs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Run this before the copy. It makes the file safe to copy until `backup end`, but for an hour
    /// at most. Readings continue
    Begin(Place),
    /// Run this after the copy
    End(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// The file of readings. Default: the file that the program uses if it has the same environment
    /// variables as this command
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let (Step::Begin(place) | Step::End(place)) = &args.step;
    let variables = super::environment::variables();
    let file = place
        .file
        .clone()
        .or_else(|| crate::history_file::path(None, |name| variables.get(name).cloned()));
    let file = file.context(
        "there is no folder for readings, so there is no file; use `--file` to name another one",
    )?;
    match args.step {
        Step::Begin(_) => history::hold(&file),
        Step::End(_) => history::release(&file),
    }?;
    Ok(ExitCode::SUCCESS)
}
