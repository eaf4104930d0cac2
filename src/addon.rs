//! The program as an app (add-on) of Home Assistant. If something is wrong, the process does not
//! exit: a process that has exited cannot explain what is wrong, and nothing restarts it. It
//! reports what is wrong and what to do, and resumes automatically when that is fixed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::{self, Services};
use crate::config::addon_options::{self as options, Options, OptionsError};
use crate::config::{parameters_list, serial_port_lines, warning_words};
use crate::finder::Finder;
use crate::gaps::Desk;
use crate::machine;
use crate::options_change::ChangeRequest;
use crate::recovery::{self, InvalidConfiguration, LOOK_AT_OPTIONS, Why};
use crate::status::{Board, SettingLine};
use crate::supervisor::{self, Supervisor};
use crate::systemd;
use crate::web::{self, PageState, Token, Visitors};
use crate::words::sentence;
use history::History;
use logging::{self, LocalTime};
use meter::RunsAs;
use meter::poll::Explanation;
use meter::transport::PortQueues;

/// How long to wait before a restart, after a task has ended unexpectedly.
const PAUSE: Duration = Duration::from_secs(10);

/// What the program needs to know to be an app.
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
    let queues = PortQueues::default();
    let (changes, requests) = mpsc::channel(1);
    let desk = Desk::default();
    let page_state = PageState {
        board: board.clone(),
        history: Some(addon.history.reader()),
        visitors: Visitors::HomeAssistant,
        token: Token::default(),
        clock: LocalTime::now,
        setup: None,
        parameters_list,
        port_lines: serial_port_lines,
        finder: Finder::new(machine::root(), queues.clone()),
        changes: addon.supervisor.is_some().then_some(changes),
        desk: desk.clone(),
    };
    let (sender, mut newer) = mpsc::channel(1);
    if let Some(supervisor) = addon.supervisor.clone() {
        let (file, stop) = (addon.options.clone(), stop.clone());
        around.spawn(async move {
            let changing = change_options(&supervisor, &file, requests, sender);
            stop.run_until_cancelled(changing).await;
        });
    }
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
    let settling = settle(&addon.options, first, &mut newer, &board);
    let settled = stop.run_until_cancelled(settling).await;
    let Some(options) = settled else {
        info!("Stopped.");
        return;
    };
    info!("The options are in {}.", addon.options.display());
    let mut next = Some(options);
    while let Some(options) = next {
        introduce(&options, &addon);
        let services = Services {
            board: board.clone(),
            runs_as: RunsAs::AddOn,
            history: Some(Arc::clone(&addon.history)),
            folder: addon.options.parent().map(Path::to_owned),
            desk: desk.clone(),
            page: page.clone(),
            queues: queues.clone(),
            ..Services::default()
        };
        let reading = read_until_changed(options, &addon, services, &mut newer, &stop);
        next = Box::pin(reading).await;
    }
}

/// Applies the level of the log, and shows the options and their warnings.
fn introduce(options: &Options, addon: &AddOn) {
    if let Err(error) = addon.log.apply(&options.config.logging).map_err(anyhow::Error::from) {
        error!("{error:#}.");
    }
    recovery::log_warnings::<OptionsError>(&options.warnings);
    addon.board.set_up(|setup| {
        setup.warnings = warning_words(&options.warnings, RunsAs::AddOn);
        setup.settings = options.lines().map(SettingLine::from).collect();
        setup.refused = None;
    });
}

/// The options after a change on the page.
type Newer = mpsc::Receiver<Result<Options, OptionsError>>;

/// Makes the changes that visitors of the page ask for, and passes the new options on.
async fn change_options(
    supervisor: &Supervisor,
    file: &Path,
    mut requests: mpsc::Receiver<ChangeRequest>,
    newer: mpsc::Sender<Result<Options, OptionsError>>,
) {
    while let Some(ChangeRequest { change, done }) = requests.recv().await {
        let answer = match supervisor.change_options(&change).await {
            Ok(bytes) => {
                info!("Changed the options, as requested on the page.");
                let checked = options::check(file, &bytes);
                let invalid = checked.as_ref().err().map(|error| Explanation {
                    words: format!("The options were saved, but are not used: {error}"),
                    hint: error.hint().to_owned(),
                });
                let sent = newer.send(checked).await.map_err(|_| {
                    let words = "The options were saved, but the app is stopping".to_owned();
                    Explanation { words, hint: "Start the app again.".to_owned() }
                });
                sent.and_then(|()| invalid.map_or(Ok(()), Err))
            }
            Err(error) => {
                warn!("Cannot change the options as requested on the page: {error}.");
                Err(error.explanation())
            }
        };
        // The visitor may have left.
        let _ = done.send(answer);
    }
}

/// Waits until the options are valid. Home Assistant writes the file when the app starts, so
/// options that were changed on the page are newer than it.
async fn settle(
    file: &Path,
    first: Result<Options, OptionsError>,
    newer: &mut Newer,
    board: &Board,
) -> Options {
    let mut changed = None;
    let look = async || {
        tokio::select! {
            Some(result) = newer.recv() => {
                changed = result.as_ref().err().cloned();
                (Why::Asked, result)
            }
            () = sleep(LOOK_AT_OPTIONS) => {
                (Why::Time, changed.clone().map_or_else(|| options::load(file), Err))
            }
        }
    };
    recovery::settle(first, look, board).await
}

/// Reads and publishes until the options have changed; `None` when `stop` is cancelled. Valid
/// options stay in use until others are valid.
async fn read_until_changed(
    options: Options,
    addon: &AddOn,
    services: Services,
    newer: &mut Newer,
    stop: &CancellationToken,
) -> Option<Options> {
    let options = Arc::new(options);
    let run = stop.child_token();
    let reading = async {
        while !run.is_cancelled() {
            if let Err(error) = read(&options, addon, services.clone(), &run).await {
                error!("{error:#}. Restarting in {} s.", PAUSE.as_secs());
                run.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    };
    let mut reading = pin!(reading);
    loop {
        tokio::select! {
            () = &mut reading => return None,
            Some(result) = newer.recv() => match result {
                Ok(options) => {
                    info!("The options have changed. Starting again with the new ones.");
                    run.cancel();
                    reading.await;
                    return Some(options).filter(|_| !stop.is_cancelled());
                }
                Err(invalid) => {
                    let problem = invalid.problem();
                    error!("{}", sentence(&problem.words));
                    addon.board.set_up(|setup| setup.refused = Some(problem));
                }
            },
        }
    }
}

async fn read(
    options: &Arc<Options>,
    addon: &AddOn,
    services: Services,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let board = &services.board;
    let mut config = options.config.clone();
    config.home_assistant = addon.supervisor.as_ref().and_then(Supervisor::home_assistant);
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
    let services = Services { brokers, ..services };
    // New options start it again.
    let (_, changes) = mpsc::channel(1);
    app::run_changing(config, services, changes, stop.clone()).await
}

/// Reports that no broker is configured and there is no Supervisor to ask for one.
fn report_no_supervisor(board: &Board) {
    let words = "No MQTT broker is configured, and Home Assistant cannot be asked for one: this is \
                 not an app (add-on) of Home Assistant, or it has no token";
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
        let (sender, mut newer) = mpsc::channel(1);
        let mut settling = pin!(settle(&file, first, &mut newer, &board));
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

        // Options that were changed on the page are newer than the file, and invalid too.
        let check = |json: &str| options::check(&file, json.as_bytes());
        sender.send(check(r#"{"parameters": ["enregy"]}"#)).await.unwrap();
        assert!(wait(Duration::from_secs(1)).await.is_none());
        assert_eq!(count("`enregy`"), 1);
        std::fs::write(&file, r#"{"port": "/dev/ttyUSB1"}"#).unwrap();
        assert!(wait(LOOK_AT_OPTIONS * 2).await.is_none());
        sender.send(check(r#"{"head": {"port": "/dev/ttyUSB0"}}"#)).await.unwrap();
        let options = wait(Duration::from_secs(1)).await.unwrap();
        assert_eq!(options.config.meters[0].endpoint.to_string(), "/dev/ttyUSB0");
        assert_eq!(board.setup().problem, None);
    }
}
