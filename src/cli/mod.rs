//! The command line.

mod ask;
mod check;
mod forget;
mod health;
mod info;
mod read;
mod registers;
mod reload;
mod scan;
mod simulate;
mod table;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, CommandFactory, Parser, Subcommand};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Level, debug, error, info, warn};

use self::reload::Hangup;
use crate::PROGRAM;
use crate::addon::{self, AddOn};
use crate::app::{self, Services};
use crate::config::addon_options as options;
use crate::config::{self, ConfigError, Loaded, Secret, Variables, warning_words};
use crate::recovery::{self, Why};
use crate::resources::{self, Threads};
use crate::status::{Board, SettingLine};
use crate::supervisor::{self, Supervisor};
use crate::systemd;
use crate::web::{self, Site, Visitors};
use history::History;
use logging::{self, LocalTime};
use meter::RunsAs;

/// Reads a Kamstrup MULTICAL heat meter and publishes its values to MQTT and Home Assistant.
///
/// Without a command it runs until it is stopped.
#[derive(Debug, Parser)]
#[command(version)]
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
    /// Be an add-on of Home Assistant with these options, as it writes them into
    /// /data/options.json; stays up whatever is wrong
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    options: Option<PathBuf>,
    /// With a broken configuration stay, and show on the page what is wrong, until it is mended;
    /// without this the program ends with exit code 2
    #[arg(long, conflicts_with = "options")]
    stay: bool,
    /// Show how it goes on a page at this address, whatever `web` in the configuration says. An
    /// add-on's is for this machine and Home Assistant alone
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether the configuration is right, what it says, and where each setting comes from
    Check(check::Arguments),
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
    /// Ask the running program, at its page, whether it is running; exit code 0 if it does
    Health(health::Arguments),
    /// Be a meter: answers KMP over TCP, or on a pseudo-terminal, from a table of registers
    Simulate(simulate::Arguments),
}

/// Runs the program: what `main` does.
#[must_use]
pub fn run() -> ExitCode {
    resources::spare_addresses();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, mistakes to standard error.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let cli = match cli.with_config_in_front() {
        Ok(cli) => cli,
        Err(error) => return report(&error.into()),
    };
    if let Err(shortage) = resources::check() {
        return report(&shortage.into());
    }
    let result = match &cli.command {
        None => start(&cli.run).map(|()| ExitCode::SUCCESS),
        Some(Command::Check(args)) => check::run(args),
        Some(Command::Read(args)) => read::run(args),
        Some(Command::Info(args)) => info::run(args),
        Some(Command::Scan(args)) => scan::run(args),
        Some(Command::Registers(args)) => registers::run(args),
        Some(Command::Forget(args)) => forget::run(args),
        Some(Command::Health(args)) => health::run(args),
        Some(Command::Simulate(args)) => simulate::run(args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| report(&error))
}

impl Cli {
    /// `--config` may stand before the command too; what else stands there is only for a run.
    fn with_config_in_front(mut self) -> Result<Self, Usage> {
        let Some(command) = &mut self.command else { return Ok(self) };
        for (option, is_there) in [
            ("--options", self.run.options.is_some()),
            ("--stay", self.run.stay),
            ("--listen", self.run.listen.is_some()),
        ] {
            if is_there {
                return Err(Usage(format!("`{option}` cannot stand before a command")));
            }
        }
        let Some(front) = self.run.config.take() else { return Ok(self) };
        let (config, other) = match command {
            Command::Check(args) => (&mut args.config, None),
            Command::Read(args) => args.target.config(),
            Command::Info(args) => args.target.config(),
            Command::Scan(args) => args.target.config(),
            Command::Forget(args) => (&mut args.config, None),
            Command::Health(args) => (&mut args.config, None),
            Command::Registers(args) => args.config(),
            Command::Simulate(_) => {
                return Err(Usage(
                    "this command reads no configuration: leave `--config` out".into(),
                ));
            }
        };
        if let Some(other) = other.or(config.as_ref().map(|_| "another `--config`")) {
            return Err(Usage(format!("`--config` does not go with {other}")));
        }
        *config = Some(front);
        Ok(self)
    }
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

fn start(args: &RunArgs) -> anyhow::Result<()> {
    match &args.options {
        Some(options) => be_add_on(options, args.listen.unwrap_or(web::IN_ADD_ON)),
        None => read_and_publish(args),
    }
}

fn read_and_publish(args: &RunArgs) -> anyhow::Result<()> {
    let (file, variables) = (args.config.as_deref(), variables());
    let first = match config::load(file, &variables) {
        Err(error) if !args.stay => return Err(error.into()),
        first => first,
    };
    let log = match &first {
        Ok(loaded) => logging::start(PROGRAM, &loaded.config.logging)?,
        Err(_) => logging::start(PROGRAM, &logging::Settings::to_stdout(Level::INFO))?,
    };
    let board = Board::default();
    log.keep(board.log().clone());
    if let Ok(loaded) = &first {
        introduce(loaded);
    }
    let history = keep_readings(None, &variables);
    with_signals(async |stop| {
        let mut beside = JoinSet::new();
        beside.spawn(systemd::watchdog(stop.clone()));
        beside.spawn(app::report_history(history.error(), board.clone()));
        let configured = match &first {
            Ok(loaded) => loaded.config.page,
            Err(_) => config::page(file, &variables),
        };
        let page = Page::new(args.listen, configured);
        let site = Site {
            board: board.clone(),
            history: Some(history.reader()),
            visitors: Visitors::Anybody,
            clock: LocalTime::now,
        };
        beside.spawn(web::run(page.watch(), site, stop.clone()));
        let mut hangup = Hangup::new(stop.clone())?;
        let mut log_is_due = false;
        let loaded = match first {
            Ok(loaded) => loaded,
            Err(error) => {
                // Whatever the configuration is: it does what it can.
                systemd::ready();
                let mending = mended(error, file, &variables, &mut hangup, &board);
                let Some(loaded) = stop.run_until_cancelled(mending).await else {
                    info!("Stopped.");
                    close(history).await;
                    return Ok(());
                };
                log_is_due = !reload::apply(&log, &loaded).await;
                introduce(&loaded);
                page.change(loaded.config.page);
                loaded
            }
        };
        board.set_up(|setup| {
            setup.warnings = warning_words(&loaded.warnings, RunsAs::Program);
            setup.settings = loaded.settings.lines().map(SettingLine::from).collect();
        });
        let config = loaded.config.clone();
        let (found, seen) = watch::channel(None);
        let broker = (loaded.config.broker.host.clone(), loaded.config.broker.port.get());
        beside.spawn(web::find(page.watch(), broker, found));
        let services = Services {
            board: board.clone(),
            history: Some(Arc::clone(&history)),
            page: seen,
            ..Services::default()
        };
        let told = reload::Told { log: log.clone(), log_is_due, board, page };
        let (changes, reloading) = reload::on_hangup(hangup, file, &variables, loaded, told);
        let result = tokio::select! {
            result = app::run_changing(config, services, changes, stop) => result,
            never = reloading => match never {},
        };
        close(history).await;
        result
    })
}

/// Says which configuration it is, and what is odd in it.
fn introduce(loaded: &Loaded) {
    if let Some(file) = &loaded.file {
        info!("The configuration is {}.", file.display());
    } else {
        info!("The configuration is in environment variables; there is no file.");
    }
    recovery::log_warnings::<ConfigError>(&loaded.warnings);
}

/// Waits until the configuration can be used: looks every few seconds, and at once when asked to.
async fn mended(
    error: ConfigError,
    file: Option<&Path>,
    variables: &Variables,
    hangup: &mut Hangup,
    board: &Board,
) -> Loaded {
    let look = async || loop {
        let why = tokio::select! {
            () = sleep(recovery::LOOK_AT_FILE) => Why::Time,
            () = hangup.come() => Why::Asked,
        };
        if why == Why::Asked {
            systemd::reloading();
        }
        let read = reload::read(file, variables).await;
        if why == Why::Asked {
            systemd::ready();
        }
        match read {
            Ok(result) => return (why, result),
            Err(failed) => error!("The configuration cannot be read: {failed}."),
        }
    };
    recovery::settle(Err(error), look, board).await
}

/// Begins to keep readings. Its thread goes before those of the runtime, of which fewer will do.
fn keep_readings(options: Option<&Path>, variables: &Variables) -> Arc<History> {
    let file = crate::history_file::path(options, |name| variables.get(name).cloned());
    Arc::new(History::start(file, &LocalTime::now()))
}

/// How long what was read last may take to come to the disk at the end.
const LAST_WRITE: Duration = Duration::from_millis(300);

/// Lets what was read last come to the disk; a disk that hangs is not waited for.
async fn close(history: Arc<History>) {
    if let Some(history) = Arc::into_inner(history)
        && tokio::time::timeout(LAST_WRITE, history.closed()).await.is_err()
    {
        debug!("The disk that readings are kept on is not waited for.");
    }
}

/// Where the page is.
#[derive(Debug)]
struct Page {
    /// What the command line says counts.
    listen: Option<SocketAddr>,
    address: watch::Sender<Option<SocketAddr>>,
}

impl Page {
    fn new(listen: Option<SocketAddr>, configured: Option<SocketAddr>) -> Self {
        Self { listen, address: watch::Sender::new(listen.or(configured)) }
    }

    fn watch(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.subscribe()
    }

    /// Another configuration counts.
    fn change(&self, configured: Option<SocketAddr>) {
        self.address.send_replace(self.listen.or(configured));
    }
}

/// Is an add-on of Home Assistant.
fn be_add_on(options: &Path, listen: SocketAddr) -> anyhow::Result<()> {
    let first = options::load(options);
    let log = match &first {
        Ok(options) => logging::start(PROGRAM, &options.config.logging)?,
        Err(_) => logging::start(PROGRAM, &logging::Settings::to_stdout(Level::INFO))?,
    };
    let board = Board::default();
    log.keep(board.log().clone());
    let variables = variables();
    let (options, supervisor) = (options.to_owned(), supervisor(&variables));
    let log_lives = log.clone();
    let history = keep_readings(Some(&options), &variables);
    with_signals(async |stop| {
        let _log = log_lives;
        let mut beside = JoinSet::new();
        beside.spawn(systemd::watchdog(stop.clone()));
        beside.spawn(app::report_history(history.error(), board.clone()));
        let keeper = Arc::clone(&history);
        let addon = AddOn { options, listen, supervisor, log, board, history: keeper };
        // Nothing is read again here, but it must not end the program either.
        let _hangup = signal(SignalKind::hangup())?;
        addon::run(addon, first, stop).await;
        close(history).await;
        Ok(())
    })
}

/// The Supervisor, where there is one: who has no token can ask nobody.
fn supervisor(variables: &Variables) -> Option<Supervisor> {
    let text = |name: &str| variables.get(name)?.to_str().filter(|text| !text.is_empty());
    // The second is the older name.
    let token = text("SUPERVISOR_TOKEN").or_else(|| text("HASSIO_TOKEN"))?;
    let address = text(supervisor::ADDRESS_VARIABLE).unwrap_or(supervisor::ADDRESS);
    match address.parse() {
        Ok(server) => Some(Supervisor::new(server, Secret::new(token))),
        Err(error) => {
            warn!("The variable `{}`: found `{address}`, {error}.", supervisor::ADDRESS_VARIABLE);
            None
        }
    }
}

/// What comes sooner after the first signal is the same one.
const TWICE: Duration = Duration::from_millis(500);

/// Runs a future that SIGINT and SIGTERM ask to stop; the second one does not wait for it.
fn with_signals<F: Future<Output = anyhow::Result<()>>>(
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    run_with_signals(Threads::All, work)
}

/// The same for a future that never blocks.
fn with_signals_alone<F: Future<Output = anyhow::Result<()>>>(
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    run_with_signals(Threads::None, work)
}

fn run_with_signals<F: Future<Output = anyhow::Result<()>>>(
    threads: Threads,
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    let runtime = resources::runtime(threads)?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (asked, at_once) = (stop.clone(), CancellationToken::new());
        let again = at_once.clone();
        tokio::spawn(async move {
            let mut come = async || {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            };
            come().await;
            asked.cancel();
            // Whoever asks twice does not want to wait for a goodbye; but one Ctrl-C may come twice,
            // by the terminal and by what started this.
            let heard = Instant::now();
            loop {
                come().await;
                if heard.elapsed() >= TWICE {
                    break;
                }
            }
            again.cancel();
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
