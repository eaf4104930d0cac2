//! The data of a poll: what it has read so far, and why it failed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use kmp::register::RegisterId;
use tokio::time::Instant;

use super::capacity::CapacityReport;
use crate::cause;
use crate::client::{Flood, Lateness, NoAnswer, Proof};
use crate::condition::Condition;
use crate::consistency::Relation;
use crate::identity::{Exchange, IdentityReport};
use crate::plausibility::Doubt;
use crate::reading::{Missing, Reading};
use crate::transport::OpenError;

/// A reading that must be read again before it counts.
#[derive(Debug)]
pub(super) struct Doubtful {
    pub(super) reading: Reading,
    pub(super) doubt: Doubt,
    /// When it was read.
    pub(super) at: Instant,
    /// How certain it is that the answer belongs to this poll.
    pub(super) proof: Proof,
    /// The number of the answer that it was in.
    pub(super) answer: u32,
    /// Whether two readings agree, but none of them certainly belongs to this poll.
    pub(super) is_unproven: bool,
}

/// Where an accepted reading comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// The number of the answer.
    answer: u32,
    at: Instant,
    /// How long the machine had been suspended by then.
    suspended: Duration,
}

impl Source {
    pub(super) fn into_doubtful(self, reading: Reading) -> Doubtful {
        Doubtful {
            reading,
            doubt: Doubt::SameAnswer,
            at: self.at,
            proof: Proof::Certain,
            answer: self.answer,
            is_unproven: false,
        }
    }

    /// The time since then, with the time for which the machine was suspended.
    fn age(&self, suspended: Duration) -> Duration {
        self.at.elapsed().saturating_add(suspended.saturating_sub(self.suspended))
    }
}

/// A poll that has this many late answers was not late by chance.
const LATE_ANSWERS: u32 = 2;

/// The outcome of a poll.
#[derive(Debug, Default)]
pub(super) struct Polled {
    pub(super) readings: Vec<Reading>,
    /// Where each of them comes from.
    pub(super) sources: BTreeMap<RegisterId, Source>,
    /// How many answers there were.
    pub(super) answers: u32,
    /// The answers of which a value was wrong.
    pub(super) refuted: BTreeSet<u32>,
    pub(super) missing: Vec<(RegisterId, Missing)>,
    /// Readings that must be read again before they count.
    pub(super) doubtful: Vec<Doubtful>,
    /// Confirmed doubts: something happened to the meter.
    pub(super) changes: Vec<(RegisterId, Doubt)>,
    /// The faults that the meter reports, if its info code was read.
    pub(super) condition: Option<Condition>,
    /// The report about the meter's identity, if it is due.
    pub(super) identity_report: Option<IdentityReport>,
    /// Another meter has taken the place of the known one.
    pub(super) exchange: Option<Exchange>,
    /// Relations that the readings contradict, confirmed by a second reading.
    pub(super) contradictions: Vec<Relation>,
    /// Whether the meter has ever answered.
    pub(super) has_answered: bool,
    /// Whether something in this poll may have come from another meter.
    pub(super) suspect: bool,
    /// The registers that were read before the meter fell silent.
    pub(super) before_silence: Option<Vec<RegisterId>>,
    /// Whether it is still unknown which meter the readings belong to.
    pub(super) is_owner_open: bool,
    pub(super) line: LineFindings,
    pub(super) trouble: Option<PollError>,
}

/// What a poll has found out about the line and the serial server.
#[derive(Debug, Default)]
pub(super) struct LineFindings {
    /// The registers of a request that failed although the meter was awake.
    pub(super) failed_whole: Option<Vec<RegisterId>>,
    /// Whether the log says that a register is being looked for that silences the meter.
    pub(super) is_search_logged: bool,
    /// The answers that arrived too late.
    pub(super) lateness: Lateness,
    /// Whether the serial server has sent telnet commands.
    pub(super) is_telnet: bool,
    /// A change of the length of answers that the line carries.
    pub(super) capacity: Option<CapacityReport>,
}

impl Polled {
    /// Whether the connection broke during the poll, so that another one may work. A serial server
    /// may have stored more bytes than a burst may have, and they are gone now.
    pub(super) fn is_broken_off(&self) -> bool {
        matches!(self.trouble, Some(PollError::Broken(_) | PollError::Flood(_)))
    }

    /// Whether answers were too late, and not by chance.
    pub(super) fn is_late(&self) -> bool {
        self.line.lateness.answers >= LATE_ANSWERS
    }

    /// Adds a reading of the last answer to the accepted ones.
    pub(super) fn accept(&mut self, reading: Reading, suspended: Duration) {
        let source = Source { answer: self.answers, at: Instant::now(), suspended };
        self.sources.insert(reading.register, source);
        self.readings.push(reading);
    }

    /// Takes the accepted readings of answers of which another value was wrong: these may be wrong
    /// too.
    pub(super) fn take_refuted(&mut self) -> Vec<(Reading, Source)> {
        let refuted = std::mem::take(&mut self.refuted);
        let sources = &self.sources;
        let source = |reading: &Reading| sources.get(&reading.register).copied();
        let is_refuted =
            |reading: &mut Reading| source(reading).is_some_and(|it| refuted.contains(&it.answer));
        let taken: Vec<_> = self.readings.extract_if(.., is_refuted).collect();
        taken.into_iter().filter_map(|it| source(&it).map(|source| (it, source))).collect()
    }

    /// Takes the readings that are older than this. The process may have been stopped since then.
    pub(super) fn take_older_than(&mut self, age: Duration, suspended: Duration) -> Vec<Reading> {
        let sources = &self.sources;
        let is_older = |reading: &mut Reading| {
            sources.get(&reading.register).is_some_and(|source| source.age(suspended) > age)
        };
        self.readings.extract_if(.., is_older).collect()
    }

    /// Whether a value is doubtful.
    pub(super) fn is_doubtful(&self, register: RegisterId) -> bool {
        self.doubtful.iter().any(|it| it.reading.register == register)
    }

    /// The registers that were read.
    pub(super) fn read_registers(&self) -> Vec<RegisterId> {
        self.readings.iter().map(|reading| reading.register).collect()
    }

    /// Notes that the meter fell silent. Must be called before later answers are added, because
    /// they may be another meter's.
    pub(super) fn note_silence(&mut self) {
        self.suspect = true;
        if self.before_silence.is_none() {
            self.before_silence = Some(self.read_registers());
        }
    }
}

/// Why registers were not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PollError {
    Port(OpenError),
    Broken(String),
    /// More bytes arrive than the line can deliver.
    Flood(Flood),
    Meter(NoAnswer),
    /// The serial server is in telnet mode, and not every answer was valid.
    Telnet,
    /// The meter answers, but it may be another one and does not send its serial number.
    Unrecognized,
}

/// A connection that the serial server rejects is treated like one that cannot be made.
impl From<io::Error> for PollError {
    fn from(error: io::Error) -> Self {
        let Some(inner) = error.get_ref() else {
            return Self::Broken(cause::of_connection(&error));
        };
        if let Some(unwanted) = inner.downcast_ref::<OpenError>() {
            Self::Port(unwanted.clone())
        } else if let Some(flood) = inner.downcast_ref::<Flood>() {
            Self::Flood(*flood)
        } else {
            Self::Broken(error.to_string())
        }
    }
}

impl PollError {
    /// Whether the meter no longer answers anything.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Port(_)
            | Self::Broken(_)
            | Self::Flood(_)
            | Self::Meter(NoAnswer::Nothing | NoAnswer::OwnEcho) => true,
            Self::Meter(_) | Self::Telnet | Self::Unrecognized => false,
        }
    }

    /// Whether both are the same state for the log. What an optical head receives when it is off
    /// the meter changes with the light in the room.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            // The message of a serial server may contain the time.
            (Self::Port(OpenError::Unwanted { .. }), Self::Port(OpenError::Unwanted { .. }))
            | (Self::Broken(_), Self::Broken(_))
            | (Self::Flood(_), Self::Flood(_))
            | (Self::Telnet, Self::Telnet)
            | (Self::Unrecognized, Self::Unrecognized) => true,
            (Self::Port(this), Self::Port(other)) => this == other,
            // Only a late answer has a remedy of its own.
            (Self::Meter(this), Self::Meter(other)) => {
                let is_late = |no_answer: &NoAnswer| matches!(no_answer, NoAnswer::Late(_));
                is_late(this) == is_late(other)
            }
            _ => false,
        }
    }
}
