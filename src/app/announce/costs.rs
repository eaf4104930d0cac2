//! What the polls of one meter cost its battery: counts it, and shows it on the board.
//!
//! The board has the ledger. When the meter is known and on each new day, it gets the days that the
//! history has stored. The history answers in the order of the polls, so each poll is counted once.

use jiff::ZonedDateTime;
use jiff::civil::Date;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::services::Observers;
use crate::config::Meter;
use crate::usage::{self, Kind, Ledger, Settings, Timing};
use history::{MeterKey, Sample, Usage, UsageRecord};
use meter::poll::PollResult;

/// The cost of the polls of one meter.
#[derive(Debug)]
pub(super) struct Costs {
    settings: Settings,
    /// When the previous poll began, and when it ended.
    previous: Option<(Instant, Instant)>,
    /// The meter that the ledger belongs to.
    key: Option<MeterKey>,
    /// The day on which the stored days of this meter were requested.
    requested: Option<Date>,
    awaited: Option<Awaited>,
}

/// An answer of the history that is on its way.
#[derive(Debug)]
struct Awaited {
    answer: oneshot::Receiver<UsageRecord>,
    /// What was counted since the request.
    since: Vec<(ZonedDateTime, Vec<(Kind, Usage)>)>,
}

impl Costs {
    pub(super) fn new(meter: &Meter) -> Self {
        let settings = Settings::of(meter);
        Self { settings, previous: None, key: None, requested: None, awaited: None }
    }

    /// Counts a poll that has just ended, and stores its cost together with its values.
    pub(super) fn note(
        &mut self,
        result: &PollResult,
        (key, values): (&MeterKey, &[Sample]),
        now: &ZonedDateTime,
        (number, observers): (usize, &Observers),
    ) {
        let costs = usage::costs(result, self.timing(result), &self.settings);
        let is_other = self.key.replace(key.clone()).is_some_and(|known| known != *key);
        let is_new = is_other || result.exchange.is_some();
        if is_new {
            (self.requested, self.awaited) = (None, None);
        }
        if let Some(history) = &observers.history {
            let stored: Vec<_> =
                costs.iter().map(|(kind, usage)| (kind.code(&self.settings), *usage)).collect();
            // Without a serial number, it is the meter that was written last.
            let anybody = MeterKey::new(key.name(), None);
            let key = if result.is_recognized { key } else { &anybody };
            history.note_poll(key, now.timestamp(), values, &stored);
            if self.requested.replace(now.date()) != Some(now.date()) {
                self.awaited = Some(Awaited { answer: history.usage(key), since: Vec::new() });
            } else if let Some(awaited) = &mut self.awaited {
                awaited.since.push((now.clone(), costs.clone()));
            }
        }
        observers.board.progress(number, |meter| {
            let ledger = Arc::make_mut(&mut meter.ledger);
            if is_new {
                *ledger = Ledger::default();
            }
            add(ledger, now, &costs);
        });
    }

    /// Waits until the history has answered, and shows that on the board. Waits forever if nothing
    /// was requested.
    ///
    /// Cancel safety: an answer that has not arrived is awaited by the next call.
    pub(super) async fn show_stored(&mut self, number: usize, observers: &Observers) {
        let Some(awaited) = &mut self.awaited else { return std::future::pending().await };
        let record = (&mut awaited.answer).await;
        let since = self.awaited.take().map(|awaited| awaited.since).unwrap_or_default();
        let Ok(record) = record else {
            // The next poll requests it again.
            self.requested = None;
            return;
        };
        let mut ledger = Ledger::of(record, &self.settings);
        for (at, costs) in &since {
            add(&mut ledger, at, costs);
        }
        observers.board.meter(number, |meter| meter.ledger = Arc::new(ledger));
    }

    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        self.awaited.is_some()
    }

    fn timing(&mut self, result: &PollResult) -> Timing {
        let ended = Instant::now();
        let began = ended.checked_sub(result.took).unwrap_or(ended);
        let Some((before, end)) = self.previous.replace((began, ended)) else {
            return Timing::default();
        };
        let pause = Some(began.saturating_duration_since(before));
        Timing { pause, rest: began.saturating_duration_since(end) }
    }
}

fn add(ledger: &mut Ledger, at: &ZonedDateTime, costs: &[(Kind, Usage)]) {
    for (kind, usage) in costs {
        ledger.add(at.date(), at.timestamp(), *kind, *usage);
    }
}
