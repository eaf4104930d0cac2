//! Renders the screens of the setup page. The templates escape everything. All of them work without
//! the script.

use std::path::PathBuf;

use askama::Template;
use kmp::model::Model;

use super::session::HELD;
use crate::language::{Language, SetupWords, fill};
use crate::setup::{Field, FoundValue, Search, Step, View, WriteError};
use crate::web::page::names::Name;
use crate::web::page::{found_words, plan_words};
use crate::web::token::Denied;
use crate::words::{capital, sentence};
use meter::container;
use meter::find::Candidate;
use meter::poll::Explanation;

pub(super) const STYLE: &str = include_str!("../../../templates/setup/setup.css");
pub(super) const SCRIPT: &str = include_str!("../../../templates/setup/setup.js");

/// What a visitor sees.
#[derive(Debug)]
pub(super) enum Screen {
    /// A form for the code, and nothing else.
    Code(Code),
    /// Another browser sets up.
    Taken,
    /// Before the visitor has begun.
    Welcome { path: PathBuf, trouble: Option<WriteError> },
    /// A step.
    Step { step: Step, view: Box<View>, ports: Vec<Candidate>, path: PathBuf },
}

/// The form for the code.
#[derive(Debug)]
pub(super) struct Code {
    /// Why the last one was not accepted.
    pub(super) denied: Option<Denied>,
    /// Whether it is the value of a variable.
    pub(super) is_configured: bool,
}

/// The name of a step in the address of the page.
fn key(step: Step) -> &'static str {
    match step {
        Step::Head => "head",
        Step::Broker => "broker",
        Step::Values => "values",
        Step::File => "file",
    }
}

/// The step of this name.
pub(super) fn step_by_key(text: &str) -> Option<Step> {
    Step::ALL.into_iter().find(|step| key(*step) == text)
}

fn label(step: Step, words: &SetupWords) -> &'static str {
    match step {
        Step::Head => words.head,
        Step::Broker => words.broker,
        Step::Values => words.values,
        Step::File => words.file,
    }
}

/// A problem, in English like all of the program's own messages.
struct Complaint {
    words: String,
    hint: String,
}

impl From<&Explanation> for Complaint {
    fn from(Explanation { words, hint }: &Explanation) -> Self {
        Self { words: sentence(words), hint: hint.clone() }
    }
}

impl From<&WriteError> for Complaint {
    fn from(error: &WriteError) -> Self {
        Self { words: sentence(&error.to_string()), hint: error.hint() }
    }
}

#[derive(Template)]
#[template(path = "setup/frame.html")]
struct Frame<'a> {
    words: &'static SetupWords,
    lang: &'static str,
    version: &'static str,
    /// The path from the request to the page.
    base: &'a str,
    title: String,
    /// What the script compares, to see whether another screen has come.
    key: String,
    is_waiting: bool,
    main: String,
}

#[derive(Template)]
#[template(path = "setup/code.html")]
struct CodeMain<'a> {
    words: &'static SetupWords,
    base: &'a str,
    said: Option<String>,
    is_configured: bool,
}

#[derive(Template)]
#[template(path = "setup/taken.html")]
struct TakenMain {
    words: &'static SetupWords,
    said: String,
}

#[derive(Template)]
#[template(path = "setup/welcome.html")]
struct WelcomeMain<'a> {
    words: &'static SetupWords,
    base: &'a str,
    path: String,
    trouble: Option<Complaint>,
}

#[derive(Template)]
#[template(path = "setup/step.html")]
struct StepMain<'a> {
    words: &'static SetupWords,
    base: &'a str,
    steps: Vec<StepLink>,
    head: String,
    number: String,
    body: String,
}

struct StepLink {
    number: usize,
    key: &'static str,
    label: &'static str,
    is_current: bool,
    is_done: bool,
    is_open: bool,
}

#[derive(Template)]
#[template(path = "setup/waiting.html")]
struct Waiting<'a> {
    words: &'static SetupWords,
    base: &'a str,
    said: String,
    /// How much is done, and of how much.
    progress: Option<(usize, usize)>,
    lines: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "setup/head.html")]
struct HeadStep<'a> {
    words: &'static SetupWords,
    base: &'a str,
    ports: Vec<PortChoice>,
    is_other: bool,
    address: String,
    invalid: Option<String>,
    trouble: Option<Complaint>,
    no_ports: &'static str,
    found_none: bool,
    can_search: bool,
    /// The label of the button that searches.
    find: &'static str,
}

struct PortChoice {
    value: String,
    path: String,
    /// What the adapter says about itself.
    device: Option<String>,
    /// Whether a search asks it.
    note: String,
    /// What a search has found there.
    found: Option<String>,
    is_meter: bool,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "setup/broker.html")]
struct BrokerStep<'a> {
    words: &'static SetupWords,
    base: &'a str,
    meter: Option<String>,
    found: Option<String>,
    host: String,
    port: String,
    username: String,
    tls: bool,
    is_kept: bool,
    invalid_host: Option<String>,
    invalid_port: Option<String>,
    invalid_username: Option<String>,
    invalid_password: Option<String>,
    failed: String,
    trouble: Option<String>,
    can_go_on: bool,
}

#[derive(Template)]
#[template(path = "setup/values.html")]
struct ValuesStep<'a> {
    words: &'static SetupWords,
    base: &'a str,
    broker: Option<String>,
    models: Vec<ModelChoice>,
    values: Vec<ValueChoice>,
    more: Vec<ValueChoice>,
    scanned: Option<String>,
    trouble: Option<Complaint>,
    invalid: Option<String>,
}

struct ModelChoice {
    value: String,
    label: String,
    is_chosen: bool,
}

struct ValueChoice {
    name: Name,
    reading: Option<String>,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "setup/file.html")]
struct FileStep<'a> {
    words: &'static SetupWords,
    base: &'a str,
    path: String,
    text: &'a str,
    untried_head: bool,
    untried_broker: bool,
    trouble: Option<Complaint>,
}

/// The whole page, in answer to a request whose path is so far below the page.
pub(super) fn whole(language: Language, base: &str, screen: &Screen) -> askama::Result<String> {
    let words = language.setup_words();
    let plain = |name: &str| (name.to_owned(), words.title.to_owned(), false);
    let ((key, title, is_waiting), main) = match screen {
        Screen::Code(Code { denied, is_configured }) => {
            let said = denied.map(|denied| match denied {
                Denied::NoToken | Denied::Wrong | Denied::Unknown => words.code_wrong.to_owned(),
                Denied::Wait(left) => {
                    let seconds = left.as_millis().div_ceil(1000).to_string();
                    fill(words.code_wait, &[("left", &seconds)])
                }
            });
            let main = CodeMain { words, base, said, is_configured: *is_configured };
            (plain("code"), main.render()?)
        }
        Screen::Taken => {
            let minutes = (HELD.as_secs() / 60).to_string();
            let said = fill(words.taken, &[("minutes", &minutes)]);
            (plain("taken"), TakenMain { words, said }.render()?)
        }
        Screen::Welcome { path, trouble } => {
            let (path, trouble) = (path.display().to_string(), trouble.as_ref().map(Into::into));
            (plain("welcome"), WelcomeMain { words, base, path, trouble }.render()?)
        }
        Screen::Step { step, view, ports, path } => {
            let main = step_main(language, base, *step, view, ports, &path.display().to_string())?;
            let number = number(*step, words);
            let title = format!("{number}: {} – {}", label(*step, words), words.title);
            let is_waiting = view.is_waiting();
            let waits = if is_waiting { "-waits" } else { "" };
            ((format!("{}{waits}", key(*step)), title, is_waiting), main)
        }
    };
    let (lang, version) = (language.tag(), env!("CARGO_PKG_VERSION"));
    Frame { words, lang, version, base, title, key, is_waiting, main }.render()
}

/// `Step 1 of 4`
fn number(step: Step, words: &SetupWords) -> String {
    let number = Step::ALL.iter().position(|known| *known == step).unwrap_or_default();
    let (number, count) = (number.saturating_add(1).to_string(), Step::ALL.len().to_string());
    fill(words.step_of, &[("number", &number), ("count", &count)])
}

fn step_main(
    language: Language,
    base: &str,
    step: Step,
    view: &View,
    ports: &[Candidate],
    path: &str,
) -> askama::Result<String> {
    let words = language.setup_words();
    let body = match waiting(language, base, view) {
        Some(waiting) => waiting.render()?,
        None => match step {
            Step::Head => head(language, base, view, ports).render()?,
            Step::Broker => broker(language, base, view).render()?,
            Step::Values => values(language, base, view).render()?,
            Step::File => file(words, base, view, path).render()?,
        },
    };
    let links = Step::ALL.into_iter().zip(1..).map(|(other, number)| StepLink {
        number,
        key: key(other),
        label: label(other, words),
        is_current: other == step,
        is_done: other < view.furthest,
        is_open: other <= view.furthest && other != step && !view.is_waiting(),
    });
    let (steps, number) = (links.collect(), number(step, words));
    StepMain { words, base, steps, head: label(step, words).to_owned(), number, body }.render()
}

/// What is shown while something is tried.
fn waiting<'a>(language: Language, base: &'a str, view: &View) -> Option<Waiting<'a>> {
    let words = language.setup_words();
    let plain = |said| Waiting { words, base, said, progress: None, lines: Vec::new() };
    if let Some(search) = view.search.as_ref().filter(|search| search.running) {
        let (done, count) = (search.results.len(), search.count);
        let texts = (done.to_string(), count.to_string());
        let said = fill(words.searching, &[("done", &texts.0), ("count", &texts.1)]);
        let results = search.results.iter();
        let found = |found| found_words(found, language.words());
        let lines =
            results.map(|it| (it.port.path.display().to_string(), found(&it.found))).collect();
        return Some(Waiting { progress: Some((done, count.max(1))), lines, ..plain(said) });
    }
    if view.head.is_running() {
        return Some(plain(fill(words.asking, &[("port", &view.shown_port())])));
    }
    if view.broker.is_running() {
        return Some(plain(fill(words.trying, &[("broker", &view.broker_name())])));
    }
    let values = view.values.as_ref().filter(|values| values.running)?;
    let (asked, of) = (values.asked, values.of);
    let texts = [asked, of, values.found.len()].map(|number| number.to_string());
    let [asked_text, of_text, found] = &texts;
    let fields = [("asked", asked_text.as_str()), ("of", of_text), ("found", found)];
    let said = fill(words.scanning, &fields);
    let line = |value: &FoundValue| {
        let name = Name::new(value.parameter.name(), language).text;
        (name, reading(language, value).unwrap_or_default())
    };
    let lines = values.found.iter().rev().take(8).map(line).collect();
    Some(Waiting { progress: Some((asked, of.max(1))), lines, ..plain(said) })
}

/// What to do on a machine without a serial port.
pub(super) fn no_ports(words: &SetupWords, is_container: bool) -> &'static str {
    if is_container { words.no_ports_container } else { words.no_ports }
}

fn head<'a>(language: Language, base: &'a str, view: &View, ports: &[Candidate]) -> HeadStep<'a> {
    let (words, of_search) = (language.setup_words(), language.words());
    let chosen = view.shown_address();
    let results = view.search.as_ref().map(|search| search.results.as_slice()).unwrap_or_default();
    let choice = |candidate: &Candidate| {
        let Candidate { port, usb, plan } = candidate;
        let result = results.iter().find(|result| result.port.best_name() == port.best_name());
        PortChoice {
            is_chosen: port.is_named(&chosen),
            value: port.best_name().display().to_string(),
            path: port.path.display().to_string(),
            device: usb.as_ref().map(ToString::to_string),
            note: plan_words(plan, &[], of_search).0,
            is_meter: result.is_some_and(|it| it.found.is_meter()),
            found: result.map(|result| found_words(&result.found, of_search)),
        }
    };
    let can_search = ports.iter().any(|candidate| candidate.askable().is_some());
    let mut ports: Vec<_> = ports.iter().map(choice).collect();
    let is_known = ports.iter().any(|port| port.is_chosen);
    let is_other = !chosen.is_empty() && !is_known;
    // The first of them is as good as any.
    if chosen.is_empty()
        && let Some(first) = ports.first_mut()
    {
        first.is_chosen = true;
    }
    let trouble = match view.head.ended() {
        Some(Err(trouble)) => Some(Complaint::from(trouble)),
        _ => None,
    };
    HeadStep {
        words,
        base,
        is_other: is_other || ports.is_empty(),
        address: if is_other { chosen } else { String::new() },
        no_ports: no_ports(words, container::is_container()),
        ports,
        invalid: wrong(view, Field::Port),
        trouble,
        found_none: view.search.as_ref().is_some_and(Search::has_found_none),
        can_search,
        find: of_search.find,
    }
}

/// What was not accepted in a field, as a sentence.
fn wrong(view: &View, field: Field) -> Option<String> {
    view.invalid_at(field).map(|words| sentence(&capital(&words)))
}

/// The meter that has answered.
fn meter(language: Language, view: &View) -> Option<String> {
    let (words, of_search) = (language.setup_words(), language.words());
    let answer = view.head.ended()?.as_ref().ok()?;
    let meter = match &answer.serial {
        Some(serial) => {
            fill(of_search.found_meter, &[("model", &answer.model), ("serial", serial)])
        }
        None => answer.model.clone(),
    };
    let (read, asked) = (answer.values.len().to_string(), answer.asked.to_string());
    let fields = [("meter", meter.as_str()), ("read", &read), ("asked", &asked)];
    Some(fill(words.meter_answered, &fields))
}

fn broker<'a>(language: Language, base: &'a str, view: &View) -> BrokerStep<'a> {
    let words = language.setup_words();
    let draft = &view.draft.broker;
    let typed = view.typed_broker.as_ref();
    let text = |typed: Option<&String>, known: &String| typed.unwrap_or(known).clone();
    let trouble = match view.broker.ended() {
        Some(Err(trouble)) => Some(capital(trouble)),
        _ => None,
    };
    let is_guess = view.is_guess && !draft.host.is_empty();
    BrokerStep {
        words,
        base,
        meter: meter(language, view),
        found: is_guess.then(|| fill(words.broker_found, &[("host", &draft.host)])),
        host: text(typed.map(|typed| &typed.host), &draft.host),
        port: typed.map_or_else(|| draft.port.to_string(), |typed| typed.port.clone()),
        username: text(typed.map(|typed| &typed.username), &draft.username),
        tls: typed.map_or(draft.tls, |typed| typed.tls),
        is_kept: !draft.password.reveal().is_empty(),
        invalid_host: wrong(view, Field::Host),
        invalid_port: wrong(view, Field::BrokerPort),
        invalid_username: wrong(view, Field::Username),
        invalid_password: wrong(view, Field::Password),
        failed: fill(words.broker_failed, &[("broker", &view.broker_name())]),
        can_go_on: trouble.is_some(),
        trouble,
    }
}

/// A value as people read it.
fn reading(language: Language, value: &FoundValue) -> Option<String> {
    let number = language.number(value.text.as_ref()?);
    Some(match value.unit {
        Some(unit) => format!("{number} {unit}"),
        None => number,
    })
}

fn values<'a>(language: Language, base: &'a str, view: &View) -> ValuesStep<'a> {
    let words = language.setup_words();
    let known = view.known_values();
    let choice = |value: &FoundValue| ValueChoice {
        name: Name::new(value.parameter.name(), language),
        reading: reading(language, value),
        is_chosen: view.draft.parameters.contains(&value.parameter),
    };
    let (values, more): (Vec<_>, Vec<_>) = known.iter().partition(|value| {
        value.is_worth_following || view.draft.parameters.contains(&value.parameter)
    });
    let version = &view.draft.version;
    let model =
        |value: String, label: String| ModelChoice { is_chosen: *version == value, value, label };
    let models = Model::ALL.iter().map(|known| {
        let number = known.number().to_string();
        model(number.clone(), format!("MULTICAL {number}"))
    });
    let automatic = model("auto".to_owned(), words.model_auto.to_owned());
    let generic = model("generic".to_owned(), words.model_generic.to_owned());
    let scanned = view.values.as_ref().filter(|scan| !scan.running).map(|scan| {
        let said = if scan.complete { words.scan_ended } else { words.scan_early };
        fill(said, &[("found", &scan.found.len().to_string())])
    });
    let trouble = view.values.as_ref().and_then(|scan| scan.trouble.as_ref());
    ValuesStep {
        words,
        base,
        broker: broker_works(words, view),
        models: [automatic].into_iter().chain(models).chain([generic]).collect(),
        values: values.into_iter().map(choice).collect(),
        more: more.into_iter().map(choice).collect(),
        scanned,
        trouble: trouble.map(Into::into),
        invalid: wrong(view, Field::Version).or_else(|| wrong(view, Field::Parameters)),
    }
}

/// The broker that has accepted everything.
fn broker_works(words: &SetupWords, view: &View) -> Option<String> {
    let is_whole = *view.broker.ended()?.as_ref().ok()?;
    let said = if is_whole { words.broker_works } else { words.broker_partly };
    Some(fill(said, &[("broker", &view.broker_name())]))
}

fn file<'a>(words: &'static SetupWords, base: &'a str, view: &'a View, path: &str) -> FileStep<'a> {
    let has_worked = |trial: Option<bool>| trial.unwrap_or_default();
    FileStep {
        words,
        base,
        path: path.to_owned(),
        text: &view.text,
        untried_head: !has_worked(view.head.ended().map(Result::is_ok)),
        untried_broker: !has_worked(view.broker.ended().map(Result::is_ok)),
        trouble: view.not_written.as_ref().map(Into::into),
    }
}
