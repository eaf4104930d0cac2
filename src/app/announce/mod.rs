//! Turns one meter's results into discovery messages and states for the broker. Passes the results
//! also to the status board ([`Board`](crate::status::Board)) and to the history.

mod accounting;
mod costs;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::ZonedDateTime;
use kmp::message::SerialNumber;
use kmp::model::Model;
use kmp::register::Kind;
use kmp::unit::Quantity;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use self::accounting::Accounting;
use self::costs::Costs;
use super::services::Observers;
use crate::account;
use crate::config::{Meter, Parameter, Publishing};
use crate::discovery::{self, Described};
use crate::mean::Key;
use crate::mqtt::{Publisher, Source};
use crate::name::MeterName;
use crate::payload::{self, Message, ReadingStatus, Valued};
use crate::status::{LastPoll, LineQuality, MeterState, ValueState};
use crate::topic::Topics;
use crate::units::{self, Measure, Published};
use crate::usage::Settings;
use history::{MeterKey, Sample};
use logging::LocalTime;
use meter::identity::{Certainty, Identification, Identity};
use meter::poll::{PollResult, Suspect};

/// Turns one meter's results into messages.
pub(super) struct Announcer {
    /// The meter's number on the board and on the broker.
    number: usize,
    meter: Meter,
    publishing: Arc<Publishing>,
    topics: Topics,
    identity: Identity,
    /// What each parameter measures, as far as it is certain.
    measures: Vec<Option<Measure>>,
    presence: Vec<Presence>,
    /// The last message of each parameter that is still current.
    last: Vec<Option<Message>>,
    status: ReadingStatus,
    accounting: Accounting,
    costs: Costs,
    observers: Observers,
    /// The last discovery messages, and what they depend on. They rarely change, and making them
    /// costs more than reading the meter.
    described: Option<(Known, Vec<Message>)>,
}

/// What is known about a meter and its entities, besides the configuration.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    identity: Identity,
    measures: Vec<Option<Measure>>,
    means: Vec<Key>,
    has_info_code: bool,
    page: Option<String>,
}

/// Whether the meter has a parameter, by what it has answered since the program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Presence {
    /// It was not read yet. An earlier run's announcement of it stays on the broker, because a
    /// meter may be silent for days.
    #[default]
    Unknown,
    /// It had a value.
    Present,
    /// The meter has said that it does not have it.
    Absent,
}

impl Announcer {
    pub(super) fn new(
        number: usize,
        meter: Meter,
        publishing: Arc<Publishing>,
        topics: Topics,
        observers: Observers,
    ) -> Self {
        let measures = expected(&meter);
        let presence = vec![Presence::default(); meter.parameters.len()];
        let last = vec![None; meter.parameters.len()];
        let identity = Identification::new(meter.version).identity();
        let (status, costs) = (ReadingStatus::default(), Costs::new(&meter));
        Self {
            number,
            meter,
            publishing,
            topics,
            identity,
            measures,
            presence,
            last,
            status,
            accounting: Accounting::default(),
            costs,
            observers,
            described: None,
        }
    }

    /// The discovery messages. A value that the meter may not have is not announced, because Home
    /// Assistant would show it as unavailable forever.
    fn discovery(&mut self) -> Vec<Message> {
        let measures = self.measures.iter().zip(&self.presence);
        let measures =
            measures.map(|(measure, presence)| measure.filter(|_| *presence == Presence::Present));
        let known = Known {
            identity: self.identity.clone(),
            measures: measures.collect(),
            means: self.accounting.announced.iter().copied().collect(),
            has_info_code: self.status.condition.is_some(),
            page: self.observers.page.borrow().clone(),
        };
        if let Some((before, messages)) = &self.described
            && *before == known
        {
            return messages.clone();
        }
        let described = Described {
            means: &known.means,
            meter: &self.meter,
            identity: &known.identity,
            measures: &known.measures,
            has_info_code: known.has_info_code,
            page: known.page.as_deref(),
        };
        let messages = discovery::meter(described, &self.publishing, &self.topics);
        self.described = Some((known, messages.clone()));
        messages
    }

    pub(super) async fn run(
        mut self,
        mut results: mpsc::Receiver<Box<PollResult>>,
        publisher: Publisher,
    ) {
        let source = Source::Meter(self.number);
        publisher.announce(source, self.discovery());
        loop {
            let result = tokio::select! {
                result = results.recv() => result,
                () = self.costs.show_stored(self.number, &self.observers) => continue,
            };
            let Some(result) = result else { return };
            let states = self.states(&result, &LocalTime::now_text());
            publisher.update_all(source, self.discovery(), states, self.current(&result));
            for topic in self.absent() {
                publisher.clear(&topic);
            }
            // These are computed from the history, which takes time. Values must not wait for it.
            let (means, gone) = self.means(&result, &LocalTime::now()).await;
            if !means.is_empty() {
                publisher.add(source, self.discovery(), means);
            }
            for topic in &gone {
                publisher.clear(topic);
            }
        }
    }

    /// The messages of the means after a poll, and the topics of retained ones that are no longer
    /// known.
    async fn means(
        &mut self,
        result: &PollResult,
        now: &ZonedDateTime,
    ) -> (Vec<Message>, Vec<String>) {
        let key = history_key(&self.meter, self.identity.serial);
        let meter = (&self.meter, key);
        let Some(entries) = self.accounting.after(result, now, meter, &self.observers).await else {
            return (Vec::new(), Vec::new());
        };
        let topics = self.topics.meter(self.meter.name.as_ref());
        let zone = now.time_zone();
        let messages = payload::means(&entries, zone, &self.publishing, &topics);
        self.accounting.messages.clone_from(&messages);
        let is_gone = |key: &Key| !entries.iter().any(|entry| entry.key == *key);
        let gone = self.meter.means().into_iter().filter(|_| self.publishing.retain);
        let gone = gone.filter(is_gone).map(|key| topics.mean(key.name())).collect();
        self.observers.board.meter(self.number, |meter| meter.means = entries);
        (messages, gone)
    }

    /// The topics that must be empty, because the meter does not have the value that this run or an
    /// earlier one announced there. If values are retained, these include the topics of the values:
    /// an earlier meter may have left one.
    fn absent(&self) -> Vec<String> {
        let topics = self.topics.meter(self.meter.name.as_ref());
        let parameters = self.meter.parameters.iter().zip(&self.presence);
        let absent = parameters.filter(|(_, presence)| **presence == Presence::Absent);
        let empty = absent.flat_map(|(parameter, _)| {
            let value = self.publishing.retain.then(|| topics.value(parameter));
            let place = discovery::place(parameter, &self.meter, &self.publishing);
            [place].into_iter().chain(value)
        });
        empty.collect()
    }

    /// The messages of a poll that ended at `time`.
    fn states(&mut self, result: &PollResult, time: &str) -> Vec<Message> {
        self.identity = result.identity.clone();
        if result.exchange.is_some() {
            // This was about the meter before.
            self.status.condition = None;
            self.measures = expected(&self.meter);
            self.last.fill(None);
            self.accounting.messages.clear();
        }
        self.status.record(result, time);
        let topics = self.topics.meter(self.meter.name.as_ref());
        let values = payload::values(result, &self.meter);
        self.note_absence(result);
        for value in &values {
            self.learn(value.index, value.measure());
        }
        self.show(result, &values);
        let (meter, publishing) = (&self.meter, &self.publishing);
        let mut states = payload::value_messages(&values, result, time, meter, publishing, &topics);
        self.note_messages(result, &values, &states);
        states.extend(self.status.messages(&self.publishing, &topics));
        states
    }

    /// Remembers the messages of the values that were read. Those that were due and not read are no
    /// longer current.
    fn note_messages(&mut self, result: &PollResult, values: &[Valued], states: &[Message]) {
        let topics = self.topics.meter(self.meter.name.as_ref());
        let parameters = self.meter.parameters.iter().enumerate();
        for ((index, parameter), last) in parameters.zip(&mut self.last) {
            let is_due = is_due(result, parameter);
            if is_due {
                let topic = topics.value(parameter);
                let is_read = values.iter().any(|value| value.index == index);
                let message = states.iter().find(|message| is_read && message.topic == topic);
                *last = message.cloned();
            }
        }
    }

    /// The messages of earlier polls whose values are still current, because they were not due.
    /// `None` if the meter did not answer: then it is not known what is current.
    fn current(&self, result: &PollResult) -> Option<Vec<Message>> {
        if result.readings.is_empty() && result.trouble.is_some() {
            return None;
        }
        let parameters = self.meter.parameters.iter().zip(&self.last);
        let current = parameters.filter(|(parameter, _)| !is_due(result, parameter));
        let means = self.accounting.messages.iter().filter(|_| !account::is_due(result));
        Some(current.filter_map(|(_, last)| last.clone()).chain(means.cloned()).collect())
    }

    /// Puts the result of a poll on the board. Values that were not read stay there, with their
    /// age.
    fn show(&mut self, result: &PollResult, values: &[Valued]) {
        let at = Instant::now();
        let now = LocalTime::now();
        let key = self.keep(result, values, &now);
        let parameters = &self.meter.parameters;
        let fresh = |index: usize, name: &str| {
            let value = values.iter().find(|value| value.index == index)?;
            let Published { text, measure, .. } = &value.published;
            let (name, text, is_number) = (name.to_owned(), text.clone(), value.is_number);
            Some(ValueState { name, text, unit: measure.unit, is_number, at })
        };
        let answered = self.status.answers;
        let missing =
            result.missing.iter().filter(|_| answered).filter_map(|(register, reason)| {
                let parameter = parameters.iter().find(|known| known.register() == *register)?;
                Some((parameter.name().to_owned(), reason.to_string()))
            });
        let missing = missing.collect();
        let fault = self.status.condition.as_ref().filter(|condition| condition.code != 0);
        let identity = &self.identity;
        let today = now.date();
        let counted =
            |line: LineQuality| line.with_poll(result.suspect).with_traffic(result.traffic);
        self.observers.board.meter(self.number, |meter| {
            meter.key = Some(key);
            meter.line = counted(meter.line.on(today));
            meter.line_in_all = counted(meter.line_in_all);
            let before = meter.last.as_ref().map(|last| last.answered);
            if before != Some(answered) {
                meter.since = Some(at);
            }
            if result.exchange.is_some() {
                meter.values.clear();
                meter.means.clear();
            }
            let known = |name: &str| meter.values.iter().find(|value| value.name == name).cloned();
            let named = parameters.iter().map(Parameter::name).enumerate();
            meter.values = named
                .filter_map(|(index, name)| fresh(index, name).or_else(|| known(name)))
                .collect();
            meter.model = (!identity.models.is_empty()).then(|| identity.model_words());
            meter.serial = identity.serial.map(|serial| serial.to_string());
            meter.missing = missing;
            meter.fault = fault.map(payload::condition_words);
            meter.last = Some(LastPoll { at, answered, trouble: result.trouble.clone() });
            meter.misplaced = result.suspect == Some(Suspect::Head);
            meter.has_keys = has_keys(identity);
        });
    }

    /// Stores what the poll has cost in the history, and the values that charts can show if it is
    /// certain which meter they belong to. Returns their key in the history.
    fn keep(&mut self, result: &PollResult, values: &[Valued], now: &ZonedDateTime) -> MeterKey {
        let key = history_key(&self.meter, self.identity.serial);
        let noted = values.iter().filter(|_| result.is_recognized).filter_map(|value| {
            let parameter = self.meter.parameters.get(value.index)?;
            noted(parameter, value)
        });
        let noted: Vec<_> = noted.collect();
        self.costs.note(result, (&key, &noted), now, (self.number, &self.observers));
        key
    }

    /// Remembers which values the meter does not have, so that they are no longer announced.
    fn note_absence(&mut self, result: &PollResult) {
        let absent = result.missing.iter().filter(|(_, reason)| reason.is_absence());
        let absent: BTreeSet<_> = absent.map(|(register, _)| *register).collect();
        for (parameter, presence) in self.meter.parameters.iter().zip(&mut self.presence) {
            if absent.contains(&parameter.register()) {
                *presence = Presence::Absent;
            }
        }
    }

    /// Remembers that the meter has a parameter, and what its value measures according to the
    /// frame.
    fn learn(&mut self, index: usize, measure: Measure) {
        if let Some(presence) = self.presence.get_mut(index) {
            *presence = Presence::Present;
        }
        let Some(known) = self.measures.get_mut(index) else {
            return;
        };
        if let Some(expected) = known.map(form).filter(|known| *known != form(measure))
            && let Some(parameter) = self.meter.parameters.get(index)
        {
            warn!(
                "The meter sends `{}` in {}, not in {expected}. It is published unchanged.",
                parameter.name(),
                form(measure),
            );
        }
        *known = Some(measure);
    }
}

/// Whether a poll should have read a parameter: it has a value, or a reason why it has none.
fn is_due(result: &PollResult, parameter: &Parameter) -> bool {
    let register = parameter.register();
    result.readings.iter().any(|reading| reading.register == register)
        || result.missing.iter().any(|(missing, _)| *missing == register)
}

/// In which unit or form a value is sent, in words.
fn form(measure: Measure) -> &'static str {
    match (measure.unit, measure.quantity) {
        (Some(unit), _) => unit,
        (None, Quantity::Other) => "an unknown unit",
        (None, Quantity::Text) => "text",
        (None, Quantity::Date | Quantity::MonthDay | Quantity::DateTime) => "dates",
        (None, Quantity::TimeOfDay) => "times of day",
        (None, _) => "plain numbers",
    }
}

/// What each parameter measures, if that is certain before it is read.
pub(super) fn expected(meter: &Meter) -> Vec<Option<Measure>> {
    let expected = |parameter: &Parameter| units::expected(parameter.register(), meter.units);
    meter.parameters.iter().map(expected).collect()
}

/// Whether the meter has keys, if that is certain enough.
fn has_keys(identity: &Identity) -> Option<bool> {
    let models = match identity.certainty {
        Certainty::Assumed => &[],
        Certainty::Certain | Certainty::Likely => identity.models.as_slice(),
    };
    let has_keys = |model: &Model| *model != Model::Multical21;
    match models {
        [] => identity.is_water_meter.then_some(false),
        all if all.iter().all(has_keys) => Some(true),
        all => (!all.iter().any(has_keys)).then_some(false),
    }
}

/// The key of a meter's readings in the history.
fn history_key(meter: &Meter, serial: Option<SerialNumber>) -> MeterKey {
    let name = meter.name.as_ref().map_or("", MeterName::as_str);
    MeterKey::new(name, serial.map(SerialNumber::number))
}

/// The state of a meter before its first poll.
pub(super) fn unread(meter: &Meter) -> MeterState {
    let (title, port) = (meter.device_name.clone(), meter.endpoint.to_string());
    let units = meter.units;
    let key = Some(history_key(meter, None));
    let has_keys = has_keys(&Identification::new(meter.version).identity());
    let state = MeterState::new(title, port, meter.poll_interval);
    let name = meter.name.as_ref().map(ToString::to_string);
    let label = meter.english_name.clone();
    let settings = Settings::of(meter);
    MeterState { name, label, units, key, has_keys, settings, ..state }
}

/// A value as the history stores it; `None` if it identifies the meter or is one of its settings.
fn noted(parameter: &Parameter, value: &Valued) -> Option<Sample> {
    let Measure { unit, kind, .. } = value.measure();
    if !value.is_number || matches!(kind, Some(Kind::Identity | Kind::Setting | Kind::Clock)) {
        return None;
    }
    Some(Sample {
        parameter: parameter.name().to_owned(),
        value: value.published.text.parse().ok()?,
        unit: unit.map(str::to_owned),
        is_counter: kind == Some(Kind::Counter),
    })
}
