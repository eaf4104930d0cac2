//! The wiring: which tasks there are, what flows between them, and in which order they stop.

use std::sync::Arc;

use anyhow::bail;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, warn};

use crate::config::{Config, Meter, Parameter, Publishing};
use crate::discovery::{self, Described};
use crate::identity::{Identification, Identity};
use crate::inbox::Inbox;
use crate::line::Line;
use crate::logging::{self, LocalTime};
use crate::mqtt::{self, Publisher, Source};
use crate::payload::{self, Health, Message, OFFLINE, ONLINE};
use crate::poll::{self, Beat, Plan, PollResult, Trigger};
use crate::topic::Topics;
use crate::transport::{Port, Turns};
use crate::units::{self, Measure};

/// Results of one meter that wait to be published. Publishing never waits, so one would do.
const RESULTS: usize = 4;

/// Reads the meters and publishes their values until `stop` is cancelled.
///
/// Then: no new poll, the request under way ends, what was read is published, `offline` is
/// published and acknowledged. An error means that a part ended which must not.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let Config { broker, publishing, meters, .. } = config;
    let publishing = Arc::new(publishing);
    let topics = Topics::new(&publishing.topic);
    let online = Message::status(&topics, ONLINE);
    let offline = Message::status(&topics, OFFLINE);
    let triggers: Vec<Trigger> = meters.iter().map(|_| Trigger::default()).collect();
    let inbox = Inbox::new(&meters, &triggers, &publishing, &topics);
    let (publisher, connection, received) =
        mqtt::prepare(&broker, online, offline, inbox.subscriptions());

    let started = LocalTime::now_text();
    let about = payload::about(&started, &publishing, &topics);
    publisher.update(Source::Program, discovery::program(&publishing, &topics), about);
    let mut polls = JoinSet::new();
    let (turns, count) = (Turns::default(), meters.len());
    for (index, (meter, trigger)) in meters.into_iter().zip(triggers).enumerate() {
        // Where there are several meters, each of their lines in the log says whose it is.
        let about = logging::about(meter.name.as_ref());
        about.in_scope(|| greet(&meter));
        let (sender, results) = mpsc::channel(RESULTS);
        let beat = Beat::new(LocalTime::now, poll::spread(index, count, meter.poll_interval));
        let plan = plan(&meter).taking_turns(&turns);
        let polling = poll::run(plan, beat, sender, trigger, stop.clone());
        polls.spawn(polling.instrument(about.clone()));
        let source = Source::Meter(index);
        let announcer = Announcer::new(source, meter, Arc::clone(&publishing), topics.clone());
        polls.spawn(announcer.run(results, publisher.clone()).instrument(about));
    }
    let say_goodbye = CancellationToken::new();
    let mut broker = JoinSet::new();
    broker.spawn(inbox.run(received, publisher, say_goodbye.clone()));
    broker.spawn(connection.run(say_goodbye.clone()));

    let unasked = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        Some(ended) = polls.join_next() => Some(("reading the meter", ended)),
        Some(ended) = broker.join_next() => Some(("the connection to the broker", ended)),
    };
    info!("Stopping.");
    stop.cancel();
    while polls.join_next().await.is_some() {}
    say_goodbye.cancel();
    while broker.join_next().await.is_some() {}
    if let Some((part, ended)) = unasked {
        let reason = ended.err().map_or("it ended".to_owned(), |error| error.to_string());
        bail!("{part} stopped, which must not happen: {reason}");
    }
    info!("Stopped.");
    Ok(())
}

fn greet(meter: &Meter) {
    let names: Vec<&str> = meter.parameters.iter().map(Parameter::name).collect();
    let name = meter.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    info!(
        "Reading {} from the meter{name} at {}, every {}.",
        names.join(", "),
        meter.endpoint,
        poll::words(meter.poll_interval)
    );
}

/// How a configured meter is read.
#[must_use]
pub fn plan(meter: &Meter) -> Plan<Port> {
    let settings = meter.serial;
    Plan {
        port: Port { endpoint: meter.endpoint.clone(), settings },
        port_name: meter.endpoint.to_string(),
        line: Line::with_bits(settings.baud.get(), settings.bits_per_byte()).patient(meter.timeout),
        registers: meter.parameters.iter().map(Parameter::register).collect(),
        version: meter.version,
        interval: meter.poll_interval,
    }
}

/// Turns one meter's results into messages.
struct Announcer {
    source: Source,
    meter: Meter,
    publishing: Arc<Publishing>,
    topics: Topics,
    /// Which meter it is.
    identity: Identity,
    /// What each parameter measures, as far as it is certain.
    measures: Vec<Option<Measure>>,
    health: Health,
}

impl Announcer {
    fn new(source: Source, meter: Meter, publishing: Arc<Publishing>, topics: Topics) -> Self {
        let expected = |parameter: &Parameter| units::expected(parameter.register(), meter.units);
        let measures = meter.parameters.iter().map(expected).collect();
        let identity = Identification::new(meter.version).identity();
        let health = Health::default();
        Self { source, meter, publishing, topics, identity, measures, health }
    }

    fn discovery(&self) -> Vec<Message> {
        let described = Described {
            meter: &self.meter,
            identity: &self.identity,
            measures: &self.measures,
            has_info_code: self.health.condition.is_some(),
        };
        discovery::meter(described, &self.publishing, &self.topics)
    }

    async fn run(mut self, mut results: mpsc::Receiver<PollResult>, publisher: Publisher) {
        publisher.announce(self.source, self.discovery());
        while let Some(result) = results.recv().await {
            let states = self.states(&result, &LocalTime::now_text());
            publisher.update(self.source, self.discovery(), states);
        }
    }

    /// What is published of a poll that ended at `time`.
    fn states(&mut self, result: &PollResult, time: &str) -> Vec<Message> {
        self.identity = result.identity.clone();
        self.health.note(result, time);
        let topics = self.topics.meter(self.meter.name.as_ref());
        let values = payload::values(result, &self.meter);
        for value in &values {
            self.learn(value.index, value.measure());
        }
        let (meter, publishing) = (&self.meter, &self.publishing);
        let mut states = payload::value_messages(&values, result, time, meter, publishing, &topics);
        states.extend(self.health.messages(publishing, &topics));
        states
    }

    /// The frame has the last word on what a value measures.
    fn learn(&mut self, index: usize, measure: Measure) {
        let Some(known) = self.measures.get_mut(index) else {
            return;
        };
        if let Some(expected) = known.filter(|known| *known != measure)
            && let Some(parameter) = self.meter.parameters.get(index)
        {
            warn!(
                "The meter gives `{}` in {}, which is not {}: it is published as it is.",
                parameter.name(),
                measure.unit.unwrap_or("plain numbers"),
                expected.unit.unwrap_or("a plain number"),
            );
        }
        *known = Some(measure);
    }
}
