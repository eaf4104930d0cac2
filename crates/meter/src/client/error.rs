//! Why a request got no answer, and why something that arrived is not the answer.

use std::fmt;
use std::io;
use std::time::Duration;

use kmp::datalink::{Address, Cid, PacketError};
use kmp::frame::Damage;
use kmp::message::AnswerError;
use thiserror::Error;

use crate::duration;

/// Why a request got no answer.
#[derive(Debug, Error)]
pub enum RequestError {
    /// No valid answer arrived before the deadline.
    #[error("{0}")]
    NoAnswer(NoAnswer),
    /// The port failed or the connection ended.
    #[error("the connection to the meter broke: {0}")]
    Broken(#[source] io::Error),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

/// The port did not accept a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it accepts no bytes")]
pub(super) struct Stuck;

/// What arrived instead of an answer. Of several things, the last in this order is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoAnswer {
    /// Not one byte.
    Nothing,
    /// Only the request itself: the optical head works, but the meter is silent.
    OwnEcho,
    /// Bytes that are not a frame.
    Noise,
    /// A frame with a wrong checksum, or an incomplete one.
    Damaged,
    /// A request that this program has not sent.
    OtherRequest,
    /// Answers to its own requests that began this long after the request, at most.
    Late(Duration),
    /// An answer to another request.
    Foreign,
    /// An answer with the same registers in another order.
    OtherOrder,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no answer",
            Self::OwnEcho => "no answer, only the echo of the request",
            Self::Noise => "no answer, only noise",
            Self::Damaged => "a damaged answer",
            Self::OtherRequest => "no answer, only a request that kamstrup2mqtt did not send",
            Self::Late(after) => {
                let after = duration::words(*after);
                return write!(
                    f,
                    "an answer that began {after} after its request, which is too late"
                );
            }
            Self::Foreign => "an answer to another request",
            Self::OtherOrder => "an answer to an earlier request",
        })
    }
}

/// Why something that arrived is not the answer.
#[derive(Debug, Error)]
pub(super) enum Rejection {
    #[error("the request's own echo")]
    Echo,
    #[error("a request that kamstrup2mqtt did not send")]
    OtherRequest,
    #[error("not a request that was sent")]
    NoRequest,
    #[error("a single acknowledgement byte")]
    Ack,
    #[error("a damaged frame: {0}")]
    Damaged(Damage),
    #[error("not a valid packet: {0}")]
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
    #[error("an answer to an earlier request, {} after it", duration::words(*.0))]
    Late(Duration),
}

impl Rejection {
    /// The error that the request ends with if nothing better arrives.
    pub(super) fn no_answer(&self) -> NoAnswer {
        match self {
            Self::Echo => NoAnswer::OwnEcho,
            Self::Ack | Self::NoRequest => NoAnswer::Noise,
            Self::OtherRequest => NoAnswer::OtherRequest,
            Self::Late(after) => NoAnswer::Late(*after),
            Self::Damaged(_) | Self::Packet(_) => NoAnswer::Damaged,
            Self::OtherAddress(_)
            | Self::OtherCommand(_)
            | Self::OtherAnswer(_)
            | Self::Incomplete => NoAnswer::Foreign,
            Self::OtherOrder => NoAnswer::OtherOrder,
        }
    }
}
