//! The state of the line between requests: when it has rested, whether a late answer may arrive,
//! and in which order the meter answers.
//!
//! **Rest.** After silence or a bad answer, the line must rest for 1.6 s, because the meter ignores
//! a request that is sent earlier (5512-447 M1 p.3-4). After an answer, one byte time is enough.
//!
//! **Late answers.** If a request gets no answer in time, its answer may still arrive. The line is
//! then *suspect*. A serial server may even keep the late answer, and send it to the next
//! connection. So the state outlives the stream: a client on a new stream first drains a suspect
//! line. On the same stream, it is enough that the line rests, because everything that arrives is
//! read.
//!
//! **Order.** Polls repeat the same requests, so a late answer can have the right registers.
//! Therefore the caller (`poll`) asks for them in a different order each time. An answer in another
//! order belongs to an earlier request, and is rejected.
//!
//! No document promises that meters keep the order. If [`OWN_ORDER`] requests in a row for different
//! registers are answered only in another order, and these answers have the same order, the meter has
//! an order of its own. Its answers are then accepted in any order. Two other causes are not mistaken
//! for such a meter: late answers have the orders of different requests, and a serial server that
//! repeats an answer repeats its registers too.

use std::time::Duration;

use kmp::line::RESPONSE_TIME;
use kmp::message::{AnswerOrder, GetRegister};
use kmp::register::RegisterId;
use tokio::time::Instant;

use super::error::Rejection;
use super::lengths::Lengths;
use super::sent::{Proof, SentRequests};

/// After this many misordered requests for different registers the meter has its own order, if their
/// answers have the same order.
const OWN_ORDER: u8 = 2;

/// The state of the line between requests. It outlives the stream, because a serial server may send
/// the late answer to one poll to the next one.
#[derive(Debug, Clone)]
pub struct LineState {
    /// When the meter listens again.
    rest_until: Option<Instant>,
    /// Whether an answer may still arrive that no request waits for.
    suspect: bool,
    order: MeterOrder,
    /// How many requests in a row were answered only in the wrong order.
    misordered: u8,
    /// The order of the last answer that was in the wrong order.
    last_misordered: Sequence,
    /// The registers of the last request that was counted, sorted.
    counted: Sequence,
    /// Whether all answers to these requests may have the same order.
    is_steady: bool,
    /// How long the last answers were.
    pub(super) lengths: Lengths,
    /// The requests whose answers may still arrive.
    pub(super) sent: SentRequests,
}

/// The registers of an answer, in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sequence([Option<RegisterId>; GetRegister::MAX]);

impl Sequence {
    fn of(registers: &[RegisterId]) -> Self {
        let mut sequence = Self::default();
        for (place, register) in sequence.0.iter_mut().zip(registers) {
            *place = Some(*register);
        }
        sequence
    }

    fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    fn common(self, other: Self) -> impl Iterator<Item = RegisterId> {
        self.0.into_iter().flatten().filter(move |register| other.0.contains(&Some(*register)))
    }

    /// Whether the registers that both have are at least two, and in the same order.
    fn agrees(self, other: Self) -> bool {
        self.common(other).count() > 1 && self.common(other).eq(other.common(self))
    }
}

/// In which order a meter answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MeterOrder {
    /// No answer has shown it yet.
    Unknown,
    /// In the order of the request.
    Followed,
    /// In its own order.
    Own,
}

/// The state of a line that nothing is known about.
impl Default for LineState {
    fn default() -> Self {
        Self { suspect: true, ..Self::CLEAN }
    }
}

impl LineState {
    /// The state of a line on which nothing was sent.
    pub(super) const CLEAN: Self = Self {
        rest_until: None,
        suspect: false,
        order: MeterOrder::Unknown,
        misordered: 0,
        last_misordered: Sequence([None; GetRegister::MAX]),
        counted: Sequence([None; GetRegister::MAX]),
        is_steady: true,
        lengths: Lengths::NONE,
        sent: SentRequests::NONE,
    };

    pub(super) fn is_suspect(&self) -> bool {
        self.suspect
    }

    pub(super) fn set_suspect(&mut self, suspect: bool) {
        self.suspect = suspect;
    }

    pub(super) fn rest_until(&self) -> Option<Instant> {
        self.rest_until
    }

    pub(super) fn set_rest_until(&mut self, rest_until: Option<Instant>) {
        self.rest_until = rest_until;
    }

    /// Notes that a request is about to be sent, and that its answer begins within this time. The
    /// request counts as failed until it ends, because its future may be dropped.
    pub(super) fn begin_request(&mut self, answer_begins: Duration) {
        self.rest_until = Instant::now().checked_add(answer_begins);
        self.suspect = true;
    }

    /// Notes that the request was answered. The line is as suspect as before it.
    pub(super) fn answered(&mut self, rest: Duration, suspect_before: bool) {
        self.rest_until = Instant::now().checked_add(rest);
        self.suspect = suspect_before;
    }

    /// Notes that the answer to the request broke off. It has been sent, so it cannot arrive late.
    pub(super) fn broke_off(&mut self, suspect_before: bool) {
        self.unanswered();
        self.suspect = suspect_before;
    }

    /// Notes that the request was not answered.
    pub(super) fn unanswered(&mut self) {
        self.rest_until = Instant::now().checked_add(RESPONSE_TIME);
    }

    /// How certain it would be that an answer with these registers, in this order, belongs to a request
    /// that is made now. `may_lack` says which registers the meter may not have.
    pub(crate) fn proof_of(
        &self,
        registers: &[RegisterId],
        may_lack: impl Fn(RegisterId) -> bool,
    ) -> Proof {
        self.proof(registers, Instant::now(), may_lack)
    }

    /// Whether the line delivers answers that nobody has requested.
    pub(crate) fn has_unexplained_answers(&self) -> bool {
        self.sent.is_unexplained()
    }

    /// How certain it is that an answer with these registers belongs to a request since this time.
    pub(super) fn proof(
        &self,
        registers: &[RegisterId],
        since: Instant,
        may_lack: impl Fn(RegisterId) -> bool,
    ) -> Proof {
        let mut rivals = self.sent.rivals(registers, !self.has_own_order()).filter(|rival| {
            rival.sent < since && rival.lacking.iter().all(|register| may_lack(*register))
        });
        match rivals.next() {
            None => Proof::Certain,
            Some(first) if self.sent.is_unexplained() || !first.is_answered => Proof::Open,
            Some(_) if rivals.any(|rival| !rival.is_answered) => Proof::Open,
            Some(_) => Proof::Likely,
        }
    }

    /// Whether the meter has its own order, which never reveals a late answer.
    pub(super) fn has_own_order(&self) -> bool {
        self.order == MeterOrder::Own
    }

    /// Forgets in which order the meter answers.
    pub(super) fn forget_order(&mut self) {
        self.order = MeterOrder::Unknown;
        self.confirm_order();
    }

    /// Accepts or rejects an answer with these registers by its order. `true` means that the order
    /// confirms that it belongs to the last request.
    pub(super) fn check_order(
        &mut self,
        answer: AnswerOrder,
        registers: &[RegisterId],
    ) -> Result<bool, Rejection> {
        match (answer, self.order) {
            (AnswerOrder::Incomplete, _) => return Err(Rejection::Incomplete),
            (AnswerOrder::Reordered, MeterOrder::Unknown | MeterOrder::Followed) => {
                let (before, now) = (self.last_misordered, Sequence::of(registers));
                self.is_steady &= before == Sequence::default() || before.agrees(now);
                self.last_misordered = now;
                return Err(Rejection::OtherOrder);
            }
            (AnswerOrder::InOrder, MeterOrder::Unknown) => self.order = MeterOrder::Followed,
            (AnswerOrder::InOrder | AnswerOrder::Undecidable | AnswerOrder::Reordered, _) => {}
        }
        Ok(answer == AnswerOrder::InOrder && self.order == MeterOrder::Followed)
    }

    /// Notes that each try of a request was answered in the wrong order.
    pub(super) fn count_misordered(&mut self) {
        let registers = self.last_misordered.sorted();
        let is_repeated = self.counted == registers;
        self.misordered = match self.is_steady {
            true if is_repeated => self.misordered.max(1),
            true => self.misordered.saturating_add(1),
            false => 1,
        };
        self.counted = registers;
        self.is_steady = true;
        if self.misordered >= OWN_ORDER {
            self.order = MeterOrder::Own;
        }
    }

    /// Notes that an answer had the order of its request.
    pub(super) fn confirm_order(&mut self) {
        self.misordered = 0;
        self.last_misordered = Sequence::default();
        self.counted = Sequence::default();
        self.is_steady = true;
    }
}
