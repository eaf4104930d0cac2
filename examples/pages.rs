//! Writes the manual pages and the shell completions of the packages into a folder.
//!
//! `cargo run --example pages -- target/manual`

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap_complete::Shell;

fn main() -> anyhow::Result<()> {
    let folder =
        PathBuf::from(std::env::args_os().nth(1).context("the folder is missing: `pages FOLDER`")?);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let mut command = kamstrup2mqtt::cli::command();
        clap_complete::generate_to(shell, &mut command, "kamstrup2mqtt", &folder)?;
    }
    // kamstrup2mqtt.1, kamstrup2mqtt-read.1 and so on.
    clap_mangen::generate_to(kamstrup2mqtt::cli::command(), &folder)?;
    Ok(())
}
