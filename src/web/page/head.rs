//! The search for the optical head on the page, and the last change of the app's options.

use crate::language::{Words, fill};
use crate::options_change::{Changed, OptionsChange};
use crate::status::HeadSearch;
use meter::find::{self, Candidate, Found, Kind, Plan, Reason, Searched, UsbDevice};
use meter::poll::Explanation;
use meter::transport::LocalPort;

/// The search for the optical head.
pub(super) struct Head {
    pub(super) rows: Vec<Row>,
    pub(super) running: bool,
    /// Whether it was listed which ports will be asked, and the search was not started.
    pub(super) is_listed: bool,
    /// Whether a port will be asked.
    pub(super) can_start: bool,
    /// What to do if no meter answered, or none that the app can read.
    pub(super) hint: Option<&'static str>,
}

/// A port.
pub(super) struct Row {
    pub(super) number: usize,
    /// The path to configure.
    pub(super) port: String,
    /// What its adapter says about itself.
    pub(super) device: Option<String>,
    /// The plan, or what was found.
    pub(super) words: String,
    pub(super) class: &'static str,
    /// Whether the app can use it. Its form has no option for the speed.
    pub(super) is_usable: bool,
    /// The lines for the configuration file, outside of the app.
    pub(super) lines: Option<String>,
}

/// The last change of the app's options.
pub(super) struct ChangedView {
    /// What was changed, if it was.
    pub(super) words: Option<String>,
    pub(super) trouble: Option<Explanation>,
    /// Whether it was the port, and not the values of a meter.
    pub(super) is_port: bool,
}

/// `lines` writes a port for the configuration file; `None` in the app.
pub(super) fn head(
    search: HeadSearch,
    titles: &[(String, String)],
    lines: Option<fn(&str, Option<u32>) -> String>,
    words: &'static Words,
) -> Head {
    let HeadSearch { listed, running, ended, stopped, asking, found } = search;
    let is_listed = !running && !ended;
    let can_start = is_listed && listed.iter().any(|candidate| candidate.askable().is_some());
    let is_silent = ended && !stopped && find::is_silent(&found);
    let row = |(number, Candidate { port, usb, plan }): (usize, Candidate)| {
        let searched = found.iter().find(|searched| searched.port == port);
        let is_asked_now = asking.as_ref() == Some(&port.path);
        let found = searched.map(|Searched { found, .. }| found);
        let (said, class) = match (found, is_asked_now) {
            (Some(found), _) => (found_words(found, words), class(found)),
            (None, true) => (words.find_asking.to_owned(), "starting"),
            (None, false) if plan == Plan::Ask && ended => (words.find_not_asked.to_owned(), ""),
            (None, false) => plan_words(&plan, titles, words),
        };
        let port = name(&port);
        let is_meter = found.is_some_and(Found::is_meter);
        let is_usable = matches!(found, Some(Found::Meter { .. }));
        let baud = match found {
            Some(Found::OtherBaudRate { baud, .. }) => Some(*baud),
            _ => None,
        };
        let lines = lines.filter(|_| is_meter).map(|lines| lines(&port, baud));
        let device = usb.as_ref().map(UsbDevice::to_string);
        Row { number, port, device, words: said, class, is_usable, lines }
    };
    let rows: Vec<_> = listed.into_iter().enumerate().map(row).collect();
    let is_at_other_speed = ended
        && lines.is_none()
        && !rows.iter().any(|row| row.is_usable)
        && found.iter().any(|it| matches!(it.found, Found::OtherBaudRate { .. }));
    let hint = if is_at_other_speed {
        Some(words.find_speed_app)
    } else {
        is_silent.then_some(words.find_nothing)
    };
    Head { rows, running, is_listed, can_start, hint }
}

fn name(port: &LocalPort) -> String {
    port.best_name().display().to_string()
}

/// Whether a port is asked, and if not, why; with the class of these words.
pub(in crate::web) fn plan_words(
    plan: &Plan,
    titles: &[(String, String)],
    words: &Words,
) -> (String, &'static str) {
    let reason = match plan {
        Plan::Ask => return (words.find_ask.to_owned(), "good"),
        Plan::LeaveOut(Reason::InUse) => words.port_busy.to_owned(),
        Plan::LeaveOut(Reason::Configured { meter }) => {
            let short = titles.iter().find(|(title, _)| title == meter);
            fill(words.port_of, &[("meter", short.map_or(meter, |(_, short)| short))])
        }
        Plan::LeaveOut(Reason::KnownAs(kind)) => match kind {
            Kind::Zigbee => words.find_zigbee.to_owned(),
            Kind::ZWave => words.find_zwave.to_owned(),
            Kind::Modem => words.find_modem.to_owned(),
            Kind::Gps => words.find_gps.to_owned(),
            Kind::Other(other) => (*other).to_owned(),
        },
    };
    (fill(words.find_left_out, &[("reason", &reason)]), "")
}

/// What a search has found at a port.
pub(in crate::web) fn found_words(found: &Found, words: &Words) -> String {
    match found {
        Found::Meter { model, serial_number } => {
            let serial = serial_number.to_string();
            fill(words.found_meter, &[("model", model), ("serial", &serial)])
        }
        Found::OtherBaudRate { baud, serial_number } => {
            let (baud, serial) = (baud.to_string(), serial_number.to_string());
            fill(words.found_speed, &[("baud", &baud), ("serial", &serial)])
        }
        Found::OlderLanguage => words.found_older.to_owned(),
        Found::Noise => words.found_noise.to_owned(),
        Found::EchoOnly => words.found_echo.to_owned(),
        Found::Silence => words.found_silence.to_owned(),
        // The program's own error messages are English.
        Found::CannotOpen(error) => fill(words.found_failed, &[("reason", &error.to_string())]),
        Found::Broken(reason) => fill(words.found_failed, &[("reason", reason)]),
    }
}

fn class(found: &Found) -> &'static str {
    match found {
        Found::Meter { .. } => "good",
        Found::OtherBaudRate { .. } | Found::OlderLanguage | Found::Noise | Found::EchoOnly => {
            "odd"
        }
        Found::Silence => "",
        Found::CannotOpen(_) | Found::Broken(_) => "bad",
    }
}

pub(super) fn changed(changed: Changed, words: &Words) -> ChangedView {
    let Changed { change, trouble } = changed;
    let (is_port, said) = match change {
        OptionsChange::Port(port) => (true, fill(words.port_taken, &[("port", &port)])),
        OptionsChange::Values { names, .. } => {
            (false, fill(words.values_taken, &[("values", &names.join(", "))]))
        }
    };
    ChangedView { words: trouble.is_none().then_some(said), trouble, is_port }
}
