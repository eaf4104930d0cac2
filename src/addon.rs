//! The program as an app (add-on) of Home Assistant. A process that has exited cannot explain what
//! is wrong, and nothing restarts it. So it stays up, reports what is wrong and what to do, and
//! resumes automatically when that is fixed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::{self, Services};
use crate::config::addon_options::{self as options, Options, OptionsError};
use crate::config::{parameters_list, warning_words};
use crate::recovery::{self, LOOK_AT_OPTIONS, Why};
use crate::status::{Board, SettingLine};
use crate::supervisor::{self, Supervisor};
use crate::systemd;
use crate::web::{self, PageState, Token, Visitors};
use history::History;
use logging::{self, LocalTime};
use meter::RunsAs;
use meter::poll::Explanation;

/// How long to wait before a restart, after a task has ended unexpectedly.
const PAUSE: Duration = Duration::from_secs(10);

/// What the program needs to know to be an add-on.
#[derive(Debug)]
pub(crate) struct AddOn {
    /// The file that Home Assistant writes.
    pub options: PathBuf,
    /// The address of the page.
    pub listen: SocketAddr,
    /// Knows the broker; `None` outside of Home Assistant.
    pub supervisor: Option<Supervisor>,
    /// The log, whose level is an option.
    pub log: logging::Handle,
    /// The state that the page shows.
    pub board: Board,
    /// Where readings are stored.
    pub history: Arc<History>,
}

/// Reads and publishes by the options until `stop` is cancelled, as soon as they are valid. `first`
/// is the result of reading the options when the program started.
pub(crate) async fn run(
    addon: AddOn,
    first: Result<Options, OptionsError>,
    stop: CancellationToken,
) {
    let board = addon.board.clone();
    let mut around = JoinSet::new();
    let page_state = PageState {
        board: board.clone(),
        history: Some(addon.history.reader()),
        visitors: Visitors::HomeAssistant,
        token: Token::default(),
        clock: LocalTime::now,
        parameters_list,
    };
    let (found, page) = watch::channel(None);
    if let Some(supervisor) = addon.supervisor.clone() {
        let stop = stop.clone();
        around.spawn(async move {
            let page = stop.run_until_cancelled(supervisor.page()).await;
            found.send_replace(page);
        });
    }
    let (_address, address) = watch::channel(Some(addon.listen));
    around.spawn(web::run(address, page_state, stop.clone()));
    // Even with invalid options, the program does all that it can.
    systemd::ready();
    let settled = stop.run_until_cancelled(settle(&addon.options, first, &board)).await;
    let Some(options) = settled else {
        info!("Stopped.");
        return;
    };
    if let Err(error) = addon.log.apply(&options.config.logging).map_err(anyhow::Error::from) {
        error!("{error:#}.");
    }
    info!("The options are in {}.", addon.options.display());
    recovery::log_warnings::<OptionsError>(&options.warnings);
    board.set_up(|setup| {
        setup.warnings = warning_words(&options.warnings, RunsAs::AddOn);
        setup.settings = options.lines().map(SettingLine::from).collect();
    });
    let options = Arc::new(options);
    while !stop.is_cancelled() {
        if let Err(error) = read(&options, &addon, &board, &page, &stop).await {
            error!("{error:#}. Restarting in {} s.", PAUSE.as_secs());
            stop.run_until_cancelled(sleep(PAUSE)).await;
        }
    }
}

/// Waits until the options are valid.
async fn settle(file: &Path, first: Result<Options, OptionsError>, board: &Board) -> Options {
    let look = async || {
        sleep(LOOK_AT_OPTIONS).await;
        (Why::Time, options::load(file))
    };
    recovery::settle(first, look, board).await
}

async fn read(
    options: &Arc<Options>,
    addon: &AddOn,
    board: &Board,
    page: &watch::Receiver<Option<String>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let config = options.config.clone();
    let (sender, brokers) = watch::channel(None);
    let mut asking = JoinSet::new();
    match &addon.supervisor {
        _ if options.own_broker => {}
        Some(supervisor) => {
            let (supervisor, options) = (supervisor.clone(), Arc::clone(options));
            let (board, stop) = (board.clone(), stop.clone());
            asking.spawn(async move {
                supervisor::run(supervisor, &options, sender, &board, stop).await;
            });
        }
        None => report_no_supervisor(board),
    }
    let brokers = (!options.own_broker).then_some(brokers);
    let history = Some(Arc::clone(&addon.history));
    let services = Services {
        brokers,
        board: board.clone(),
        runs_as: RunsAs::AddOn,
        history,
        page: page.clone(),
    };
    // Home Assistant restarts the add-on when its options have changed.
    let (_, changes) = mpsc::channel(1);
    app::run_changing(config, services, changes, stop.clone()).await
}

/// Reports that no broker is configured and there is no Supervisor to ask for one.
fn report_no_supervisor(board: &Board) {
    let words = "No MQTT broker is configured, and Home Assistant cannot be asked for one: this is \
                 not an add-on of Home Assistant, or it has no token";
    let hint = "Set \"Broker\" under \"Own MQTT broker\" in the options.";
    warn!("{words}. {hint}");
    let complaint = Explanation { words: words.to_owned(), hint: hint.to_owned() };
    board.set_up(|setup| setup.broker = Some(complaint));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Invalid options are reported immediately and once an hour, and others at the next look.
    #[tokio::test(start_paused = true)]
    async fn options_are_read_again_until_they_are_valid() {
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).without_time();
        logging::capture::beside_other_tests();
        let _log = tracing::subscriber::set_default(lines.with_target(false).finish());
        let count = |text: &str| {
            let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            log.lines().filter(|line| line.contains(text)).count()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("options.json");
        let board = Board::default();
        let first = options::load(&file);
        let mut settling = std::pin::pin!(settle(&file, first, &board));
        let mut wait = async |time| tokio::time::timeout(time, &mut settling).await.ok();

        let half_a_look = LOOK_AT_OPTIONS / 2;
        assert!(wait(half_a_look).await.is_none());
        assert_eq!(count("cannot be read"), 1);
        assert!(board.setup().problem.unwrap().words.contains("cannot be read"));
        assert!(wait(Duration::from_secs(60 * 60)).await.is_none());
        assert_eq!(count("cannot be read"), 2);

        std::fs::write(&file, r#"{"port": "COM3", "speed": 1}"#).unwrap();
        assert!(wait(LOOK_AT_OPTIONS).await.is_none());
        assert_eq!((count("cannot be read"), count("`COM3`"), count("`speed`")), (2, 1, 1));
        let setup = board.setup();
        assert!(setup.problem.unwrap().details[0].contains("`COM3`"));
        assert_eq!(setup.warnings.len(), 1);

        std::fs::write(&file, r#"{"port": "/dev/ttyUSB0"}"#).unwrap();
        let options = wait(LOOK_AT_OPTIONS).await.unwrap();
        assert_eq!(options.config.meters[0].endpoint.to_string(), "/dev/ttyUSB0");
        assert_eq!(board.setup().problem, None);
    }
}
