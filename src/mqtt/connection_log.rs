//! Reports the connection in the log and on the board: each change of its state once.

use std::time::Duration;

use rumqttc::ConnectionError;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::endings::Endings;
use super::failure::{self, Stage};
use super::trail::{Accepted, Step};
use crate::advice::{Advice, MadeBy};
use crate::config::Broker;
use crate::payload::Message;
use crate::status::{Board, BrokerState};
use meter::duration;
use meter::news::News;

/// After this many short connections in a row, further ones are only logged at DEBUG.
#[cfg(test)]
pub(super) const SHORT_ONES: u32 = 3;

/// Logs changes of the connection's state, once each, and keeps the board up to date.
#[derive(Debug)]
pub(super) struct ConnectionLog {
    name: String,
    board: Board,
    made_by: MadeBy,
    /// When the connection was lost; `None` while it is up.
    down: Option<Instant>,
    /// Why the connection is down.
    trouble: News<Advice>,
    /// Whether a user name and a password are set.
    logs_in: bool,
    /// When the connection was made; `None` while it is down.
    up: Option<Instant>,
    /// How the last connections that the broker closed have ended.
    endings: Endings,
    /// What was reported about them. Nothing more is reported until a connection is stable.
    reported: Option<Advice>,
    will: WillTrial,
    /// Whether it was reported that the broker does not acknowledge.
    misses_acknowledgements: bool,
    /// A connection that lasts this long is stable.
    good: Duration,
}

/// Whether the broker rejects the connection because of the last will.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WillTrial {
    /// Not suspected.
    Unsuspected,
    /// Suspected once.
    Suspected,
    /// A connection without it was tried as well.
    Tried { is_rejected: Option<Advice> },
}

impl ConnectionLog {
    pub(super) fn new(broker: &Broker, board: Board, made_by: MadeBy, good: Duration) -> Self {
        let name = broker.name();
        board.set_broker(BrokerState::Connecting { name: name.clone() });
        Self {
            name,
            board,
            made_by,
            down: None,
            trouble: News::default(),
            logs_in: broker.credentials.is_some(),
            up: None,
            endings: Endings::default(),
            reported: None,
            will: WillTrial::Unsuspected,
            misses_acknowledgements: false,
            good,
        }
    }

    /// Whether a connection that lasted this long was stable.
    pub(super) fn is_good(&self, lasted: Duration) -> bool {
        lasted >= self.good
    }

    pub(super) fn connected(&mut self) {
        let since = Instant::now();
        self.board.set_broker(BrokerState::Connected { name: self.name.clone(), since });
        self.up = Some(since);
        self.trouble.forget();
        self.will = WillTrial::Unsuspected;
        self.misses_acknowledgements = false;
        let down = self.down.take();
        match down {
            _ if self.reported.is_some() => {
                debug!("Connected to the broker {} again.", self.name);
            }
            Some(since) => info!(
                "Connected to the broker {} again after {}.",
                self.name,
                duration::words(since.elapsed())
            ),
            None => info!("Connected to the broker {}.", self.name),
        }
    }

    /// When the present connection must be reported as stable, because those before it were short.
    pub(super) fn stable_at(&self) -> Option<Instant> {
        let up = self.up.filter(|_| self.reported.is_some());
        up.map(|up| up + self.good)
    }

    /// The connection has become stable after short ones.
    pub(super) fn stable(&mut self) {
        self.reported = None;
        info!("The connection to the broker {} is stable again.", self.name);
    }

    /// The connection was lost after the program was asked to stop.
    pub(super) fn lost_while_stopping(&self, stage: Stage) {
        if stage == Stage::Connected {
            warn!(
                "Lost the connection to the broker {} while disconnecting. The broker publishes \
                 `offline` as the last will.",
                self.name
            );
        }
    }

    /// The connection was lost, or could not be made. `step` was not acknowledged yet.
    pub(super) fn lost(
        &mut self,
        error: &ConnectionError,
        stage: Stage,
        step: Option<&Step>,
        accepted: &Accepted,
    ) {
        let since = *self.down.get_or_insert_with(Instant::now);
        let advice = if stage == Stage::Connected {
            let lasted = self.up.take().map(|up| up.elapsed()).unwrap_or_default();
            self.ended(error, lasted, step, accepted)
        } else {
            self.rejected(error, stage)
        };
        self.set_down(since, advice);
    }

    /// Logs that a connection has ended, and returns why.
    fn ended(
        &mut self,
        error: &ConnectionError,
        lasted: Duration,
        step: Option<&Step>,
        accepted: &Accepted,
    ) -> Advice {
        let is_hang_up = failure::is_hang_up(error);
        if is_hang_up {
            self.endings.add(step, lasted);
        } else {
            self.endings.forget();
        }
        if self.is_good(lasted) {
            self.reported = None;
        }
        let again = failure::closed_again(self.endings.pattern(), accepted);
        let is_again = again.is_some();
        let advice = again.unwrap_or_else(|| match step.filter(|_| is_hang_up) {
            Some(step) => failure::closed_at(step),
            None => failure::advice(error, Stage::Connected, self.logs_in),
        });
        let Self { name, made_by, reported, good, .. } = self;
        let words = advice.words(*made_by);
        if reported.as_ref() == Some(&advice) || (reported.is_some() && !is_again) {
            debug!("Lost the connection to the broker {name} again: {words}");
        } else if is_again && lasted < *good {
            let good = duration::words(*good);
            warn!(
                "No stable connection to the broker {name}: {words} Retrying; nothing more is \
                 reported until a connection has lasted {good}."
            );
            *reported = Some(advice.clone());
        } else {
            warn!("No connection to the broker {name}: {words} Retrying until it works.");
        }
        self.trouble = News::known(advice.clone());
        advice
    }

    /// Logs that no connection could be made, and returns why.
    fn rejected(&mut self, error: &ConnectionError, stage: Stage) -> Advice {
        let may_be_the_will = failure::may_be_the_will(error);
        self.will = match std::mem::replace(&mut self.will, WillTrial::Unsuspected) {
            _ if !may_be_the_will => WillTrial::Unsuspected,
            WillTrial::Unsuspected => WillTrial::Suspected,
            trial => trial,
        };
        let advice = match &self.will {
            WillTrial::Tried { is_rejected: Some(advice) } => advice.clone(),
            _ => failure::advice(error, stage, self.logs_in),
        };
        let words = advice.words(self.made_by);
        if self.trouble.is_new(advice.clone()) {
            warn!("No connection to the broker {}: {words} Retrying until it works.", self.name);
        } else {
            debug!("Still no connection to the broker {}: {words}", self.name);
        }
        advice
    }

    fn set_down(&self, since: Instant, advice: Advice) {
        let Self { name, made_by, .. } = self;
        let (name, made_by) = (name.clone(), *made_by);
        self.board.set_broker(BrokerState::Down { name, since, advice, made_by });
    }

    /// Whether a connection without the last will is to be tried, because the broker may have
    /// rejected the last one because of it.
    pub(super) fn suspects_the_will(&self) -> bool {
        self.will == WillTrial::Suspected
    }

    /// A connection without this last will was tried.
    pub(super) fn tried_without(&mut self, will: &Message, is_accepted: bool) {
        let advice = is_accepted.then(|| failure::will(will));
        self.will = WillTrial::Tried { is_rejected: advice.clone() };
        if let Some(advice) = advice {
            let words = advice.words(self.made_by);
            warn!("No connection to the broker {}: {words} Retrying until it works.", self.name);
            self.trouble = News::known(advice.clone());
            self.set_down(self.down.unwrap_or_else(Instant::now), advice);
        }
    }

    /// Whether it was reported that the broker does not acknowledge what it gets.
    pub(super) fn misses_acknowledgements(&self) -> bool {
        self.misses_acknowledgements
    }

    /// The broker has not acknowledged this step for a long time.
    pub(super) fn unacknowledged(&mut self, step: &Step, after: Duration) {
        self.misses_acknowledgements = true;
        let words = failure::unacknowledged(step, after).words(self.made_by);
        warn!("Connected to the broker {}, but {words}", self.name);
    }
}
