//! For benchmarks of the release build with its page and its history on disk.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::program;

/// The running program.
pub(crate) struct Paged {
    _process: Child,
    /// The number of its process.
    pub(crate) id: u32,
    /// The address of the page.
    pub(crate) page: SocketAddr,
    _folder: TempDir,
}

impl Paged {
    /// Starts the program with this configuration in this folder, and waits for its page. Also
    /// returns a task that ends with the program, and gives the errors and warnings in its log.
    pub(crate) async fn start(
        yaml: &str,
        folder: TempDir,
    ) -> anyhow::Result<(Self, JoinHandle<Vec<String>>)> {
        let file = folder.path().join("meters.yaml");
        std::fs::write(&file, yaml)?;
        let mut process = Command::new(executable())
            .arg("--config")
            .arg(&file)
            .env_clear()
            .env("STATE_DIRECTORY", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let id = process.id().context("a running process")?;
        let mut lines =
            BufReader::new(process.stdout.take().context("the output of the program")?).lines();
        let page = loop {
            let line = lines.next_line().await?.context("the address of the page in the log")?;
            if let Some((_, page)) = line.split_once("The status page is at http://") {
                break page.trim_end_matches('.').parse()?;
            }
        };
        let log = tokio::spawn(async move {
            let mut trouble = Vec::new();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("WARN") || line.contains("ERROR") {
                    trouble.push(line);
                }
            }
            trouble
        });
        Ok((Self { _process: process, id, page, _folder: folder }, log))
    }

    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        program::processor_time(self.id)
    }

    /// A figure of the program's memory, in KiB.
    pub(crate) fn memory(&self, figure: &str) -> anyhow::Result<u64> {
        program::memory(self.id, figure)
    }
}

/// The program under test: this variable's, or the one that was built with the benchmark.
fn executable() -> OsString {
    let own = || env!("CARGO_BIN_EXE_kamstrup2mqtt").into();
    std::env::var_os("KAMSTRUP2MQTT_TEST_PROGRAM").unwrap_or_else(own)
}
