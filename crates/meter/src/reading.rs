//! A register's reading, or why there is none.

use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::{RegisterValue, Value, ValueError};
use rust_decimal::Decimal;

/// A register's value as the meter sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The register's number.
    pub register: RegisterId,
    /// The value, in `unit`.
    pub value: Value,
    /// The unit in the frame.
    pub unit: Unit,
    /// The power of ten of the value's last digit: the meter's resolution.
    pub exponent: i8,
    /// The number of bytes of its mantissa.
    pub length: usize,
    /// The register's bytes in the answer.
    pub raw: Vec<u8>,
    /// Whether a register that wraps was completed to a running total ([`crate::highres`]).
    pub is_total: bool,
}

impl Reading {
    /// One unit of the last digit.
    #[must_use]
    pub fn step(&self) -> Option<Decimal> {
        let exponent = self.exponent;
        if exponent >= 0 {
            (0..exponent).try_fold(Decimal::ONE, |step, _| step.checked_mul(Decimal::TEN))
        } else {
            Decimal::try_from_i128_with_scale(1, exponent.unsigned_abs().into()).ok()
        }
    }
}

impl TryFrom<&RegisterValue> for Reading {
    type Error = ValueError;

    fn try_from(answer: &RegisterValue) -> Result<Self, ValueError> {
        Ok(Self {
            register: answer.register,
            value: answer.value()?,
            unit: answer.unit,
            exponent: answer.sign_exponent.exponent(),
            length: answer.mantissa().len(),
            raw: answer.to_bytes(),
            is_total: false,
        })
    }
}

/// Why a register that was requested has no value in this poll.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The meter left it out of one answer, as it does with registers that it does not have. One
    /// answer is not enough to be certain.
    #[error("the meter answered without it, so it probably does not have it")]
    Omitted,
    /// The meter left it out of answers with other registers in two polls, so it does not have it.
    #[error("this meter does not have it")]
    LeftOut,
    /// The meter does not answer a request for this register, as some do with registers that they do
    /// not have.
    #[error("this meter does not have it, and does not answer when asked for it")]
    Silences,
    /// The line cuts its answer, although it was requested alone.
    #[error("its answer is longer than the line carries")]
    TooLong,
    /// The meter did not answer the request.
    #[error("no valid answer")]
    NoAnswer,
    /// It was doubtful and read again, and no two readings agree.
    #[error("it was read several times, and no two readings agree")]
    Doubtful,
    /// It was read, or not requested, because each answer may be a late one to an earlier request.
    #[error(
        "its answer may belong to an earlier request; it is requested again when no earlier answer \
         can arrive"
    )]
    MayBeLate,
    /// The poll took too long, so it was not requested. The next poll requests it early.
    #[error("the reading took too long, so it was not requested")]
    Postponed,
    /// It was read so long before the end of the poll that it is no longer current.
    #[error("it was read too long before the end of the poll")]
    Outdated,
    /// It was read, but the meter did not send its serial number, so it may be another meter's.
    #[error("it is not certain that this is still the same meter")]
    OtherMeter,
    /// It was read, but the meter reports a fault that makes it invalid.
    #[error("the meter reports {0}")]
    Fault(String),
    /// Its upper digits must be taken from `energy` (`energy3` for `e3highres`), which was not read
    /// or does not agree with it.
    #[error("its upper digits come from the energy register, which was not read or does not agree")]
    WithoutE1,
    /// It was read, but its bytes are no valid value.
    #[error(transparent)]
    NoValue(#[from] ValueError),
}

impl Missing {
    /// Whether the meter's answers show that it does not have the register.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        match self {
            Self::LeftOut | Self::Silences => true,
            Self::Omitted
            | Self::TooLong
            | Self::NoAnswer
            | Self::Doubtful
            | Self::MayBeLate
            | Self::Postponed
            | Self::Outdated
            | Self::OtherMeter
            | Self::Fault(_)
            | Self::WithoutE1
            | Self::NoValue(_) => false,
        }
    }
}
