//! What the program knows of itself just now, for those who look: the page, and who asks for the
//! broker.
//!
//! Whoever knows something new says it here and goes on; nobody is waited for, and where nobody
//! looks, nothing is made of it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::poll::Complaint;

/// Where all of it is kept. Clones are the same board.
#[derive(Debug, Clone)]
pub struct Board {
    meters: watch::Sender<Vec<(usize, MeterState)>>,
    broker: watch::Sender<BrokerState>,
    setup: watch::Sender<Setup>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            meters: watch::Sender::new(Vec::new()),
            broker: watch::Sender::new(BrokerState::Unknown),
            setup: watch::Sender::new(Setup::default()),
        }
    }
}

impl Board {
    /// Sets which meters there are, each with its number. Of those that were there before, what is
    /// known stays.
    pub fn set_meters(&self, meters: Vec<(usize, MeterState)>) {
        self.meters.send_modify(|known| {
            let before = std::mem::replace(known, meters);
            for (number, meter) in before {
                let now = known.iter_mut().find(|(other, _)| *other == number);
                if let Some((_, now)) = now {
                    let MeterState { title, port, interval, .. } = now.clone();
                    *now = MeterState { title, port, interval, ..meter };
                }
            }
        });
    }

    /// Changes what is known of the meter with this number.
    pub fn meter(&self, number: usize, change: impl FnOnce(&mut MeterState)) {
        self.meters.send_modify(|meters| {
            if let Some((_, meter)) = meters.iter_mut().find(|(known, _)| *known == number) {
                change(meter);
            }
        });
    }

    /// What is known of the meters.
    #[must_use]
    pub fn meters(&self) -> Vec<MeterState> {
        self.meters.borrow().iter().map(|(_, meter)| meter.clone()).collect()
    }

    /// Sets how it goes with the broker.
    pub fn set_broker(&self, state: BrokerState) {
        self.broker.send_replace(state);
    }

    /// How it goes with the broker, now and later.
    #[must_use]
    pub fn broker(&self) -> watch::Receiver<BrokerState> {
        self.broker.subscribe()
    }

    /// Changes what there is to say of the settings.
    pub fn set_up(&self, change: impl FnOnce(&mut Setup)) {
        self.setup.send_modify(change);
    }

    /// What there is to say of the settings.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setup.borrow().clone()
    }
}

/// How it goes with the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerState {
    /// Nobody has said yet which broker it is.
    Unknown,
    /// The first attempt to connect is under way.
    Connecting {
        /// `host:port`
        name: String,
    },
    /// Connected.
    Connected {
        /// `host:port`
        name: String,
        /// Since when.
        since: Instant,
    },
    /// Not connected, which is tried again and again.
    Down {
        /// `host:port`
        name: String,
        /// Since when.
        since: Instant,
        /// What happened and what to do about it.
        words: String,
    },
}

/// What there is to say of the settings, and of where they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// Why nothing is read.
    pub problem: Option<Problem>,
    /// What is odd, one sentence each.
    pub warnings: Vec<String>,
    /// Why Home Assistant does not say which broker it is.
    pub broker: Option<Complaint>,
}

/// What keeps all meters from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What happened.
    pub words: String,
    /// Each part of it.
    pub details: Vec<String>,
    /// What to do about it.
    pub hint: String,
}

/// What is known of one meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterState {
    /// How Home Assistant calls it.
    pub title: String,
    /// Where it is connected.
    pub port: String,
    /// From one poll to the next.
    pub interval: Duration,
    /// Which model it is, as far as it is known.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// When it was polled last, and what of it did not go well.
    pub last: Option<LastPoll>,
    /// Each value as it was read last, in the order of the meter's parameters.
    pub values: Vec<ValueState>,
    /// What was not read in the last poll, and why.
    pub missing: Vec<(String, String)>,
    /// What it says is wrong with it.
    pub fault: Option<String>,
}

impl MeterState {
    /// A meter that was not polled yet.
    #[must_use]
    pub fn new(title: String, port: String, interval: Duration) -> Self {
        Self {
            title,
            port,
            interval,
            model: None,
            serial: None,
            last: None,
            values: Vec::new(),
            missing: Vec::new(),
            fault: None,
        }
    }
}

/// How the last poll went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPoll {
    /// When it ended.
    pub at: Instant,
    /// Whether the meter answered.
    pub answered: bool,
    /// What went wrong, and what to do about it.
    pub trouble: Option<Complaint>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueState {
    /// What it is called.
    pub name: String,
    /// As it is published.
    pub text: String,
    /// Its unit, if it has one.
    pub unit: Option<&'static str>,
    /// When it was read.
    pub at: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_meter_stays_as_long_as_the_meter() {
        let board = Board::default();
        let meter = |title: &str| {
            MeterState::new(title.to_owned(), "/dev/ttyUSB0".to_owned(), Duration::from_secs(300))
        };
        let serials = || {
            let of = |meter: MeterState| format!("{} {:?}", meter.title, meter.serial);
            board.meters().into_iter().map(of).collect::<Vec<_>>()
        };
        board.set_meters(vec![(0, meter("a")), (1, meter("b"))]);
        board.meter(1, |meter| meter.serial = Some("12345678".to_owned()));
        board.meter(2, |_| panic!("there is none"));
        assert_eq!(serials(), ["a None", "b Some(\"12345678\")"]);
        // With another configuration one goes, one comes, and one is called otherwise.
        board.set_meters(vec![(2, meter("c")), (1, meter("d"))]);
        assert_eq!(serials(), ["c None", "d Some(\"12345678\")"]);
    }

    #[test]
    fn clones_are_the_same_board() {
        let board = Board::default();
        let seen = board.broker();
        let connecting = BrokerState::Connecting { name: "broker:1883".to_owned() };
        board.clone().set_broker(connecting.clone());
        assert_eq!(*seen.borrow(), connecting);
    }
}
