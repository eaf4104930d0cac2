//! The difference between what is desired and what was sent, over time.

use super::*;
use crate::mqtt::births::{Answer, BIRTHS_ANSWERED, SPREAD};
use crate::mqtt::desired::Desired;
use crate::mqtt::diff::{SETTLE, Sent};

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

    /// What arrives now.
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

    /// What arrives until then, each time with when.
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

    /// A new connection.
    fn connects(&mut self) {
        self.sent.connected(None);
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
    // One that is only changed is there already.
    publisher.update(meter, vec![message("config", "{1}")], vec![message("energy", "4")]);
    assert_eq!(broker.gets(), "config={1} energy=4");
    // A new entity makes them wait again, but not those of another meter.
    let both = vec![message("config", "{1}"), message("other", "{}")];
    publisher.update(meter, both, vec![message("energy", "5")]);
    publisher.update(Source::Meter(1), Vec::new(), vec![message("flow", "6")]);
    assert_eq!(broker.gets(), "other={} flow=6");
    // When the program stops, nothing waits any more.
    assert_eq!(broker.take(true), "energy=5");
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
    let _ = publisher.repeat();
    assert_eq!(broker.gets(), "");
    let wait = broker.waits().await;
    assert!(wait >= SPREAD * 3 / 4 && wait < SPREAD * 5 / 4, "{wait:?}");
    assert_eq!(broker.gets(), "p={} config={}");
    broker.waits().await;
    assert_eq!(broker.gets(), "version=1 e=1");
    // The last poll gave nothing: nothing old is sent again.
    publisher.update(Source::Meter(0), vec![message("config", "{}")], Vec::new());
    assert_eq!(broker.gets(), "");
    let _ = publisher.repeat();
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
    broker.connects();
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
        // At once for those who know the entity still, and again when it is made.
        update(true);
        assert_eq!(broker.gets(), "config={} energy=1");
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
        // The entity was there before, but may have to be made again.
        assert_eq!(broker.gets(), "config={} energy=1");
        broker.waits().await;
        assert_eq!(broker.gets(), "energy=1");
    }
    assert_eq!(broker.desired.borrow().parts.len(), 1);
    assert_eq!(broker.sent.size(), (1, 1));
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
    broker.connects();
    assert_eq!(broker.gets(), "status=online config={}");
}

const METER: Source = Source::Meter(0);

/// From poll to poll, as close as they may be.
const POLL: Duration = Duration::from_millis(1200);

/// Values of each poll arrive with the poll, and everything that comes otherwise. `config` is
/// what a poll announces, and `between` comes every so often.
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
async fn however_often_home_assistant_is_born_each_poll_is_published() {
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
        // The first is no answer to a birth.
        let answers = has("config=").split_off(1);
        let apart: Vec<_> =
            answers.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        assert!(apart.iter().all(|apart| *apart >= Duration::from_secs(30)), "{apart:?}");
        // The last birth is answered as well, and no more than that.
        let expected = minutes * 2 + 1;
        assert_eq!(u64::try_from(answers.len()).unwrap(), expected, "{every:?}: {answers:?}");
        let states = has("e=");
        assert!(answers.iter().all(|at| states.contains(&(*at + SETTLE))), "{every:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_birth_that_waits_answers_those_after_it_and_holds_up_no_poll() {
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
    assert_eq!(broker.gets(), "config={}");
    // At once, and once more when Home Assistant has surely subscribed to it.
    poll("3");
    assert_eq!(broker.gets(), "e=3");
    assert!(broker.waits().await <= SETTLE);
    assert_eq!(broker.gets(), "e=3");
    assert_eq!(broker.next, None);

    tokio::time::sleep(Duration::from_secs(10)).await;
    let Answer::Later(wait) = publisher.repeat() else { panic!("too soon") };
    assert_eq!(publisher.repeat(), Answer::WithAnother);
    let born = Instant::now();
    let got = broker.gets_until(born + 3 * BIRTHS_ANSWERED).await;
    let got: Vec<_> = got.into_iter().map(|(at, messages)| (at - born, messages)).collect();
    assert_eq!(got, [(wait, "config={}".to_owned()), (wait + SETTLE, "e=3".to_owned())]);

    // A new connection answers what waits, and nothing that comes after it.
    assert_eq!(publisher.repeat(), Answer::Soon);
    broker.connects();
    assert_eq!(broker.gets(), "status=online config={}");
    assert_eq!(broker.waits().await, SETTLE);
    assert_eq!(broker.gets(), "e=3");
    assert_eq!(broker.next, None);
    assert_eq!(publisher.repeat(), Answer::Soon);
}

#[tokio::test(start_paused = true)]
async fn discovery_that_changes_with_each_poll_holds_up_no_values() {
    // The payload, or another entity each time.
    let changed = |poll: u32| vec![message("config", &poll.to_string())];
    let all = polls_of(12 * POLL, changed, POLL, |_, _| {}).await;
    assert_eq!(all.last().unwrap().1, "config=12 e=12");
    let toggled = |poll: u32| {
        let other = (poll % 2 == 1).then(|| message("other", "{}"));
        one_config(poll).into_iter().chain(other).collect()
    };
    let clear = |publisher: &Publisher, _: &mut Broker| publisher.clear("other".to_owned());
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
async fn connections_that_end_soon_hold_up_no_values() {
    for every in [400, 1900] {
        let lost = |_: &Publisher, broker: &mut Broker| broker.connects();
        polls_of(20 * POLL, one_config, Duration::from_millis(every), lost).await;
    }
}
