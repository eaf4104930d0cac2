//! Reports the connection in the log and on the board: each change of its state once.

use std::time::Duration;

use rumqttc::ConnectionError;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::failure::{self, Stage};
use crate::advice::{Advice, MadeBy};
use crate::config::Broker;
use crate::status::{Board, BrokerState};
use meter::duration;
use meter::news::News;

/// After so many short connections in a row, further ones are only logged at DEBUG.
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
    /// How many connections in a row were shorter than `good`.
    short: u32,
    /// A connection that lasts this long is stable.
    good: Duration,
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
            short: 0,
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
        let down = self.down.take();
        match down {
            _ if self.short >= SHORT_ONES => {
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
        let up = self.up.filter(|_| self.short >= SHORT_ONES);
        up.map(|up| up + self.good)
    }

    /// The connection has become stable after short ones.
    pub(super) fn stable(&mut self) {
        self.short = 0;
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

    pub(super) fn lost(&mut self, error: &ConnectionError, stage: Stage) {
        let advice = failure::advice(error, stage, self.logs_in);
        let words = advice.words(self.made_by);
        if !self.trouble.is_new(advice.clone()) {
            debug!("Still no connection to the broker {}: {words}", self.name);
            return;
        }
        let since = *self.down.get_or_insert_with(Instant::now);
        if stage == Stage::Connected {
            let was_short = self.up.take().is_some_and(|since| !self.is_good(since.elapsed()));
            self.short = if was_short { self.short.saturating_add(1) } else { 0 };
        }
        if stage != Stage::Connected || self.short < SHORT_ONES {
            warn!("No connection to the broker {}: {words} Retrying until it works.", self.name);
        } else if self.short == SHORT_ONES {
            let words = failure::thrown_out().words(self.made_by);
            warn!("No stable connection to the broker {}: {words}", self.name);
        } else {
            debug!("Lost the connection to the broker {} again: {words}", self.name);
        }
        let Self { name, made_by, .. } = self;
        self.board.set_broker(BrokerState::Down {
            name: name.clone(),
            since,
            advice,
            made_by: *made_by,
        });
    }
}
