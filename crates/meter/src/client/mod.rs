//! The client sends one request at a time to a meter, over any stream of bytes.
//!
//! The line is half duplex, and the meter sets the pace (5512-447 M1 p.3-4). A request is sent in
//! one write, and its answer begins within 1.6 s. The next request is sent at least one byte time
//! after the answer. After silence or a bad answer the line must rest for 1.6 s, because the meter
//! ignores a request that is sent earlier.
//!
//! An answer is accepted only if its checksum is right and its address, command and registers are
//! those of the request. Everything else is skipped until the deadline: the echo of an optical
//! head, noise, and late answers to earlier requests. `line_state` explains how late answers are
//! detected, and `sent` measures how late they are. `telnet` recognizes a server that changes bytes.
//! If more bytes arrive than the line can deliver, the connection ends (`flow`). The client sleeps
//! until an answer can be complete (`arrival`).

mod arrival;
mod error;
mod flow;
mod incoming;
mod lengths;
mod line_state;
mod sent;
mod telnet;
mod trace;
mod traffic;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use kmp::datalink::{self, Address, Cid};
use kmp::frame::{Direction, Event};
use kmp::line::Line;
use kmp::message::{self, Command, Request};
use kmp::register::RegisterId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::arrival::{Arrival, Last, SAME_CUT, arrival_times, read_watched};
pub use self::error::{NoAnswer, RequestError};
use self::error::{Rejection, Stuck};
pub use self::flow::Flood;
use self::flow::Flow;
use self::incoming::{Arrived, Incoming, Seen};
pub use self::line_state::LineState;
pub(crate) use self::sent::LATE;
use self::sent::Late;
pub use self::sent::{Lateness, Proof};
use self::telnet::Greeting;
use self::trace::{Hex, Trace};
pub use self::traffic::Traffic;

/// The delay that a serial server, a USB adapter or a busy machine may add.
const SLACK: Duration = Duration::from_millis(250);

/// Bytes of a request for as many registers as possible, most of them stuffed.
const LONGEST_REQUEST: usize = 32;

/// How long a request takes at most that gets no answer, without the rest after it.
#[must_use]
pub(crate) fn longest_request(line: Line) -> Duration {
    let request = line.time_for(LONGEST_REQUEST);
    request.saturating_add(line.answer_timeout()).saturating_add(SLACK)
}

/// Draining ends when nothing has arrived for this long.
const QUIET: Duration = Duration::from_millis(250);

/// Draining ends after this time even if bytes keep arriving.
const DRAIN_AT_MOST: Duration = Duration::from_secs(2);

/// A line that cuts answers has delivered all of one when nothing has arrived for this long.
const CUT_OFF: Duration = Duration::from_millis(500);

/// Bytes around the data of a frame: start, address, command, two of CRC, stop.
const FRAME_OVERHEAD: usize = 6;

/// How the last request was answered.
#[derive(Debug, Clone, Copy)]
struct LastAnswer {
    /// Nothing damaged or foreign arrived before it.
    clean: bool,
    /// The order of its registers shows that it belongs to the last request.
    order_confirmed: bool,
}

/// Whether a new stream is drained before its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Draining {
    /// If a late answer may arrive.
    IfSuspect,
    Always,
    /// It was drained, or did not need it. From then on everything that arrives is read, so resting
    /// is enough.
    Done,
}

/// A meter at the other end of a stream.
#[derive(Debug)]
pub struct Meter<S> {
    stream: S,
    line: Line,
    address: Address,
    incoming: Incoming,
    line_state: LineState,
    draining: Draining,
    last: LastAnswer,
    /// Whether the line was suspect when the stream was opened.
    opened_suspect: bool,
    /// Whether bytes arrived that no request waited for, or a request got no answer.
    may_hold_late: bool,
    /// How many requests got no answer since [`Self::take_silence`].
    silences: u32,
    traffic: Traffic,
    flow: Flow,
    /// The registers of the last answer, in its order.
    answered: Vec<RegisterId>,
    /// Late answers since [`Self::take_lateness`], and those since the last request began.
    late: Lateness,
    late_now: Lateness,
    greeting: Greeting,
    /// The number of bytes of an answer that the line is known to carry.
    expected_cut: Option<usize>,
    /// After how many bytes each answer to the last request broke off.
    broke_off: Vec<usize>,
    /// The bytes of the longest answer that has arrived whole, also too late or to another request.
    longest_whole: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Meter<S> {
    /// A heat meter at the end of a stream that has just been opened. `line_state` is that of the
    /// previous stream, or [`LineState::default`].
    pub fn new(stream: S, line: Line, mut line_state: LineState) -> Self {
        line_state.sent.begin_connection();
        let opened_suspect = line_state.is_suspect();
        Self {
            stream,
            line,
            address: Address::HEAT_METER,
            incoming: Incoming::new(),
            line_state,
            draining: Draining::IfSuspect,
            last: LastAnswer { clean: true, order_confirmed: false },
            opened_suspect,
            may_hold_late: false,
            silences: 0,
            traffic: Traffic::default(),
            flow: Flow::new(),
            answered: Vec::new(),
            late: Lateness::default(),
            late_now: Lateness::default(),
            greeting: Greeting::default(),
            expected_cut: None,
            broke_off: Vec::new(),
            longest_whole: 0,
        }
    }

    /// The late answers since the last call.
    pub fn take_lateness(&mut self) -> Lateness {
        std::mem::take(&mut self.late)
    }

    /// Whether there were late answers since the last call of [`Self::take_lateness`].
    #[must_use]
    pub fn has_late_answers(&self) -> bool {
        self.late.answers > 0
    }

    /// Whether the other end has sent telnet commands. It then also changes answers.
    #[must_use]
    pub fn is_telnet(&self) -> bool {
        self.greeting.is_recognized()
    }

    /// Sets the number of bytes of an answer that the line is known to carry. An answer that breaks
    /// off there is not requested again.
    pub fn expect_cut(&mut self, bytes: Option<usize>) {
        self.expected_cut = bytes;
    }

    /// After how many bytes the line cut the answers to the last request, if it did: no try was
    /// answered, and two answers broke off at the same place, or one where it was expected.
    #[must_use]
    pub fn cut(&self) -> Option<usize> {
        let mut sorted = self.broke_off.clone();
        sorted.sort_unstable();
        let expected = sorted.iter().find(|bytes| self.is_expected_cut(**bytes));
        let mut pairs = sorted.windows(2);
        let same = pairs.find_map(|pair| match pair {
            [less, more] if more.saturating_sub(*less) <= SAME_CUT => Some(*less),
            _ => None,
        });
        expected.copied().or(same)
    }

    /// After how many bytes an answer to the last request broke off, at most.
    #[must_use]
    pub fn longest_cut(&self) -> Option<usize> {
        self.broke_off.iter().max().copied()
    }

    /// The bytes of the longest answer that has arrived whole over this stream. An answer that is too
    /// late, or belongs to another request, also shows what the line carries.
    #[must_use]
    pub fn longest_whole(&self) -> usize {
        self.longest_whole
    }

    fn is_expected_cut(&self, bytes: usize) -> bool {
        self.expected_cut.is_some_and(|cut| bytes.abs_diff(cut) <= SAME_CUT)
    }

    /// Whether a request got no answer since the last call, even if the next try did. The head may
    /// have been moved to another meter.
    pub fn take_silence(&mut self) -> bool {
        std::mem::take(&mut self.silences) > 0
    }

    /// Forgets in which order the meter answers, because another meter has taken its place.
    pub fn forget_order(&mut self) {
        self.line_state.forget_order();
    }

    /// The state to pass on when the stream is opened again.
    #[must_use]
    pub fn line_state(&self) -> LineState {
        self.line_state.clone()
    }

    /// How certain it is that the last answer belongs to a request since this time. `may_lack` says
    /// which registers the meter may not have, apart from those that the answer lacks.
    pub(crate) fn proof(&self, since: Instant, may_lack: impl Fn(RegisterId) -> bool) -> Proof {
        let asked = self.line_state.sent.last_registers();
        let is_lacking = |register| asked.contains(&register) && !self.answered.contains(&register);
        self.line_state
            .proof(&self.answered, since, |register| is_lacking(register) || may_lack(register))
    }

    /// Whether nothing damaged or foreign arrived between the last request and its answer. A
    /// checksum proves less on a noisy line.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.last.clean
    }

    /// Drains the stream before the first request even if the line is not suspect. Used for
    /// requests whose answers have no order, or only two.
    #[must_use]
    pub fn drain_first(self, drain_first: bool) -> Self {
        let draining = if drain_first { Draining::Always } else { self.draining };
        Self { draining, ..self }
    }

    /// Counts bytes that were received. It fails if they are more than the line can deliver.
    fn count_received(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.greeting.push(bytes);
        self.traffic.count_received(bytes.len());
        self.flow.count(bytes.len(), self.line)
    }

    /// Continues the counts of an earlier client.
    #[must_use]
    pub fn counting(self, traffic: Traffic) -> Self {
        Self { traffic, ..self }
    }

    /// The traffic so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// After a request without an answer, rests from the last byte on instead of from now. Used for
    /// a request that is repeated as long as a user wants, so that no single answer matters.
    pub fn rest_from_last_byte(&mut self) {
        self.line_state.set_rest_until(self.traffic.awake_until());
    }

    /// Whether the last answer may belong to a request from before this stream was opened: the line
    /// was suspect, and the order of the answer does not confirm it.
    #[must_use]
    pub fn may_be_late(&self) -> bool {
        self.opened_suspect && !self.last.order_confirmed
    }

    /// Whether nothing suggests that the last answer is a late one: the stream was drained or was
    /// not suspect, nothing arrived before the first request, and each request was answered.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.draining == Draining::Done && !self.may_hold_late
    }

    /// Whether the order of its registers shows that the last answer belongs to the last request.
    /// This is reliable only if the registers have at least as many orders as there were requests.
    #[must_use]
    pub fn order_confirmed(&self) -> bool {
        self.last.order_confirmed
    }

    /// Notes that answers contradict each other, so that late ones must be expected.
    pub fn mark_suspect(&mut self) {
        self.line_state.set_suspect(true);
    }

    /// Sends a request, up to `tries` times, until it is answered.
    ///
    /// Once `stop` is cancelled, it waits for the answer to a request that was sent, but sends no
    /// other.
    ///
    /// Cancel safety: dropping the future loses the answer. The next request waits until the meter
    /// listens again, discards what has arrived, and cannot mistake the lost answer for its own.
    pub async fn request<C: Command>(
        &mut self,
        command: &C,
        tries: Tries,
        stop: &CancellationToken,
    ) -> Result<C::Answer, RequestError> {
        let mut left = tries.count();
        let mut always_misordered = true;
        self.last = LastAnswer { clean: true, order_confirmed: false };
        self.late_now = Lateness::default();
        self.broke_off.clear();
        let result = loop {
            self.rest(stop).await?;
            left = left.saturating_sub(1);
            let result = self.exchange(command).await;
            if self.broke_off.last().is_some_and(|bytes| self.is_expected_cut(*bytes)) {
                left = 0;
            }
            always_misordered &=
                matches!(result, Err(RequestError::NoAnswer(NoAnswer::OtherOrder)));
            if let Err(RequestError::NoAnswer(NoAnswer::Nothing | NoAnswer::OwnEcho)) = result {
                self.silences = self.silences.saturating_add(1);
            }
            match result {
                Err(RequestError::NoAnswer(no_answer)) if left > 0 => {
                    debug!("{}: {no_answer}; retrying", C::CID);
                    self.traffic.count_retry();
                    if matches!(
                        no_answer,
                        NoAnswer::Late(_) | NoAnswer::Foreign | NoAnswer::OtherOrder
                    ) {
                        self.traffic.count_late();
                    }
                }
                // A late answer may have arrived while the line rested.
                Err(RequestError::NoAnswer(no_answer)) if self.late_now.answers > 0 => {
                    let late = NoAnswer::Late(self.late_now.longest);
                    break Err(RequestError::NoAnswer(no_answer.max(late)));
                }
                result => break result,
            }
        };
        if let Err(error) = &result {
            debug!("{}: {error}", C::CID);
        }
        if always_misordered {
            self.line_state.count_misordered();
        } else if result.is_ok() && self.last.order_confirmed {
            self.line_state.confirm_order();
        }
        result
    }

    /// Waits until the meter listens, and drains the stream once if necessary.
    async fn rest(&mut self, stop: &CancellationToken) -> Result<(), RequestError> {
        let until = self.line_state.rest_until().unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(RequestError::Stopping),
            rested = self.rest_until(until) => rested.map_err(RequestError::Broken)?,
        }
        if self.draining == Draining::Done {
            return Ok(());
        }
        if self.draining == Draining::Always
            || self.line_state.is_suspect()
            || self.line_state.has_own_order()
        {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RequestError::Stopping),
                drained = self.drain() => drained.map_err(RequestError::Broken)?,
            }
        }
        self.draining = Draining::Done;
        self.line_state.set_suspect(false);
        Ok(())
    }

    /// Reads and discards until this time, and until an answer that is arriving has ended.
    async fn rest_until(&mut self, until: Instant) -> io::Result<()> {
        let mut buffer = [0; 256];
        let mut trace = Trace::new("discarded");
        let result = loop {
            let quiet = self.incoming.last().checked_add(QUIET).unwrap_or(until);
            let deadline = match self.incoming.inside() {
                Some(Direction::FromMeter) => {
                    let latest = until.checked_add(DRAIN_AT_MOST).unwrap_or(until);
                    quiet.clamp(until, latest)
                }
                _ => until,
            };
            match timeout_at(deadline, self.stream.read(&mut buffer)).await {
                Err(_) => break Ok(()),
                // The next request reports it.
                Ok(Ok(0) | Err(_)) => {
                    sleep_until(until).await;
                    break Ok(());
                }
                Ok(Ok(count)) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    if let Err(error) = self.discard(bytes, &mut trace) {
                        break Err(error);
                    }
                }
            }
        };
        trace.end(self.incoming.decoder());
        result
    }

    /// Reads and discards until nothing arrives for [`QUIET`].
    async fn drain(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let mut buffer = [0; 256];
        let mut trace = Trace::new("discarded");
        while begun.elapsed() < DRAIN_AT_MOST {
            let Ok(read) = timeout(QUIET, self.stream.read(&mut buffer)).await else {
                break;
            };
            match read? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.discard(buffer.get(..count).unwrap_or_default(), &mut trace)?,
            }
        }
        trace.end(self.incoming.decoder());
        Ok(())
    }

    /// Discards bytes that no request waits for, but notes late answers among them.
    fn discard(&mut self, bytes: &[u8], trace: &mut Trace) -> io::Result<()> {
        self.count_received(bytes)?;
        self.may_hold_late = true;
        let seen = Seen { at: Instant::now(), is_exact: true };
        for &byte in bytes {
            let before = self.incoming.inside();
            let arrived = self.incoming.push(byte, seen);
            trace.push(byte, before, self.incoming.decoder());
            if let Some(arrived) = arrived {
                self.note_whole(&arrived);
                self.note_late(&arrived);
                let meaning = trace::discarded_meaning(&arrived.event);
                trace.show_event(self.incoming.decoder(), meaning);
            }
        }
        Ok(())
    }

    /// Notes the length of an answer that has arrived whole.
    fn note_whole(&mut self, arrived: &Arrived) {
        if let Event::Frame { direction: Direction::FromMeter, .. } = arrived.event {
            self.longest_whole = self.longest_whole.max(arrived.bytes.len());
        }
    }

    /// Notes an answer to an earlier request that arrived too late.
    fn note_late(&mut self, arrived: &Arrived) -> Option<Late> {
        let Event::Frame { direction: Direction::FromMeter, body } = &arrived.event else {
            return None;
        };
        let packet = datalink::parse(body).ok().filter(|it| it.address == self.address)?;
        let late = self.line_state.sent.late(packet, arrived.began)?;
        self.late.count(late);
        self.late_now.count(late);
        Some(late)
    }

    /// Sends a request once and returns its answer.
    async fn exchange<C: Command>(&mut self, command: &C) -> Result<C::Answer, RequestError> {
        self.discard_unread().await.map_err(RequestError::Broken)?;
        self.incoming.reset();
        let request = message::emit_request(self.address, command);
        let request_takes = self.line.time_for(request.len());
        let answer_begins = request_takes.saturating_add(self.line.answer_timeout());
        let suspect_before = self.line_state.is_suspect();
        self.line_state.begin_request(answer_begins);
        debug!("to the meter: {}: {}", Hex(&request), trace::request_meaning(&request));
        self.traffic.count_request(request.len(), request_takes);
        // One write, because a gap of 27 ms between two bytes loses the request (5512-447 M1 p.3).
        // No flush, because on a serial port it blocks the thread until the last byte is sent.
        let begins_by = deadline(answer_begins);
        let now = Instant::now();
        let requested = now.checked_add(request_takes).unwrap_or(now);
        self.line_state.sent.push(&request, request_takes, begins_by);
        match timeout_at(begins_by, self.stream.write_all(&request)).await {
            Ok(written) => written.map_err(RequestError::Broken)?,
            // Such as a terminal that XOFF has stopped. It may not be, once it is opened again.
            Err(_) => return Err(RequestError::Broken(io::Error::other(Stuck))),
        }
        // Stuffing can double every byte.
        let longest = command.max_answer_data().saturating_add(FRAME_OVERHEAD).saturating_mul(2);
        let ends_by = begins_by.checked_add(self.line.time_for(longest)).unwrap_or(begins_by);

        let broken_off = self.broke_off.len();
        let mut trace = Trace::new("from the meter");
        let arrival = Arrival {
            command,
            address: self.address,
            line: self.line,
            requested,
            before: self.line_state.lengths.of(command.asked()),
            cut: self.expected_cut,
        };
        let result = self.listen(&arrival, begins_by, ends_by, &mut trace).await;
        trace.end(self.incoming.decoder());
        self.may_hold_late |= result.is_err();
        match result {
            // "At least one byte time" (5512-447 M1 p.4).
            Ok(_) => {
                self.broke_off.clear();
                self.line_state.sent.answered();
                self.flow = Flow::new();
                self.line_state.answered(self.line.time_for(1), suspect_before);
            }
            Err(_) if self.broke_off.len() > broken_off => {
                self.line_state.broke_off(suspect_before);
                self.line_state.sent.broke_off();
            }
            Err(_) => self.line_state.unanswered(),
        }
        result
    }

    /// Reads until the answer or the deadline.
    async fn listen<C: Command>(
        &mut self,
        arrival: &Arrival<'_, C>,
        begins_by: Instant,
        ends_by: Instant,
        trace: &mut Trace,
    ) -> Result<C::Answer, RequestError> {
        let mut no_answer = NoAnswer::Nothing;
        let mut buffer = [0; 256];
        let (mut empty, mut last) = (Instant::now(), Last::default());
        loop {
            let begun = self.incoming.inside() == Some(Direction::FromMeter);
            let deadline = if begun { self.ends_by(ends_by) } else { begins_by };
            if let Some(decision) = arrival.next_decision(&self.incoming, last) {
                sleep_until(decision.min(deadline)).await;
            }
            let reading = read_watched(&mut self.stream, &mut buffer);
            let Ok(read) = timeout_at(deadline, reading).await else {
                // The greeting of a server says nothing about the meter.
                if no_answer == NoAnswer::Noise && self.greeting.is_alone() {
                    no_answer = NoAnswer::Nothing;
                }
                return Err(RequestError::NoAnswer(no_answer.max(self.unfinished(C::CID))));
            };
            let (read, is_watched) = read.map_err(RequestError::Broken)?;
            if read == 0 {
                return Err(RequestError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            let bytes = buffer.get(..read).unwrap_or_default();
            self.count_received(bytes).map_err(RequestError::Broken)?;
            let mut noise = false;
            for (&byte, seen) in bytes.iter().zip(arrival_times(read, self.line, is_watched, empty))
            {
                let before = self.incoming.inside();
                let arrived = self.incoming.push(byte, seen);
                trace.push(byte, before, self.incoming.decoder());
                last.is_stray = before.is_none() && self.incoming.inside().is_none();
                let Some(arrived) = arrived else {
                    // A meter may send a 0x00 at any time (5512-447 M1 p.3).
                    noise |= last.is_stray && byte != 0;
                    continue;
                };
                self.note_whole(&arrived);
                match self.classify(arrival.command, &arrived) {
                    Ok(answer) => {
                        let meaning = trace::meaning(&arrived.event, None);
                        trace.show_event(self.incoming.decoder(), meaning);
                        self.last.clean &= !noise && no_answer < NoAnswer::Noise;
                        return Ok(answer);
                    }
                    Err(rejection) => {
                        let meaning = trace::meaning(&arrived.event, Some(&rejection));
                        trace.show_event(self.incoming.decoder(), meaning);
                        if rejection.no_answer() == NoAnswer::Damaged {
                            self.traffic.count_damaged();
                        }
                        no_answer = no_answer.max(rejection.no_answer());
                    }
                }
            }
            if noise {
                no_answer = no_answer.max(NoAnswer::Noise);
            }
            self.last.clean &= no_answer < NoAnswer::Noise;
            last.is_chunk = is_watched && read > 1 && !begun;
            if read < buffer.len() {
                empty = Instant::now();
            }
        }
    }

    /// When an answer that has begun must have ended. A line that is known to cut answers delivers
    /// no more of one.
    fn ends_by(&self, ends_by: Instant) -> Instant {
        let is_cut = self.is_expected_cut(self.incoming.bytes().len());
        let quiet = self.incoming.last().checked_add(CUT_OFF).filter(|_| is_cut);
        quiet.map_or(ends_by, |quiet| quiet.min(ends_by))
    }

    /// What has arrived if the deadline passes inside a frame.
    fn unfinished(&mut self, command: Cid) -> NoAnswer {
        let bytes = self.incoming.bytes();
        match self.incoming.inside() {
            // An incomplete answer is not silence.
            Some(Direction::FromMeter) => {
                let start = [Direction::FromMeter.start_byte(), self.address.get(), command.get()];
                if bytes.starts_with(&start) {
                    self.broke_off.push(bytes.len());
                }
                self.traffic.count_damaged();
                NoAnswer::Damaged
            }
            Some(Direction::ToMeter) if self.line_state.sent.is_echo(bytes) => NoAnswer::OwnEcho,
            Some(Direction::ToMeter) => NoAnswer::Noise,
            None => NoAnswer::Nothing,
        }
    }

    /// Accepts the answer to `command`, and rejects everything else.
    fn classify<C: Command>(
        &mut self,
        command: &C,
        arrived: &Arrived,
    ) -> Result<C::Answer, Rejection> {
        let result = self.check(command, arrived);
        match result {
            Err(
                Rejection::OtherCommand(_)
                | Rejection::OtherAnswer(_)
                | Rejection::OtherOrder
                | Rejection::Incomplete,
            ) => match self.note_late(arrived) {
                Some(Late { after }) => Err(Rejection::Late(after)),
                None => result,
            },
            result => result,
        }
    }

    fn check<C: Command>(
        &mut self,
        command: &C,
        arrived: &Arrived,
    ) -> Result<C::Answer, Rejection> {
        let body = match &arrived.event {
            Event::Frame { direction: Direction::FromMeter, body } => body,
            Event::Frame { direction: Direction::ToMeter, .. }
            | Event::Damaged { direction: Direction::ToMeter, .. }
                if self.line_state.sent.is_echo(&arrived.bytes) =>
            {
                return Err(Rejection::Echo);
            }
            Event::Frame { direction: Direction::ToMeter, body } => {
                let packet = datalink::parse(body).ok();
                let request = packet.and_then(|packet| Request::parse(packet).ok());
                return Err(request.map_or(Rejection::NoRequest, |_| Rejection::OtherRequest));
            }
            Event::Damaged { direction: Direction::ToMeter, .. } => {
                return Err(Rejection::NoRequest);
            }
            Event::Damaged { direction: Direction::FromMeter, damage } => {
                return Err(Rejection::Damaged(*damage));
            }
            Event::Ack => return Err(Rejection::Ack),
        };
        let packet = datalink::parse(body)?;
        if packet.address != self.address {
            return Err(Rejection::OtherAddress(packet.address));
        }
        if packet.cid != C::CID {
            return Err(Rejection::OtherCommand(packet.cid));
        }
        let answer = command.parse_answer(packet.data)?;
        let length = packet.data.len();
        let (order, registers) = (command.answer_order(&answer), C::answered(&answer));
        self.last.order_confirmed = self.line_state.check_order(order, &registers)?;
        self.line_state.lengths.note(command.asked(), length);
        self.answered = registers;
        Ok(answer)
    }

    /// Discards unread bytes. They cannot be the answer to a request that has not been sent yet.
    async fn discard_unread(&mut self) -> io::Result<()> {
        let mut buffer = [0; 256];
        let mut trace = Trace::new("discarded");
        loop {
            let stream = &mut self.stream;
            let count = poll_fn(|context| {
                let mut unread = ReadBuf::new(&mut buffer);
                match Pin::new(&mut *stream).poll_read(context, &mut unread) {
                    Poll::Pending => Poll::Ready(Ok(None)),
                    Poll::Ready(result) => {
                        Poll::Ready(result.map(|()| Some(unread.filled().len())))
                    }
                }
            })
            .await?;
            match count {
                None => break,
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(count) => {
                    self.discard(buffer.get(..count).unwrap_or_default(), &mut trace)?;
                }
            }
        }
        trace.end(self.incoming.decoder());
        Ok(())
    }
}

/// How many times a request is sent until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// Once.
    One,
    /// Up to twice.
    Two,
    /// Up to three times.
    Three,
}

impl Tries {
    const fn count(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after.saturating_add(SLACK)).unwrap_or(now)
}

#[cfg(test)]
pub(crate) mod tests;
