//! The reading of one log, over one or more connections.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use kmp::line::Line;
use kmp::logger::{
    GetConfiguration, GetLogIdPastAbs, GetLogLastEntryPastAbs, Log, LogAnswer, LogEntry, LogId,
    LogInfo, Selection,
};
use kmp::message::{Command, GetRegister, GetSerialNo, SerialNumber};
use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::chain::{Chain, LogFault, LogStamp};
use crate::client::{Meter, NoAnswer, RequestError, Tries};

/// How many entries are requested at once, so that the answer has a known length and polls get their
/// turn.
const PIECE: u16 = 24;

/// How many silences mean that the meter does not give its log, if it answers other requests.
const SILENCES: u32 = 2;

/// How often a request is made before the reading gives up.
const TRIES: u32 = 12;

/// How many answers to the first request, one after the other, mean that the meter answers in a form
/// that is not known.
const STRANGE: u32 = 3;

/// Bytes of a request for entries, and of its answer, apart from registers and values.
const REQUEST: usize = 15;
const ANSWER: usize = 21;

/// The reading of one log.
#[derive(Debug)]
pub struct LogReading {
    log: Log,
    wanted: Vec<RegisterId>,
    from: Option<Date>,
    known: BTreeMap<LogId, Vec<RegisterValue>>,
    serial: Option<SerialNumber>,
    has_given: bool,
    silences: u32,
    strange: u32,
    /// How often the current request was not answered.
    failures: u32,
    begun: Option<Begun>,
    /// How many pieces were answered.
    answers: u32,
}

/// A reading that knows what the log has.
#[derive(Debug)]
struct Begun {
    registers: Vec<RegisterId>,
    entry_bytes: usize,
    newest: LogId,
    /// Older ids are not requested.
    oldest: LogId,
    /// The next id to read.
    next: LogId,
    piece: u16,
    chain: Chain,
    /// An answer from this id was not accepted once, and is requested again.
    doubted: Option<LogId>,
}

/// What is about to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogExtent {
    /// The most entries that the log keeps.
    pub depth: u16,
    /// The registers that each entry has.
    pub registers: Vec<RegisterId>,
    /// The oldest id, or the lowest one that the depth allows.
    pub oldest: LogId,
    /// The newest id.
    pub newest: LogId,
    /// How many entries are requested, at most.
    pub entries: u32,
    /// Whether known entries are of no use, because the meter has begun its ids again.
    pub is_restarted: bool,
    /// How long the meter is awake for them: the time of the bytes on the line.
    pub awake: Duration,
}

/// The progress of a reading.
#[derive(Debug)]
pub enum LogStep<'a> {
    /// The log's extent is known. This is the first step.
    Begins(&'a LogExtent),
    /// Entries from the meter, the newest first.
    Read(&'a [LogEntry]),
    /// An entry that was already known.
    Known(&'a LogEntry),
}

/// The end of a reading, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutcome {
    /// It continues later, also over another connection.
    Paused,
    /// It is over.
    Ended(LogEnd),
}

/// Why a reading is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEnd {
    /// All entries were read.
    Complete,
    /// All entries from the requested date on were read.
    Reached,
    /// The log is empty.
    Empty,
    /// The meter answers other requests, but not those for its log.
    NotGiven,
    /// The same of a meter whose log can be read, so the line or the meter may be at fault.
    Silent,
    /// The meter answers in a form that is not known.
    UnknownForm,
    /// Another meter answers now.
    OtherMeter(SerialNumber),
    /// The next older entries are not accepted.
    Fault {
        /// The id of the entry that is not accepted; `None` before the first one.
        id: Option<LogId>,
        /// Why.
        fault: LogFault,
    },
}

impl LogReading {
    /// A reading of these registers of a log, as far as the log has them. Known entries are not
    /// requested.
    #[must_use]
    pub fn new(
        log: Log,
        wanted: Vec<RegisterId>,
        known: BTreeMap<LogId, Vec<RegisterValue>>,
    ) -> Self {
        Self {
            log,
            wanted,
            from: None,
            has_given: !known.is_empty(),
            known,
            serial: None,
            silences: 0,
            strange: 0,
            failures: 0,
            begun: None,
            answers: 0,
        }
    }

    /// Reads no entries before this date.
    #[must_use]
    pub fn with_from(self, from: Option<Date>) -> Self {
        Self { from, ..self }
    }

    /// Reads only the log of the meter whose `GetSerialNo` has this answer.
    #[must_use]
    pub fn of_meter(self, serial: SerialNumber) -> Self {
        Self { serial: Some(serial), ..self }
    }

    /// Whether this meter has given one of its logs before, or is one that does, so that silence says
    /// nothing about it.
    #[must_use]
    pub fn with_given(self, has_given: bool) -> Self {
        Self { has_given: self.has_given || has_given, ..self }
    }

    /// How many requests for entries were answered so far.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.answers
    }

    /// Continues over this connection until `must_pause`.
    ///
    /// Cancel safety: dropping the future loses the answer to the current request, which the next
    /// call makes again.
    pub async fn read<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut Meter<S>,
        line: Line,
        stop: &CancellationToken,
        must_pause: impl Fn() -> bool,
        mut report: impl FnMut(LogStep<'_>),
    ) -> Result<LogOutcome, RequestError> {
        if let Some(end) = self.other_meter(client, stop).await? {
            return Ok(LogOutcome::Ended(end));
        }
        loop {
            let is_first = self.begun.is_none();
            let result = if is_first {
                self.begin(client, line, stop, &mut report).await
            } else {
                self.step(client, stop, &mut report).await
            };
            match result {
                Ok(Some(end)) => return Ok(LogOutcome::Ended(end)),
                Ok(None) => self.failures = 0,
                Err(RequestError::NoAnswer(_)) if self.failures < TRIES => {
                    self.failures = self.failures.saturating_add(1);
                    if let Some(begun) = &mut self.begun
                        && self.failures.is_multiple_of(3)
                        && client.longest_cut().is_some()
                    {
                        // The line may not carry such long answers.
                        begun.piece = begun.piece.div_ceil(2);
                    }
                }
                Err(error) => return Err(error),
            }
            // Each turn reads some entries, unless the meter does not answer.
            let has_begun = is_first && self.begun.is_some();
            if !has_begun && must_pause() {
                return Ok(LogOutcome::Paused);
            }
        }
    }

    /// The end if the head is on another meter now. Must be called after each silence, before an
    /// answer is accepted.
    async fn other_meter<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut Meter<S>,
        stop: &CancellationToken,
    ) -> Result<Option<LogEnd>, RequestError> {
        let serial = client.request(&GetSerialNo, Tries::Three, stop).await?;
        client.take_silence();
        let known = *self.serial.get_or_insert(serial);
        Ok((known != serial).then_some(LogEnd::OtherMeter(serial)))
    }

    /// Makes a request once. The error of the inner result is the end of the reading.
    async fn ask<C: Command, S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut Meter<S>,
        command: &C,
        stop: &CancellationToken,
    ) -> Result<Result<C::Answer, LogEnd>, RequestError> {
        let answer = client.request(command, Tries::One, stop).await?;
        if client.take_silence()
            && let Some(end) = self.other_meter(client, stop).await?
        {
            return Ok(Err(end));
        }
        Ok(Ok(answer))
    }

    /// What it means that the request for the log's configuration has no answer.
    async fn unanswered<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        heard: NoAnswer,
        client: &mut Meter<S>,
        stop: &CancellationToken,
    ) -> Result<Option<LogEnd>, RequestError> {
        let most = match heard {
            NoAnswer::Nothing | NoAnswer::OwnEcho => {
                self.silences = self.silences.saturating_add(1);
                if self.has_given { TRIES } else { SILENCES }
            }
            NoAnswer::Foreign => {
                self.strange = self.strange.saturating_add(1);
                STRANGE
            }
            _ => return Err(RequestError::NoAnswer(heard)),
        };
        // A meter that does not answer at all is not asked for its log again.
        let tried = std::mem::replace(&mut self.failures, TRIES);
        if let Some(end) = self.other_meter(client, stop).await? {
            return Ok(Some(end));
        }
        self.failures = tried;
        let end = match heard {
            NoAnswer::Foreign if self.strange >= most => LogEnd::UnknownForm,
            NoAnswer::Foreign => return Err(RequestError::NoAnswer(heard)),
            _ if self.silences < most => return Ok(None),
            _ if self.has_given => LogEnd::Silent,
            _ => LogEnd::NotGiven,
        };
        Ok(Some(end))
    }

    /// Finds out what the log has. Returns the end if there is nothing to read.
    async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut Meter<S>,
        line: Line,
        stop: &CancellationToken,
        report: &mut impl FnMut(LogStep<'_>),
    ) -> Result<Option<LogEnd>, RequestError> {
        let command = GetConfiguration { log: self.log };
        let configuration = match self.ask(client, &command, stop).await {
            Ok(Ok(configuration)) => configuration,
            Ok(Err(end)) => return Ok(Some(end)),
            Err(RequestError::NoAnswer(heard)) => {
                return self.unanswered(heard, client, stop).await;
            }
            Err(error) => return Err(error),
        };
        let end = |fault| Ok(Some(LogEnd::Fault { id: None, fault }));
        let Some(mut registers) = LogStamp::registers(self.log, configuration.registers()) else {
            return end(LogFault::NoDate);
        };
        let stamp = registers.clone();
        let wanted = self.wanted.iter().filter(|id| configuration.registers().contains(id));
        registers.extend(wanted.filter(|id| !stamp.contains(id)));
        registers.truncate(Selection::MAX_REGISTERS);
        let Ok(selection) = Selection::new(self.log, 1, &registers) else {
            return end(LogFault::NoDate);
        };
        let depth = configuration.depth().max(1);

        let last = |offset| GetLogLastEntryPastAbs { offset, selection: selection.clone() };
        let oldest = last(GetLogLastEntryPastAbs::OLDEST);
        let mut answer = match self.ask(client, &oldest, stop).await? {
            Ok(answer) => answer,
            Err(end) => return Ok(Some(end)),
        };
        if answer.is_empty() && !answer.info().contains(LogInfo::NO_ENTRIES) {
            // No capture shows that a log answers so far back.
            answer = match self.ask(client, &last(0), stop).await? {
                Ok(answer) => answer,
                Err(end) => return Ok(Some(end)),
            };
        }
        let Some(first) = answer.entries().into_iter().next() else {
            if answer.info().contains(LogInfo::NO_ENTRIES) {
                return Ok(Some(LogEnd::Empty));
            }
            return end(LogFault::Info(answer.info()));
        };
        let newest = answer.newest();
        let deepest = newest.older(u32::from(depth).saturating_sub(1)).unwrap_or(LogId::new(0));
        let is_oldest = answer.info().contains(LogInfo::OLDEST_INCLUDED);
        let oldest = if is_oldest { answer.first() } else { deepest };
        let bytes = first.values.iter().map(|value| value.mantissa().len()).sum();
        let begun = Begun {
            chain: Chain::new(registers.clone()),
            registers,
            entry_bytes: bytes,
            newest,
            oldest,
            next: newest,
            piece: PIECE,
            doubted: None,
        };
        self.known.retain(|_, values| begun.is_whole(values));
        // Ids that begin again are those of other entries.
        let is_restarted = self.known.last_key_value().is_some_and(|(id, _)| *id > begun.newest);
        if is_restarted {
            self.known.clear();
        }
        let extent = begun.extent(depth, &self.known, line, is_restarted);
        self.begun = Some(begun);
        report(LogStep::Begins(&extent));
        Ok(None)
    }

    /// Reads the next entries. Returns the end if there are no more.
    async fn step<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut Meter<S>,
        stop: &CancellationToken,
        report: &mut impl FnMut(LogStep<'_>),
    ) -> Result<Option<LogEnd>, RequestError> {
        let Some(begun) = &mut self.begun else { return Ok(None) };
        while let Some(values) = self.known.get(&begun.next) {
            let entry = LogEntry { id: begun.next, values: values.clone() };
            let (_, end) = begun.take(std::slice::from_ref(&entry), self.from, false);
            if !matches!(end, Some(LogEnd::Fault { .. })) {
                report(LogStep::Known(&entry));
            }
            if end.is_some() {
                return Ok(end);
            }
        }
        let Some(command) = begun.command(self.log, &self.known) else {
            return Ok(Some(LogEnd::Complete));
        };
        let answer = match self.ask(client, &command, stop).await? {
            Ok(answer) => answer,
            Err(end) => return Ok(Some(end)),
        };
        let Some(begun) = &mut self.begun else { return Ok(None) };
        self.answers = self.answers.saturating_add(1);
        Ok(begun.accept(&answer, self.from, report))
    }
}

impl Begun {
    /// Whether the values of a known entry are those that are read.
    fn is_whole(&self, values: &[RegisterValue]) -> bool {
        self.registers.iter().all(|register| values.iter().any(|it| it.register == *register))
    }

    fn extent(
        &self,
        depth: u16,
        known: &BTreeMap<LogId, Vec<RegisterValue>>,
        line: Line,
        is_restarted: bool,
    ) -> LogExtent {
        let all = self.newest.get().saturating_sub(self.oldest.get()).saturating_add(1);
        let already = known.range(self.oldest..=self.newest).count();
        let entries = all.saturating_sub(u32::try_from(already).unwrap_or(u32::MAX));
        let registers = self.registers.len();
        let pieces = entries.div_ceil(PIECE.into());
        let each = REQUEST.saturating_add(ANSWER).saturating_add(registers.saturating_mul(2 + 5));
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let bytes = count(pieces)
            .saturating_mul(each)
            .saturating_add(count(entries).saturating_mul(self.entry_bytes));
        LogExtent {
            depth,
            registers: self.registers.clone(),
            oldest: self.oldest,
            newest: self.newest,
            entries,
            is_restarted,
            awake: line.time_for(bytes),
        }
    }

    /// The request for the next entries; `None` if all were read.
    fn command(
        &self,
        log: Log,
        known: &BTreeMap<LogId, Vec<RegisterValue>>,
    ) -> Option<GetLogIdPastAbs> {
        let left = self.next.get().checked_sub(self.oldest.get())?.saturating_add(1);
        let until_known = known
            .range(..self.next)
            .next_back()
            .map_or(left, |(id, _)| self.next.get().saturating_sub(id.get()));
        let entries = left.min(until_known).min(self.piece.into());
        let entries = u16::try_from(entries).ok()?;
        let selection = Selection::new(log, entries, &self.registers).ok()?;
        let selection = selection.with_entry_bytes(self.entry_bytes);
        Some(GetLogIdPastAbs { from: self.next, selection })
    }

    /// Accepts the entries of an answer. Returns the end if there are no more.
    fn accept(
        &mut self,
        answer: &LogAnswer,
        from: Option<Date>,
        report: &mut impl FnMut(LogStep<'_>),
    ) -> Option<LogEnd> {
        let entries = answer.entries();
        let asked_from = self.next;
        let fault = if answer.newest() < self.newest {
            Some(LogFault::Restarted(answer.newest()))
        } else if entries.is_empty() {
            let says = |bit| answer.info().contains(bit);
            let is_past_the_oldest = says(LogInfo::OUT_OF_RANGE)
                && !says(LogInfo::MEMORY_ERROR)
                && !says(LogInfo::INTERNAL_ERROR)
                && self.next < self.newest;
            if is_past_the_oldest {
                return Some(LogEnd::Complete);
            }
            Some(LogFault::Info(answer.info()))
        } else {
            None
        };
        let is_oldest = answer.info().contains(LogInfo::OLDEST_INCLUDED);
        let before = self.chain.clone();
        let (accepted, end) = match fault {
            Some(fault) => (0, Some(LogEnd::Fault { id: Some(asked_from), fault })),
            None => self.take(&entries, from, is_oldest),
        };
        if matches!(end, Some(LogEnd::Fault { .. })) && self.doubted != Some(asked_from) {
            // The checksum of a damaged answer may be right by chance.
            (self.chain, self.next, self.doubted) = (before, asked_from, Some(asked_from));
            return None;
        }
        let accepted = entries.get(..accepted).unwrap_or_default();
        if !accepted.is_empty() {
            report(LogStep::Read(accepted));
        }
        end
    }

    /// Takes entries as far as they continue the newer ones. Returns how many, and the end if there
    /// are no more.
    fn take(
        &mut self,
        entries: &[LogEntry],
        from: Option<Date>,
        is_oldest: bool,
    ) -> (usize, Option<LogEnd>) {
        for (entry, taken) in entries.iter().zip(0_usize..) {
            let stamp = match self.chain.accept(entry) {
                Ok(stamp) => stamp,
                Err(fault) => {
                    return (taken, Some(LogEnd::Fault { id: Some(entry.id), fault }));
                }
            };
            let taken = taken.saturating_add(1);
            let is_before = |from| stamp.written().is_some_and(|at| at.date() < from);
            if from.is_some_and(is_before) {
                return (taken, Some(LogEnd::Reached));
            }
            match entry.id.older(1) {
                Some(next) if entry.id > self.oldest => self.next = next,
                _ => return (taken, Some(LogEnd::Complete)),
            }
        }
        (entries.len(), is_oldest.then_some(LogEnd::Complete))
    }
}

/// How long a meter is awake for a poll of this many registers of 4 bytes: the time of the bytes on
/// the line.
#[must_use]
pub fn poll_awake(line: Line, registers: usize) -> Duration {
    let requests = registers.div_ceil(GetRegister::MAX);
    let bytes = requests.saturating_mul(7 + 6).saturating_add(registers.saturating_mul(2 + 9));
    line.time_for(bytes)
}
