//! The program under limits on threads, files and memory. It runs, or it ends with an error and an
//! exit code. It never panics, and no signal ends it.
//!
//! Each run is a process with a limit (`prlimit`) and with everything that needs a thread or a
//! file: a meter and a broker by name, a history on disk, the page, SIGHUP with another log
//! destination, SIGTERM. `cargo test --test exhaustion -- --nocapture` shows the result of each. A
//! panic of the program under test is detected by its message.
//! `KAMSTRUP2MQTT_TEST_PROGRAM=target/release/kamstrup2mqtt` tests a program that aborts instead.

#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]
#![expect(clippy::panic, reason = "a test ends with a panic")]
#![expect(clippy::print_stdout, reason = "shows what came of each run")]

#[path = "../examples/embedded/mod.rs"]
mod embedded;

use std::fmt;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kamstrup2mqtt::THREADS;
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// For events that happen only if the limit allows them; the run continues without them.
const SOON: Duration = Duration::from_secs(4);

/// For events that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of runs in parallel.
const AT_ONCE: usize = 8;

/// Unused user ids: a limit on processes counts all processes of a user, and does not apply to
/// root.
const FIRST_USER: u32 = 61_000;

/// Threads that are not for blocking work: the first one, the log's and the history's.
const OTHERS: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Limit {
    Threads(usize),
    Files(usize),
    /// In KiB, as for `ulimit -v`.
    Memory(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(most) => write!(f, "ulimit -u {most}"),
            Self::Files(most) => write!(f, "ulimit -n {most}"),
            Self::Memory(most) => write!(f, "ulimit -v {most}"),
        }
    }
}

impl Limit {
    fn argument(self) -> String {
        match self {
            Self::Threads(most) => format!("--nproc={most}"),
            Self::Files(most) => format!("--nofile={most}"),
            Self::Memory(most) => format!("--as={}", most.saturating_mul(1024)),
        }
    }
}

/// The result of a run.
#[derive(Debug, Default)]
struct Outcome {
    reads: bool,
    /// The status of each answer of the page; `None` without an answer.
    page: Vec<Option<u16>>,
    /// The log line about the other configuration.
    reload: Option<String>,
    /// Lines that report what is unavailable.
    complaints: Vec<String>,
    status: Option<ExitStatus>,
    /// Whether it ended before it was asked to.
    too_early: bool,
}

impl Outcome {
    /// Everything worked.
    fn is_good(&self) -> bool {
        self.reads
            && self.page.iter().all(|status| *status == Some(200))
            && self.reload.as_ref().is_some_and(|said| said.contains("INFO"))
            && !self.too_early
    }

    fn is_refusal(&self) -> bool {
        self.too_early && self.status.and_then(|status| status.code()) == Some(1)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.status.and_then(|status| status.code()).unwrap_or(-1);
        if self.too_early {
            write!(f, "exit code {code}")?;
        } else {
            let page = self.page.iter();
            let page =
                page.map(|status| status.map_or("-".to_owned(), |status| status.to_string()));
            let page = page.collect::<Vec<_>>().join(" ");
            let (reads, reload) = (if self.reads { "yes" } else { "no" }, &self.reload);
            let reload = if reload.is_some() { "yes" } else { "no" };
            write!(f, "reads: {reads}, page: {page}, reload: {reload}, exit code {code}")?;
        }
        self.complaints.iter().try_for_each(|line| write!(f, "\n        {line}"))
    }
}

fn program() -> PathBuf {
    let other = std::env::var_os("KAMSTRUP2MQTT_TEST_PROGRAM");
    other.map_or_else(|| env!("CARGO_BIN_EXE_kamstrup2mqtt").into(), PathBuf::from)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// What all runs share.
struct Surroundings {
    /// It holds a copy of the program that other users may run.
    folder: TempDir,
    broker: SocketAddr,
    permits: Semaphore,
}

impl Surroundings {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let copy = folder.path().join("kamstrup2mqtt");
        // Another process makes the copy: a process that starts while this one writes would prevent
        // the copy from being executed.
        let copied = Command::new("cp").arg(program()).arg(&copy).status().await.unwrap();
        assert!(copied.success());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let broker = listener.local_addr().unwrap();
        drop(listener);
        embedded::start(broker).await.unwrap();
        Self { folder, broker, permits: Semaphore::new(AT_ONCE) }
    }
}

/// Runs the program under a limit.
struct Run {
    process: Child,
    log: watch::Receiver<Vec<String>>,
    _serving: JoinSet<()>,
    folder: TempDir,
    yaml: String,
    /// For events that happen only if the limit allows them.
    patience: Duration,
}

impl Run {
    async fn start(around: &Surroundings, limit: Limit, number: u32, is_enough: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let meter = listener.local_addr().unwrap().port();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let registers = Registers::example(EnergyUnit::KilowattHour, 0);
            let (_sender, registers) = watch::channel(registers);
            Simulator::new(registers, Behaviour::default()).serve_tcp(listener).await.unwrap();
        });
        let yaml = format!(
            "mqtt: {{ host: localhost, port: {}, client: run{number}, topic: run{number}, device_id: run{number} }}\n\
             serial_device: {{ com_port: 'socket://localhost:{meter}' }}\n\
             homeassistant: {{ id_prefix: 'run{number}' }}\n\
             kamstrup: {{ version: '402', parameters: [energy, volume], poll_interval: 0.02 }}\n",
            around.broker.port()
        );
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.yaml"), &yaml).unwrap();
        let mut command = if is_root() {
            let user = FIRST_USER.saturating_add(number);
            std::os::unix::fs::chown(folder.path(), Some(user), Some(user)).unwrap();
            let mut command = Command::new("setpriv");
            let user = user.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit"]);
            command
        } else {
            Command::new("prlimit")
        };
        let mut process = command
            .arg(limit.argument())
            .arg(around.folder.path().join("kamstrup2mqtt"))
            .args(["--listen", "127.0.0.1:0"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("STATE_DIRECTORY", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (sender, log) = watch::channel(Vec::new());
        let sender = Arc::new(sender);
        tokio::spawn(collect(process.stdout.take().unwrap(), Arc::clone(&sender)));
        tokio::spawn(collect(process.stderr.take().unwrap(), sender));
        let patience = if is_enough { PATIENCE } else { SOON };
        Self { process, log, _serving: serving, folder, yaml, patience }
    }

    /// Waits for a line with one of these texts. There is none if the program ends first.
    async fn says(&mut self, texts: &[&str]) -> Option<String> {
        let is = |line: &&String| texts.iter().any(|text| line.contains(text));
        let found = |lines: &Vec<String>| lines.iter().any(|line| is(&line));
        let _ = timeout(self.patience, self.log.wait_for(found)).await;
        self.log.borrow().iter().find(is).cloned()
    }

    async fn signal(&self, name: &str) {
        let Some(pid) = self.process.id() else { return };
        let _ = Command::new("kill").args([name, &pid.to_string()]).status().await.unwrap();
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// The address of the page, if there is a page.
    async fn page(&mut self) -> Option<SocketAddr> {
        let line = self.says(&["The status page is at "]).await?;
        let (_, address) = line.split_once("http://")?;
        address.trim_end_matches('.').parse().ok()
    }

    async fn outcome(mut self) -> (Outcome, Vec<String>) {
        let mut outcome = Outcome::default();
        let page = self.page().await;
        outcome.reads = self.says(&["Read 2 of 2 values"]).await.is_some();
        if let Some(page) = page {
            let history = "/api/v1/history?meter=0&parameter=energy";
            // A reading is in the history a moment after it is in the log.
            let until = Instant::now() + self.patience;
            while get(page, history, self.patience).await == Some(404) && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            for path in ["/", "/api/v1/state", history, "/metrics"] {
                outcome.page.push(get(page, path, self.patience).await);
            }
        }
        let with_file =
            format!("{}logging: {{ destinations: [stdout, file], directory: logs }}\n", self.yaml);
        fs::write(self.folder.path().join("config.yaml"), with_file).unwrap();
        outcome.too_early = self.has_ended();
        self.signal("-HUP").await;
        if !outcome.too_early {
            outcome.reload =
                self.says(&["Reloaded the configuration", "Cannot reload the configuration"]).await;
        }
        if let Some(page) = page {
            outcome.page.push(get(page, "/", self.patience).await);
        }
        outcome.too_early |= self.has_ended();
        self.signal("-TERM").await;
        let ended = timeout(PATIENCE, self.process.wait()).await;
        let lines = || self.log.borrow().clone();
        outcome.status = Some(ended.unwrap_or_else(|_| panic!("it ends: {:#?}", lines())).unwrap());
        // Both streams have ended.
        let _ = timeout(PATIENCE, async { while self.log.changed().await.is_ok() {} }).await;
        let lines = self.log.borrow().clone();
        let is_complaint = |line: &&String| {
            line.starts_with("error") || line.contains(" WARN ") || line.contains(" ERROR ")
        };
        outcome.complaints = lines.iter().filter(is_complaint).cloned().collect();
        (outcome, lines)
    }
}

async fn collect(from: impl AsyncRead + Unpin, to: Arc<watch::Sender<Vec<String>>>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        to.send_modify(|all| all.push(line));
    }
}

/// The status of an answer.
async fn get(page: SocketAddr, path: &str, patience: Duration) -> Option<u16> {
    let asked = async {
        let mut stream = TcpStream::connect(page).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {page}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(patience, asked).await.ok()?.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Makes all runs and checks each. From the limit `enough` on, everything must work.
async fn all(limits: Vec<Limit>, first: u32, enough: impl Fn(Limit) -> bool) {
    let around = Arc::new(Surroundings::new().await);
    let mut runs = JoinSet::new();
    for (limit, number) in limits.into_iter().zip(first..) {
        let (around, is_enough) = (Arc::clone(&around), enough(limit));
        runs.spawn(async move {
            let _permit = around.permits.acquire().await.unwrap();
            let run = Run::start(&around, limit, number, is_enough).await;
            let (outcome, log) = run.outcome().await;
            check(limit, &outcome, &log.join("\n"), is_enough);
            (number, limit, outcome)
        });
    }
    let mut outcomes = runs.join_all().await;
    outcomes.sort_unstable_by_key(|(number, ..)| *number);
    for (_, limit, outcome) in &outcomes {
        println!("{limit}: {outcome}");
    }
}

fn check(limit: Limit, outcome: &Outcome, log: &str, is_enough: bool) {
    let code = outcome.status.unwrap().code();
    assert!(code.is_some(), "{limit}: a signal ended it: {:?}\n{log}", outcome.status);
    for sign in ["panicked at", "must not happen", "stopped unexpectedly", "memory allocation of"] {
        assert!(!log.contains(sign), "{limit}: {sign}\n{log}");
    }
    if outcome.too_early {
        assert!(outcome.is_refusal() && log.contains("error: "), "{limit}: {outcome}\n{log}");
        // The error names the limit to raise.
        let is_of_threads = matches!(limit, Limit::Threads(_));
        assert!(!is_of_threads || log.contains("Raise the limit"), "{limit}: {outcome}\n{log}");
    } else {
        assert_eq!(code, Some(0), "{limit}: {outcome}\n{log}");
    }
    assert!(outcome.is_good() || !is_enough, "{limit}: {outcome}\n{log}");
}

/// Whether the machine has what the runs need besides the program.
fn can_limit() -> bool {
    ["prlimit", "setpriv"].iter().all(|tool| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| Path::new(&folder).join(tool).exists())
    })
}

/// This needs root: a limit on processes counts all processes of a user, so each run has its own
/// user.
#[tokio::test]
async fn with_few_threads_the_program_runs_or_ends_with_an_error() {
    if !can_limit() || !is_root() {
        println!("skipped: needs root, prlimit and setpriv");
        return;
    }
    // Including the one for the log file.
    let all_threads = OTHERS.saturating_add(THREADS).saturating_add(1);
    let limits = (1..=all_threads.saturating_add(1)).map(Limit::Threads).collect();
    all(limits, 0, |limit| matches!(limit, Limit::Threads(most) if most >= all_threads)).await;
}

#[tokio::test]
async fn with_few_files_the_program_runs_or_ends_with_an_error() {
    if !can_limit() {
        println!("skipped: needs prlimit and setpriv");
        return;
    }
    let limits = (4..=26).step_by(2).chain([40]).map(Limit::Files).collect();
    all(limits, 100, |limit| matches!(limit, Limit::Files(most) if most >= 40)).await;
}

#[tokio::test]
async fn with_little_memory_the_program_runs_or_ends_with_an_error() {
    if !can_limit() {
        println!("skipped: needs prlimit and setpriv");
        return;
    }
    // With less memory the system cannot even load the program.
    let few = (44_000..=80_000).step_by(4_000);
    let limits = few.chain([100_000, 120_000, 150_000, 200_000, 300_000]);
    let limits = limits.map(Limit::Memory).collect();
    all(limits, 200, |limit| matches!(limit, Limit::Memory(most) if most >= 150_000)).await;
}

/// Connections to the page use up all files. When they are closed, everything works again.
#[tokio::test]
async fn the_program_recovers_when_files_run_out() {
    if !can_limit() {
        println!("skipped: needs prlimit and setpriv");
        return;
    }
    let around = Surroundings::new().await;
    let mut run = Run::start(&around, Limit::Files(22), 300, true).await;
    let page = run.page().await.unwrap();
    run.says(&["Read 2 of 2 values"]).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..40 {
        // The system accepts connections that the program cannot.
        idle.push(TcpStream::connect(page).await.unwrap());
    }
    let page_says = run.says(&["The status page cannot accept connections"]).await.unwrap();
    assert!(page_says.contains("Too many open files"), "{page_says}");
    let meter_says = run.says(&["the system allows no more open files or memory ("]).await;
    let meter_says = meter_says.unwrap_or_else(|| panic!("{:#?}", run.log.borrow()));
    assert!(meter_says.contains("Too many open files"), "{meter_says}");
    drop(idle);
    run.says(&["The meter answers again"]).await.unwrap();
    assert_eq!(get(page, "/", PATIENCE).await, Some(200));
    run.signal("-TERM").await;
    let status = timeout(PATIENCE, run.process.wait()).await.unwrap().unwrap();
    let log = run.log.borrow().join("\n");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panicked at"), "{log}");
}
