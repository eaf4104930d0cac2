//! What requests leave behind on the line: a rest, late answers, and the order of registers.
//!
//! **Rest.** After silence or a bad answer the line must rest for 1.6 s, and the meter does not
//! hear what is sent earlier (5512-447 M1 p.3-4). After an answer one byte time is enough.
//!
//! **Late answers.** A request without an answer makes the line *suspect*: its answer may still
//! arrive. A serial server may even keep it and hand it to the next connection. So the state
//! outlives the stream, and a client on a new stream first drains a suspect line. Within one stream
//! everything that arrives is seen, so resting is enough there.
//!
//! **Order.** Polls repeat the same requests, so a late answer can hold the right registers. The
//! caller asks for them in another order each time (`poll` does). Once this meter has answered in
//! the order of a request, an answer in another order is to an earlier request and is rejected. No
//! document promises that meters keep the order. A meter that answers [`OWN_ORDER`] requests in a
//! row in another order, and in no other way, has an order of its own, and its answers are accepted
//! in any order.

use std::time::Duration;

use kmp::line::RESPONSE_TIME;
use kmp::message::AnswerOrder;
use tokio::time::Instant;

use super::error::Rejection;

/// This many requests in a row show that a meter has an order of its own. Late answers to as many
/// requests do not arrive one after the other.
const OWN_ORDER: u8 = 2;

/// What requests have left behind on the line. It outlives the stream: a serial server may hand the
/// late answer to one poll to the next one.
#[derive(Debug, Clone, Copy)]
pub struct LineState {
    /// The meter listens from then on.
    rest_until: Option<Instant>,
    /// Whether an answer may still arrive that no request waits for.
    suspect: bool,
    order: MeterOrder,
    /// How many requests in a row were answered in the wrong order and in no other way.
    misordered: u8,
}

/// In which order a meter answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MeterOrder {
    /// No answer has shown it yet.
    Unknown,
    /// In that of the request.
    Followed,
    /// In one of its own.
    Own,
}

/// The state of a line of which nothing is known.
impl Default for LineState {
    fn default() -> Self {
        Self { suspect: true, ..Self::CLEAN }
    }
}

impl LineState {
    /// The state of a line on which nothing was sent.
    pub(super) const CLEAN: Self =
        Self { rest_until: None, suspect: false, order: MeterOrder::Unknown, misordered: 0 };

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

    /// A request is about to be sent whose answer begins within this time. Until its end is known
    /// it counts as failed, since its future may be dropped.
    pub(super) fn begin_request(&mut self, answer_begins: Duration) {
        self.rest_until = Instant::now().checked_add(answer_begins);
        self.suspect = true;
    }

    /// The request was answered. The line is as suspect as it was before.
    pub(super) fn answered(&mut self, rest: Duration, suspect_before: bool) {
        self.rest_until = Instant::now().checked_add(rest);
        self.suspect = suspect_before;
    }

    /// The request was not answered.
    pub(super) fn unanswered(&mut self) {
        self.rest_until = Instant::now().checked_add(RESPONSE_TIME);
    }

    /// Whether the meter's order is known to be its own, so that it never shows a late answer.
    pub(super) fn has_own_order(&self) -> bool {
        self.order == MeterOrder::Own
    }

    /// Forgets in which order the meter answers.
    pub(super) fn forget_order(&mut self) {
        self.order = MeterOrder::Unknown;
        self.misordered = 0;
    }

    /// Accepts or rejects an answer by its order. `true` means that the order confirms that it is
    /// to the last request.
    pub(super) fn check_order(&mut self, answer: AnswerOrder) -> Result<bool, Rejection> {
        match (answer, self.order) {
            (AnswerOrder::Incomplete, _) => return Err(Rejection::Incomplete),
            (AnswerOrder::Reordered, MeterOrder::Followed) => return Err(Rejection::OtherOrder),
            (AnswerOrder::InOrder, MeterOrder::Unknown) => self.order = MeterOrder::Followed,
            (AnswerOrder::InOrder | AnswerOrder::Undecidable | AnswerOrder::Reordered, _) => {}
        }
        Ok(answer == AnswerOrder::InOrder && self.order == MeterOrder::Followed)
    }

    /// Each try of a request was answered in the wrong order.
    pub(super) fn count_misordered(&mut self) {
        self.misordered = self.misordered.saturating_add(1);
        if self.misordered >= OWN_ORDER {
            self.order = MeterOrder::Own;
        }
    }

    /// The order of an answer confirmed that the meter follows the request.
    pub(super) fn confirm_order(&mut self) {
        self.misordered = 0;
    }
}
