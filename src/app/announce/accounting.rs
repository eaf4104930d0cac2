//! The means that suppliers bill by (`tariff`), after each poll that has read their counters.

use std::collections::BTreeSet;

use jiff::{Timestamp, ZonedDateTime};
use tracing::debug;

use super::super::services::Observers;
use crate::account::{self, Counted, Entry};
use crate::config::{Meter, Tariff};
use crate::mean::Key;
use crate::payload::Message;
use history::MeterKey;
use meter::poll::PollResult;

/// What is known of the means of one meter.
#[derive(Debug, Default)]
pub(super) struct Accounting {
    /// When the meter was exchanged in this run.
    exchanged: Option<Timestamp>,
    /// The means that have had a value in this run.
    pub(super) announced: BTreeSet<Key>,
    /// The messages of the last means, while they are current.
    pub(super) messages: Vec<Message>,
}

impl Accounting {
    /// Stores what a poll has read, and returns the means up to then. `None` if the poll has not
    /// read the counters. If they were due, the last means are then no longer current.
    pub(super) async fn after(
        &mut self,
        result: &PollResult,
        now: &ZonedDateTime,
        (meter, key): (&Meter, MeterKey),
        observers: &Observers,
    ) -> Option<Vec<Entry>> {
        let tariff = meter.tariff.as_ref()?;
        if result.exchange.is_some() {
            self.exchanged = Some(now.timestamp());
            self.messages.clear();
        }
        if !account::is_due(result) {
            return None;
        }
        self.messages.clear();
        let counted = Counted::of(result, now.timestamp()).filter(|_| result.is_recognized)?;
        let entries = self.entries(counted, now, (tariff, key), observers).await;
        self.announced.extend(entries.iter().map(|entry| entry.key));
        Some(entries)
    }

    async fn entries(
        &self,
        counted: Counted,
        now: &ZonedDateTime,
        (tariff, key): (&Tariff, MeterKey),
        observers: &Observers,
    ) -> Vec<Entry> {
        let Some(history) = &observers.history else { return Vec::new() };
        history.note(&key, now.timestamp(), &counted.samples());
        let (reader, tariff, now) = (history.reader(), tariff.clone(), now.clone());
        let exchanged = self.exchanged;
        let job = observers.accounts.run(move |stop| {
            let snapshot = reader.snapshot_of(std::slice::from_ref(&key), stop)?;
            account::report(&snapshot, &key, &counted, &tariff, (&now, exchanged))
        });
        let report = job.await.inspect_err(|busy| debug!("There are no means: {busy}"));
        let report = report.unwrap_or_else(|_| Ok(Vec::new()));
        let report = report.inspect_err(|trouble| debug!("There are no means. {trouble}."));
        report.unwrap_or_default()
    }
}
