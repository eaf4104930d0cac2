//! The program itself, as a process.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::patiently;

pub(crate) struct Program {
    process: Child,
    log: watch::Receiver<Vec<String>>,
    _folder: TempDir,
}

impl Program {
    /// Runs with this file as `config.yaml` in its working directory.
    pub(crate) fn start(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
        Self::launch(folder, &[], &[])
    }

    /// Runs with these arguments and variables, and no other variables.
    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::launch(TempDir::new().unwrap(), arguments, variables)
    }

    fn launch(folder: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(binary())
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (sender, log) = watch::channel(Vec::new());
        let sender = Arc::new(sender);
        tokio::spawn(collect(process.stdout.take().unwrap(), Arc::clone(&sender)));
        tokio::spawn(collect(process.stderr.take().unwrap(), sender));
        Self { process, log, _folder: folder }
    }

    /// All lines so far, standard error included.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.log().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for a line and returns it.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        let has = |lines: &Vec<String>| lines.iter().any(|line| line.contains(text));
        let waited = tokio::time::timeout(crate::PATIENCE, self.log.wait_for(has)).await;
        let found = matches!(waited, Ok(Ok(_)));
        drop(waited);
        assert!(found, "waited for {text:?}; log: {:#?}", self.log());
        self.log().into_iter().find(|line| line.contains(text)).unwrap()
    }

    /// As `kill -TERM` does.
    pub(crate) async fn terminate(&self) {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        patiently("the program ends", self.process.wait()).await.unwrap()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

pub(crate) fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_kamstrup2mqtt").into()
}

async fn collect(from: impl AsyncRead + Unpin, to: Arc<watch::Sender<Vec<String>>>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        to.send_modify(|all| all.push(line));
    }
}
