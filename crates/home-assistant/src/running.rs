//! Reading and writing, after Home Assistant has started.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use statistics::{Adjustment, Compiled, Hour, Import, Removal, Row, Series};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::command::{Command, SentRow};
use crate::error::Error;
use crate::metadata::{self, Metadata, Unsuitable};
use crate::number;
use crate::socket::{Compilation, Socket};

/// The state of Home Assistant in which it may be written to.
pub(crate) const RUNNING: &str = "RUNNING";

/// The recorder compiles every five minutes. An older event says nothing about now.
const FRESH: Duration = Duration::from_secs(6 * 60);

/// How long to wait for the next event.
const SILENCE: Duration = Duration::from_secs(11 * 60);

/// The start of an hour in which nothing is written.
const MARGIN: i64 = 60;

/// How many hours are read in one call.
const PIECE: usize = 1_000;

/// How long the recorder may take to write.
const WRITING: Duration = Duration::from_secs(60);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// Before this, Home Assistant had no statistics.
const BEGINNING: &str = "2000-01-01T00:00:00Z";

/// Home Assistant, running. It can be read and written.
#[derive(Debug)]
pub struct Running<S> {
    socket: Socket<S>,
}

/// An entity of MQTT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Its id in Home Assistant, which is also the id of its statistics.
    pub entity_id: String,
    /// The unique id from its discovery message.
    pub unique_id: String,
}

#[derive(Debug, Deserialize)]
struct Config {
    state: String,
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Registered {
    entity_id: String,
    /// A few integrations use a number.
    unique_id: Box<RawValue>,
    platform: String,
}

#[derive(Debug, Deserialize)]
struct ReceivedRow {
    /// Milliseconds since 1970.
    start: Box<RawValue>,
    state: Option<Box<RawValue>>,
    sum: Option<Box<RawValue>>,
}

/// A row as Home Assistant has it.
#[derive(Debug, Clone, Copy)]
struct Found {
    hour: Hour,
    state: Option<Decimal>,
    sum: Option<Decimal>,
}

impl Found {
    /// `None` if it lacks a state or a sum.
    fn row(&self) -> Option<Row> {
        Some(Row { hour: self.hour, state: self.state?, sum: self.sum? })
    }

    fn is_blank(&self) -> bool {
        self.state.is_none() && self.sum.is_some_and(|sum| sum.is_zero())
    }
}

/// What was received is not a row of an hour.
#[derive(Debug)]
struct NoRow;

impl ReceivedRow {
    fn start(&self) -> Option<Timestamp> {
        let start = number::read(&self.start)?.normalize();
        let start = i64::try_from(start).ok().filter(|_| start.scale() == 0)?;
        Timestamp::from_millisecond(start).ok()
    }

    fn found(&self) -> Result<Found, NoRow> {
        let hour = self.start().and_then(Hour::beginning).ok_or(NoRow)?;
        let number = |raw: &Option<Box<RawValue>>| {
            raw.as_ref().map(|raw| number::read(raw).ok_or(NoRow)).transpose()
        };
        Ok(Found { hour, state: number(&self.state)?, sum: number(&self.sum)? })
    }
}

/// The state of Home Assistant.
pub(crate) async fn state<S>(socket: &mut Socket<S>) -> Result<String, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Ok(config(socket).await?.state)
}

async fn config<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<S>,
) -> Result<Config, Error> {
    parsed(&Command::GetConfig, &socket.ask(&Command::GetConfig).await?)
}

fn parsed<'a, T: Deserialize<'a>>(command: &Command, raw: &'a RawValue) -> Result<T, Error> {
    serde_json::from_str(raw.get()).map_err(|_| Error::Unexpected(command.name()))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Running<S> {
    pub(crate) fn new(socket: Socket<S>) -> Self {
        Self { socket }
    }

    /// The name of Home Assistant's time zone.
    pub async fn time_zone(&mut self) -> Result<Option<String>, Error> {
        Ok(config(&mut self.socket).await?.time_zone)
    }

    /// The entities that were made from discovery messages.
    pub async fn entities(&mut self) -> Result<Vec<Entity>, Error> {
        let command = Command::ListEntities;
        let raw = self.socket.ask(&command).await?;
        let all: Vec<Registered> = parsed(&command, &raw)?;
        let of_mqtt = all.into_iter().filter(|entity| entity.platform == "mqtt");
        let entity = |Registered { entity_id, unique_id, .. }: Registered| {
            let unique_id = serde_json::from_str(unique_id.get()).ok()?;
            Some(Entity { entity_id, unique_id })
        };
        Ok(of_mqtt.filter_map(entity).collect())
    }

    /// What Home Assistant knows about the statistics of an entity.
    pub async fn metadata(
        &mut self,
        entity_id: &str,
    ) -> Result<Result<Metadata, Unsuitable>, Error> {
        let command = Command::GetMetadata { statistic_ids: [entity_id] };
        let raw = self.socket.ask(&command).await?;
        let all: Vec<metadata::Received> = parsed(&command, &raw)?;
        let checked = all.into_iter().next().ok_or(Unsuitable::Missing).and_then(Metadata::check);
        match checked {
            Ok(found) if found.statistic_id() != entity_id => {
                Err(Error::Unexpected(command.name()))
            }
            checked => Ok(checked),
        }
    }

    /// The rows from an hour on, as far as they are compiled.
    pub async fn series(&mut self, metadata: &Metadata, from: Hour) -> Result<Series, Error> {
        let compiled = self.compiled()?;
        self.series_of(metadata, from, |hour| compiled.has(hour)).await
    }

    /// The rows from an hour on and before another one, as far as they are compiled.
    pub(crate) async fn series_between(
        &mut self,
        metadata: &Metadata,
        from: Hour,
        end: Hour,
    ) -> Result<Series, Error> {
        let compiled = self.compiled()?;
        self.series_of(metadata, from, |hour| hour < end && compiled.has(hour)).await
    }

    async fn series_of(
        &mut self,
        metadata: &Metadata,
        from: Hour,
        is_in: impl Fn(Hour) -> bool,
    ) -> Result<Series, Error> {
        let (mut rows, mut odd) = (Vec::new(), Vec::new());
        let mut from = from;
        while is_in(from) {
            let end = (0..PIECE).fold(from, |hour, _| hour.next());
            for found in self.rows(metadata, from, end).await?.iter().filter(|it| is_in(it.hour)) {
                match found.row() {
                    Some(row) => rows.push(row),
                    None => odd.push(found.hour),
                }
            }
            from = end;
        }
        Ok(Series::new(rows, self.compiled()?).with_odd(odd))
    }

    /// The hour of the oldest row; `None` if there is none that is compiled.
    pub(crate) async fn first_hour(&mut self, metadata: &Metadata) -> Result<Option<Hour>, Error> {
        let compiled = self.compiled()?;
        let command = "recorder/statistics_during_period";
        let end = self.compilation()?.fired.to_string();
        let months = self.received(metadata, BEGINNING.to_owned(), end, "month").await?;
        let months: Option<Vec<_>> = months.iter().map(ReceivedRow::start).collect();
        let months = months.ok_or(Error::Unexpected(command))?;
        let Some(month) = months.into_iter().min() else { return Ok(None) };
        // A month has less hours than a piece.
        let from = Hour::with(month).previous();
        let end = (0..PIECE).fold(from, |hour, _| hour.next());
        let rows = self.rows(metadata, from, end).await?;
        let hours = rows.iter().filter_map(Found::row).map(|row| row.hour);
        Ok(hours.min().filter(|hour| compiled.has(*hour)))
    }

    async fn rows(
        &mut self,
        metadata: &Metadata,
        from: Hour,
        end: Hour,
    ) -> Result<Vec<Found>, Error> {
        let (start, end) = (from.start().to_string(), end.start().to_string());
        let rows = self.received(metadata, start, end, "hour").await?;
        let rows: Result<Vec<_>, NoRow> = rows.iter().map(ReceivedRow::found).collect();
        rows.map_err(|NoRow| Error::Unexpected("recorder/statistics_during_period"))
    }

    async fn received(
        &mut self,
        metadata: &Metadata,
        start_time: String,
        end_time: String,
        period: &'static str,
    ) -> Result<Vec<ReceivedRow>, Error> {
        let id = metadata.statistic_id();
        let command = Command::GetRows {
            statistic_ids: [id],
            start_time,
            end_time,
            period,
            types: ["state", "sum"],
            units: BTreeMap::from([(metadata.unit_class.as_str(), metadata.unit.as_str())]),
        };
        let raw = self.socket.ask(&command).await?;
        let mut all: BTreeMap<String, Vec<ReceivedRow>> = parsed(&command, &raw)?;
        Ok(all.remove(id).unwrap_or_default())
    }

    fn compiled(&self) -> Result<Compiled, Error> {
        Ok(Compiled::at(self.compilation()?.fired))
    }

    /// Waits until the recorder has compiled once more. What was sent before is then done.
    pub(crate) async fn caught_up(&mut self) -> Result<(), Error> {
        self.socket.next_compilation(SILENCE).await.map(|_| ())
    }

    fn compilation(&self) -> Result<Compilation, Error> {
        self.socket.compilation().ok_or(Error::NothingCompiled(SILENCE))
    }

    /// Waits until it is safe to write.
    async fn settled(&mut self) -> Result<(), Error> {
        loop {
            let Compilation { fired, arrived } = self.compilation()?;
            let age = arrived.elapsed();
            if age > FRESH {
                self.socket.next_compilation(SILENCE).await?;
                continue;
            }
            let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
            let now = fired.checked_add(age).unwrap_or(Timestamp::MAX);
            let into = now.as_second().rem_euclid(3_600);
            if into >= MARGIN {
                break;
            }
            let rest = MARGIN.saturating_sub(into).unsigned_abs();
            self.socket.wait(Duration::from_secs(rest)).await?;
        }
        match state(&mut self.socket).await? {
            state if state == RUNNING => Ok(()),
            state => Err(Error::NotRunning(state)),
        }
    }

    /// Writes rows in one call, and reads them back.
    pub(crate) async fn import(
        &mut self,
        metadata: &Metadata,
        import: &Import,
    ) -> Result<(), Error> {
        let stats = import.rows().iter().map(SentRow::new).collect();
        let hours: Vec<_> = import.rows().iter().map(|row| row.hour).collect();
        let is_in = |found: &[Found]| {
            let rows: Vec<_> = found.iter().filter_map(Found::row).collect();
            import.is_in(&rows)
        };
        self.write(metadata, &hours, stats, is_in).await
    }

    /// Overwrites the rows of a removal, so that they make no bar, and reads them back.
    pub(crate) async fn blank(
        &mut self,
        metadata: &Metadata,
        removal: &Removal,
    ) -> Result<(), Error> {
        for hours in removal.hours().chunks(PIECE) {
            let stats = hours.iter().map(|hour| SentRow::blank(*hour)).collect();
            let is_in = |found: &[Found]| {
                let is_blank =
                    |hour: &Hour| found.iter().any(|it| it.hour == *hour && it.is_blank());
                hours.iter().all(is_blank)
            };
            self.write(metadata, hours, stats, is_in).await?;
        }
        Ok(())
    }

    async fn write(
        &mut self,
        metadata: &Metadata,
        hours: &[Hour],
        stats: Option<Vec<SentRow>>,
        is_in: impl Fn(&[Found]) -> bool,
    ) -> Result<(), Error> {
        let (Some(first), Some(last)) = (hours.first(), hours.last()) else { return Ok(()) };
        if hours.len() > Import::MOST {
            return Err(Error::TooMany(hours.len()));
        }
        let stats = stats.ok_or(Error::Unexpected("recorder/import_statistics"))?;
        self.settled().await?;
        let command = Command::Import { metadata: metadata.into(), stats };
        self.socket.ask(&command).await?;
        let end = last.next();
        self.until(metadata, (*first, end), is_in, Error::NotWritten(WRITING)).await
    }

    /// Adjusts sums once, and reads them back. Even without an answer, it is not repeated: the
    /// caller computes it again from rows that are read back.
    pub(crate) async fn adjust(
        &mut self,
        metadata: &Metadata,
        adjustment: &Adjustment,
    ) -> Result<(), Error> {
        let hour = adjustment.from();
        self.settled().await?;
        let found = self.rows(metadata, hour, hour.next()).await?;
        let rows: Vec<_> = found.iter().filter_map(Found::row).collect();
        if !adjustment.is_due(&rows) {
            return Err(Error::Moved);
        }
        let by = number::written(adjustment.by());
        let command = Command::Adjust {
            statistic_id: metadata.statistic_id(),
            start_time: hour.start().to_string(),
            adjustment: by.ok_or(Error::Unexpected("recorder/adjust_sum_statistics"))?,
            adjustment_unit_of_measurement: metadata.unit(),
        };
        self.socket.ask(&command).await?;
        let is_in = |found: &[Found]| {
            let rows: Vec<_> = found.iter().filter_map(Found::row).collect();
            adjustment.is_in(&rows)
        };
        self.until(metadata, (hour, hour.next()), is_in, Error::NotAdjusted(WRITING)).await
    }

    /// Reads rows back until they are as expected.
    async fn until(
        &mut self,
        metadata: &Metadata,
        (from, end): (Hour, Hour),
        is_in: impl Fn(&[Found]) -> bool,
        failed: Error,
    ) -> Result<(), Error> {
        let mut waited = Duration::ZERO;
        loop {
            let found = self.rows(metadata, from, end).await?;
            if is_in(&found) {
                return Ok(());
            }
            if waited >= WRITING {
                return Err(failed);
            }
            self.socket.wait(LOOK).await?;
            waited = waited.saturating_add(LOOK);
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.socket.close().await;
    }
}
