//! The difference between the desired and the sent messages, over time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::mqtt::births::{Answer, BIRTHS_ANSWERED, SPREAD};
use crate::mqtt::cleared::{FOUND_AT_MOST, Found};
use crate::mqtt::desired::Desired;
use crate::mqtt::diff::{CLEARED_AT_ONCE, CLEARED_EVERY, ONLINE_AGAIN, SETTLE, Sent};
use meter::suspension::SuspendedTime;

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
    desired: watch::Receiver<Desired>,
    next: Option<Instant>,
}

impl Broker {
    fn start() -> (Publisher, Self) {
        let (publisher, desired) = Publisher::new(Subscriptions::default());
        (publisher, Self { sent: Sent::default(), desired, next: None })
    }

    /// The messages that arrive now.
    fn gets(&mut self) -> String {
        self.take(false)
    }

    fn take(&mut self, all: bool) -> String {
        let online = message("status", "online");
        let due = self.sent.diff(&online, &self.desired.borrow(), all);
        self.next = due.next;
        let shown = due.messages.iter().map(|m| format!("{}={}", m.topic, m.payload));
        shown.collect::<Vec<_>>().join(" ")
    }

    /// The messages that arrive until then, with their times.
    async fn gets_until(&mut self, then: Instant) -> Vec<(Instant, String)> {
        let mut all = Vec::new();
        loop {
            all.push((Instant::now(), self.gets()));
            match self.next.filter(|next| *next < then) {
                Some(next) => tokio::time::sleep_until(next).await,
                None => break,
            }
        }
        tokio::time::sleep_until(then).await;
        all.retain(|(_, messages)| !messages.is_empty());
        all
    }

    /// A new connection, after one in which everything arrived.
    fn connects(&mut self) {
        self.connects_after_losing(&[]);
    }

    /// A new connection, after one in which the empty messages on these topics may have been lost.
    fn connects_after_losing(&mut self, topics: &[&str]) {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        self.sent.connected(None, topics, false);
    }

    /// Checks that nothing is due later but the status.
    fn waits_for_nothing(&self) {
        let soon = Instant::now() + ONLINE_AGAIN / 3;
        assert!(self.next.is_none_or(|next| next > soon), "{:?}", self.next);
    }

    /// Waits until something is due.
    async fn waits(&self) -> Duration {
        let at = self.next.expect("something is due later");
        let wait = at - Instant::now();
        tokio::time::sleep_until(at).await;
        wait
    }
}

/// After a power cut and with another client id, the last will of the earlier run came last.
#[tokio::test(start_paused = true)]
async fn the_status_is_sent_again_when_an_earlier_last_will_may_have_replaced_it() {
    let (publisher, mut broker) = Broker::start();
    publisher.update(METER, Vec::new(), vec![message("energy", "1")]);
    for _ in 0..2 {
        let begun = Instant::now();
        broker.connects();
        let hour = Duration::from_secs(3600);
        let sent = broker.gets_until(begun + hour).await;
        let sent: Vec<_> = sent.iter().map(|(at, sent)| (*at - begun, sent.as_str())).collect();
        let first = (Duration::ZERO, "status=online energy=1");
        assert_eq!(sent, [first, (ONLINE_AGAIN, "status=online")]);
        assert!(ONLINE_AGAIN > Duration::from_secs(100));
    }
    // Home Assistant starts.
    let _ = publisher.repeat();
    assert_eq!(broker.gets(), "");
    broker.waits().await;
    assert_eq!(broker.gets(), "status=online energy=1");
    assert_eq!(broker.next, None);
}

#[tokio::test(start_paused = true)]
async fn states_follow_their_entities_after_a_delay() {
    let (publisher, mut broker) = Broker::start();
    let meter = Source::Meter(0);
    let config = || vec![message("config", "{}")];
    publisher.update(meter, config(), vec![message("energy", "1")]);
    assert_eq!(broker.gets(), "status=online config={}");
    // A poll that ends while states wait replaces them.
    publisher.update(meter, config(), vec![message("energy", "2")]);
    assert_eq!(broker.gets(), "");
    assert_eq!(broker.waits().await, SETTLE);
    assert_eq!(broker.gets(), "energy=2");
    publisher.update(meter, config(), vec![message("energy", "3")]);
    assert_eq!(broker.gets(), "energy=3");
    // An entity that only changes exists already.
    publisher.update(meter, vec![message("config", "{1}")], vec![message("energy", "4")]);
    assert_eq!(broker.gets(), "config={1} energy=4");
    // A new entity makes the states wait again, but not those of another meter.
    let both = vec![message("config", "{1}"), message("other", "{}")];
    publisher.update(meter, both, vec![message("energy", "5")]);
    publisher.update(Source::Meter(1), Vec::new(), vec![message("flow", "6")]);
    assert_eq!(broker.gets(), "flow=6 other={}");
    // When the program stops, nothing waits.
    assert_eq!(broker.take(true), "energy=5");
    assert_eq!(broker.take(true), "");
}

/// Values that are not read in each poll must not look as if they were, but Home Assistant needs
/// them after its start.
#[tokio::test(start_paused = true)]
async fn current_values_of_earlier_polls_are_sent_only_when_everything_is() {
    let (publisher, mut broker) = Broker::start();
    let update = |configs: &[&str], fast: &str, slow: &str| {
        let configs = configs.iter().map(|topic| message(topic, "{}")).collect();
        publisher.update_all(
            METER,
            configs,
            vec![message("fast", fast)],
            Some(vec![message("slow", slow)]),
        );
    };
    // The first poll has read both.
    let both = vec![message("fast", "1"), message("slow", "1")];
    publisher.update(METER, vec![message("config", "{}")], both);
    assert_eq!(broker.gets(), "status=online config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "fast=1 slow=1");
    update(&["config"], "2", "1");
    assert_eq!(broker.gets(), "fast=2");
    broker.connects();
    assert_eq!(broker.gets(), "status=online config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "slow=1 fast=2");
    update(&["config"], "3", "1");
    assert_eq!(broker.gets(), "fast=3");
    let _ = publisher.repeat();
    broker.gets();
    broker.waits().await;
    assert_eq!(broker.gets(), "status=online config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "slow=1 fast=3");
    // A changed entity is unavailable until its next value.
    update(&["config", "other"], "4", "1");
    assert_eq!(broker.gets(), "other={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "slow=1 fast=4");
    update(&["config", "other"], "5", "1");
    assert_eq!(broker.gets(), "fast=5");
    tokio::time::sleep(SETTLE * 2).await;
    // While the meter is silent, nothing is known to be current.
    let configs = vec![message("config", "{}"), message("other", "{}")];
    publisher.update_all(METER, configs, vec![message("connection", "OFF")], None);
    broker.connects();
    broker.gets();
    broker.waits().await;
    assert_eq!(broker.gets(), "connection=OFF");
    update(&["config", "other"], "6", "1");
    assert_eq!(broker.gets(), "slow=1 fast=6");
    update(&["config", "other"], "7", "1");
    assert_eq!(broker.gets(), "fast=7");
}

/// A slow value was lost until its next reading if the next poll ended before it was sent.
#[tokio::test(start_paused = true)]
async fn current_values_of_a_poll_that_was_never_sent_are_not_lost() {
    let (publisher, mut broker) = Broker::start();
    let config = || vec![message("config", "{}")];
    let both = |value: &str| vec![message("fast", value), message("slow", value)];
    publisher.update(METER, config(), both("1"));
    broker.gets();
    broker.waits().await;
    assert_eq!(broker.gets(), "fast=1 slow=1");
    publisher.update(METER, config(), both("2"));
    let slow = Some(vec![message("slow", "2")]);
    publisher.update_all(METER, config(), vec![message("fast", "3")], slow.clone());
    assert_eq!(broker.gets(), "slow=2 fast=3");
    publisher.update_all(METER, config(), vec![message("fast", "4")], slow);
    assert_eq!(broker.gets(), "fast=4");
}

/// Means are known later than the values of their poll.
#[tokio::test(start_paused = true)]
async fn added_states_are_sent_without_the_others() {
    let (publisher, mut broker) = Broker::start();
    let config = || vec![message("config", "{}")];
    let both = || vec![message("config", "{}"), message("mean", "{}")];
    publisher.update(METER, config(), vec![message("e", "1")]);
    broker.gets();
    broker.waits().await;
    assert_eq!(broker.gets(), "e=1");
    tokio::time::sleep(4 * SETTLE).await;
    publisher.add(METER, both(), vec![message("m", "1")]);
    assert_eq!(broker.gets(), "mean={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "m=1");
    broker.waits_for_nothing();
    publisher.update(METER, both(), vec![message("e", "2")]);
    assert_eq!(broker.gets(), "e=2");
    publisher.add(METER, both(), vec![message("m", "2")]);
    assert_eq!(broker.gets(), "m=2");
    broker.connects();
    assert_eq!(broker.gets(), "status=online config={} mean={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "e=2 m=2");
    publisher.update(METER, both(), vec![message("e", "3")]);
    publisher.add(METER, both(), vec![message("m", "3")]);
    assert_eq!(broker.take(true), "e=3 m=3");
    assert_eq!(broker.take(true), "");
}

/// A laptop that was closed for a night sent the values of the evening as those of the morning.
#[tokio::test(start_paused = true)]
async fn values_from_before_the_machine_was_suspended_are_not_sent_again() {
    let (publisher, mut broker) = Broker::start();
    let slept = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&slept);
    let read = move || Duration::from_secs(total.load(Ordering::Relaxed));
    publisher.measure_suspended_by(SuspendedTime::new(read));
    let config = || vec![message("config", "{}")];
    let slow = || Some(vec![message("slow", "1")]);
    publisher.update(Source::Program, vec![message("p", "{}")], vec![message("version", "1")]);
    publisher.update_all(METER, config(), vec![message("fast", "1")], slow());
    broker.gets();
    broker.waits().await;
    assert_eq!(broker.gets(), "version=1 slow=1 fast=1");
    slept.store(8 * 60 * 60, Ordering::Relaxed);
    broker.connects();
    assert_eq!(broker.gets(), "status=online p={} config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "version=1");
    // The next poll has read only fast values.
    publisher.update_all(METER, config(), vec![message("fast", "2")], Some(Vec::new()));
    assert_eq!(broker.gets(), "fast=2");
}

#[tokio::test(start_paused = true)]
async fn a_birth_repeats_everything_but_no_old_values() {
    let (publisher, mut broker) = Broker::start();
    publisher.update(Source::Meter(0), vec![message("config", "{}")], vec![message("e", "1")]);
    publisher.update(Source::Program, vec![message("p", "{}")], vec![message("version", "1")]);
    assert_eq!(broker.gets(), "status=online p={} config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "version=1 e=1");
    let _ = publisher.repeat();
    assert_eq!(broker.gets(), "");
    let wait = broker.waits().await;
    assert!(wait >= SPREAD * 3 / 4 && wait < SPREAD * 5 / 4, "{wait:?}");
    assert_eq!(broker.gets(), "status=online p={} config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "version=1 e=1");
    // The last poll read nothing, so no old value is sent again.
    publisher.update(Source::Meter(0), vec![message("config", "{}")], Vec::new());
    assert_eq!(broker.gets(), "");
    let _ = publisher.repeat();
    broker.gets();
    broker.waits().await;
    assert_eq!(broker.gets(), "status=online p={} config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "version=1");
}

/// Each connection cleared it again, also when another program had announced something there: a
/// meter that was moved to a second program vanished from Home Assistant.
#[tokio::test(start_paused = true)]
async fn a_topic_is_cleared_again_only_if_that_may_have_been_lost() {
    let (publisher, mut broker) = Broker::start();
    publisher.clear("old");
    publisher.clear("old");
    assert_eq!(publisher.clear_found("found"), Found::Added);
    assert_eq!(broker.gets(), "status=online old= found=");
    assert_eq!(broker.gets(), "");
    broker.connects();
    assert_eq!(broker.gets(), "status=online");
    broker.connects_after_losing(&["found", "old"]);
    assert_eq!(broker.gets(), "status=online old= found=");
    broker.connects();
    assert_eq!(broker.gets(), "status=online");
    // One that was announced again in the meantime, and one that was never sent.
    broker.connects_after_losing(&["old", "found"]);
    publisher.announce(METER, vec![message("old", "{}")]);
    publisher.clear("new");
    assert_eq!(broker.gets(), "status=online new= found= old={}");
    assert_eq!(broker.gets(), "");
}

/// With 100,000 forged messages, 0 of 11 polls were published within 30 s.
#[tokio::test(start_paused = true)]
async fn values_do_not_wait_for_a_flood_of_topics_to_clear() {
    let (publisher, mut broker) = Broker::start();
    let config = || vec![message("config", "{}")];
    publisher.announce(METER, config());
    broker.gets_until(Instant::now() + 4 * SETTLE).await;
    for number in 0..100_000 {
        let found = publisher.clear_found(&format!("old{number}"));
        assert_eq!(found == Found::Added, number < FOUND_AT_MOST);
    }
    publisher.clear("own");
    let begun = Instant::now();
    let mut all = Vec::new();
    for poll in 0..60 {
        publisher.update(METER, config(), vec![message("e", &poll.to_string())]);
        let got = broker.gets_until(Instant::now() + Duration::from_secs(1)).await;
        // Our own topics are few. Their values must not be followed by an empty message.
        let first = if poll == 0 { "own= e=0 old0= " } else { &format!("e={poll} old") };
        let is_clearing = begun.elapsed() < Duration::from_secs(50);
        assert!(got[0].1.starts_with(first) || !is_clearing, "{}", &got[0].1[..20]);
        all.extend(got);
    }
    let cleared = |shown: &str| {
        shown.split(' ').filter(|shown| shown.starts_with("old") && shown.ends_with('=')).count()
    };
    let batches: Vec<_> = all.iter().map(|(at, shown)| (*at, cleared(shown))).collect();
    assert_eq!(batches.iter().map(|(_, cleared)| cleared).sum::<usize>(), FOUND_AT_MOST);
    let clearing: Vec<_> = batches.iter().filter(|(_, cleared)| *cleared > 0).collect();
    assert!(clearing.iter().all(|(_, cleared)| *cleared <= CLEARED_AT_ONCE));
    assert!(clearing.windows(2).all(|pair| pair[1].0 - pair[0].0 >= CLEARED_EVERY));
    assert_eq!(broker.desired.borrow().found.size().0, FOUND_AT_MOST);
}

/// After a reload without `retain`, the empty messages of more than a hundred topics followed
/// values that were published meanwhile.
#[tokio::test(start_paused = true)]
async fn own_topics_are_cleared_at_once_however_many_there_are() {
    let (publisher, mut broker) = Broker::start();
    for number in 0..3 * CLEARED_AT_ONCE {
        publisher.clear(&format!("own{number}"));
    }
    publisher.update(METER, Vec::new(), vec![message("e", "1")]);
    let shown = broker.gets();
    assert_eq!(shown.matches("= ").count(), 3 * CLEARED_AT_ONCE, "{shown}");
    assert!(shown.ends_with(" e=1"), "{shown}");
    assert_eq!(broker.gets(), "");
    broker.waits_for_nothing();
}

/// Home Assistant frees the names of entities before it creates others.
#[tokio::test(start_paused = true)]
async fn found_topics_are_cleared_before_entities_are_announced() {
    let (publisher, mut broker) = Broker::start();
    assert_eq!(publisher.clear_found("old"), Found::Added);
    assert_eq!(publisher.clear_found("old"), Found::Known);
    assert_eq!(publisher.clear_found("config"), Found::Added);
    publisher.announce(METER, vec![message("config", "{}")]);
    assert_eq!(broker.gets(), "status=online old= config={}");
    broker.connects_after_losing(&["old"]);
    assert_eq!(broker.gets(), "status=online old= config={}");
}

/// The meter lacks a parameter and then has it, for example after it was exchanged.
#[tokio::test(start_paused = true)]
async fn a_removed_entity_returns_with_its_value() {
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
        publisher.clear("config");
        publisher.clear("energy");
        assert_eq!(broker.gets(), "config= energy=");
        // A later poll gives the same result.
        update(false);
        publisher.clear("config");
        assert_eq!(broker.gets(), "");
        // At once for subscribers that still know the entity, and again when it has been created.
        update(true);
        assert_eq!(broker.gets(), "config={} energy=1");
        broker.waits().await;
        assert_eq!(broker.gets(), "energy=1");
        // The next connection does not clear it.
        broker.sent = Sent::default();
        assert_eq!(broker.gets(), "status=online config={} other={}");
        broker.waits().await;
        assert_eq!(broker.gets(), "energy=1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_meter_leaves_nothing_behind() {
    let (publisher, mut broker) = Broker::start();
    let begin = |number| {
        let (config, state) = (message("config", "{}"), message("energy", "1"));
        publisher.update(Source::Meter(number), vec![config], vec![state]);
    };
    let end = |number| {
        publisher.update(Source::Meter(number), Vec::new(), Vec::new());
        publisher.clear("config");
    };
    begin(0);
    assert_eq!(broker.gets(), "status=online config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "energy=1");
    for number in 1..9 {
        end(number - 1);
        assert_eq!(broker.gets(), "config=");
        begin(number);
        // The entity existed before, but may have to be created again.
        assert_eq!(broker.gets(), "config={} energy=1");
        broker.waits().await;
        assert_eq!(broker.gets(), "energy=1");
    }
    assert_eq!(broker.desired.borrow().parts.len(), 1);
    assert_eq!(broker.sent.size(), (1, 1));
    // A meter gets the number of another whose removal was never sent.
    end(8);
    begin(8);
    assert_eq!(broker.gets(), "energy=1");
}

/// A parameter is removed from the configuration and added again, twice.
#[tokio::test(start_paused = true)]
async fn a_topic_that_is_announced_again_is_no_longer_cleared() {
    let (publisher, mut broker) = Broker::start();
    let meter = Source::Meter(0);
    let config = || vec![message("config", "{}")];
    publisher.announce(meter, config());
    assert_eq!(broker.gets(), "status=online config={}");
    for _ in 0..2 {
        publisher.announce(meter, Vec::new());
        publisher.clear("config");
        assert_eq!(broker.gets(), "config=");
        publisher.announce(meter, config());
        assert_eq!(broker.gets(), "config={}");
    }
    broker.connects();
    assert_eq!(broker.gets(), "status=online config={}");
}

const METER: Source = Source::Meter(0);

/// The shortest time between two polls.
const POLL: Duration = Duration::from_millis(1200);

/// Checks that the values of each poll arrive with that poll, and returns everything that arrives.
/// `config` makes the announcements of a poll; `between` runs once in each `every`.
async fn polls_of(
    lasts: Duration,
    config: impl Fn(u32) -> Vec<Message>,
    every: Duration,
    mut between: impl FnMut(&Publisher, &mut Broker),
) -> Vec<(Duration, String)> {
    let (publisher, mut broker) = Broker::start();
    publisher.announce(METER, config(0));
    let begun = Instant::now();
    let mut all = broker.gets_until(begun + 4 * SETTLE).await;
    let (mut poll, mut event) = (Instant::now(), Instant::now());
    let end = poll + lasts;
    let mut polls = 0;
    while poll.min(event) < end {
        all.extend(broker.gets_until(poll.min(event)).await);
        if event <= Instant::now() {
            between(&publisher, &mut broker);
            event += every;
        }
        if poll <= Instant::now() {
            polls += 1;
            publisher.update(METER, config(polls), vec![message("e", &polls.to_string())]);
            poll += POLL;
            let at_once = broker.gets();
            let here = at_once.split(' ').any(|shown| shown == format!("e={polls}"));
            assert!(here, "poll {polls}, events every {every:?}: {at_once:?}");
            all.push((Instant::now(), at_once));
        }
    }
    all.extend(broker.gets_until(end + Duration::from_secs(60)).await);
    all.into_iter().map(|(at, messages)| (at - begun, messages)).collect()
}

fn one_config(_: u32) -> Vec<Message> {
    vec![message("config", "{}")]
}

#[tokio::test(start_paused = true)]
async fn each_poll_is_published_however_often_home_assistant_starts() {
    for (every, minutes) in [(500, 1), (700, 1), (1000, 10), (2500, 10), (7000, 10)] {
        let (every, lasts) = (Duration::from_millis(every), Duration::from_secs(minutes * 60));
        let born = |publisher: &Publisher, _: &mut Broker| {
            let _ = publisher.repeat();
        };
        let all = polls_of(lasts, one_config, every, born).await;
        let has = |topic: &'static str| {
            let all = all.iter().filter(move |(_, shown)| shown.contains(topic));
            all.map(|(at, _)| *at).collect::<Vec<_>>()
        };
        // The first one is not an answer to a birth.
        let answers = has("config=").split_off(1);
        let apart: Vec<_> =
            answers.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        assert!(apart.iter().all(|apart| *apart >= Duration::from_secs(30)), "{apart:?}");
        // The last birth is answered too, and there is no further answer.
        let expected = minutes * 2 + 1;
        assert_eq!(u64::try_from(answers.len()).unwrap(), expected, "{every:?}: {answers:?}");
        let states = has("e=");
        assert!(answers.iter().all(|at| states.contains(&(*at + SETTLE))), "{every:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_birth_absorbs_later_ones_and_delays_no_poll() {
    let (publisher, mut broker) = Broker::start();
    let poll = |value: &str| {
        publisher.update(METER, one_config(0), vec![message("e", value)]);
    };
    poll("1");
    broker.gets_until(Instant::now() + 4 * SETTLE).await;
    assert_eq!(publisher.repeat(), Answer::Soon);
    assert_eq!(publisher.repeat(), Answer::WithAnother);
    poll("2");
    assert_eq!(broker.gets(), "e=2");
    assert!(broker.waits().await < SPREAD * 5 / 4);
    assert_eq!(broker.gets(), "status=online config={}");
    // At once, and a second time when Home Assistant has certainly subscribed.
    poll("3");
    assert_eq!(broker.gets(), "e=3");
    assert!(broker.waits().await <= SETTLE);
    assert_eq!(broker.gets(), "e=3");
    broker.waits_for_nothing();

    tokio::time::sleep(Duration::from_secs(10)).await;
    let Answer::Later(wait) = publisher.repeat() else { panic!("too soon") };
    assert_eq!(publisher.repeat(), Answer::WithAnother);
    let born = Instant::now();
    let got = broker.gets_until(born + 3 * BIRTHS_ANSWERED).await;
    let got = got.into_iter().filter(|(_, messages)| messages != "status=online");
    let got: Vec<_> = got.map(|(at, messages)| (at - born, messages)).collect();
    let online = "status=online config={}".to_owned();
    assert_eq!(got, [(wait, online), (wait + SETTLE, "e=3".to_owned())]);

    // A new connection answers the waiting births, but none that come after it.
    assert_eq!(publisher.repeat(), Answer::Soon);
    broker.connects();
    assert_eq!(broker.gets(), "status=online config={}");
    assert_eq!(broker.waits().await, SETTLE);
    assert_eq!(broker.gets(), "e=3");
    broker.waits_for_nothing();
    assert_eq!(publisher.repeat(), Answer::Soon);
}

#[tokio::test(start_paused = true)]
async fn discovery_that_changes_with_each_poll_delays_no_values() {
    // First the payload changes each time, then the set of entities.
    let changed = |poll: u32| vec![message("config", &poll.to_string())];
    let all = polls_of(12 * POLL, changed, POLL, |_, _| {}).await;
    assert_eq!(all.last().unwrap().1, "config=12 e=12");
    let toggled = |poll: u32| {
        let other = (poll % 2 == 1).then(|| message("other", "{}"));
        one_config(poll).into_iter().chain(other).collect()
    };
    let clear = |publisher: &Publisher, _: &mut Broker| publisher.clear("other");
    let (publisher, mut broker) = Broker::start();
    publisher.announce(METER, toggled(1));
    broker.gets_until(Instant::now() + 4 * SETTLE).await;
    for poll in 2..20 {
        if poll % 2 == 0 {
            clear(&publisher, &mut broker);
        }
        publisher.update(METER, toggled(poll), vec![message("e", &poll.to_string())]);
        let got = broker.gets_until(Instant::now() + POLL).await;
        assert!(got[0].1.ends_with(&format!(" e={poll}")), "{got:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn short_connections_delay_no_values() {
    for every in [400, 1900] {
        let lost = |_: &Publisher, broker: &mut Broker| broker.connects();
        polls_of(20 * POLL, one_config, Duration::from_millis(every), lost).await;
    }
}
