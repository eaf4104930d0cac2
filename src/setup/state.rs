//! The state of setting up. One thing is tried at a time, in a task of its own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::document::{self, Secrets};
use super::draft::{self, BrokerDraft, Draft, Field, Invalid, Step, TypedBroker};
use super::target::{self, Target, WriteError};
use super::trial::{self, BrokerTried, FoundValue, HeadTried, Search, Trial, Values};
use crate::config::{self, Config, ConfigError, Secret, Variables};
use crate::words::sentence;
use crate::{finder, machine};
use meter::cause::Cause;
use meter::find::{self, Askable, Candidate, Found, Step as SearchStep};
use meter::poll::Explanation;
use meter::transport::PortQueues;

/// Setting up. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Setup(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    /// Where `/sys`, `/dev` and `/proc` are.
    root: PathBuf,
    /// The address of the page, if the file must contain it.
    listen: Option<SocketAddr>,
    state: Mutex<View>,
    /// Stops what is being tried.
    work: Mutex<CancellationToken>,
    /// A trial that was stopped uses its port until the request under way has ended.
    queues: PortQueues,
    is_open: watch::Sender<bool>,
    /// Held while the file is being written.
    writing: tokio::sync::Mutex<()>,
}

/// The state, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub draft: Draft,
    /// The step that is shown if the visitor asks for none.
    pub step: Step,
    /// The last step that can be shown.
    pub furthest: Step,
    /// The search for the head.
    pub search: Option<Search>,
    pub head: Trial<HeadTried>,
    pub broker: Trial<BrokerTried>,
    pub values: Option<Values>,
    /// Whether the broker is a guess.
    pub is_guess: bool,
    /// What was typed about the broker, if it was not accepted.
    pub typed_broker: Option<TypedBroker>,
    /// What was typed as the address of the head, if it was not accepted.
    typed_port: Option<Secret>,
    /// The serial ports that the visitor has seen.
    listed: Vec<Candidate>,
    /// What was not accepted, until something else is chosen.
    pub invalid: Vec<Invalid>,
    /// Why the file was not written.
    pub not_written: Option<WriteError>,
    /// How many searches for values have begun.
    searches: u64,
    /// The draft's text, without secrets.
    pub text: String,
}

impl View {
    fn new(listen: Option<SocketAddr>) -> Self {
        Self {
            draft: Draft::new(listen),
            step: Step::Head,
            furthest: Step::Head,
            search: None,
            head: Trial::Untried,
            broker: Trial::Untried,
            values: None,
            is_guess: false,
            typed_broker: None,
            typed_port: None,
            listed: Vec::new(),
            invalid: Vec::new(),
            not_written: None,
            searches: 0,
            text: String::new(),
        }
    }

    /// Whether something is being tried.
    pub(crate) fn is_waiting(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.running)
            || self.head.is_running()
            || self.broker.is_running()
            || self.values.as_ref().is_some_and(|values| values.running)
    }

    /// Ends what was being tried, with what is known so far.
    fn settle(&mut self) {
        if let Some(search) = self.search.as_mut().filter(|search| search.running) {
            (search.running, search.asking, search.stopped) = (false, None, true);
        }
        if self.head.is_running() {
            self.head = Trial::Untried;
        }
        if self.broker.is_running() {
            self.broker = Trial::Untried;
        }
        if let Some(values) = &mut self.values {
            values.running = false;
        }
    }

    /// Chooses the port of the head. What the meter at another port has answered is forgotten.
    fn choose_port(&mut self, port: String) {
        let is_same = port == self.draft.port;
        let results = self.search.iter().flat_map(|search| &search.results);
        let result = results.map(|it| (&it.port, &it.found)).find(|(at, _)| at.is_named(&port));
        self.draft.baud = match result {
            Some((_, Found::OtherBaudRate { baud, .. })) => Some(*baud),
            Some((_, Found::Meter { .. })) => None,
            _ => self.draft.baud.filter(|_| is_same),
        };
        self.draft.port = port;
        if !is_same {
            self.head = Trial::Untried;
            self.forget_values();
        }
    }

    /// Forgets the values of a search, also of one that has been stopped and has not ended yet.
    fn forget_values(&mut self) {
        self.values = None;
        self.searches = self.searches.wrapping_add(1);
    }

    /// Forgets what was wrong with an earlier choice.
    fn clear(&mut self) {
        (self.typed_broker, self.typed_port, self.not_written) = (None, None, None);
        self.invalid.clear();
    }

    /// Forgets what the last attempt at a step has said, because another one begins. An error that is
    /// over must not be shown together with a new one.
    fn clear_at(&mut self, step: Step) {
        self.clear();
        match step {
            Step::Head => {
                if matches!(self.head, Trial::Ended(Err(_))) {
                    self.head = Trial::Untried;
                }
                self.search = self.search.take().filter(|search| !search.has_found_none());
            }
            Step::Broker => {
                if matches!(self.broker, Trial::Ended(Err(_))) {
                    self.broker = Trial::Untried;
                }
            }
            Step::Values => {
                if let Some(values) = &mut self.values {
                    values.trouble = None;
                }
            }
            Step::File => {}
        }
    }

    /// What was not accepted in a field.
    pub(crate) fn invalid_at(&self, field: Field) -> Option<String> {
        let mut all = self.invalid.iter().filter(|invalid| invalid.field == field);
        all.next().map(|invalid| invalid.words.clone())
    }

    /// The address of the head, without secrets.
    pub(crate) fn shown_port(&self) -> String {
        config::without_secrets(&self.draft.port)
    }

    /// The address of the head for its field, without secrets: as it was typed, if it was not
    /// accepted.
    pub(crate) fn shown_address(&self) -> String {
        config::without_secrets(self.typed_address())
    }

    fn typed_address(&self) -> &str {
        self.typed_port.as_ref().map_or(&self.draft.port, Secret::reveal)
    }

    /// What was typed as the address of the head, with the secrets that the field did not show.
    fn with_secrets(&self, typed: &str) -> String {
        document::with_secrets(typed.trim(), self.typed_address())
    }

    /// `host:port` of the broker.
    pub(crate) fn broker_name(&self) -> String {
        let BrokerDraft { host, port, .. } = &self.draft.broker;
        format!("{host}:{port}")
    }

    /// The values that can be chosen: those that were chosen, the usual ones, and those that a
    /// search has found.
    pub(crate) fn known_values(&self) -> Vec<FoundValue> {
        let answered = self.head.ended().and_then(|tried| tried.as_ref().ok());
        let read = answered.map(|answer| answer.values.as_slice()).unwrap_or_default();
        let found = self.values.as_ref().map(|values| values.found.as_slice()).unwrap_or_default();
        let usual = config::default_parameters();
        let chosen = self.draft.parameters.iter();
        let mut all: Vec<FoundValue> = Vec::new();
        let named = usual.iter().chain(chosen).map(|it| trial::named(it.register()));
        for value in named.chain(found.iter().cloned()) {
            if all.iter().all(|known| known.parameter.register() != value.parameter.register()) {
                let register = value.parameter.register();
                let mut readings = found.iter().chain(read);
                let is_read =
                    |it: &&FoundValue| it.parameter.register() == register && it.text.is_some();
                all.push(readings.find(is_read).cloned().unwrap_or(value));
            }
        }
        all
    }

    fn advance(&mut self, step: Step) {
        self.clear();
        self.step = step;
        self.furthest = self.furthest.max(step);
    }
}

/// Nobody has chosen where the head is.
const NO_HEAD: &str = "No optical head was chosen yet.";
const CHOOSE_IT: &str = "Go back to the step \"Optical head\", and choose it there.";

/// Why a draft is no configuration.
fn explained(error: &ConfigError) -> Explanation {
    let problems = error.problems();
    let words = if problems.is_empty() { error.to_string() } else { problems.join("; ") };
    Explanation { words, hint: target::CHANGE_IT.to_owned() }
}

impl Setup {
    /// Begins. `listen` is the address of the page, if the file must contain it.
    pub(crate) fn new(target: Target, listen: Option<SocketAddr>) -> Self {
        let inner = Inner {
            target,
            root: machine::root(),
            listen,
            state: Mutex::new(View::new(listen)),
            work: Mutex::default(),
            queues: PortQueues::default(),
            is_open: watch::Sender::new(true),
            writing: tokio::sync::Mutex::default(),
        };
        Self(Arc::new(inner))
    }

    /// Forgets everything that was chosen, for another visitor.
    pub(crate) fn reset(&self) {
        let (mut view, _) = self.begin();
        view.forget_values();
        *view = View { searches: view.searches, ..View::new(self.0.listen) };
    }

    /// Whether the file has not been written yet.
    pub(crate) fn is_open(&self) -> bool {
        *self.0.is_open.borrow()
    }

    /// Ends, because there is a file.
    pub(crate) fn close(&self) {
        self.stop();
        self.0.is_open.send_replace(false);
    }

    /// Waits for the end.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as this does.
        let _ = self.0.is_open.subscribe().wait_for(|is_open| !is_open).await;
    }

    /// The file that will be written.
    pub(crate) fn path(&self) -> &Path {
        self.0.target.path()
    }

    /// Why the file could not be written at present. This blocks.
    pub(crate) fn probe(&self) -> Result<(), WriteError> {
        self.0.target.probe()
    }

    /// The present state.
    pub(crate) fn view(&self) -> View {
        let mut view = self.lock().clone();
        view.text = document::text(&view.draft, Secrets::Hidden);
        view
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops what is being tried.
    pub(crate) fn stop(&self) {
        let _ = self.begin();
    }

    /// Stops what is being tried before something else begins. Returns the state, in which nothing
    /// is being tried, and what will stop the next trial.
    fn begin(&self) -> (MutexGuard<'_, View>, CancellationToken) {
        let mut view = self.lock();
        let mut work = self.0.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.cancel();
        *work = CancellationToken::new();
        view.settle();
        (view, work.clone())
    }

    /// Changes the state, unless what was tried has been stopped.
    fn note(&self, stop: &CancellationToken, change: impl FnOnce(&mut View)) {
        // `stop` is cancelled while the state is locked, so this cannot change a later state.
        let mut view = self.lock();
        if !stop.is_cancelled() {
            change(&mut view);
        }
    }

    /// The configuration of a draft. Its parts have been checked, but they may contradict each
    /// other.
    fn config(&self, draft: &Draft) -> Result<Config, ConfigError> {
        let text = document::text(draft, Secrets::Written);
        let file = Some((self.path(), text.as_str()));
        config::check(file, &Variables::new()).map(|loaded| loaded.config)
    }

    /// The configuration for asking the meter. The broker does not matter there.
    fn config_of_head(&self) -> Result<Config, Explanation> {
        let draft = Draft { broker: BrokerDraft::default(), ..self.lock().draft.clone() };
        if draft.port.is_empty() {
            return Err(Explanation { words: NO_HEAD.to_owned(), hint: CHOOSE_IT.to_owned() });
        }
        self.config(&draft).map_err(|error| explained(&error))
    }

    /// The configuration of the whole draft.
    fn config_of_all(&self) -> Result<Config, Explanation> {
        let draft = self.lock().draft.clone();
        self.config(&draft).map_err(|error| explained(&error))
    }

    /// Lists the serial ports of this machine, and which of them a search will ask. This blocks.
    pub(crate) fn list(&self) -> io::Result<Vec<Candidate>> {
        find::candidates(&self.0.root, &[])
    }

    /// Notes which ports the visitor sees. A search asks no other ones.
    pub(crate) fn show(&self, listed: Vec<Candidate>) {
        self.lock().listed = listed;
    }

    /// Asks the ports that the visitor has seen, if they may still be asked according to the list
    /// `now`.
    pub(crate) fn search_seen(&self, now: &[Candidate]) {
        let ports = finder::still_askable(&self.lock().listed, now);
        if ports.is_empty() {
            // The page shows the ports that there are now.
            let (mut view, _) = self.begin();
            view.step = Step::Head;
            view.clear_at(Step::Head);
        } else {
            self.search_head(ports);
        }
    }

    /// Asks these ports for a meter.
    fn search_head(&self, ports: Vec<Askable>) {
        let stop = {
            let (mut view, stop) = self.begin();
            view.step = Step::Head;
            view.clear_at(Step::Head);
            view.search = Some(Search { running: true, count: ports.len(), ..Search::default() });
            stop
        };
        let setup = self.clone();
        tokio::spawn(async move {
            let tell = |step: SearchStep<'_>| {
                setup.note(&stop, |view| {
                    let search = view.search.get_or_insert_default();
                    match step {
                        SearchStep::Asking(port) => search.asking = Some(port.path.clone()),
                        SearchStep::Asked(searched) => search.results.push(searched.clone()),
                    }
                });
            };
            find::search(&ports, &setup.0.queues, &stop, tell).await;
            setup.note(&stop, |view| {
                let search = view.search.get_or_insert_default();
                (search.running, search.asking) = (false, None);
                // The port of the only meter is chosen.
                let meters: Vec<_> = search.meters().map(trial::best_name).collect();
                if let [only] = meters.as_slice() {
                    view.choose_port(only.clone());
                }
            });
        });
    }

    /// Chooses the head, and asks the meter there.
    pub(crate) fn choose_head(&self, typed: &str) {
        let stop = {
            let (mut view, stop) = self.begin();
            let typed = view.with_secrets(typed);
            view.step = Step::Head;
            view.clear_at(Step::Head);
            match draft::check_port(&typed) {
                Ok(port) => view.choose_port(port),
                Err(invalid) => {
                    view.typed_port = Some(Secret::new(&typed));
                    view.invalid.push(invalid);
                    return;
                }
            }
            view.head = Trial::Running;
            view.forget_values();
            stop
        };
        let setup = self.clone();
        tokio::spawn(async move {
            let tried = match setup.config_of_head() {
                Ok(config) => trial::head(&config, &setup.0.queues, &stop).await,
                Err(trouble) => Some(Err(trouble)),
            };
            setup.note(&stop, |view| {
                view.head = tried.map_or(Trial::Untried, Trial::Ended);
                if matches!(view.head, Trial::Ended(Ok(_))) {
                    view.advance(Step::Broker);
                }
            });
        });
        self.guess_broker();
    }

    /// Looks for a broker on this machine, if none was entered.
    fn guess_broker(&self) {
        let before = self.lock().draft.broker.clone();
        if before != BrokerDraft::default() {
            return;
        }
        let setup = self.clone();
        tokio::spawn(async move {
            let host = trial::guess(before.port.get()).await;
            let mut view = setup.lock();
            if let (Some(host), true) = (host, view.draft.broker == before) {
                view.draft.broker.host = host;
                view.is_guess = true;
            }
        });
    }

    /// Continues although something does not work.
    pub(crate) fn continue_anyway(&self) {
        let mut view = self.lock();
        let next = match view.step {
            Step::Head if view.draft.port.is_empty() => return,
            Step::Head => Step::Broker,
            Step::Broker if view.draft.broker.host.is_empty() => return,
            Step::Broker => Step::Values,
            Step::Values | Step::File => Step::File,
        };
        view.advance(next);
    }

    /// Chooses the broker, and tries it.
    pub(crate) fn choose_broker(&self, typed: TypedBroker) {
        let stop = {
            let (mut view, stop) = self.begin();
            view.step = Step::Broker;
            view.clear_at(Step::Broker);
            view.is_guess = false;
            match draft::check_broker(typed.clone(), &view.draft.broker) {
                Ok(broker) => view.draft.broker = broker,
                Err(invalid) => {
                    (view.typed_broker, view.invalid) = (Some(typed), invalid);
                    return;
                }
            }
            view.broker = Trial::Running;
            stop
        };
        let setup = self.clone();
        tokio::spawn(async move {
            let tried = match setup.config_of_all() {
                Ok(config) => trial::broker(&config, &stop).await,
                Err(trouble) => Some(Err(format!("{} {}", sentence(&trouble.words), trouble.hint))),
            };
            setup.note(&stop, |view| {
                view.broker = tried.map_or(Trial::Untried, Trial::Ended);
                if matches!(view.broker, Trial::Ended(Ok(_))) {
                    view.advance(Step::Values);
                }
            });
        });
    }

    /// Searches the meter for values.
    pub(crate) fn search_values(&self) {
        let (stop, number) = {
            let (mut view, stop) = self.begin();
            view.clear_at(Step::Values);
            view.forget_values();
            view.values = Some(Values { running: true, ..Values::default() });
            (stop, view.searches)
        };
        let setup = self.clone();
        tokio::spawn(async move {
            let progress = |values: Values| setup.note(&stop, |view| view.values = Some(values));
            let found = match setup.config_of_head() {
                Ok(config) => trial::values(&config, &setup.0.queues, &stop, progress).await,
                Err(trouble) => Some(Values { trouble: Some(trouble), ..Values::default() }),
            };
            // If it was stopped, what has been found so far is offered.
            let mut view = setup.lock();
            if view.searches == number {
                view.values = found;
            }
        });
    }

    /// Chooses the model and the values.
    pub(crate) fn choose_values(&self, version: &str, names: &[String]) {
        let mut view = self.lock();
        view.step = Step::Values;
        view.clear_at(Step::Values);
        match draft::check_values(version, names) {
            Ok((version, parameters)) => {
                (view.draft.version, view.draft.parameters) = (version, parameters);
                view.advance(Step::File);
            }
            Err(invalid) => view.invalid.push(invalid),
        }
    }

    /// Writes the file. This ends setting up, also if somebody else has written the file. A second
    /// request gets the result of the first. The browser may leave the first one meanwhile.
    pub(crate) async fn write(&self) -> Result<(), WriteError> {
        let writing = self.clone();
        let written = tokio::spawn(async move {
            let _alone = writing.0.writing.lock().await;
            if writing.is_open() { writing.write_once().await } else { Ok(()) }
        });
        written.await.unwrap_or_else(|error| Err(self.interrupted(&error)))
    }

    /// The error of a task that has crashed.
    fn interrupted(&self, error: &JoinError) -> WriteError {
        let folder = self.path().parent().unwrap_or(Path::new("/")).to_owned();
        let cause = Cause::Other(String::new());
        WriteError::Folder { folder, reason: error.to_string(), cause }
    }

    async fn write_once(&self) -> Result<(), WriteError> {
        if self.lock().furthest < Step::File {
            // Only a request that was made by hand asks for it.
            return Ok(());
        }
        self.lock().clear_at(Step::File);
        if let Err(Explanation { words, .. }) = self.config_of_all() {
            let refused = WriteError::Invalid(words);
            self.lock().not_written = Some(refused.clone());
            return Err(refused);
        }
        let text = document::text(&self.lock().draft, Secrets::Written);
        let target = self.0.target.clone();
        let written = spawn_blocking(move || target.write(&text)).await;
        let written = written.unwrap_or_else(|error| Err(self.interrupted(&error)));
        if written.is_ok() {
            info!("The setup page has written the configuration {}.", self.path().display());
            self.close();
        }
        self.lock().not_written = written.clone().err();
        written
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;
    use std::time::Duration;

    use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
    use tokio::time::sleep;

    use super::*;
    use meter::find::Searched;
    use meter::transport::LocalPort;

    fn in_folder() -> (tempfile::TempDir, Setup) {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::choose(None, Some(folder.path()));
        (folder, Setup::new(target, None))
    }

    /// Passes over everything that was not tried.
    fn to_file(setup: &Setup) {
        setup.lock().draft.port = "/dev/no-such-port".to_owned();
        setup.lock().draft.broker.host = "127.0.0.1".to_owned();
        setup.continue_anyway();
        setup.continue_anyway();
        setup.choose_values("auto", &["energy".to_owned()]);
    }

    async fn until(setup: &Setup, what: &str, is_so: impl Fn(&View) -> bool) -> View {
        let waiting = async {
            while !is_so(&setup.view()) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let patience = Duration::from_secs(60);
        tokio::time::timeout(patience, waiting).await.unwrap_or_else(|_| panic!("{what}"));
        setup.view()
    }

    async fn meter() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let (_, registers) = watch::channel(registers);
        tokio::spawn(async move {
            Simulator::new(registers, Behaviour::default()).serve_tcp(listener).await.unwrap();
        });
        format!("socket://{address}")
    }

    #[tokio::test]
    async fn a_meter_that_answers_leads_to_the_next_step_with_its_values() {
        let (_folder, setup) = in_folder();
        setup.choose_head(&meter().await);
        assert!(setup.view().is_waiting());
        let view = until(&setup, "it answers", |view| !view.is_waiting()).await;
        let answer = view.head.ended().unwrap().as_ref().unwrap();
        assert_eq!((answer.values.len(), answer.asked), (7, 7));
        assert!(answer.serial.is_some());
        assert_eq!((view.step, view.furthest), (Step::Broker, Step::Broker));
    }

    #[tokio::test]
    async fn a_search_chooses_the_port_of_the_only_meter() {
        let (_folder, setup) = in_folder();
        let (path, pty) = Simulator::open_pty().unwrap();
        let registers = Registers::example(EnergyUnit::KilowattHour, 0);
        let (_registers, registers) = watch::channel(registers);
        tokio::spawn(async move {
            Simulator::new(registers, Behaviour::default()).serve_pty(pty).await;
        });
        let ports = find::named_candidates(Path::new("/"), vec![path.clone()], &[]).unwrap();
        setup.search_head(ports.iter().filter_map(Candidate::askable).collect());
        let view = until(&setup, "the search ends", |view| !view.is_waiting()).await;
        assert_eq!(view.draft.port, path.to_str().unwrap(), "{view:?}");
        // Nothing is decided yet.
        assert_eq!(view.step, Step::Head);
    }

    /// Each part is valid. TLS needs a host that a certificate can name.
    #[tokio::test]
    async fn parts_that_contradict_each_other_end_a_trial_and_are_not_written() {
        let (folder, setup) = in_folder();
        to_file(&setup);
        let typed = TypedBroker {
            host: "192.168.1.300".to_owned(),
            port: "8883".to_owned(),
            tls: true,
            username: "me".to_owned(),
            password: Secret::new("hunter2"),
        };
        setup.choose_broker(typed.clone());
        let view = setup.view();
        let complaint = view.invalid_at(Field::Host).unwrap();
        assert!(complaint.contains("192.168.1.300") && complaint.contains("\"Encrypted\""));
        assert!(!view.is_waiting() && view.broker == Trial::Untried);
        // The same for what only the whole configuration shows.
        let TypedBroker { host, username, password, .. } = typed;
        let port = NonZeroU16::new(8883).unwrap();
        setup.lock().draft.broker = BrokerDraft { host, port, tls: true, username, password };
        let Err(WriteError::Invalid(refused)) = setup.write().await else { panic!("{view:?}") };
        assert!(refused.contains("192.168.1.300") && !refused.contains("hunter2"), "{refused}");
        assert!(setup.view().not_written.is_some() && setup.is_open());
        assert!(!folder.path().join("config.yaml").exists());
        // The meter does not depend on the broker.
        setup.choose_head(&meter().await);
        let view = until(&setup, "it answers", |view| !view.is_waiting()).await;
        assert!(matches!(view.head.ended(), Some(Ok(_))), "{view:?}");
        // Without a port there is nothing to ask.
        setup.reset();
        setup.search_values();
        let view = until(&setup, "the search ends", |view| !view.is_waiting()).await;
        let trouble = view.values.unwrap().trouble.unwrap();
        assert_eq!(trouble.words, NO_HEAD);
    }

    #[tokio::test]
    async fn the_values_of_one_meter_are_never_shown_for_another_one() {
        let (_folder, setup) = in_folder();
        let port = meter().await;
        for forget in [|setup: &Setup| setup.choose_head("/dev/no-such-port"), Setup::reset] {
            setup.lock().draft.port.clone_from(&port);
            setup.search_values();
            let has_some = |view: &View| view.values.as_ref().is_some_and(|it| it.asked > 0);
            until(&setup, "the search begins", has_some).await;
            setup.stop();
            // The search ends after the request that is under way.
            assert!(!setup.view().is_waiting());
            forget(&setup);
            until(&setup, "nothing is tried", |view| !view.is_waiting()).await;
            sleep(Duration::from_secs(3)).await;
            assert_eq!(setup.view().values, None);
        }
        // Nor does another search mix with the one before.
        setup.lock().draft.port.clone_from(&port);
        setup.search_values();
        setup.stop();
        setup.search_values();
        sleep(Duration::from_secs(3)).await;
        assert!(setup.view().is_waiting());
        setup.stop();
    }

    #[tokio::test]
    async fn whatever_begins_ends_what_was_being_tried() {
        let (_folder, setup) = in_folder();
        setup.choose_head(&meter().await);
        setup.choose_broker(TypedBroker::default());
        assert!(!setup.view().is_waiting(), "the head is not asked any more");
        setup.search_values();
        setup.choose_broker(TypedBroker::default());
        assert!(!setup.view().is_waiting(), "the meter is not searched any more");
    }

    #[tokio::test]
    async fn the_speed_that_a_search_has_found_is_written() {
        let (_folder, setup) = in_folder();
        let serial_number = kmp::message::SerialNumber::new(12_345_678);
        let port = |number: usize| LocalPort {
            path: format!("/dev/no-such-port{number}").into(),
            by_id: Some(format!("/dev/serial/by-id/no-such-port{number}").into()),
            is_held: false,
        };
        let usual = Found::Meter { model: "Multical 403".to_owned(), serial_number };
        let results = vec![
            Searched { port: port(0), found: Found::OtherBaudRate { baud: 2400, serial_number } },
            Searched { port: port(1), found: usual.clone() },
        ];
        let speed = |port: &str| {
            setup.choose_head(port);
            setup.stop();
            let text = setup.view().text;
            text.lines().find_map(|line| Some(line.trim().strip_prefix("baudrate: ")?.to_owned()))
        };
        setup.lock().search = Some(Search { results, ..Search::default() });
        for name in ["/dev/no-such-port0", "/dev/serial/by-id/no-such-port0"] {
            assert!(speed(name).unwrap().starts_with("2400 "), "{name}");
        }
        assert_eq!(speed("/dev/no-such-port1"), None);
        assert!(speed("/dev/no-such-port0").is_some());
        // The next search was stopped before it came to this port.
        setup.lock().search = Some(Search { stopped: true, ..Search::default() });
        assert!(speed("/dev/no-such-port0").is_some());
        assert_eq!(speed("/dev/no-such-port2"), None);
        assert_eq!(speed("/dev/no-such-port0"), None);
    }

    #[tokio::test]
    async fn a_search_asks_only_ports_that_were_shown() {
        let (_folder, setup) = in_folder();
        let (seen, _seen) = Simulator::open_pty().unwrap();
        let (new, _new) = Simulator::open_pty().unwrap();
        let listed = |paths: &[&PathBuf]| {
            let paths = paths.iter().map(|path| (*path).clone()).collect();
            find::named_candidates(Path::new("/"), paths, &[]).unwrap()
        };
        let now = listed(&[&seen, &new]);
        setup.search_seen(&now);
        assert_eq!(setup.view().search, None, "nothing was shown");
        setup.show(listed(&[&seen]));
        setup.search_seen(&now);
        let is_asking = |view: &View| view.search.as_ref().is_some_and(|it| it.asking.is_some());
        let search = until(&setup, "it asks", is_asking).await.search.unwrap();
        assert_eq!((search.count, search.asking), (1, Some(seen)));
        setup.stop();
        let search = setup.view().search.unwrap();
        assert!(search.stopped && !search.has_found_none());
    }

    #[tokio::test]
    async fn what_does_not_work_is_said_and_can_be_passed_over() {
        let (_folder, setup) = in_folder();
        setup.continue_anyway();
        assert_eq!(setup.view().step, Step::Head);
        setup.choose_head("/dev/no-such-port");
        let view = until(&setup, "it fails", |view| !view.is_waiting()).await;
        let Some(Err(trouble)) = view.head.ended() else { panic!("{view:?}") };
        assert!(trouble.words.contains("/dev/no-such-port"), "{trouble:?}");
        assert_eq!(view.step, Step::Head);
        setup.continue_anyway();
        assert_eq!(setup.view().step, Step::Broker);
        // Nobody listens on this port.
        let typed = TypedBroker {
            host: "127.0.0.1".to_owned(),
            port: "1".to_owned(),
            username: "me".to_owned(),
            password: Secret::new("hunter2"),
            ..TypedBroker::default()
        };
        setup.choose_broker(typed);
        let view = until(&setup, "it fails", |view| !view.is_waiting()).await;
        let Some(Err(words)) = view.broker.ended() else { panic!("{view:?}") };
        assert!(words.contains("nothing is listening"), "{words}");
        assert_eq!(view.step, Step::Broker);
        setup.continue_anyway();
        setup.choose_values("auto", &["energy".to_owned()]);
        let view = setup.view();
        assert_eq!(view.step, Step::File);
        assert!(view.text.contains("username: \"me\"") && !view.text.contains("hunter2"));
        assert!(!format!("{view:?}").contains("hunter2"));
    }

    type Attempt = fn(&Setup, TypedBroker);

    /// An early return kept what the last attempt had said, and the page showed both.
    #[tokio::test]
    async fn each_attempt_forgets_what_the_last_one_has_said() {
        let (_folder, setup) = in_folder();
        let trouble = || Explanation { words: "No".to_owned(), hint: "Fix it.".to_owned() };
        let broker = |port: &str| TypedBroker {
            host: "127.0.0.1".to_owned(),
            port: port.to_owned(),
            ..TypedBroker::default()
        };
        // All that an attempt at a step can say.
        let said = |setup: &Setup, step| {
            let view = setup.view();
            let of_step = match step {
                Step::Head => {
                    let search = view.search.as_ref().is_some_and(Search::has_found_none);
                    usize::from(matches!(view.head, Trial::Ended(Err(_)))) + usize::from(search)
                }
                Step::Broker => usize::from(matches!(view.broker, Trial::Ended(Err(_)))),
                Step::Values => usize::from(view.values.is_some_and(|it| it.trouble.is_some())),
                Step::File => 0,
            };
            of_step + view.invalid.len() + usize::from(view.not_written.is_some())
        };
        let fail = |setup: &Setup| {
            setup.stop();
            let mut view = setup.lock();
            view.head = Trial::Ended(Err(trouble()));
            view.search = Some(Search::default());
            view.broker = Trial::Ended(Err("No".to_owned()));
            view.values = Some(Values { trouble: Some(trouble()), ..Values::default() });
            view.invalid = draft::check_broker(broker("x"), &BrokerDraft::default()).unwrap_err();
            view.not_written = Some(WriteError::NoFolder("/none".into()));
        };
        let attempts: [(Step, Attempt, &str, usize); 8] = [
            (Step::Head, |setup, _| setup.choose_head("serial:x"), "", 1),
            (Step::Head, |setup, _| setup.choose_head("/dev/no-such-port"), "", 0),
            (Step::Head, |setup, _| setup.search_seen(&[]), "", 0),
            (Step::Broker, Setup::choose_broker, "x", 1),
            (Step::Broker, Setup::choose_broker, "1", 0),
            (Step::Values, |setup, _| setup.choose_values("auto", &[]), "", 1),
            (Step::Values, |setup, _| setup.search_values(), "", 0),
            (Step::Values, |setup, _| setup.choose_values("x", &["energy".to_owned()]), "", 1),
        ];
        for (number, (step, attempt, port, expected)) in attempts.into_iter().enumerate() {
            fail(&setup);
            attempt(&setup, broker(port));
            assert_eq!(said(&setup, step), expected, "{number}: {:?}", setup.view());
            setup.stop();
        }
        setup.reset();
        to_file(&setup);
        fail(&setup);
        setup.lock().draft.port = "x://y".to_owned();
        assert!(matches!(setup.write().await, Err(WriteError::Invalid(_))));
        assert_eq!(said(&setup, Step::File), 1);
    }

    #[tokio::test]
    async fn the_file_ends_it_and_is_the_one_that_the_program_reads() {
        let (folder, setup) = in_folder();
        setup.choose_head("/dev/no-such-port");
        setup.stop();
        assert!(!setup.view().is_waiting());
        let file = folder.path().join("config.yaml");
        setup.write().await.unwrap();
        assert!(setup.is_open() && !file.exists(), "nothing was chosen");
        to_file(&setup);
        setup.write().await.unwrap();
        assert!(!setup.is_open());
        setup.closed().await;
        assert!(config::load(Some(&file), &Variables::new()).is_ok());
        // What the browser sends again.
        setup.write().await.unwrap();
        assert_eq!(setup.view().not_written, None);
        let again = Setup::new(Target::choose(Some(&file), None), None);
        again.choose_head("/dev/no-such-port");
        to_file(&again);
        assert_eq!(again.write().await, Err(WriteError::Exists(file)));
        assert!(again.is_open());
        assert!(again.view().not_written.is_some());
    }

    /// The second click said that there is already a file.
    #[tokio::test]
    async fn the_file_is_written_once_whoever_waits_for_it() {
        let (folder, setup) = in_folder();
        to_file(&setup);
        let (first, second) = tokio::join!(setup.write(), setup.write());
        assert_eq!((first, second), (Ok(()), Ok(())));
        assert_eq!(setup.view().not_written, None);
        assert!(!setup.is_open() && folder.path().join("config.yaml").exists());

        let (folder, setup) = in_folder();
        to_file(&setup);
        // The browser leaves the first request, because of the second one.
        let first = tokio::time::timeout(Duration::ZERO, setup.write()).await;
        assert!(first.is_err());
        assert_eq!(setup.write().await, Ok(()));
        assert!(!setup.is_open() && folder.path().join("config.yaml").exists());
    }
}
