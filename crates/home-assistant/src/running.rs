//! Reading and writing, after Home Assistant has started.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use statistics::{Compiled, Hour, Import, Row, Series};
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

/// What was received is not a row of an hour.
#[derive(Debug)]
struct NoRow;

impl ReceivedRow {
    fn hour(&self) -> Option<Hour> {
        let start = number::read(&self.start)?.normalize();
        let start = i64::try_from(start).ok().filter(|_| start.scale() == 0)?;
        Hour::beginning(Timestamp::from_millisecond(start).ok()?)
    }

    /// `None` if it lacks a state or a sum.
    fn row(&self) -> Result<Option<Row>, NoRow> {
        let hour = self.hour().ok_or(NoRow)?;
        let (Some(state), Some(sum)) = (&self.state, &self.sum) else { return Ok(None) };
        let (state, sum) = (number::read(state).ok_or(NoRow)?, number::read(sum).ok_or(NoRow)?);
        Ok(Some(Row { hour, state, sum }))
    }
}

/// The state of Home Assistant.
pub(crate) async fn state<S>(socket: &mut Socket<S>) -> Result<String, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Config { state } = parsed(&Command::GetConfig, &socket.ask(&Command::GetConfig).await?)?;
    Ok(state)
}

fn parsed<'a, T: Deserialize<'a>>(command: &Command, raw: &'a RawValue) -> Result<T, Error> {
    serde_json::from_str(raw.get()).map_err(|_| Error::Unexpected(command.name()))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Running<S> {
    pub(crate) fn new(socket: Socket<S>) -> Self {
        Self { socket }
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
        let compiled = Compiled::at(self.compilation()?.fired);
        let mut rows = Vec::new();
        let mut from = from;
        while compiled.has(from) {
            let end = (0..PIECE).fold(from, |hour, _| hour.next());
            rows.extend(self.rows(metadata, from, end).await?);
            from = end;
        }
        Ok(Series::new(rows, compiled))
    }

    async fn rows(
        &mut self,
        metadata: &Metadata,
        from: Hour,
        end: Hour,
    ) -> Result<Vec<Row>, Error> {
        let id = metadata.statistic_id();
        let command = Command::GetRows {
            statistic_ids: [id],
            start_time: from.start().to_string(),
            end_time: end.start().to_string(),
            period: "hour",
            types: ["state", "sum"],
            units: BTreeMap::from([(metadata.unit_class.as_str(), metadata.unit.as_str())]),
        };
        let raw = self.socket.ask(&command).await?;
        let mut all: BTreeMap<String, Vec<ReceivedRow>> = parsed(&command, &raw)?;
        let rows = all.remove(id).unwrap_or_default();
        let rows: Result<Vec<_>, NoRow> = rows.iter().map(ReceivedRow::row).collect();
        let rows = rows.map_err(|NoRow| Error::Unexpected(command.name()))?;
        Ok(rows.into_iter().flatten().collect())
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
        let rows = import.rows();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        if rows.len() > Import::MOST {
            return Err(Error::TooMany(rows.len()));
        }
        self.settled().await?;
        let stats: Option<Vec<_>> = rows.iter().map(SentRow::new).collect();
        let stats = stats.ok_or(Error::Unexpected("recorder/import_statistics"))?;
        let command = Command::Import { metadata: metadata.into(), stats };
        self.socket.ask(&command).await?;
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(500);
        loop {
            let found = self.rows(metadata, first.hour, last.hour.next()).await?;
            if import.is_in(&found) {
                return Ok(());
            }
            if waited >= WRITING {
                return Err(Error::NotWritten(WRITING));
            }
            self.socket.wait(step).await?;
            waited = waited.saturating_add(step);
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.socket.close().await;
    }
}
