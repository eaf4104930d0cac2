//! The requests of a connection, so that their echoes and late answers are recognized.
//!
//! A serial server may deliver each answer some seconds late. Such an answer arrives while the line
//! rests, or instead of the answer to a later request. It is not used: its values may be old. But
//! the delay is measured, because a longer timeout would be enough to read the meter.
//!
//! Several requests may look the same, and each gets one answer at most. So an answer belongs to one
//! of the requests that are still open. It is certainly late if it is too late for the last of them.
//!
//! The requests of earlier connections are kept for [`LATE`], because their answers may arrive over
//! this one. An accepted answer may be one of these if an earlier request could have had the same
//! answer: its *rivals*. Without a rival, the answer certainly belongs to the last request.

use std::collections::VecDeque;
use std::time::Duration;

use kmp::datalink::{self, Packet};
use kmp::frame::{Decoder, Event};
use kmp::logger::LoggerRequest;
use kmp::message::{AnswerOrder, Command, GetRegister, GetSerialNo, GetType, Request};
use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use tokio::time::Instant;

/// How late an answer may be. Not more than a minute: polls a minute apart would take each request of
/// the last poll for a rival.
pub(crate) const LATE: Duration = Duration::from_secs(60);

/// More requests than a line of 1200 baud carries in that time, to limit the memory.
const KEPT: usize = 256;

/// How long an answer that nobody has requested shows that the line delivers such answers.
const UNEXPLAINED: Duration = Duration::from_secs(24 * 60 * 60);

/// Start byte, address, command and one more byte. Less is also the beginning of other requests.
const SHORTEST_ECHO: usize = 4;

/// An answer to one of the requests that arrived too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late {
    /// The time from the end of the request to the start of the answer, at most.
    pub(super) after: Duration,
}

/// Late answers to own requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lateness {
    /// How many there were.
    pub answers: u32,
    /// The longest time from a request to the start of its answer.
    pub longest: Duration,
}

impl Lateness {
    pub(super) fn count(&mut self, Late { after }: Late) {
        self.add(Self { answers: 1, longest: after });
    }

    /// Adds the late answers of another connection.
    pub fn add(&mut self, other: Self) {
        self.answers = self.answers.saturating_add(other.answers);
        self.longest = self.longest.max(other.longest);
    }
}

/// How certain it is that an answer belongs to a request of this poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// No earlier request could have had the same answer.
    Certain,
    /// Each of these earlier requests was answered, and the line repeats no answers.
    Likely,
    /// It may be a late answer, however often it is read.
    Open,
}

/// An earlier request that could have had the same answer.
#[derive(Debug, Clone)]
pub(super) struct Rival {
    /// Its registers that the answer lacks.
    pub(super) lacking: Vec<RegisterId>,
    pub(super) sent: Instant,
    pub(super) is_answered: bool,
}

#[derive(Debug, Clone)]
struct Sent {
    frame: Vec<u8>,
    request: Request,
    at: Instant,
    is_answered: bool,
    connection: u32,
    /// When its last byte was on the line.
    ended: Instant,
    /// An answer that began after this is late.
    deadline: Instant,
}

/// The requests that were sent in the last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct SentRequests {
    /// The oldest first.
    recent: VecDeque<Sent>,
    /// The last frame, which is echoed first.
    last: Vec<u8>,
    /// The number of the connection.
    connection: u32,
    /// When an answer arrived that no open request explains.
    unexplained: Option<Instant>,
}

impl SentRequests {
    pub(super) const NONE: Self =
        Self { recent: VecDeque::new(), last: Vec::new(), connection: 0, unexplained: None };

    /// Notes that a connection was opened.
    pub(super) fn begin_connection(&mut self) {
        self.connection = self.connection.wrapping_add(1);
        self.last.clear();
    }

    /// Notes a request that is being sent.
    pub(super) fn push(&mut self, frame: &[u8], takes: Duration, deadline: Instant) {
        self.last = frame.to_vec();
        let mut decoder = Decoder::new();
        let event = frame.iter().find_map(|byte| decoder.push(*byte));
        let Some(Event::Frame { body, .. }) = event else { return };
        let request = datalink::parse(&body).ok().and_then(|packet| Request::parse(packet).ok());
        let (at, connection) = (Instant::now(), self.connection);
        if let Some(request) = request {
            let ended = at.checked_add(takes).unwrap_or(at);
            let frame = frame.to_vec();
            let is_answered = false;
            self.recent.push_back(Sent {
                frame,
                request,
                at,
                is_answered,
                connection,
                ended,
                deadline,
            });
        }
        let is_old = |sent: &Sent| sent.connection != connection && !sent.is_recent();
        while self.recent.len() > KEPT || self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
    }

    /// The registers of the last request.
    pub(super) fn last_registers(&self) -> &[RegisterId] {
        self.recent.back().map_or(&[], Sent::registers)
    }

    /// The requests on this connection without an answer so far.
    fn open(&self) -> impl DoubleEndedIterator<Item = (usize, &Sent)> {
        let is_open = |sent: &Sent| !sent.is_answered && sent.connection == self.connection;
        self.recent.iter().enumerate().filter(move |(_, sent)| is_open(sent))
    }

    fn set_answered(&mut self, index: usize) {
        if let Some(sent) = self.recent.get_mut(index) {
            sent.is_answered = true;
        }
    }

    /// Notes that the last request was answered. If it was sent more than once, the first of these
    /// requests may be the one that was answered.
    pub(super) fn answered(&mut self) {
        let first = self.open().find(|(_, sent)| sent.frame == self.last);
        if let Some(index) = first.map(|(index, _)| index) {
            self.set_answered(index);
        }
    }

    /// Notes that the answer to the last request has broken off, so it cannot arrive any more.
    pub(super) fn broke_off(&mut self) {
        self.answered();
    }

    /// Whether a frame, or enough of its beginning, is an echo of a request on this connection.
    pub(super) fn is_echo(&self, bytes: &[u8]) -> bool {
        let mut all = self.open().map(|(_, sent)| &sent.frame).chain([&self.last]);
        bytes.len() >= SHORTEST_ECHO && all.any(|frame| frame.starts_with(bytes))
    }

    /// Whether an answer that began at this time answers an open request, but too late. The request
    /// is then no longer open.
    pub(super) fn late(&mut self, answer: Packet<'_>, began: Instant) -> Option<Late> {
        // An answer may lack registers, so it may fit several requests. It belongs to the one that it
        // fits best.
        let fitting = || {
            let all = self.open().map(|(index, sent)| (sent.lacking(answer), index, sent));
            all.filter_map(|(lacking, index, sent)| Some((lacking?, index, sent)))
        };
        let Some(fewest) = fitting().map(|(lacking, ..)| lacking).min() else {
            self.note_unasked(answer);
            return None;
        };
        let (first, ended, deadline) = {
            let mut best = fitting().filter(|(lacking, ..)| *lacking == fewest);
            let (_, first, oldest) = best.next()?;
            let newest = best.next_back().map_or(oldest, |(.., newest)| newest);
            (first, oldest.ended, newest.deadline)
        };
        if began <= deadline {
            return None;
        }
        let after = began.saturating_duration_since(ended);
        self.set_answered(first);
        Some(Late { after })
    }

    /// Notes an answer that no request on this connection waits for. If no earlier one does either,
    /// the line repeats answers, or delivers those of somebody else.
    fn note_unasked(&mut self, answer: Packet<'_>) {
        let Some(registers) = registers_of(answer) else { return };
        let explains = |sent: &Sent| {
            let asked = sent.registers();
            !sent.is_answered && registers.iter().all(|register| asked.contains(register))
        };
        if !self.recent.iter().any(explains) {
            self.unexplained = Some(Instant::now());
        }
    }

    /// Whether answers arrive that no open request explains.
    pub(super) fn is_unexplained(&self) -> bool {
        self.unexplained.is_some_and(|at| at.elapsed() < UNEXPLAINED)
    }

    /// The requests of the last minute that could have an answer with these registers. `is_ordered`
    /// says that the meter answers in the order of the request.
    pub(super) fn rivals(
        &self,
        answered: &[RegisterId],
        is_ordered: bool,
    ) -> impl Iterator<Item = Rival> {
        let recent = self.recent.iter().filter(|sent| sent.is_recent());
        recent.filter_map(move |sent| {
            let asked = sent.registers();
            let common = asked.iter().filter(|register| answered.contains(register));
            let fits =
                if is_ordered { common.eq(answered) } else { common.count() == answered.len() };
            let lacking = asked.iter().filter(|register| !answered.contains(register));
            (fits && !answered.is_empty()).then(|| Rival {
                lacking: lacking.copied().collect(),
                sent: sent.at,
                is_answered: sent.is_answered,
            })
        })
    }
}

/// The registers of an answer; `None` if it has none.
fn registers_of(answer: Packet<'_>) -> Option<Vec<RegisterId>> {
    let mut registers = Vec::new();
    let mut rest = answer.data;
    while answer.cid == GetRegister::CID && !rest.is_empty() {
        let (value, after) = RegisterValue::parse(rest)?;
        registers.push(value.register);
        rest = after;
    }
    (!registers.is_empty()).then_some(registers)
}

impl Sent {
    /// Whether its answer may still arrive.
    fn is_recent(&self) -> bool {
        self.at.elapsed() < LATE
    }

    fn registers(&self) -> &[RegisterId] {
        match &self.request {
            Request::GetRegister(command) => command.registers(),
            Request::GetType | Request::GetSerialNo | Request::Logger(_) => &[],
        }
    }

    /// How many registers of this request a packet lacks; `None` if it is no answer to it.
    fn lacking(&self, answer: Packet<'_>) -> Option<usize> {
        match &self.request {
            Request::GetType => is_answer(&GetType, answer).then_some(0),
            Request::GetSerialNo => is_answer(&GetSerialNo, answer).then_some(0),
            Request::GetRegister(command) => {
                // An answer without registers may belong to any request.
                let is_answer = !answer.data.is_empty() && is_answer(command, answer);
                let values = command.parse_answer(answer.data).ok().filter(|_| is_answer)?;
                Some(command.registers().len().saturating_sub(values.len()))
            }
            Request::Logger(request) => match request {
                LoggerRequest::Configuration(command) => is_answer(command, answer),
                LoggerRequest::IdPastAbs(command) => is_answer(command, answer),
                LoggerRequest::LastEntryPastAbs(command) => is_answer(command, answer),
            }
            .then_some(0),
        }
    }
}

fn is_answer<C: Command>(command: &C, answer: Packet<'_>) -> bool {
    answer.cid == C::CID
        && command.parse_answer(answer.data).is_ok_and(|values| {
            let order = command.answer_order(&values);
            matches!(order, AnswerOrder::InOrder | AnswerOrder::Undecidable)
        })
}

#[cfg(test)]
mod tests {
    use kmp::datalink::Address;
    use kmp::logger::{GetLogIdPastAbs, Log, LogAnswer, LogEntry, LogId, LogInfo, Selection};
    use kmp::message;
    use kmp::number::SignExponent;
    use kmp::unit::Unit;

    use super::*;

    const TAKES: Duration = Duration::from_millis(100);
    const ALLOWED: Duration = Duration::from_secs(2);

    fn request(ids: &[u16]) -> Vec<u8> {
        let ids: Vec<_> = ids.iter().map(|id| RegisterId::new(*id)).collect();
        message::emit_request(Address::HEAT_METER, &GetRegister::new(&ids).unwrap())
    }

    fn send(sent: &mut SentRequests, frame: &[u8]) {
        sent.push(frame, TAKES, Instant::now() + ALLOWED);
    }

    /// How late an answer with these registers is, if it is.
    fn late(sent: &mut SentRequests, ids: &[u16]) -> Option<Duration> {
        let value = |id: &u16| {
            let exponent = SignExponent::from_byte(0);
            RegisterValue::new(RegisterId::new(*id), Unit::NUMBER, exponent, vec![1]).unwrap()
        };
        let data = GetRegister::emit_answer(&ids.iter().map(value).collect::<Vec<_>>());
        let packet = Packet { address: Address::HEAT_METER, cid: GetRegister::CID, data: &data };
        sent.late(packet, Instant::now()).map(|late| late.after)
    }

    async fn wait(milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_measured_from_the_end_of_the_request() {
        let mut sent = SentRequests::default();
        send(&mut sent, &request(&[60, 68]));
        wait(1_900).await;
        assert_eq!(late(&mut sent, &[60, 68]), None, "it is in time");
        wait(700).await;
        assert_eq!(late(&mut sent, &[68, 60]), None, "it has another order");
        assert_eq!(late(&mut sent, &[60]), Some(Duration::from_millis(2_500)));
        assert_eq!(late(&mut sent, &[60, 68]), None, "each request has one answer");
    }

    /// The meter may lack a register, so an answer to one request also fits a longer one.
    #[tokio::test(start_paused = true)]
    async fn an_answer_belongs_to_the_request_that_it_fits_best() {
        let mut sent = SentRequests::default();
        send(&mut sent, &request(&[60, 68, 74]));
        wait(4_000).await;
        send(&mut sent, &request(&[60, 68]));
        wait(3_000).await;
        assert_eq!(late(&mut sent, &[60, 68]), Some(Duration::from_millis(2_900)));
        assert_eq!(late(&mut sent, &[60, 68]), Some(Duration::from_millis(6_900)));
    }

    /// An entry's id shows to which request an answer of the logger belongs.
    #[tokio::test(start_paused = true)]
    async fn a_late_answer_of_the_logger_belongs_to_the_request_for_its_first_entry() {
        let piece = |from| {
            let selection = Selection::new(Log::Day, 24, &[RegisterId::new(60)]).unwrap();
            GetLogIdPastAbs { from: LogId::new(from), selection }
        };
        let request = |from| message::emit_request(Address::HEAT_METER, &piece(from));
        let mut sent = SentRequests::default();
        send(&mut sent, &request(645));
        wait(4_000).await;
        send(&mut sent, &request(621));
        wait(1_000).await;
        let exponent = SignExponent::from_byte(0);
        let value = RegisterValue::new(RegisterId::new(60), Unit::NUMBER, exponent, vec![1]);
        let entry = LogEntry { id: LogId::new(645), values: vec![value.unwrap()] };
        let answer = LogAnswer::new(LogId::new(645), LogInfo::NONE, &[entry]).unwrap();
        let data = piece(645).emit_answer(&answer);
        let cid = GetLogIdPastAbs::CID;
        let packet = Packet { address: Address::HEAT_METER, cid, data: &data };
        let late = sent.late(packet, Instant::now()).map(|late| late.after);
        assert_eq!(late, Some(Duration::from_millis(4_900)));
    }

    /// The answer that arrives after a second request may belong to the first or to the second.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_may_be_in_time_is_not_late() {
        let mut sent = SentRequests::default();
        send(&mut sent, &request(&[60, 68]));
        wait(4_000).await;
        send(&mut sent, &request(&[60, 68]));
        wait(1_000).await;
        assert_eq!(late(&mut sent, &[60, 68]), None);
        sent.answered();
        wait(4_000).await;
        // The second request is the only one left.
        assert_eq!(late(&mut sent, &[60, 68]), Some(Duration::from_millis(4_900)));
    }

    /// With polls 50 to 60 s apart, answers as late as that looked certain.
    #[tokio::test(start_paused = true)]
    async fn a_request_has_an_answer_to_come_for_a_minute() {
        let mut sent = SentRequests::default();
        send(&mut sent, &request(&[60]));
        let rivals = |sent: &SentRequests| sent.rivals(&[RegisterId::new(60)], true).count();
        wait(59_900).await;
        assert_eq!(rivals(&sent), 1);
        wait(200).await;
        assert_eq!(rivals(&sent), 0);
    }

    #[test]
    fn only_own_requests_are_echoes() {
        let mut sent = SentRequests::default();
        let own = request(&[60, 68]);
        assert!(!sent.is_echo(&own));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { send(&mut sent, &own) });
        assert!(sent.is_echo(&own) && sent.is_echo(&own[..5]), "also if it was cut");
        assert!(!sent.is_echo(&request(&[60, 69])));
        assert!(!sent.is_echo(&[0x80, 0x3F, 0x0D]) && !sent.is_echo(&[0x80]));
        sent.answered();
        assert!(sent.is_echo(&own), "an answered request is echoed too");
    }
}
