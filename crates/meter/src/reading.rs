//! What a register gave, or why it gave nothing.

use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::{RegisterValue, Value, ValueError};
use rust_decimal::Decimal;

/// A register's value as the meter gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Which register.
    pub register: RegisterId,
    /// Its value, in `unit`.
    pub value: Value,
    /// The unit that stood in the frame.
    pub unit: Unit,
    /// The power of ten of the value's last digit: the meter's resolution.
    pub exponent: i8,
    /// How many bytes the meter gave it.
    pub length: usize,
    /// The register's bytes as they stood in the answer.
    pub raw: Vec<u8>,
    /// Whether a register that wraps was made a running total ([`crate::highres`]).
    pub is_total: bool,
}

impl Reading {
    /// One of the last digit.
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

/// Why a register that was asked for has no value in this poll.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The meter answered without it, as it does with registers that it does not have. Once is not
    /// enough to be certain.
    #[error("the meter answered without it, so it probably does not have it")]
    Omitted,
    /// The meter answered without it, with others, in two polls: it does not have it.
    #[error("this meter does not have it")]
    LeftOut,
    /// The meter answers nothing at all when it is asked for it, as some do with registers that they
    /// do not have.
    #[error("this meter does not have it, and falls silent when it is asked for it")]
    Silences,
    /// The meter did not answer the request that asked for it.
    #[error("no good answer")]
    NoAnswer,
    /// It must be read twice, and no two readings agree.
    #[error("no two of its readings agree")]
    Doubtful,
    /// It came, but the meter did not tell its serial number, so it may be another meter's.
    #[error("it is not certain that this is still the same meter")]
    OtherMeter,
    /// It came, but the meter reports a fault that spoils it.
    #[error("the meter reports {0}")]
    Fault(String),
    /// Digits that it lacks are taken from `energy`, which did not come, or does not agree with it.
    #[error("it is completed from `energy`, which does not agree with it")]
    WithoutE1,
    /// It came, but has no value.
    #[error(transparent)]
    NoValue(#[from] ValueError),
}

impl Missing {
    /// Whether the meter itself has said that it does not have the register.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        match self {
            Self::LeftOut | Self::Silences => true,
            Self::Omitted
            | Self::NoAnswer
            | Self::Doubtful
            | Self::OtherMeter
            | Self::Fault(_)
            | Self::WithoutE1
            | Self::NoValue(_) => false,
        }
    }
}
