//! The client: one request at a time to a meter, over any stream of bytes.
//!
//! Half duplex, and the meter sets the pace (5512-447 M1 p.3-4): a request goes out in one write;
//! its answer begins within 1.6 s; the next request comes at least one byte time after the answer;
//! after silence or a bad answer the line must rest for 1.6 s, and what is sent earlier is lost.
//!
//! An answer counts only if its checksum, address, command and registers are those of the request.
//! Everything else — the echo of an optical head, noise, a late answer to an earlier request — is
//! read past until the deadline.

mod trace;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use kmp::datalink::{self, Address, Cid, PacketError};
use kmp::frame::{Damage, Decoder, Direction, Event};
use kmp::message::{self, AnswerError, AnswerOrder, Command};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::trace::{Discarded, Hex, Trace};
use kmp::line::{Line, THINKING};

/// What a serial server, a USB adapter and a busy machine may add on the way.
const SLACK: Duration = Duration::from_millis(250);

/// For how long nothing may come in before the first request of a poll whose line may still hold a
/// late answer, and how long that is waited for.
const QUIET: Duration = Duration::from_millis(250);
const QUIET_AT_MOST: Duration = Duration::from_secs(2);

/// Bytes around the data of a frame: start, address, command, two of CRC, stop.
const FRAME_OVERHEAD: usize = 6;

/// Why a request got no answer.
#[derive(Debug, Error)]
pub enum RequestError {
    /// Nothing that counts came before the deadline.
    #[error("{0}")]
    NoAnswer(NoAnswer),
    /// The port or the connection ended.
    #[error("the connection to the meter broke: {0}")]
    Broken(#[source] io::Error),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

/// What came instead of an answer; the most telling thing wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoAnswer {
    /// Not one byte.
    Nothing,
    /// Only what was sent: the head works, the meter is silent.
    OwnEcho,
    /// Bytes that are no frame.
    Noise,
    /// An answer that broke on the way.
    Damaged,
    /// An answer, but not to this request.
    Foreign,
    /// An answer for what was asked, in another order.
    OtherOrder,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no answer at all",
            Self::OwnEcho => "no answer, only the echo of the request",
            Self::Noise => "no answer, only noise",
            Self::Damaged => "a damaged answer",
            Self::Foreign => "an answer to another request",
            Self::OtherOrder => "an answer to an earlier request",
        })
    }
}

/// What requests have left behind on the line, which outlives the stream: a serial server may hand
/// the late answer to one poll to the next one.
#[derive(Debug, Clone, Copy)]
pub struct LineState {
    /// When the meter listens again.
    rest_until: Option<Instant>,
    /// Whether an answer may still come that nobody waits for any more.
    doubtful: bool,
    /// What is known of the order in which this meter answers.
    order: Order,
    /// So many requests in a row were answered in the wrong order and in no other way.
    misordered: u8,
}

/// In which order a meter answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// None of its answers has told.
    Unknown,
    /// In that of the request: an answer in another order is to an earlier request.
    Followed,
    /// In one of its own.
    Own,
}

/// So many requests in a row show that a meter has an order of its own. As many answers to earlier
/// requests do not come one after the other.
const OWN_ORDER: u8 = 2;

/// Of a line of which nothing is known.
impl Default for LineState {
    fn default() -> Self {
        Self { rest_until: None, doubtful: true, order: Order::Unknown, misordered: 0 }
    }
}

/// How the last answer came.
#[derive(Debug, Clone, Copy)]
struct LastAnswer {
    /// Nothing damaged or foreign came while it was waited for.
    clean: bool,
    /// Its order told that it was to the last request.
    told: bool,
}

/// What was on the line: how good it is, and what the meter's battery gave for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that were made again.
    pub retries: u64,
    /// Answers that came damaged: with a wrong checksum, or broken off.
    pub damaged: u64,
    /// Bytes to the meter.
    pub sent: u64,
    /// Bytes that came from the line, also echoes and noise.
    pub received: u64,
    /// How long the meter was kept awake: from the first byte of a request until [`THINKING`] after
    /// the last byte on the line.
    pub awake: Duration,
    /// Until when that has been counted.
    awake_until: Option<Instant>,
}

impl Traffic {
    /// Takes what has been counted; what follows begins at nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let awake_until = self.awake_until;
        std::mem::replace(self, Self { awake_until, ..Self::default() })
    }

    fn request(&mut self, bytes: usize, takes: Duration) {
        self.sent = self.sent.saturating_add(count(bytes));
        let now = Instant::now();
        if self.awake_until.is_none_or(|until| until < now) {
            self.awake_until = Some(now);
        }
        self.awake_after(takes);
    }

    fn came(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(count(bytes));
        // What comes unasked does not say that the meter is awake.
        if self.awake_until.is_some_and(|until| until >= Instant::now()) {
            self.awake_after(Duration::ZERO);
        }
    }

    /// The last byte on the line is so far ahead.
    fn awake_after(&mut self, last: Duration) {
        let until = Instant::now().checked_add(last.saturating_add(THINKING));
        if let (Some(until), Some(counted)) = (until, self.awake_until)
            && until > counted
        {
            let more = until.saturating_duration_since(counted);
            self.awake = self.awake.saturating_add(more);
            self.awake_until = Some(until);
        }
    }
}

fn count(bytes: usize) -> u64 {
    bytes.try_into().unwrap_or(u64::MAX)
}

/// A meter at the other end of a stream.
#[derive(Debug)]
pub struct Meter<S> {
    stream: S,
    line: Line,
    address: Address,
    decoder: Decoder,
    /// Set as if failed before a request and put right after it, so that a request whose future was
    /// dropped counts as failed.
    line_state: LineState,
    /// Whether the line was quiet once since the stream was opened. From then on all that comes is
    /// seen, and resting is enough.
    settled: bool,
    last: LastAnswer,
    /// Whether a late answer to a request before this stream may have come.
    doubtful: bool,
    /// Whether to wait for quiet in any case.
    careful: bool,
    /// How many requests met silence since that was asked last.
    silences: u32,
    traffic: Traffic,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Meter<S> {
    /// A heat meter behind a stream that has just been opened.
    pub fn new(stream: S, line: Line, line_state: LineState) -> Self {
        let decoder = Decoder::new();
        let address = Address::HEAT_METER;
        let doubtful = line_state.doubtful;
        Self {
            stream,
            line,
            address,
            decoder,
            line_state,
            settled: false,
            last: LastAnswer { clean: true, told: false },
            doubtful,
            careful: false,
            silences: 0,
            traffic: Traffic::default(),
        }
    }

    /// Whether a request met silence since this was asked last, also one that was answered when it
    /// was made again: somebody may have moved the head to another meter.
    pub fn take_silence(&mut self) -> bool {
        std::mem::take(&mut self.silences) > 0
    }

    /// Forgets in which order this meter answers: it is another one.
    pub fn forget_order(&mut self) {
        self.line_state.order = Order::Unknown;
        self.line_state.misordered = 0;
    }

    /// What is to be known when the stream is opened again.
    #[must_use]
    pub fn line_state(&self) -> LineState {
        self.line_state
    }

    /// Whether nothing damaged or foreign came while the last request was made and answered. On a
    /// noisy line a good checksum says less.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.last.clean
    }

    /// Waits for quiet before the first request though nothing is wrong: for requests whose answers
    /// have no order to go by.
    #[must_use]
    pub fn carefully(self, careful: bool) -> Self {
        Self { careful, ..self }
    }

    /// Counts what is on the line on from here.
    #[must_use]
    pub fn counting(self, traffic: Traffic) -> Self {
        Self { traffic, ..self }
    }

    /// What was on the line.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// After a request without an answer lets the line rest from its last byte on, rather than from
    /// now: for one that is made again and again, where nothing depends on a single one.
    pub fn rest_from_last_byte(&mut self) {
        self.line_state.rest_until = self.traffic.awake_until;
    }

    /// Whether the last answer may be a late one to a request before this stream was opened: such
    /// may come, and there is no order by which it would show.
    #[must_use]
    pub fn may_be_late(&self) -> bool {
        self.doubtful && !self.last.told
    }

    /// Whether the order of the registers told that the last answer was to the last request, if
    /// there are enough of them.
    #[must_use]
    pub fn order_told(&self) -> bool {
        self.last.told
    }

    /// Notes that answers contradict each other: late ones are on their way.
    pub fn distrust(&mut self) {
        self.line_state.doubtful = true;
    }

    /// Makes a request, up to `tries` times, until it is answered.
    ///
    /// Once `stop` is cancelled nothing new is sent, but an answer under way is waited for.
    ///
    /// Cancel safety: dropping the future loses the answer. The next request waits until the meter
    /// listens again, throws away what has come, and cannot take the lost answer for its own.
    pub async fn request<C: Command>(
        &mut self,
        command: &C,
        tries: Tries,
        stop: &CancellationToken,
    ) -> Result<C::Answer, RequestError> {
        let mut left = tries.count();
        let mut misordered = true;
        self.last = LastAnswer { clean: true, told: false };
        loop {
            self.rest(stop).await?;
            left = left.saturating_sub(1);
            let result = self.exchange(command).await;
            misordered &= matches!(result, Err(RequestError::NoAnswer(NoAnswer::OtherOrder)));
            let is_silent = matches!(
                result,
                Err(RequestError::NoAnswer(NoAnswer::Nothing | NoAnswer::OwnEcho))
            );
            self.silences = self.silences.saturating_add(is_silent.into());
            match result {
                Err(RequestError::NoAnswer(heard)) if left > 0 => {
                    debug!("{}: {heard}; trying again", C::CID);
                    self.traffic.retries = self.traffic.retries.saturating_add(1);
                }
                result => {
                    if let Err(error) = &result {
                        debug!("{}: {error}", C::CID);
                    }
                    self.line_state.misordered = match (misordered, &result) {
                        (true, _) => self.line_state.misordered.saturating_add(1),
                        (false, Ok(_)) if self.last.told => 0,
                        (false, _) => self.line_state.misordered,
                    };
                    if self.line_state.misordered >= OWN_ORDER {
                        self.line_state.order = Order::Own;
                    }
                    return result;
                }
            }
        }
    }

    async fn rest(&mut self, stop: &CancellationToken) -> Result<(), RequestError> {
        let until = self.line_state.rest_until.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(RequestError::Stopping),
            () = tokio::time::sleep_until(until) => {}
        }
        if !self.settled {
            if self.line_state.doubtful || self.careful || self.line_state.order == Order::Own {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Err(RequestError::Stopping),
                    settled = self.settle() => settled.map_err(RequestError::Broken)?,
                }
            }
            self.settled = true;
            self.line_state.doubtful = false;
        }
        Ok(())
    }

    /// Waits until nothing comes in any more.
    async fn settle(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let mut buffer = [0; 256];
        let mut discarded = Discarded::new();
        while begun.elapsed() < QUIET_AT_MOST {
            let Ok(read) = timeout(QUIET, self.stream.read(&mut buffer)).await else {
                break;
            };
            match read? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => {
                    self.traffic.came(count);
                    discarded.take(buffer.get(..count).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// One request and its answer.
    async fn exchange<C: Command>(&mut self, command: &C) -> Result<C::Answer, RequestError> {
        self.discard_unread().await.map_err(RequestError::Broken)?;
        self.decoder.reset();
        let request = message::emit_request(self.address, command);
        let begins = self.line.time_for(request.len()).saturating_add(self.line.patience());
        let rest_until = Instant::now().checked_add(begins);
        let doubtful = self.line_state.doubtful;
        self.line_state = LineState { rest_until, doubtful: true, ..self.line_state };
        debug!("to the meter: {}: {}", Hex(&request), trace::request_meaning(&request));
        self.traffic.request(request.len(), self.line.time_for(request.len()));
        // One write, since a gap of 27 ms between two bytes loses the request (5512-447 M1 p.3).
        // No flush: on a serial port it would block the thread until the last byte is out.
        self.stream.write_all(&request).await.map_err(RequestError::Broken)?;

        let begins_by = deadline(begins);
        // Stuffing can double every byte.
        let longest = command.max_answer_data().saturating_add(FRAME_OVERHEAD).saturating_mul(2);
        let ends_by = begins_by.checked_add(self.line.time_for(longest)).unwrap_or(begins_by);

        let mut trace = Trace::new("from the meter");
        let result = self.listen(command, begins_by, ends_by, &mut trace).await;
        trace.end(&self.decoder);
        let (rest, doubtful) = match result {
            // "At least one byte time" (5512-447 M1 p.4).
            Ok(_) => (self.line.time_for(1), doubtful),
            Err(_) => (THINKING, true),
        };
        let rest_until = Instant::now().checked_add(rest);
        self.line_state = LineState { rest_until, doubtful, ..self.line_state };
        result
    }

    async fn listen<C: Command>(
        &mut self,
        command: &C,
        begins_by: Instant,
        ends_by: Instant,
        trace: &mut Trace,
    ) -> Result<C::Answer, RequestError> {
        let mut heard = NoAnswer::Nothing;
        let mut buffer = [0; 256];
        loop {
            let begun = self.decoder.inside() == Some(Direction::FromMeter);
            let deadline = if begun { ends_by } else { begins_by };
            let read = timeout_at(deadline, self.stream.read(&mut buffer)).await;
            let Ok(read) = read else {
                // An answer that breaks off is no silence.
                let heard = if begun { heard.max(NoAnswer::Damaged) } else { heard };
                self.traffic.damaged = self.traffic.damaged.saturating_add(u64::from(begun));
                return Err(RequestError::NoAnswer(heard));
            };
            let count = match read {
                Ok(0) => return Err(RequestError::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(error) => return Err(RequestError::Broken(error)),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            self.traffic.came(count);
            let mut noise = false;
            for &byte in bytes {
                let before = self.decoder.inside();
                let event = self.decoder.push(byte);
                trace.push(byte, before, &self.decoder);
                let Some(event) = event else {
                    // A meter may send a 0x00 unasked (5512-447 M1 p.3).
                    noise |= before.is_none() && self.decoder.inside().is_none() && byte != 0;
                    continue;
                };
                match self.judge(command, &event) {
                    Ok(answer) => {
                        trace.show_event(&self.decoder, trace::meaning(&event, None));
                        self.last.clean &= !noise && heard < NoAnswer::Noise;
                        return Ok(answer);
                    }
                    Err(verdict) => {
                        let meaning = trace::meaning(&event, Some(&verdict));
                        trace.show_event(&self.decoder, meaning);
                        let damaged = u64::from(verdict.heard() == NoAnswer::Damaged);
                        self.traffic.damaged = self.traffic.damaged.saturating_add(damaged);
                        heard = heard.max(verdict.heard());
                    }
                }
            }
            if noise {
                heard = heard.max(NoAnswer::Noise);
            }
            self.last.clean &= heard < NoAnswer::Noise;
        }
    }

    /// Whether this is the answer.
    fn judge<C: Command>(&mut self, command: &C, event: &Event) -> Result<C::Answer, Verdict> {
        let body = match event {
            Event::Frame { direction: Direction::FromMeter, body } => body,
            Event::Frame { direction: Direction::ToMeter, .. }
            | Event::Damaged { direction: Direction::ToMeter, .. } => return Err(Verdict::Echo),
            Event::Damaged { direction: Direction::FromMeter, damage } => {
                return Err(Verdict::Damaged(*damage));
            }
            Event::Ack => return Err(Verdict::Ack),
        };
        let packet = datalink::parse(body)?;
        if packet.address != self.address {
            return Err(Verdict::OtherAddress(packet.address));
        }
        if packet.cid != C::CID {
            return Err(Verdict::OtherCommand(packet.cid));
        }
        let answer = command.parse_answer(packet.data)?;
        match (command.answer_order(&answer), self.line_state.order) {
            (AnswerOrder::Incomplete, _) => return Err(Verdict::Incomplete),
            (AnswerOrder::Reordered, Order::Followed) => return Err(Verdict::OtherOrder),
            (AnswerOrder::InOrder, Order::Unknown) => self.line_state.order = Order::Followed,
            (AnswerOrder::InOrder | AnswerOrder::Undecidable | AnswerOrder::Reordered, _) => {}
        }
        self.last.told = command.answer_order(&answer) == AnswerOrder::InOrder
            && self.line_state.order == Order::Followed;
        Ok(answer)
    }

    /// Throws away what has come in and was not read: nothing of it can be the answer to a request
    /// that has not been made.
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
                    self.traffic.came(count);
                    discarded.take(buffer.get(..count).unwrap_or_default());
                }
            }
        }
    }
}

/// How often a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// Once: the meter has already been silent.
    One,
    /// With one more try after a failure.
    Two,
    /// With two more tries after a failure.
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

/// Why something that came is not the answer.
#[derive(Debug, Error)]
enum Verdict {
    #[error("the request's own echo")]
    Echo,
    #[error("a single acknowledgement byte")]
    Ack,
    #[error("a damaged frame: {0}")]
    Damaged(Damage),
    #[error("not a packet: {0}")]
    Packet(#[from] PacketError),
    #[error("an answer from address {0}")]
    OtherAddress(Address),
    #[error("an answer to {0}")]
    OtherCommand(Cid),
    #[error("{0}")]
    OtherAnswer(#[from] AnswerError),
    #[error("an answer to an earlier request for the same registers")]
    OtherOrder,
    #[error("an answer without a register that this meter has")]
    Incomplete,
}

impl Verdict {
    fn heard(&self) -> NoAnswer {
        match self {
            Self::Echo => NoAnswer::OwnEcho,
            Self::Ack => NoAnswer::Noise,
            Self::Damaged(_) | Self::Packet(_) => NoAnswer::Damaged,
            Self::OtherAddress(_)
            | Self::OtherCommand(_)
            | Self::OtherAnswer(_)
            | Self::Incomplete => NoAnswer::Foreign,
            Self::OtherOrder => NoAnswer::OtherOrder,
        }
    }
}

#[cfg(test)]
mod tests {
    use kmp::message::{GetRegister, GetSerialNo, GetType, SerialNumber};
    use kmp::number::SignExponent;
    use kmp::register::RegisterId;
    use kmp::unit::Unit;
    use kmp::value::RegisterValue;
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    const LINE: Line = Line::new(1200);

    const CLEAN: LineState =
        LineState { rest_until: None, doubtful: false, order: Order::Unknown, misordered: 0 };

    fn pair() -> (Meter<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(1024);
        (Meter::new(near, LINE, CLEAN), far)
    }

    fn ask(id: u16) -> GetRegister {
        GetRegister::new(&[RegisterId::new(id)]).unwrap()
    }

    fn answer(id: u16, value: u8) -> Vec<u8> {
        let exponent = SignExponent::from_byte(0);
        let value =
            RegisterValue::new(RegisterId::new(id), Unit::NUMBER, exponent, vec![value]).unwrap();
        packet(0x3F, 0x10, &GetRegister::emit_answer(&[value]))
    }

    fn packet(address: u8, cid: u8, data: &[u8]) -> Vec<u8> {
        let (address, cid) = (Address::new(address), Cid::new(cid));
        datalink::emit(Direction::FromMeter, datalink::Packet { address, cid, data })
    }

    /// Waits for a request, to its stop byte.
    async fn requested(far: &mut DuplexStream) -> Vec<u8> {
        let mut request = Vec::new();
        while request.last() != Some(&0x0D) {
            request.push(far.read_u8().await.unwrap());
        }
        request
    }

    /// What the meter does when it has heard a request: waits, then sends.
    type Script = Vec<(u64, Vec<u8>)>;

    /// Asks for register 60 of a meter that does for each try what the script says.
    async fn scripted(scripts: Vec<Script>) -> (Result<u8, NoAnswer>, usize) {
        let (mut meter, mut far) = pair();
        let far = tokio::spawn(async move {
            let mut requests = 0;
            for script in scripts {
                requested(&mut far).await;
                requests += 1;
                for (wait, bytes) in script {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    far.write_all(&bytes).await.unwrap();
                }
            }
            // Stays open, and silent.
            let mut rest = Vec::new();
            far.read_to_end(&mut rest).await.unwrap();
            requests + rest.split(|&byte| byte == 0x0D).count() - 1
        });
        let stop = CancellationToken::new();
        let result = meter.request(&ask(60), Tries::Three, &stop).await;
        drop(meter);
        let result = match result {
            Ok(values) => Ok(values[0].mantissa()[0]),
            Err(RequestError::NoAnswer(heard)) => Err(heard),
            Err(other) => panic!("{other}"),
        };
        (result, far.await.unwrap())
    }

    /// From the first byte of a request until 1.6 s after the last byte, whatever overlaps once.
    #[tokio::test(start_paused = true)]
    async fn what_is_on_the_line_is_counted() {
        let (mut meter, mut far) = pair();
        let whole = answer(60, 7);
        let length = u64::try_from(whole.len()).unwrap();
        let mut damaged = whole.clone();
        damaged[4] ^= 1;
        let answering = tokio::spawn(async move {
            for bytes in [damaged, whole.clone(), whole] {
                requested(&mut far).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                far.write_all(&bytes).await.unwrap();
            }
            far
        });
        let stop = CancellationToken::new();
        meter.request(&ask(60), Tries::Three, &stop).await.unwrap();
        let request = message::emit_request(Address::HEAT_METER, &ask(60)).len();
        let sent = |times: usize| u64::try_from(request * times).unwrap();
        let mut traffic = meter.traffic();
        let Traffic { retries, damaged, sent: out, received, awake, .. } = traffic.take();
        assert_eq!((retries, damaged, out, received), (1, 1, sent(2), length * 2));
        // Damaged bytes are listened to for a while, and then the line rests for 1.6 s.
        assert!(awake > Duration::from_millis(1600 * 2 + 500), "{awake:?}");
        assert!(awake < Duration::from_millis(1600 * 4), "{awake:?}");
        let mut meter = meter.counting(traffic);
        meter.request(&ask(60), Tries::Three, &stop).await.unwrap();
        let Traffic { retries, sent: out, awake, .. } = meter.traffic();
        assert_eq!((retries, out), (0, sent(1)));
        // It was still awake.
        assert!(awake < Duration::from_millis(600), "{awake:?}");
        let mut far = answering.await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        far.write_all(&answer(60, 7)).await.unwrap();
        tokio::task::yield_now().await;
        let heard = meter.request(&ask(61), Tries::One, &stop).await;
        assert!(heard.is_err());
        // What came unasked was no reason to be awake.
        let later = meter.traffic();
        assert_eq!(later.received, length * 2);
        let request = LINE.time_for(request) + THINKING;
        assert!(later.awake <= awake + request + Duration::from_millis(1), "{later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_taken_at_once() {
        let started = Instant::now();
        assert_eq!(scripted(vec![vec![(50, answer(60, 7))]]).await, (Ok(7), 1));
        assert_eq!(started.elapsed(), Duration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn echo_noise_and_foreign_answers_are_read_past() {
        let (mut before, good) = (Vec::new(), answer(60, 7));
        before.extend([0x00, 0x40, 0x13, 0x0D, 0xFF]);
        before.extend(message::emit_request(Address::HEAT_METER, &ask(60)));
        before.extend(answer(68, 1));
        before.extend(packet(0x7F, 0x10, &[]));
        before.extend(packet(0x3F, 0x02, &[1, 2, 3, 4]));
        before.push(0x06);
        let mut damaged = answer(60, 9);
        damaged[6] ^= 0x20;
        before.extend(damaged);
        before.push(0x40);
        let script = vec![(0, before), (100, good)];
        assert_eq!(scripted(vec![script]).await, (Ok(7), 1));
    }

    /// The log says of each byte what it was.
    #[tokio::test(start_paused = true)]
    async fn the_log_of_bad_answers() {
        let (log, _logging) = logging::capture::lines();
        let (mut meter, mut far) = pair();
        meter.line_state.doubtful = true;
        let commands = [60, 80, 4000].map(RegisterId::new);
        let command = GetRegister::new(&commands).unwrap();
        let server = async {
            // Late, to nobody.
            far.write_all(&[&[0x55, 0x06][..], &answer(68, 1), &[0x40, 0x3F]].concat())
                .await
                .unwrap();
            let echo = requested(&mut far).await;
            let mut damaged = answer(60, 9);
            damaged[6] ^= 0x20;
            let bytes = [
                &[0x00, 0xFF][..],
                &echo,
                &answer(68, 1),
                &packet(0x7F, 0x10, &[]),
                &packet(0x3F, 0x02, &[1, 2, 3, 4]),
                &[0x06],
                &damaged,
                &[0x40, 0x3F],
                &[0x40, 0x1B, 0x0D],
                // What passes for an echo.
                &[0x80, 0x3F, 0x0D, 0x80, 0x06],
                &[0x40, 0x3F, 0x10],
            ];
            // One byte at a time, as at 1200 baud.
            for byte in bytes.concat() {
                far.write_u8(byte).await.unwrap();
                tokio::time::sleep(LINE.time_for(1)).await;
            }
            requested(&mut far).await;
            requested(&mut far).await;
            let value = |id, unit, mantissa: &[u8]| {
                let (id, exponent) = (RegisterId::new(id), SignExponent::from_byte(0x42));
                RegisterValue::new(id, Unit::from_code(unit), exponent, mantissa.to_vec()).unwrap()
            };
            let values = [value(60, 2, &[0x80, 0x0D]), value(80, 22, &[0x02, 0x80])];
            far.write_all(&packet(0x3F, 0x10, &GetRegister::emit_answer(&values))).await.unwrap();
        };
        let stop = CancellationToken::new();
        let (result, ()) = tokio::join!(meter.request(&command, Tries::Three, &stop), server);
        assert_eq!(result.unwrap().len(), 2);
        meter.request(&GetSerialNo, Tries::One, &stop).await.unwrap_err();
        insta::assert_snapshot!(log.take().join("\n"));
    }

    /// Only what is neither echo nor idle makes a line noisy.
    #[tokio::test(start_paused = true)]
    async fn an_echo_is_no_noise() {
        let echo = message::emit_request(Address::HEAT_METER, &ask(60));
        for (before, clean) in [(echo, true), (vec![0x00], true), (vec![0x55], false)] {
            let (mut meter, mut far) = pair();
            let server = async {
                requested(&mut far).await;
                far.write_all(&before).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
                far.write_all(&answer(60, 1)).await.unwrap();
            };
            let (stop, command) = (CancellationToken::new(), ask(60));
            let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
            assert!(result.is_ok());
            assert_eq!(meter.is_clean(), clean, "{before:02X?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_come_in_any_pieces() {
        for cut in 1..14 {
            let good = answer(60, 0x80);
            let (first, second) = good.split_at(cut.min(good.len() - 1));
            let script = vec![(1500, first.to_vec()), (90, second.to_vec())];
            assert_eq!(scripted(vec![script]).await, (Ok(0x80), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_costs_three_tries_with_rests_between() {
        let started = Instant::now();
        assert_eq!(scripted(vec![]).await, (Err(NoAnswer::Nothing), 3));
        // 9 bytes out, 1.6 s to think and 0.25 s of slack, three times; 1.6 s of rest, twice.
        let expected = (LINE.time_for(9) + THINKING + SLACK) * 3 + THINKING * 2;
        assert!(started.elapsed().abs_diff(expected) <= Duration::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn says_what_came_instead() {
        let echo = message::emit_request(Address::HEAT_METER, &ask(60));
        let all = |bytes: Vec<u8>| vec![vec![(0, bytes)]; 3];
        assert_eq!(scripted(all(echo)).await, (Err(NoAnswer::OwnEcho), 3));
        assert_eq!(scripted(all(vec![0x00])).await, (Err(NoAnswer::Nothing), 3));
        assert_eq!(scripted(all(vec![0x55])).await, (Err(NoAnswer::Noise), 3));
        assert_eq!(scripted(all(vec![0x40, 0x06])).await, (Err(NoAnswer::Damaged), 3));
        assert_eq!(scripted(all(answer(68, 1))).await, (Err(NoAnswer::Foreign), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_damaged_answer_is_asked_for_again() {
        let mut damaged = answer(60, 9);
        damaged[6] ^= 0x20;
        let scripts = vec![vec![(0, damaged)], vec![(0, answer(60, 7))]];
        assert_eq!(scripted(scripts).await, (Ok(7), 2));
    }

    /// Other readers take the answer to the request before for the answer to this one.
    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_thrown_away() {
        let (mut meter, mut far) = pair();
        let stop = CancellationToken::new();
        let late = async {
            requested(&mut far).await;
            // After the deadline, while the line rests.
            tokio::time::sleep(LINE.time_for(7) + THINKING + SLACK * 2).await;
            far.write_all(&packet(0x3F, 0x02, &1_u32.to_be_bytes())).await.unwrap();
            requested(&mut far).await;
            far.write_all(&packet(0x3F, 0x02, &2_u32.to_be_bytes())).await.unwrap();
        };
        let (serial, ()) = tokio::join!(meter.request(&GetSerialNo, Tries::Three, &stop), late);
        assert_eq!(serial.unwrap(), SerialNumber::new(2));
    }

    /// A serial server hands the late answer to one poll to the next one, which asks for the same.
    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_not_taken_by_the_next_poll() {
        let stop = CancellationToken::new();
        let command = ask(60);
        let (mut meter, far) = pair();
        assert!(meter.request(&command, Tries::One, &stop).await.is_err());
        let line_state = meter.line_state();
        drop((meter, far));
        for delay in [0, 5, 20, 100, 240] {
            let (near, mut far) = duplex(1024);
            let mut meter = Meter::new(near, LINE, line_state);
            let server = async {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                // Until the line has rested nothing is read; the answer lies there.
                far.write_all(&answer(60, 1)).await.unwrap();
                requested(&mut far).await;
                far.write_all(&answer(60, 2)).await.unwrap();
            };
            let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
            assert_eq!(result.unwrap()[0].mantissa(), [2], "{delay} ms");
            assert!(!meter.line_state().doubtful, "all is well again");
        }
    }

    /// Each kind of request that has no order: its answer from one meter, and from another.
    const UNORDERED: [(u8, [u8; 4], [u8; 4]); 2] =
        [(0x01, [0, 1, 6, 1], [0, 4, 6, 1]), (0x02, [0, 0, 0, 1], [0, 0, 0, 2])];

    /// Asks for type or serial number, and gives what was answered, as it came.
    async fn identify(meter: &mut Meter<DuplexStream>, cid: u8) -> Option<Vec<u8>> {
        let stop = CancellationToken::new();
        if cid == 0x01 {
            let answer = meter.request(&GetType, Tries::Two, &stop).await;
            answer.ok().map(|meter_type| meter_type.emit().to_vec())
        } else {
            let answer = meter.request(&GetSerialNo, Tries::Two, &stop).await;
            answer.ok().map(|serial| serial.emit().to_vec())
        }
    }

    /// While another request waits, it is told by its command.
    #[tokio::test(start_paused = true)]
    async fn a_late_type_or_serial_number_is_not_the_answer_to_another_request() {
        let stop = CancellationToken::new();
        for (cid, late, _) in UNORDERED {
            for (other, _, good) in UNORDERED.into_iter().filter(|(other, ..)| *other != cid) {
                let (mut meter, mut far) = pair();
                let server = async {
                    requested(&mut far).await;
                    far.write_all(&packet(0x3F, cid, &late)).await.unwrap();
                    far.write_all(&packet(0x3F, other, &good)).await.unwrap();
                };
                let (answer, ()) = tokio::join!(identify(&mut meter, other), server);
                assert_eq!(answer, Some(good.to_vec()));
            }
            let (mut meter, mut far) = pair();
            let server = async {
                requested(&mut far).await;
                far.write_all(&packet(0x3F, cid, &late)).await.unwrap();
                far.write_all(&answer(60, 7)).await.unwrap();
            };
            let command = ask(60);
            let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
            assert_eq!(result.unwrap()[0].mantissa(), [7]);
        }
    }

    /// The other way round: nor are registers taken for a type or a serial number.
    #[tokio::test(start_paused = true)]
    async fn late_registers_are_no_type_and_no_serial_number() {
        for (cid, good, _) in UNORDERED {
            let (mut meter, mut far) = pair();
            let server = async {
                requested(&mut far).await;
                far.write_all(&answer(60, 7)).await.unwrap();
                far.write_all(&packet(0x3F, cid, &good)).await.unwrap();
            };
            let (answer, ()) = tokio::join!(identify(&mut meter, cid), server);
            assert_eq!(answer, Some(good.to_vec()));
        }
    }

    /// The head was moved to another meter while the serial server still held an answer.
    #[tokio::test(start_paused = true)]
    async fn a_type_or_serial_number_of_the_meter_before_is_not_taken() {
        for (cid, before, now) in UNORDERED {
            // At the start nothing is known; after a failure, a late answer may be on its way.
            let (mut meter, far) = pair();
            assert_eq!(identify(&mut meter, cid).await, None);
            let failed = meter.line_state();
            drop((meter, far));
            for line_state in [LineState::default(), failed] {
                for delay in [0, 5, 20, 100, 240] {
                    let (near, mut far) = duplex(1024);
                    let mut meter = Meter::new(near, LINE, line_state);
                    let server = async {
                        tokio::time::sleep(Duration::from_millis(delay)).await;
                        far.write_all(&packet(0x3F, cid, &before)).await.unwrap();
                        requested(&mut far).await;
                        far.write_all(&packet(0x3F, cid, &now)).await.unwrap();
                    };
                    let (answer, ()) = tokio::join!(identify(&mut meter, cid), server);
                    assert_eq!(answer, Some(now.to_vec()), "{delay} ms");
                    // One that comes even later cannot be told; whoever asks can know this.
                    assert!(meter.may_be_late());
                }
            }
        }
    }

    /// The second try may take the answer to the first: it is the same meter's.
    #[tokio::test(start_paused = true)]
    async fn an_answer_between_two_tries_is_not_taken_for_the_next_request() {
        for (cid, late, good) in UNORDERED {
            let (mut meter, mut far) = pair();
            let server = async {
                requested(&mut far).await;
                tokio::time::sleep(LINE.time_for(7) + THINKING + SLACK * 2).await;
                far.write_all(&packet(0x3F, cid, &late)).await.unwrap();
                requested(&mut far).await;
                far.write_all(&packet(0x3F, cid, &good)).await.unwrap();
                // And one more, after the answer that counts.
                far.write_all(&packet(0x3F, cid, &late)).await.unwrap();
                requested(&mut far).await;
                far.write_all(&packet(0x3F, cid, &good)).await.unwrap();
            };
            let asking = async {
                for _ in 0..2 {
                    assert_eq!(identify(&mut meter, cid).await, Some(good.to_vec()));
                }
            };
            tokio::join!(asking, server);
            assert!(!meter.may_be_late(), "the stream is as old as the doubt");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_gives_an_answer_more_time_to_begin() {
        let patient = LINE.patient(Duration::from_secs(5));
        for (wait, line, read) in
            [(1700, LINE, true), (2000, LINE, false), (5000, patient, true), (5500, patient, false)]
        {
            let (near, mut far) = duplex(1024);
            let mut meter = Meter::new(near, line, CLEAN);
            let server = async {
                requested(&mut far).await;
                tokio::time::sleep(Duration::from_millis(wait)).await;
                far.write_all(&answer(60, 7)).await.unwrap();
            };
            let (stop, command) = (CancellationToken::new(), ask(60));
            let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
            assert_eq!(result.is_ok(), read, "{wait} ms");
        }
        // What the line rests does not grow with it.
        let (near, _far) = duplex(1024);
        let mut meter = Meter::new(near, patient, CLEAN);
        let (stop, command) = (CancellationToken::new(), ask(60));
        let started = Instant::now();
        assert!(meter.request(&command, Tries::Two, &stop).await.is_err());
        let expected = (LINE.time_for(9) + Duration::from_secs(5) + SLACK) * 2 + THINKING;
        assert!(started.elapsed().abs_diff(expected) <= Duration::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_ends_in_an_answer_is_broken_and_leaves_doubt() {
        for cut in 0..answer(60, 7).len() {
            let (mut meter, mut far) = pair();
            let server = async {
                requested(&mut far).await;
                far.write_all(&answer(60, 7)[..cut]).await.unwrap();
                drop(far);
            };
            let (stop, command) = (CancellationToken::new(), ask(60));
            let started = Instant::now();
            let (result, ()) = tokio::join!(meter.request(&command, Tries::Three, &stop), server);
            assert!(matches!(result, Err(RequestError::Broken(_))), "{cut}: {result:?}");
            assert!(started.elapsed() < Duration::from_millis(5), "at once");
            assert!(meter.line_state().doubtful);
        }
    }

    /// Whoever asks in another order each time knows which request an answer is to.
    #[tokio::test(start_paused = true)]
    async fn an_answer_in_the_order_of_an_earlier_request_is_not_taken() {
        let both = |first, second| {
            let data = [first, second].map(|(id, value): (u16, u8)| {
                let exponent = SignExponent::from_byte(0);
                RegisterValue::new(RegisterId::new(id), Unit::NUMBER, exponent, vec![value])
                    .unwrap()
            });
            packet(0x3F, 0x10, &GetRegister::emit_answer(&data))
        };
        let ask = |first, second| {
            GetRegister::new(&[RegisterId::new(first), RegisterId::new(second)]).unwrap()
        };
        let (mut meter, mut far) = pair();
        let stop = CancellationToken::new();
        // An order of its own, as long as nothing else is known of the meter.
        let (command, unknown) = (ask(60, 68), both((68, 1), (60, 1)));
        let server = async {
            requested(&mut far).await;
            far.write_all(&unknown).await.unwrap();
        };
        let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
        assert_eq!(result.unwrap().len(), 2);
        for (command, late, good) in [
            (ask(60, 68), None, both((60, 2), (68, 2))),
            (ask(68, 60), Some(both((60, 2), (68, 2))), both((68, 3), (60, 3))),
        ] {
            let expected = good[8];
            let server = async {
                requested(&mut far).await;
                if let Some(late) = late {
                    far.write_all(&late).await.unwrap();
                }
                far.write_all(&good).await.unwrap();
            };
            let (result, ()) = tokio::join!(meter.request(&command, Tries::One, &stop), server);
            assert_eq!(result.unwrap()[0].mantissa(), [expected]);
        }
    }

    /// No document promises that meters keep the order of a request.
    #[tokio::test(start_paused = true)]
    async fn a_meter_with_an_order_of_its_own_is_read_all_the_same() {
        let (mut meter, mut far) = pair();
        tokio::spawn(async move {
            loop {
                let request = requested(&mut far).await;
                // The serial number is asked for in between.
                let answer = if request[2] == 0x02 {
                    packet(0x3F, 0x02, &[0, 0, 0, 1])
                } else {
                    let exponent = SignExponent::from_byte(0);
                    let values = [60, 68, 74].map(|id| {
                        RegisterValue::new(RegisterId::new(id), Unit::NUMBER, exponent, vec![1])
                            .unwrap()
                    });
                    packet(0x3F, 0x10, &GetRegister::emit_answer(&values))
                };
                far.write_all(&answer).await.unwrap();
            }
        });
        let stop = CancellationToken::new();
        let mut read = Vec::new();
        for order in [[60, 68, 74], [68, 60, 74], [74, 60, 68], [68, 74, 60], [60, 68, 74]] {
            let command = GetRegister::new(&order.map(RegisterId::new)).unwrap();
            read.push(meter.request(&command, Tries::Three, &stop).await.is_ok());
            let serial = meter.request(&GetSerialNo, Tries::Two, &stop).await;
            assert_eq!(serial.unwrap(), SerialNumber::new(1));
        }
        // The first was in order; then it takes two requests to see that this was by chance.
        assert_eq!(read, [true, false, false, true, true]);
    }

    /// Bytes without end must not keep a poll from being made.
    #[tokio::test(start_paused = true)]
    async fn a_line_that_is_never_quiet_is_asked_all_the_same() {
        let (near, far) = duplex(1024);
        let (mut hear, mut say) = tokio::io::split(far);
        let noise = tokio::spawn(async move {
            while say.write_all(&[0x55]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut meter = Meter::new(near, LINE, LineState::default());
        let stop = CancellationToken::new();
        let command = ask(60);
        let asking = meter.request(&command, Tries::One, &stop);
        let mut byte = [0];
        let (result, heard) = tokio::join!(asking, hear.read_exact(&mut byte));
        heard.unwrap();
        assert!(matches!(result, Err(RequestError::NoAnswer(NoAnswer::Noise))), "{result:?}");
        drop(meter);
        noise.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_request_leaves_no_answer_behind() {
        let (mut meter, mut far) = pair();
        let stop = CancellationToken::new();
        let impatient = Duration::from_millis(10);
        let dropped = timeout(impatient, meter.request(&GetSerialNo, Tries::One, &stop));
        assert!(dropped.await.is_err());
        requested(&mut far).await;
        far.write_all(&packet(0x3F, 0x02, &1_u32.to_be_bytes())).await.unwrap();
        let next = async {
            requested(&mut far).await;
            far.write_all(&packet(0x3F, 0x02, &2_u32.to_be_bytes())).await.unwrap();
        };
        let started = Instant::now();
        let (serial, ()) = tokio::join!(meter.request(&GetSerialNo, Tries::One, &stop), next);
        assert_eq!(serial.unwrap(), SerialNumber::new(2));
        assert!(started.elapsed() >= THINKING);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_request_leaves_a_byte_time() {
        let (mut meter, mut far) = pair();
        let stop = CancellationToken::new();
        let far = async {
            for _ in 0..2 {
                requested(&mut far).await;
                far.write_all(&answer(60, 1)).await.unwrap();
            }
        };
        let started = Instant::now();
        let two = async {
            meter.request(&ask(60), Tries::One, &stop).await.unwrap();
            meter.request(&ask(60), Tries::One, &stop).await.unwrap();
        };
        tokio::join!(two, far);
        assert!(started.elapsed() >= Duration::from_millis(9));
        assert!(started.elapsed() < Duration::from_millis(12));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_stream_is_not_silence() {
        let (mut meter, far) = pair();
        drop(far);
        let stop = CancellationToken::new();
        let result = meter.request(&ask(60), Tries::Three, &stop).await;
        assert!(matches!(result, Err(RequestError::Broken(_))), "{result:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_the_answer_under_way_and_sends_nothing_new() {
        let (mut meter, mut far) = pair();
        let stop = CancellationToken::new();
        let far = async {
            requested(&mut far).await;
            stop.cancel();
            tokio::time::sleep(Duration::from_millis(300)).await;
            far.write_all(&answer(60, 1)).await.unwrap();
        };
        let (command, next) = (ask(60), ask(68));
        let requests = async {
            meter.request(&command, Tries::Three, &stop).await.unwrap();
            meter.request(&next, Tries::Three, &stop).await
        };
        let (result, ()) = tokio::join!(requests, far);
        assert!(matches!(result, Err(RequestError::Stopping)), "{result:?}");
    }
}
