//! The program itself, as a process.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::patiently;

/// The user `nobody`.
const NOBODY: u32 = 65534;

pub(crate) struct Program {
    process: Child,
    log: watch::Receiver<Vec<String>>,
    folder: TempDir,
}

impl Program {
    /// Runs with this file as `config.yaml` in its working directory.
    pub(crate) fn start(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
        Self::launch(folder, &[], &[])
    }

    /// Runs with this file as `config.yaml` and `--stay`.
    pub(crate) fn start_to_stay(yaml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
        Self::launch(folder, &["--stay"], &[])
    }

    /// Runs with these arguments and variables, and no other variables.
    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::launch(TempDir::new().unwrap(), arguments, variables)
    }

    /// Runs as a user with ordinary permissions: the present one, or nobody instead of root.
    pub(crate) fn start_unprivileged(variables: &[(&str, &str)]) -> Self {
        Self::launch_unprivileged(TempDir::new().unwrap(), &[], variables)
    }

    /// Runs as a service does: unprivileged, in a folder that it may not write to, with `--stay`
    /// and a file of this content and these permissions, or a missing one.
    pub(crate) fn start_service(file: Option<(&str, u32)>, variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("config.yaml");
        if let Some((yaml, mode)) = file {
            std::fs::write(&path, yaml).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        let arguments = ["--stay", "--config", path.to_str().unwrap()];
        Self::launch_unprivileged(folder, &arguments, variables)
    }

    fn launch_unprivileged(
        folder: TempDir,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            return Self::launch(folder, arguments, variables);
        }
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        // The user nobody may have no access to the build folder. Another process makes the copy: a
        // process that another test starts while this one writes would prevent the copy from being
        // executed.
        let copy = folder.path().join("kamstrup2mqtt");
        let copied = std::process::Command::new("cp").arg(binary()).arg(&copy).status().unwrap();
        assert!(copied.success());
        let mut command = Command::new(copy);
        command.uid(NOBODY).gid(NOBODY);
        Self::run(command, folder, arguments, variables)
    }

    /// Runs with this file as `config.yaml` in its working directory, and these variables.
    pub(crate) fn start_by(yaml: &str, variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
        Self::launch(folder, &[], variables)
    }

    fn launch(folder: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::run(Command::new(binary()), folder, arguments, variables)
    }

    fn run(
        mut command: Command,
        folder: TempDir,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        // Many programs run in parallel, and only one could have the page's default port.
        let says_where = variables.iter().any(|(name, _)| name.starts_with("WEB_"));
        let page = (arguments.is_empty() && !says_where).then_some(["--listen", "127.0.0.1:0"]);
        let mut process = command
            .args(arguments)
            .args(page.iter().flatten())
            .env_clear()
            // Hints depend on it, wherever the tests run.
            .env("KAMSTRUP2MQTT_CONTAINER", "false")
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
        Self { process, log, folder }
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
        self.says_within(text, crate::PATIENCE).await
    }

    pub(crate) async fn says_within(&mut self, text: &str, patience: Duration) -> String {
        let has = |lines: &Vec<String>| lines.iter().any(|line| line.contains(text));
        let waited = tokio::time::timeout(patience, self.log.wait_for(has)).await;
        let found = matches!(waited, Ok(Ok(_)));
        drop(waited);
        assert!(found, "waited for {text:?}; log: {:#?}", self.log());
        self.log().into_iter().find(|line| line.contains(text)).unwrap()
    }

    /// Waits until so many lines have this text.
    pub(crate) async fn says_times(&mut self, text: &str, times: usize) {
        let enough =
            |lines: &Vec<String>| lines.iter().filter(|line| line.contains(text)).count() >= times;
        let waited = tokio::time::timeout(crate::PATIENCE, self.log.wait_for(enough)).await;
        let found = matches!(waited, Ok(Ok(_)));
        drop(waited);
        assert!(found, "waited {times} times for {text:?}; log: {:#?}", self.log());
    }

    /// Its processor time, in user and system mode together.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = self.proc("stat");
        let stat = std::fs::read_to_string(stat).unwrap();
        // The name in parentheses may contain anything (proc_pid_stat(5)). Fields 14 and 15 are in
        // 1/100 s.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().unwrap());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// The number of files, sockets and the like that it has open.
    pub(crate) fn handles(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Its memory, in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        kilobytes * 1024
    }

    /// The number of bytes in the system that wait for a reader at this port of 127.0.0.1.
    pub(crate) fn unsent(&self, port: u16) -> u64 {
        // proc_pid_net(5): both addresses and the state in hexadecimal, then the bytes that wait
        // there and here. State 1 is an established connection.
        let table = std::fs::read_to_string(self.proc("net/tcp")).unwrap();
        let there = format!("0100007F:{port:04X}");
        let waiting = table.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            (fields[2] == there && fields[3] == "01").then(|| fields[4].split_once(':').unwrap().0)
        });
        u64::from_str_radix(waiting.unwrap_or("0"), 16).unwrap()
    }

    fn proc(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.process.id().unwrap()).into()
    }

    /// As `kill -TERM` does.
    pub(crate) async fn terminate(&self) {
        self.signal("-TERM").await;
    }

    /// Writes another `config.yaml`, and has it read as `kill -HUP` does.
    pub(crate) async fn reload(&self, yaml: &str) {
        self.write(yaml);
        self.signal("-HUP").await;
    }

    /// Replaces `config.yaml` as a whole, because the program may read it at any time.
    pub(crate) fn write(&self, yaml: &str) {
        let beside = self.folder.path().join("config.yaml.new");
        std::fs::write(&beside, yaml).unwrap();
        std::fs::rename(&beside, self.folder.path().join("config.yaml")).unwrap();
    }

    pub(crate) async fn signal(&self, name: &str) {
        self.signals(&[name]).await;
    }

    /// Sends them one after the other, as fast as possible.
    pub(crate) async fn signals(&self, names: &[&str]) {
        let pid = self.process.id().unwrap();
        let kills = names.iter().map(|name| format!("kill {name} {pid}"));
        let all = kills.collect::<Vec<_>>().join("; ");
        assert!(Command::new("sh").args(["-c", &all]).status().await.unwrap().success());
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        patiently("the program ends", self.process.wait()).await.unwrap()
    }

    /// Whether it is still running.
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
