//! The client sends one request at a time to a meter, over any stream of bytes.
//!
//! The line is half duplex, and the meter sets the pace (5512-447 M1 p.3-4). A request is sent in
//! one write, and its answer begins within 1.6 s. The next request is sent at least one byte time
//! after the answer. After silence or a bad answer the line must rest for 1.6 s, because the meter
//! ignores a request that is sent earlier.
//!
//! An answer is accepted only if its checksum is right and its address, command and registers are
//! those of the request. Everything else is skipped until the deadline: the echo of an optical
//! head, noise, a late answer to an earlier request. `line_state` explains how late answers are
//! detected. More bytes than the line can deliver end the connection (`flow`).

mod error;
mod flow;
mod line_state;
mod trace;
mod traffic;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use kmp::datalink::{self, Address};
use kmp::frame::{Decoder, Direction, Event};
use kmp::line::Line;
use kmp::message::{self, Command};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::error::Rejection;
pub use self::error::{NoAnswer, RequestError};
pub use self::flow::Flood;
use self::flow::Flow;
pub use self::line_state::LineState;
use self::trace::{Discarded, Hex, Trace};
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

/// A meter at the other end of a stream.
#[derive(Debug)]
pub struct Meter<S> {
    stream: S,
    line: Line,
    address: Address,
    decoder: Decoder,
    line_state: LineState,
    /// Whether the stream was drained, or did not need it. From then on everything that arrives is
    /// read, so resting is enough.
    drained: bool,
    last: LastAnswer,
    /// Whether the line was suspect when the stream was opened.
    opened_suspect: bool,
    drain_first: bool,
    /// How many requests got no answer since [`Self::take_silence`].
    silences: u32,
    traffic: Traffic,
    flow: Flow,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Meter<S> {
    /// A heat meter at the end of a stream that has just been opened. `line_state` is that of the
    /// previous stream, or [`LineState::default`].
    pub fn new(stream: S, line: Line, line_state: LineState) -> Self {
        Self {
            stream,
            line,
            address: Address::HEAT_METER,
            decoder: Decoder::new(),
            line_state,
            drained: false,
            last: LastAnswer { clean: true, order_confirmed: false },
            opened_suspect: line_state.is_suspect(),
            drain_first: false,
            silences: 0,
            traffic: Traffic::default(),
            flow: Flow::new(),
        }
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
        self.line_state
    }

    /// Whether nothing damaged or foreign arrived between the last request and its answer. A
    /// checksum proves less on a noisy line.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.last.clean
    }

    /// Drains the stream before the first request even if the line is not suspect. Used for
    /// requests whose answers have no order.
    #[must_use]
    pub fn drain_first(self, drain_first: bool) -> Self {
        Self { drain_first, ..self }
    }

    /// Counts bytes that were received. It fails if they are more than the line can deliver.
    fn count_received(&mut self, bytes: usize) -> io::Result<()> {
        self.traffic.count_received(bytes);
        self.flow.count(bytes, self.line)
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
        let result = loop {
            self.rest(stop).await?;
            left = left.saturating_sub(1);
            let result = self.exchange(command).await;
            always_misordered &=
                matches!(result, Err(RequestError::NoAnswer(NoAnswer::OtherOrder)));
            if let Err(RequestError::NoAnswer(NoAnswer::Nothing | NoAnswer::OwnEcho)) = result {
                self.silences = self.silences.saturating_add(1);
            }
            match result {
                Err(RequestError::NoAnswer(no_answer)) if left > 0 => {
                    debug!("{}: {no_answer}; retrying", C::CID);
                    self.traffic.count_retry();
                    if matches!(no_answer, NoAnswer::Foreign | NoAnswer::OtherOrder) {
                        self.traffic.count_late();
                    }
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
            () = tokio::time::sleep_until(until) => {}
        }
        if self.drained {
            return Ok(());
        }
        if self.drain_first || self.line_state.is_suspect() || self.line_state.has_own_order() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RequestError::Stopping),
                drained = self.drain() => drained.map_err(RequestError::Broken)?,
            }
        }
        self.drained = true;
        self.line_state.set_suspect(false);
        Ok(())
    }

    /// Reads and discards until nothing arrives for [`QUIET`].
    async fn drain(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let mut buffer = [0; 256];
        let mut discarded = Discarded::new();
        while begun.elapsed() < DRAIN_AT_MOST {
            let Ok(read) = timeout(QUIET, self.stream.read(&mut buffer)).await else {
                break;
            };
            match read? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => {
                    self.count_received(count)?;
                    discarded.push(buffer.get(..count).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// Sends a request once and returns its answer.
    async fn exchange<C: Command>(&mut self, command: &C) -> Result<C::Answer, RequestError> {
        self.discard_unread().await.map_err(RequestError::Broken)?;
        self.decoder.reset();
        let request = message::emit_request(self.address, command);
        let request_takes = self.line.time_for(request.len());
        let answer_begins = request_takes.saturating_add(self.line.answer_timeout());
        let suspect_before = self.line_state.is_suspect();
        self.line_state.begin_request(answer_begins);
        debug!("to the meter: {}: {}", Hex(&request), trace::request_meaning(&request));
        self.traffic.count_request(request.len(), request_takes);
        // One write, because a gap of 27 ms between two bytes loses the request (5512-447 M1 p.3).
        // No flush, because on a serial port it blocks the thread until the last byte is sent.
        self.stream.write_all(&request).await.map_err(RequestError::Broken)?;

        let begins_by = deadline(answer_begins);
        // Stuffing can double every byte.
        let longest = command.max_answer_data().saturating_add(FRAME_OVERHEAD).saturating_mul(2);
        let ends_by = begins_by.checked_add(self.line.time_for(longest)).unwrap_or(begins_by);

        let mut trace = Trace::new("from the meter");
        let result = self.listen(command, begins_by, ends_by, &mut trace).await;
        trace.end(&self.decoder);
        match result {
            // "At least one byte time" (5512-447 M1 p.4).
            Ok(_) => {
                self.flow = Flow::new();
                self.line_state.answered(self.line.time_for(1), suspect_before);
            }
            Err(_) => self.line_state.unanswered(),
        }
        result
    }

    /// Reads until the answer or the deadline.
    async fn listen<C: Command>(
        &mut self,
        command: &C,
        begins_by: Instant,
        ends_by: Instant,
        trace: &mut Trace,
    ) -> Result<C::Answer, RequestError> {
        let mut no_answer = NoAnswer::Nothing;
        let mut buffer = [0; 256];
        loop {
            let begun = self.decoder.inside() == Some(Direction::FromMeter);
            let deadline = if begun { ends_by } else { begins_by };
            let read = match timeout_at(deadline, self.stream.read(&mut buffer)).await {
                Ok(read) => read.map_err(RequestError::Broken)?,
                Err(_) if begun => {
                    // An incomplete answer is not silence.
                    self.traffic.count_damaged();
                    return Err(RequestError::NoAnswer(no_answer.max(NoAnswer::Damaged)));
                }
                Err(_) => return Err(RequestError::NoAnswer(no_answer)),
            };
            if read == 0 {
                return Err(RequestError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            self.count_received(read).map_err(RequestError::Broken)?;
            let mut noise = false;
            for &byte in buffer.get(..read).unwrap_or_default() {
                let before = self.decoder.inside();
                let event = self.decoder.push(byte);
                trace.push(byte, before, &self.decoder);
                let Some(event) = event else {
                    // A meter may send a 0x00 at any time (5512-447 M1 p.3).
                    noise |= before.is_none() && self.decoder.inside().is_none() && byte != 0;
                    continue;
                };
                match self.classify(command, &event) {
                    Ok(answer) => {
                        trace.show_event(&self.decoder, trace::meaning(&event, None));
                        self.last.clean &= !noise && no_answer < NoAnswer::Noise;
                        return Ok(answer);
                    }
                    Err(rejection) => {
                        let meaning = trace::meaning(&event, Some(&rejection));
                        trace.show_event(&self.decoder, meaning);
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
        }
    }

    /// Accepts the answer to `command`, and rejects everything else.
    fn classify<C: Command>(&mut self, command: &C, event: &Event) -> Result<C::Answer, Rejection> {
        let body = match event {
            Event::Frame { direction: Direction::FromMeter, body } => body,
            Event::Frame { direction: Direction::ToMeter, .. }
            | Event::Damaged { direction: Direction::ToMeter, .. } => return Err(Rejection::Echo),
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
        self.last.order_confirmed = self.line_state.check_order(command.answer_order(&answer))?;
        Ok(answer)
    }

    /// Discards unread bytes. They cannot be the answer to a request that has not been sent yet.
    async fn discard_unread(&mut self) -> io::Result<()> {
        let mut buffer = [0; 256];
        let mut discarded = Discarded::new();
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
                None => return Ok(()),
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(count) => {
                    self.count_received(count)?;
                    discarded.push(buffer.get(..count).unwrap_or_default());
                }
            }
        }
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
mod tests;
