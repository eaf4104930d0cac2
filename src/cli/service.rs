//! `kamstrup2mqtt` without a command: runs the service, alone or as Home Assistant's app (add-on).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{Level, debug, error, info, warn};

use super::environment::variables;
use super::error::{Usage, page_address};
use super::page_address::PageAddress;
use super::reload::{self, Hangup};
use super::set_up::{self, Offer};
use super::signals::{with_signals, with_signals_in_app};
use crate::addon::{self, AddOn};
use crate::app::{self, Services};
use crate::config::addon_options as options;
use crate::config::{self, ConfigError, Loaded, Secret, Variables, warning_words};
use crate::finder::Finder;
use crate::gaps::Desk;
use crate::history_file;
use crate::machine;
use crate::recovery::{self, Why};
use crate::status::{Board, SettingLine};
use crate::supervisor::{self, Supervisor};
use crate::systemd;
use crate::web::{self, PageState, Token, Visitors};
use crate::{APP, PROGRAM};
use history::{Hint, History};
use logging::{self, LocalTime};
use meter::RunsAs;
use meter::transport::PortQueues;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The configuration file. Settings that you pass to the program as environment variables, such
    /// as `MQTT_HOST`, override it. Default: the first of config.yaml, ../config.yaml,
    /// /etc/kamstrup2mqtt/config.yaml and /var/lib/kamstrup2mqtt/config.yaml. If none of these files
    /// exists, a setup page writes one
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Only for the Home Assistant app (add-on): read the options from this file. (Home Assistant
    /// writes /data/options.json.) The program keeps running even if the options are invalid
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(super) options: Option<PathBuf>,
    /// With an invalid configuration, keep running and show the errors on the status page until
    /// they are fixed. Without `--stay`, the program exits with code 2
    #[arg(long, conflicts_with = "options")]
    pub(super) stay: bool,
    /// Treat a missing configuration as an error, and serve no setup page. The program then exits
    /// with code 2. With `--stay`, it keeps running and shows the error
    #[arg(long, conflicts_with = "options")]
    pub(super) no_setup: bool,
    /// Serve the status page at this address; overrides `web` in the configuration. With
    /// `--options`, only this machine and Home Assistant can open the page
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = page_address)]
    pub(super) listen: Option<SocketAddr>,
}

pub(super) fn start(args: &RunArgs) -> anyhow::Result<()> {
    match &args.options {
        Some(options) => run_as_app(options, args.listen.unwrap_or(web::IN_ADD_ON)),
        None => read_and_publish(args),
    }
}

fn read_and_publish(args: &RunArgs) -> anyhow::Result<()> {
    let (file, variables) = (args.config.as_deref(), variables());
    reject_an_address(file)?;
    let (first, setup) = configured(args, &variables)?;
    let log = match (&first, &setup) {
        (Ok(loaded), _) => logging::start(PROGRAM, &loaded.config.logging)?,
        (Err(_), Some(offer)) => logging::start(PROGRAM, &offer.beginning.logging)?,
        (Err(_), None) => logging::start(PROGRAM, &logging::Settings::to_stdout(Level::INFO))?,
    };
    let board = Board::default();
    log.keep(board.log().clone());
    if let Ok(loaded) = &first {
        introduce(loaded);
    }
    let hint = history_file::hint(RunsAs::Program);
    let history = keep_readings(None, &variables, hint);
    let folder = history_file::folder(|name| variables.get(name).cloned());
    let token = Token::start(folder.as_deref());
    with_signals(async |stop| {
        let mut tasks = JoinSet::new();
        tasks.spawn(systemd::watchdog(stop.clone()));
        tasks.spawn(app::report_history(history.error(), board.clone(), hint));
        let page = PageAddress::new(args.listen, token.clone());
        page.change(&match (&first, &setup) {
            (Ok(Loaded { config, .. }), _) => config.page_settings(),
            (Err(_), Some(offer)) => offer.page_settings(),
            (Err(_), None) => config::page_settings(file, &variables),
        });
        let (queues, desk) = (PortQueues::default(), Desk::default());
        let page_state = PageState {
            board: board.clone(),
            history: Some(history.reader()),
            visitors: Visitors::Anybody,
            token: token.clone(),
            clock: LocalTime::now,
            setup: setup.as_ref().map(Offer::page),
            parameters_list: config::parameters_list,
            port_lines: config::serial_port_lines,
            finder: Finder::new(machine::root(), queues.clone()),
            changes: None,
            desk: desk.clone(),
        };
        tasks.spawn(web::run(page.watch(), page_state, stop.clone()));
        let mut hangup = Hangup::new(stop.clone())?;
        let waiting = Waiting {
            file,
            variables: &variables,
            may_set_up: !args.no_setup,
            log: &log,
            board: &board,
            page: &page,
        };
        let found = waiting.configuration(first, setup.as_ref(), &mut hangup);
        let Some((loaded, log_is_due)) = stop.run_until_cancelled(found).await else {
            info!("Stopped.");
            close(history).await;
            return Ok(());
        };
        show(&loaded, &board);
        let config = loaded.config.clone();
        let (found, seen) = watch::channel(None);
        let broker = (loaded.config.broker.host.clone(), loaded.config.broker.port.get());
        tasks.spawn(web::find(page.watch(), broker, found));
        let services = Services {
            board: board.clone(),
            history: Some(Arc::clone(&history)),
            folder,
            desk,
            page: seen,
            queues,
            ..Services::default()
        };
        let targets = reload::ReloadTargets { log: log.clone(), log_is_due, board, page };
        let (changes, reloading) = reload::on_hangup(hangup, file, &variables, loaded, targets);
        let result = tokio::select! {
            result = app::run_changing(config, services, changes, stop) => result,
            never = reloading => match never {},
        };
        close(history).await;
        result
    })
}

/// Shows the settings and the warnings on the page.
fn show(loaded: &Loaded, board: &Board) {
    board.set_up(|setup| {
        setup.warnings = warning_words(&loaded.warnings, RunsAs::Program);
        setup.settings = loaded.settings.lines().map(SettingLine::from).collect();
    });
}

/// The configuration, and the setup page if there is none. The error ends the program.
fn configured(
    args: &RunArgs,
    variables: &Variables,
) -> Result<(Result<Loaded, ConfigError>, Option<Offer>), ConfigError> {
    let file = args.config.as_deref();
    let offered =
        if args.no_setup { Ok(None) } else { set_up::offered(file, args.listen, variables) };
    let (first, setup) = match offered {
        Ok(setup) => (config::load(file, variables), setup),
        Err(error) => (Err(error), None),
    };
    match first {
        Err(error) if !args.stay && setup.is_none() => Err(error),
        // The file may have been written meanwhile.
        Ok(_) => Ok((first, None)),
        Err(_) => Ok((first, setup)),
    }
}

/// The address of a meter is no path. It may contain a key, which an error must not show.
fn reject_an_address(file: Option<&Path>) -> Result<(), Usage> {
    let Some(text) = file.map(Path::to_string_lossy).filter(|text| text.contains("://")) else {
        return Ok(());
    };
    let shown = config::without_secrets(&text);
    let words =
        "this is an address, not a file; write it into the file, as `serial_device.com_port`";
    Err(Usage(format!("--config {shown}: {words}")))
}

/// Logs which configuration is used, and its warnings.
fn introduce(loaded: &Loaded) {
    if let Some(file) = &loaded.file {
        info!("Using the configuration {}.", file.display());
    } else {
        info!("Using the configuration in environment variables; there is no file.");
    }
    recovery::log_warnings::<ConfigError>(&loaded.warnings);
}

/// A start that may have to wait for a valid configuration.
struct Waiting<'a> {
    file: Option<&'a Path>,
    variables: &'a Variables,
    /// Whether there is a setup page if nothing is configured.
    may_set_up: bool,
    log: &'a logging::Handle,
    board: &'a Board,
    page: &'a PageAddress,
}

impl Waiting<'_> {
    /// Waits until there is a valid configuration. Returns whether the log does not follow it yet.
    async fn configuration(
        &self,
        first: Result<Loaded, ConfigError>,
        setup: Option<&Offer>,
        hangup: &mut Hangup,
    ) -> (Loaded, bool) {
        let error = match (first, setup) {
            (Ok(loaded), _) => return (loaded, false),
            (Err(error), None) => error,
            (Err(_), Some(offer)) => match offer.wait(self.file, self.variables, hangup).await {
                Ok(loaded) => return self.begin(loaded).await,
                Err(error) => error,
            },
        };
        // With an invalid configuration, the program is still ready: it shows the errors.
        systemd::ready();
        systemd::status("The configuration is invalid. The log and the page say why.");
        let loaded = self.until_fixed(error, hangup).await;
        systemd::status("");
        self.begin(loaded).await
    }

    /// Uses a configuration for which the start has waited.
    async fn begin(&self, loaded: Loaded) -> (Loaded, bool) {
        let log_is_due = !reload::apply(self.log, &loaded).await;
        introduce(&loaded);
        self.page.change(&loaded.config.page_settings());
        (loaded, log_is_due)
    }

    /// Waits until the configuration is valid. Reads it every few seconds, and immediately on
    /// SIGHUP.
    async fn until_fixed(&self, error: ConfigError, hangup: &mut Hangup) -> Loaded {
        let Self { file, variables, page, may_set_up, .. } = self;
        let look = async || loop {
            let why = tokio::select! {
                () = sleep(recovery::LOOK_AT_FILE) => Why::Time,
                () = hangup.come() => Why::Asked,
            };
            if why == Why::Asked {
                systemd::reloading();
            }
            let read = reload::read(*file, variables).await;
            if why == Why::Asked {
                systemd::ready();
            }
            match read {
                Ok(result) => {
                    // Without them, there is only a page without errors to fix.
                    let refused =
                        if *may_set_up { set_up::refused(*file, variables) } else { None };
                    let result = result.map_err(|error| refused.unwrap_or(error));
                    // Its port may have been in use, and this may be the first error to be fixed.
                    if matches!(result, Err(ConfigError::Problems { .. })) {
                        page.change(&config::page_settings(*file, variables));
                    }
                    return (why, result);
                }
                Err(failed) => error!("Cannot read the configuration: {failed}."),
            }
        };
        recovery::settle(Err(error), look, self.board).await
    }
}

/// Starts to keep readings. Its thread starts before those of the runtime, because the runtime can
/// do with fewer threads.
fn keep_readings(options: Option<&Path>, variables: &Variables, hint: Hint) -> Arc<History> {
    let file = history_file::path(options, |name| variables.get(name).cloned());
    Arc::new(History::start_with(file, &LocalTime::now(), hint))
}

/// The time for writing the last readings to the disk when the program stops.
const LAST_WRITE: Duration = Duration::from_millis(300);

/// Writes the last readings to the disk, but does not wait for a disk that hangs.
async fn close(history: Arc<History>) {
    if let Some(history) = Arc::into_inner(history)
        && tokio::time::timeout(LAST_WRITE, history.closed()).await.is_err()
    {
        debug!("Stopping without the last readings on the disk: it takes too long.");
    }
}

/// Runs as Home Assistant's app (add-on).
fn run_as_app(options: &Path, listen: SocketAddr) -> anyhow::Result<()> {
    let first = options::load(options);
    let log = match &first {
        Ok(options) => logging::start(APP, &options.config.logging)?,
        Err(_) => logging::start(APP, &logging::Settings::to_stdout(Level::INFO))?,
    };
    let board = Board::default();
    log.keep(board.log().clone());
    let variables = variables();
    let (options, supervisor) = (options.to_owned(), supervisor(&variables));
    let log_lives = log.clone();
    let hint = history_file::hint(RunsAs::AddOn);
    let history = keep_readings(Some(&options), &variables, hint);
    with_signals_in_app(async |stop| {
        let _log = log_lives;
        let mut tasks = JoinSet::new();
        tasks.spawn(systemd::watchdog(stop.clone()));
        tasks.spawn(app::report_history(history.error(), board.clone(), hint));
        let keeper = Arc::clone(&history);
        let addon = AddOn { options, listen, supervisor, log, board, history: keeper };
        // The app does not reload its options, but SIGHUP must not end it either.
        let _hangup = signal(SignalKind::hangup())?;
        Box::pin(addon::run(addon, first, stop)).await;
        close(history).await;
        Ok(())
    })
}

/// The Supervisor, if there is one. Without a token it cannot be asked.
fn supervisor(variables: &Variables) -> Option<Supervisor> {
    let text = |name: &str| variables.get(name)?.to_str().filter(|text| !text.is_empty());
    // The second variable has the older name.
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
