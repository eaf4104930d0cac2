//! The requests of a connection, so that their echoes and late answers are recognized.
//!
//! A serial server may deliver each answer some seconds late. Such an answer arrives while the line
//! rests, or instead of the answer to a later request. It is not used: its values may be old. But
//! the delay is measured, because a longer timeout would be enough to read the meter.
//!
//! Several requests may look the same, and each gets one answer at most. So an answer belongs to one
//! of the requests that are still open. It is certainly late if it is too late for the last of them.

use std::collections::VecDeque;
use std::time::Duration;

use kmp::datalink::{self, Packet};
use kmp::frame::{Decoder, Event};
use kmp::message::{AnswerOrder, Command, GetSerialNo, GetType, Request};
use tokio::time::Instant;

/// More requests than can be open: those that were sent while an answer is a minute late.
const KEPT: usize = 32;

/// Start byte, address, command and one more byte. Less is also the beginning of other requests.
const SHORTEST_ECHO: usize = 4;

/// An answer to one of the requests that arrived too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late {
    /// The time from the end of the request to the start of the answer, at most.
    pub(super) after: Duration,
}

#[derive(Debug)]
struct Sent {
    frame: Vec<u8>,
    request: Request,
    /// When its last byte was on the line.
    ended: Instant,
    /// An answer that began after this is late.
    deadline: Instant,
}

/// The requests that were sent over a connection.
#[derive(Debug, Default)]
pub(super) struct SentRequests {
    /// The requests without an answer so far, the oldest first.
    open: VecDeque<Sent>,
    /// The last frame, which is echoed first.
    last: Vec<u8>,
}

impl SentRequests {
    /// Notes a request that is being sent.
    pub(super) fn push(&mut self, frame: &[u8], takes: Duration, deadline: Instant) {
        self.last = frame.to_vec();
        let mut decoder = Decoder::new();
        let event = frame.iter().find_map(|byte| decoder.push(*byte));
        let Some(Event::Frame { body, .. }) = event else { return };
        let request = datalink::parse(&body).ok().and_then(|packet| Request::parse(packet).ok());
        let now = Instant::now();
        if let Some(request) = request {
            let ended = now.checked_add(takes).unwrap_or(now);
            self.open.push_back(Sent { frame: frame.to_vec(), request, ended, deadline });
        }
        if self.open.len() > KEPT {
            self.open.pop_front();
        }
    }

    /// Notes that the last request was answered. If it was sent more than once, the first of these
    /// requests may be the one that was answered.
    pub(super) fn answered(&mut self) {
        if let Some(index) = self.open.iter().position(|sent| sent.frame == self.last) {
            self.open.remove(index);
        }
    }

    /// Whether a frame, or enough of its beginning, is an echo of a request on this connection.
    pub(super) fn is_echo(&self, bytes: &[u8]) -> bool {
        let mut all = self.open.iter().map(|sent| &sent.frame).chain([&self.last]);
        bytes.len() >= SHORTEST_ECHO && all.any(|frame| frame.starts_with(bytes))
    }

    /// Whether an answer that began at this time answers an open request, but too late. The request
    /// is then no longer open.
    pub(super) fn late(&mut self, answer: Packet<'_>, began: Instant) -> Option<Late> {
        // An answer may lack registers, so it may fit several requests. It belongs to the one that it
        // fits best.
        let lacking: Vec<_> = self.open.iter().map(|sent| sent.lacking(answer)).collect();
        let fewest = lacking.iter().flatten().min().copied()?;
        let is_it = |lacking: &Option<usize>| *lacking == Some(fewest);
        let first = lacking.iter().position(is_it)?;
        let last = lacking.iter().rposition(is_it)?;
        let (oldest, newest) = (self.open.get(first)?, self.open.get(last)?);
        if began <= newest.deadline {
            return None;
        }
        let after = began.saturating_duration_since(oldest.ended);
        self.open.remove(first);
        Some(Late { after })
    }
}

impl Sent {
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
    use kmp::message::{self, GetRegister};
    use kmp::number::SignExponent;
    use kmp::register::RegisterId;
    use kmp::unit::Unit;
    use kmp::value::RegisterValue;

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
