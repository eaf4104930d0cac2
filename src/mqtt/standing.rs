//! What should stand on the broker, and what of it is still to be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Subscriptions;
use crate::config::Qos;
use crate::payload::Message;

/// From discovery messages to the states of their entities: Home Assistant subscribes to a state
/// only after it has made the entity, and a state that is not retained and came before is lost.
/// It takes about 0.1 s, and longer on a busy system (tried with 2026.9).
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// Whose messages they are. The program's own come first, since its device is the parent of all
/// meters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The program itself.
    Program,
    /// The meter with this number.
    Meter(usize),
}

/// What should stand on the broker.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    parts: BTreeMap<Source, Part>,
    /// Topics on which nothing shall be retained.
    cleared: BTreeSet<String>,
    /// What is subscribed to.
    pub(super) subscriptions: Arc<Subscriptions>,
    /// How often Home Assistant was born.
    births: u64,
    /// Counts the changes of parts, so that no two have the same number.
    changes: u64,
}

impl Wanted {
    /// A source's part, in which these topics are announced: they are not to be empty any more. With
    /// it the number of this change.
    fn part(&mut self, source: Source, discovery: &[Message]) -> (&mut Part, u64) {
        let mut again = false;
        for message in discovery {
            again |= self.cleared.remove(&message.topic);
        }
        self.changes = self.changes.wrapping_add(1);
        let part = self.parts.entry(source).or_default();
        if again || part.edition == 0 {
            part.edition = self.changes;
        }
        (part, self.changes)
    }
}

/// A source's part of it.
#[derive(Debug, Default)]
struct Part {
    discovery: Vec<Message>,
    /// With which change it came.
    edition: u64,
    /// What was said last.
    states: Vec<Message>,
    /// With which change it was said.
    version: u64,
}

impl Part {
    /// With hundreds of meters, it counts that only what has changed is looked at again.
    fn announce(&mut self, discovery: Vec<Message>, change: u64) {
        if self.discovery != discovery {
            self.discovery = discovery;
            self.edition = change;
        }
    }
}

/// Changes what should stand on the broker. Never waits.
#[derive(Debug, Clone)]
pub struct Publisher {
    wanted: Arc<watch::Sender<Wanted>>,
}

impl Publisher {
    pub(super) fn new(subscriptions: Subscriptions) -> (Self, watch::Receiver<Wanted>) {
        let subscriptions = Arc::new(subscriptions);
        let (sender, wanted) = watch::channel(Wanted { subscriptions, ..Wanted::default() });
        (Self { wanted: Arc::new(sender) }, wanted)
    }

    /// Sets a source's discovery messages.
    pub fn announce(&self, source: Source, discovery: Vec<Message>) {
        self.wanted.send_modify(|wanted| {
            let (part, change) = wanted.part(source, &discovery);
            part.announce(discovery, change);
        });
    }

    /// Sets a source's discovery messages and its states, which follow them. What was said before
    /// is forgotten: values of an earlier poll are never sent again as if they were fresh. Without
    /// either, nothing of the source is kept.
    pub fn update(&self, source: Source, discovery: Vec<Message>, states: Vec<Message>) {
        self.wanted.send_modify(|wanted| {
            if discovery.is_empty() && states.is_empty() {
                wanted.parts.remove(&source);
                return;
            }
            // What is retained now takes the place of what was to be empty.
            for message in states.iter().filter(|message| message.retain) {
                wanted.cleared.remove(&message.topic);
            }
            let (part, change) = wanted.part(source, &discovery);
            part.announce(discovery, change);
            part.states = states;
            part.version = change;
        });
    }

    /// Subscribes to this, and to nothing else.
    pub fn subscribe(&self, subscriptions: Subscriptions) {
        self.wanted.send_modify(|wanted| wanted.subscriptions = Arc::new(subscriptions));
    }

    /// Takes away what is retained on a topic, until something is announced there again.
    pub fn clear(&self, topic: String) {
        self.wanted.send_if_modified(|wanted| wanted.cleared.insert(topic));
    }

    /// Sends everything again: Home Assistant has just started.
    pub fn repeat(&self) {
        self.wanted.send_modify(|wanted| wanted.births = wanted.births.wrapping_add(1));
    }
}

/// What has been sent in a connection.
#[derive(Debug, Default)]
pub(super) struct Sent {
    online: bool,
    births: Option<u64>,
    /// Nothing is sent before.
    not_before: Option<Instant>,
    /// Payloads by topic.
    discovery: BTreeMap<String, String>,
    cleared: BTreeSet<String>,
    /// Which discovery messages these were, by source.
    editions: BTreeMap<Source, u64>,
    /// What was said last, by source.
    versions: BTreeMap<Source, u64>,
    /// Until when states wait for their entities.
    settled: BTreeMap<Source, Instant>,
}

/// What is to be sent now, and when more is.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) messages: Vec<Message>,
    pub(super) next: Option<Instant>,
}

impl Due {
    fn later(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl Sent {
    /// Nothing yet, and all but `online` waits until then.
    pub(super) fn waiting_until(at: Option<Instant>) -> Self {
        Self { not_before: at, ..Self::default() }
    }

    /// What should stand, is due and was not sent yet; counts as sent from now on.
    ///
    /// `spread` is how long to wait after a birth, so that many programs do not send at once. With
    /// `all`, nothing waits.
    pub(super) fn take_due(
        &mut self,
        online: &Message,
        wanted: &Wanted,
        spread: Duration,
        all: bool,
    ) -> Due {
        let now = Instant::now();
        let mut due = Due::default();
        if !self.online {
            self.online = true;
            due.messages.push(online.clone());
        }
        if self.births.replace(wanted.births).is_some_and(|births| births != wanted.births) {
            self.discovery.clear();
            self.editions.clear();
            self.versions.clear();
            self.not_before = now.checked_add(spread);
        }
        if let Some(at) = self.not_before.filter(|at| *at > now && !all) {
            due.later(at);
            return due;
        }
        self.cleared.retain(|topic| wanted.cleared.contains(topic));
        for topic in &wanted.cleared {
            if self.cleared.insert(topic.clone()) {
                self.discovery.remove(topic);
                due.messages.push(nothing(topic));
            }
        }
        // Meters may come and go for years.
        self.editions.retain(|source, _| wanted.parts.contains_key(source));
        self.versions.retain(|source, _| wanted.parts.contains_key(source));
        self.settled.retain(|source, _| wanted.parts.contains_key(source));
        for (source, part) in &wanted.parts {
            if self.editions.insert(*source, part.edition) != Some(part.edition) {
                for message in &part.discovery {
                    let Message { topic, payload, .. } = message;
                    let before = self.discovery.insert(topic.clone(), payload.clone());
                    if before.as_ref() != Some(payload) {
                        due.messages.push(message.clone());
                        self.settled.extend(now.checked_add(SETTLE).map(|at| (*source, at)));
                    }
                }
            }
            if self.versions.get(source) == Some(&part.version) || part.states.is_empty() {
                continue;
            }
            match self.settled.get(source) {
                Some(at) if *at > now && !all => due.later(*at),
                _ => {
                    self.versions.insert(*source, part.version);
                    due.messages.extend(part.states.iter().cloned());
                }
            }
        }
        due
    }
}

/// An empty message takes a retained one away.
fn nothing(topic: &str) -> Message {
    Message { topic: topic.to_owned(), payload: String::new(), qos: Qos::AtLeastOnce, retain: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, payload: &str) -> Message {
        Message {
            topic: topic.to_owned(),
            payload: payload.to_owned(),
            qos: Qos::AtLeastOnce,
            retain: true,
        }
    }

    struct Broker {
        sent: Sent,
        wanted: watch::Receiver<Wanted>,
        next: Option<Instant>,
    }

    impl Broker {
        fn start() -> (Publisher, Self) {
            let (publisher, wanted) = Publisher::new(Subscriptions::default());
            (publisher, Self { sent: Sent::default(), wanted, next: None })
        }

        /// What arrives now.
        fn gets(&mut self) -> String {
            self.take(false)
        }

        fn take(&mut self, all: bool) -> String {
            let online = message("status", "online");
            let spread = Duration::from_millis(500);
            let due = self.sent.take_due(&online, &self.wanted.borrow(), spread, all);
            self.next = due.next;
            let shown = due.messages.iter().map(|m| format!("{}={}", m.topic, m.payload));
            shown.collect::<Vec<_>>().join(" ")
        }

        /// Waits until something is due.
        async fn waits(&self) -> Duration {
            let at = self.next.expect("something is due later");
            let wait = at - Instant::now();
            tokio::time::sleep_until(at).await;
            wait
        }
    }

    #[tokio::test(start_paused = true)]
    async fn states_follow_their_entities_by_enough() {
        let (publisher, mut broker) = Broker::start();
        let meter = Source::Meter(0);
        let config = || vec![message("config", "{}")];
        publisher.update(meter, config(), vec![message("energy", "1")]);
        assert_eq!(broker.gets(), "status=online config={}");
        // A poll that ends while they wait replaces them.
        publisher.update(meter, config(), vec![message("energy", "2")]);
        assert_eq!(broker.gets(), "");
        assert_eq!(broker.waits().await, SETTLE);
        assert_eq!(broker.gets(), "energy=2");
        publisher.update(meter, config(), vec![message("energy", "3")]);
        assert_eq!(broker.gets(), "energy=3");
        // A new entity makes them wait again, but not those of another meter.
        publisher.update(meter, vec![message("config", "{1}")], vec![message("energy", "4")]);
        publisher.update(Source::Meter(1), Vec::new(), vec![message("flow", "5")]);
        assert_eq!(broker.gets(), "config={1} flow=5");
        // When the program stops, nothing waits any more.
        assert_eq!(broker.take(true), "energy=4");
        assert_eq!(broker.take(true), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_birth_repeats_everything_and_a_poll_in_vain_nothing() {
        let (publisher, mut broker) = Broker::start();
        publisher.update(Source::Meter(0), vec![message("config", "{}")], vec![message("e", "1")]);
        publisher.update(Source::Program, vec![message("p", "{}")], vec![message("version", "1")]);
        assert_eq!(broker.gets(), "status=online p={} config={}");
        broker.waits().await;
        assert_eq!(broker.gets(), "version=1 e=1");
        publisher.repeat();
        assert_eq!(broker.gets(), "");
        assert_eq!(broker.waits().await, Duration::from_millis(500));
        assert_eq!(broker.gets(), "p={} config={}");
        broker.waits().await;
        assert_eq!(broker.gets(), "version=1 e=1");
        // The last poll gave nothing: nothing old is sent again.
        publisher.update(Source::Meter(0), vec![message("config", "{}")], Vec::new());
        assert_eq!(broker.gets(), "");
        publisher.repeat();
        broker.gets();
        broker.waits().await;
        assert_eq!(broker.gets(), "p={} config={}");
        broker.waits().await;
        assert_eq!(broker.gets(), "version=1");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_cleared_is_cleared_once_per_connection() {
        let (publisher, mut broker) = Broker::start();
        publisher.clear("old".to_owned());
        publisher.clear("old".to_owned());
        assert_eq!(broker.gets(), "status=online old=");
        assert_eq!(broker.gets(), "");
        broker.sent = Sent::default();
        assert_eq!(broker.gets(), "status=online old=");
    }

    /// The meter does not have it, and then it does: as after another one was put in its place.
    #[tokio::test(start_paused = true)]
    async fn what_was_taken_away_comes_back_with_its_value() {
        let (publisher, mut broker) = Broker::start();
        let update = |has: bool| {
            let [config, energy] = [("config", "{}"), ("energy", "1")]
                .map(|(topic, payload)| has.then(|| message(topic, payload)));
            let both = (config.into_iter().collect(), energy.into_iter().collect());
            publisher.update(Source::Meter(0), both.0, both.1);
            publisher.announce(Source::Meter(1), vec![message("other", "{}")]);
        };
        update(true);
        assert_eq!(broker.gets(), "status=online config={} other={}");
        broker.waits().await;
        assert_eq!(broker.gets(), "energy=1");
        for _ in 0..2 {
            update(false);
            publisher.clear("config".to_owned());
            publisher.clear("energy".to_owned());
            assert_eq!(broker.gets(), "config= energy=");
            // A later poll says the same.
            update(false);
            publisher.clear("config".to_owned());
            assert_eq!(broker.gets(), "");
            update(true);
            assert_eq!(broker.gets(), "config={}");
            broker.waits().await;
            assert_eq!(broker.gets(), "energy=1");
            // It is not emptied by the next connection.
            broker.sent = Sent::default();
            assert_eq!(broker.gets(), "status=online config={} other={}");
            broker.waits().await;
            assert_eq!(broker.gets(), "energy=1");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_ended_leaves_nothing_behind() {
        let (publisher, mut broker) = Broker::start();
        let begin = |number| {
            let (config, state) = (message("config", "{}"), message("energy", "1"));
            publisher.update(Source::Meter(number), vec![config], vec![state]);
        };
        let end = |number| {
            publisher.update(Source::Meter(number), Vec::new(), Vec::new());
            publisher.clear("config".to_owned());
        };
        begin(0);
        assert_eq!(broker.gets(), "status=online config={}");
        broker.waits().await;
        assert_eq!(broker.gets(), "energy=1");
        for number in 1..9 {
            end(number - 1);
            assert_eq!(broker.gets(), "config=");
            begin(number);
            assert_eq!(broker.gets(), "config={}");
            broker.waits().await;
            assert_eq!(broker.gets(), "energy=1");
        }
        assert_eq!(broker.wanted.borrow().parts.len(), 1);
        let Sent { editions, versions, settled, .. } = &broker.sent;
        assert_eq!((editions.len(), versions.len(), settled.len()), (1, 1, 1));
        // One with the number of another, which nobody saw go.
        end(8);
        begin(8);
        assert_eq!(broker.gets(), "energy=1");
    }

    /// A parameter that is taken out of the configuration, and put in again, twice.
    #[tokio::test(start_paused = true)]
    async fn what_is_announced_again_is_not_cleared_any_more() {
        let (publisher, mut broker) = Broker::start();
        let meter = Source::Meter(0);
        let config = || vec![message("config", "{}")];
        publisher.announce(meter, config());
        assert_eq!(broker.gets(), "status=online config={}");
        for _ in 0..2 {
            publisher.announce(meter, Vec::new());
            publisher.clear("config".to_owned());
            assert_eq!(broker.gets(), "config=");
            publisher.announce(meter, config());
            assert_eq!(broker.gets(), "config={}");
        }
        broker.sent = Sent::default();
        assert_eq!(broker.gets(), "status=online config={}");
    }
}
