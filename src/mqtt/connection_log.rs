//! What the log and the board report of the connection: each change of its state once.

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

/// After so many connections in a row that were not good ones, no more is logged of them.
pub(super) const SHORT_ONES: u32 = 3;

/// Logs changes of the connection's state, once each, and keeps the board up to date.
#[derive(Debug)]
pub(super) struct ConnectionLog {
    name: String,
    board: Board,
    made_by: MadeBy,
    /// Since when it is down; `None` while it is up.
    down: Option<Instant>,
    /// Why it is down.
    trouble: News<Advice>,
    /// Whether there are user name and password.
    logs_in: bool,
    /// Since when it is up.
    up: Option<Instant>,
    /// How many connections in a row ended before they were good ones.
    short: u32,
    /// A connection that held this long is a good one.
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

    /// Whether a connection that held this long is a good one.
    pub(super) fn is_good(&self, held: Duration) -> bool {
        held >= self.good
    }

    pub(super) fn connected(&mut self) {
        let since = Instant::now();
        self.board.set_broker(BrokerState::Connected { name: self.name.clone(), since });
        self.up = Some(since);
        self.trouble.forget();
        let down = self.down.take();
        match down {
            _ if self.short >= SHORT_ONES => {
                debug!("Connected to the broker {} once more.", self.name);
            }
            Some(since) => info!(
                "Connected to the broker {} again, after {}.",
                self.name,
                duration::words(since.elapsed())
            ),
            None => info!("Connected to the broker {}.", self.name),
        }
    }

    /// When it is news that the connection is a good one: those before it were not.
    pub(super) fn holds_at(&self) -> Option<Instant> {
        let up = self.up.filter(|_| self.short >= SHORT_ONES);
        up.map(|up| up + self.good)
    }

    /// The connection is a good one, and those before it were not.
    pub(super) fn holds(&mut self) {
        self.short = 0;
        info!("The connection to the broker {} holds again.", self.name);
    }

    /// The connection was lost after the program was asked to stop.
    pub(super) fn lost_while_stopping(&self, stage: Stage) {
        if stage == Stage::Connected {
            warn!(
                "The connection to the broker {} broke during the goodbye; the broker says \
                 `offline` by itself.",
                self.name
            );
        }
    }

    pub(super) fn lost(&mut self, error: &ConnectionError, stage: Stage) {
        let advice = failure::advice(error, stage, self.logs_in);
        let words = advice.words(self.made_by);
        if !self.trouble.is_new(advice.clone()) {
            debug!("As before, the broker {}: {words}", self.name);
            return;
        }
        let since = *self.down.get_or_insert_with(Instant::now);
        if stage == Stage::Connected {
            let was_short = self.up.take().is_some_and(|since| !self.is_good(since.elapsed()));
            self.short = if was_short { self.short.saturating_add(1) } else { 0 };
        }
        if stage != Stage::Connected || self.short < SHORT_ONES {
            warn!(
                "No connection to the broker {}: {words} Trying again until it works.",
                self.name
            );
        } else if self.short == SHORT_ONES {
            let words = failure::thrown_out().words(self.made_by);
            warn!("No good connection to the broker {}: {words}", self.name);
        } else {
            debug!("Again the broker {}: {words}", self.name);
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
