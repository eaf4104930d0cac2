//! Reports each change of the connection's state once, in the log and on the status board
//! ([`Board`]).

use std::time::Duration;

use rumqttc::ConnectionError;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::endings::Endings;
use super::failure::{self, Facts, Stage};
use super::trail::{Accepted, Stall, Step};
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
    /// Whether there has been a connection.
    was_up: bool,
    /// When the connection was lost; `None` while it is up.
    down: Option<Instant>,
    /// Why the connection is down.
    trouble: News<Advice>,
    facts: Facts,
    /// When the connection was made; `None` while it is down.
    up: Option<Instant>,
    /// How the last connections that the broker closed have ended.
    endings: Endings,
    /// What was reported about them. Until a connection is stable, each thing is reported once, and
    /// at most [`REPORTED_AT_MOST`] in total.
    reported: Vec<Advice>,
    /// Why the connection before ended.
    last_end: Option<Advice>,
    /// How many connections in a row were short, and ended otherwise than by being closed.
    failures: u32,
    will: WillTrial,
    /// What was reported in this connection because the broker does not acknowledge.
    missing: Option<Advice>,
    /// When a missing acknowledgement was last reported, and was not the end of the connection.
    late: Option<Instant>,
    /// When a connection last ended because the broker did not acknowledge.
    stalled: Option<Instant>,
    /// Whether the last connection ended for a reason that is logged only at DEBUG, so that the
    /// next one is as well.
    ended_quietly: bool,
    /// After a connection that lasted this long, the back-off starts again.
    good: Duration,
}

/// How many times longer than a good connection a stable one lasts. Brokers and proxies that end
/// idle connections do so within half a minute. If they allow more, the pings prevent it.
const STABLE_AFTER: u32 = 6;

/// How many different things are reported about connections that do not become stable.
const REPORTED_AT_MOST: usize = 3;

/// If connections end because the broker does not acknowledge, and each less than this time after
/// the one before it, they are one trouble, and only the first is reported. If a broker loses only
/// some acknowledgements, many readings may pass until as many are lost as may be in flight.
const SAME_TROUBLE: Duration = Duration::from_secs(6 * 60 * 60);

/// Whether the broker rejects the connection because of the last will.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WillTrial {
    /// Not suspected.
    Unsuspected,
    /// Suspected once.
    Suspected,
    /// Without it, the broker rejected the connection too.
    Acquitted,
    /// Without it, the broker accepted the connection. It may have become available meanwhile, so
    /// this counts only if the next connection with the last will is rejected again.
    Accused(Advice),
}

impl ConnectionLog {
    pub(super) fn new(broker: &Broker, board: Board, made_by: MadeBy, good: Duration) -> Self {
        let name = broker.name();
        board.set_broker(BrokerState::Connecting { name: name.clone() });
        Self {
            name,
            board,
            made_by,
            was_up: false,
            down: None,
            trouble: News::default(),
            facts: Facts::of(broker, made_by),
            up: None,
            endings: Endings::default(),
            reported: Vec::new(),
            last_end: None,
            failures: 0,
            will: WillTrial::Unsuspected,
            missing: None,
            late: None,
            stalled: None,
            ended_quietly: false,
            good,
        }
    }

    /// Whether the back-off starts again after a connection that lasted this long.
    pub(super) fn is_good(&self, lasted: Duration) -> bool {
        lasted >= self.good
    }

    pub(super) fn connected(&mut self) {
        let since = Instant::now();
        let name = self.name.clone();
        self.board.set_broker(BrokerState::Connected { name, since, doubt: None });
        self.up = Some(since);
        self.trouble.forget();
        self.will = WillTrial::Unsuspected;
        self.missing = None;
        let down = self.down.take();
        let again = if std::mem::replace(&mut self.was_up, true) { " again" } else { "" };
        match down {
            _ if !self.reported.is_empty() || self.ended_quietly => {
                debug!("Connected to the broker {} again.", self.name);
            }
            Some(since) => info!(
                "Connected to the broker {}{again} after {}.",
                self.name,
                duration::words(since.elapsed())
            ),
            None => info!("Connected to the broker {}.", self.name),
        }
    }

    /// When the present connection is good; `None` while there is none.
    pub(super) fn good_at(&self) -> Option<Instant> {
        self.up.map(|up| up + self.good)
    }

    /// When the present connection must be reported as stable, because those before it were short.
    pub(super) fn stable_at(&self) -> Option<Instant> {
        let up = self.up.filter(|_| !self.reported.is_empty());
        up.map(|up| up + self.stable_after())
    }

    /// A connection that lasts this long is reported as stable.
    fn stable_after(&self) -> Duration {
        self.good * STABLE_AFTER
    }

    /// The connection has become stable after short ones.
    pub(super) fn stable(&mut self) {
        self.reported.clear();
        info!("The connection to the broker {} is stable now.", self.name);
    }

    /// The connection was lost after the program was asked to stop.
    pub(super) fn lost_while_stopping(&self, stage: Stage) {
        if stage == Stage::Connected {
            warn!(
                "Lost the connection to the broker {} while disconnecting. The broker therefore \
                 publishes `offline` for the program (its last will).",
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
        self.ended_quietly = false;
        let advice = if stage == Stage::Connected {
            let lasted = self.up.take().map(|up| up.elapsed()).unwrap_or_default();
            self.ended(error, lasted, step, accepted)
        } else {
            self.rejected(error, stage)
        };
        self.set_down(since, advice);
    }

    /// The connection was ended because the broker does not acknowledge.
    pub(super) fn stalled(&mut self, stall: Stall) {
        let since = *self.down.get_or_insert_with(Instant::now);
        let is_known = self.is_stalling();
        self.stalled = Some(since);
        self.up = None;
        self.endings.forget();
        self.failures = 0;
        let advice = failure::stalled(stall);
        self.last_end = Some(advice.clone());
        let Self { name, made_by, .. } = self;
        let words = advice.words(*made_by);
        self.ended_quietly = is_known;
        if is_known {
            debug!("Ended the connection to the broker {name} again: {words}");
        } else {
            warn!("Ended the connection to the broker {name}: {words} Reconnecting.");
            self.reported.push(advice.clone());
        }
        self.trouble = News::known(advice.clone());
        self.set_down(since, advice);
    }

    /// Whether connections have ended because the broker does not acknowledge, the last one not
    /// long ago.
    fn is_stalling(&self) -> bool {
        self.stalled.is_some_and(|at| at.elapsed() < SAME_TROUBLE)
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
        let stable_after = self.stable_after();
        if lasted >= stable_after {
            self.reported.clear();
        }
        let again = failure::closed_again(self.endings.pattern(), accepted);
        let is_again = again.is_some();
        let advice = again.unwrap_or_else(|| match step.filter(|_| is_hang_up) {
            Some(step) if step.is_acknowledged() => failure::closed_at(step),
            Some(step) => failure::closed_after(step),
            None => failure::advice(error, Stage::Connected, self.facts),
        });
        let is_failure = !is_hang_up && lasted < stable_after;
        self.failures = if is_failure { self.failures.saturating_add(1) } else { 0 };
        // A failure that is no hang-up needs no pattern: it says what is wrong. It may differ each
        // time, because some contain a number that the broker has sent.
        let is_the_same = !is_hang_up && self.last_end.as_ref() == Some(&advice);
        let is_again = is_again || is_the_same || self.failures > 1;
        self.last_end = Some(advice.clone());
        let Self { name, made_by, reported, .. } = self;
        let words = advice.words(*made_by);
        let is_known = reported.contains(&advice) || reported.len() >= REPORTED_AT_MOST;
        if is_known || (!reported.is_empty() && !is_again) {
            debug!("Lost the connection to the broker {name} again: {words}");
        } else if is_again && lasted < stable_after {
            let stable_after = duration::words(stable_after);
            warn!(
                "No stable connection to the broker {name}: {words} Retrying. This is only reported \
                 again after a connection that has lasted {stable_after}."
            );
            reported.push(advice.clone());
        } else {
            warn!("No connection to the broker {name}: {words} Retrying until it works.");
        }
        self.trouble = News::known(advice.clone());
        advice
    }

    /// Logs that no connection could be made, and returns why.
    fn rejected(&mut self, error: &ConnectionError, stage: Stage) -> Advice {
        let may_be_the_will = failure::may_be_the_will(error);
        if failure::is_hang_up(error) {
            self.endings.forget_idle();
        } else {
            self.endings.forget();
        }
        self.will = match std::mem::replace(&mut self.will, WillTrial::Unsuspected) {
            _ if !may_be_the_will => WillTrial::Unsuspected,
            WillTrial::Unsuspected => WillTrial::Suspected,
            trial => trial,
        };
        let advice = match &self.will {
            WillTrial::Accused(advice) => advice.clone(),
            _ => failure::advice(error, stage, self.facts),
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
        self.will = if is_accepted {
            WillTrial::Accused(failure::will(will))
        } else {
            WillTrial::Acquitted
        };
    }

    /// Whether it was reported that the broker does not acknowledge what it gets.
    pub(super) fn misses_acknowledgements(&self) -> bool {
        self.missing.is_some()
    }

    /// The broker has not acknowledged this step for a long time. If the connection `ends_soon`
    /// because of that, its end is reported.
    pub(super) fn unacknowledged(&mut self, step: &Step, after: Duration, ends_soon: bool) {
        let is_known = self.late.is_some_and(|at| at.elapsed() < SAME_TROUBLE);
        let is_quiet = ends_soon || is_known || self.is_stalling();
        let Self { name, made_by, board, .. } = self;
        let advice = failure::unacknowledged(step, after);
        let words = advice.words(*made_by);
        if is_quiet {
            debug!("Connected to the broker {name}, but {words}");
        } else {
            warn!("Connected to the broker {name}, but {words}");
        }
        board.doubt_broker(advice.clone(), *made_by);
        self.missing = Some(advice);
    }

    /// The broker has acknowledged everything that it was to acknowledge by now.
    pub(super) fn acknowledged(&mut self) {
        let Some(advice) = self.missing.take() else { return };
        self.board.trust_broker(&advice);
        let is_known = self.late.replace(Instant::now());
        if is_known.is_none_or(|at| at.elapsed() >= SAME_TROUBLE) {
            info!("The broker {} acknowledges messages again.", self.name);
        } else {
            debug!("The broker {} acknowledges messages again.", self.name);
        }
    }
}
