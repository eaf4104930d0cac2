//! Numbers in a register: an unsigned big-endian mantissa, and a byte with both signs and the
//! exponent, "SiEx" (5512-447 M1 p.7-9).
//!
//! Value = (-1)^SI · mantissa · 10^((-1)^SE · exponent). Numbers are decimal on the line and
//! decimal here. No digit is ever rounded: a value that a [`Decimal`] cannot hold exactly is an
//! error.

use alloc::vec::Vec;

use rust_decimal::Decimal;
use thiserror::Error;

const NEGATIVE: u8 = 0x80;
const NEGATIVE_EXPONENT: u8 = 0x40;
const EXPONENT: u8 = 0x3F;

/// Sign and exponent of a number, in one byte as on the line.
///
/// Two different bytes can mean the same: `0x40` and `0x00` both are exponent 0. So this keeps the
/// byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignExponent(u8);

impl SignExponent {
    /// Creates it from the byte on the line: bit 7 is the sign of the value, bit 6 that of
    /// the exponent, bits 5 to 0 the exponent.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// Creates it from sign and exponent; `None` if the exponent is not in -63 to 63.
    #[must_use]
    pub const fn new(negative: bool, exponent: i8) -> Option<Self> {
        let magnitude = exponent.unsigned_abs();
        if magnitude > EXPONENT {
            return None;
        }
        let sign = if negative { NEGATIVE } else { 0 };
        let exponent_sign = if exponent < 0 { NEGATIVE_EXPONENT } else { 0 };
        Some(Self(sign | exponent_sign | magnitude))
    }

    /// The byte on the line.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Whether the value is negative.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 & NEGATIVE != 0
    }

    /// The power of ten, -63 to 63.
    #[must_use]
    pub const fn exponent(self) -> i8 {
        let magnitude = (self.0 & EXPONENT).cast_signed();
        if self.0 & NEGATIVE_EXPONENT == 0 { magnitude } else { magnitude.wrapping_neg() }
    }
}

/// Why a number cannot be represented exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumberError {
    /// The mantissa is empty.
    #[error("the mantissa is empty")]
    Empty,
    /// The number needs more than the 96 bits and 28 decimal places of a [`Decimal`].
    #[error("a mantissa of length {length} with exponent {exponent} is out of range")]
    OutOfRange {
        /// The length of the mantissa, in bytes.
        length: usize,
        /// The power of ten.
        exponent: i8,
    },
    /// The value needs a longer mantissa.
    #[error("the value does not fit into a mantissa of length {length}")]
    DoesNotFit {
        /// The length of the mantissa, in bytes.
        length: u8,
    },
}

/// The mantissa as an unsigned integer; `None` if that takes more than 16 bytes.
pub(crate) fn mantissa(bytes: &[u8]) -> Option<u128> {
    bytes.iter().try_fold(0_u128, |sum, &byte| sum.checked_mul(256)?.checked_add(byte.into()))
}

/// Decodes sign, exponent and mantissa to the exact value.
pub fn to_decimal(sign_exponent: SignExponent, bytes: &[u8]) -> Result<Decimal, NumberError> {
    if bytes.is_empty() {
        return Err(NumberError::Empty);
    }
    let exponent = sign_exponent.exponent();
    let out_of_range = NumberError::OutOfRange { length: bytes.len(), exponent };
    let mantissa = mantissa(bytes).and_then(|m| i128::try_from(m).ok()).ok_or(out_of_range)?;
    let scale = if exponent < 0 { exponent.unsigned_abs().into() } else { 0 };
    let mut value = Decimal::try_from_i128_with_scale(mantissa, scale).map_err(|_| out_of_range)?;
    if exponent > 0 && !value.is_zero() {
        for _ in 0..exponent {
            value = value.checked_mul(Decimal::TEN).ok_or(out_of_range)?;
        }
    }
    if !value.is_zero() {
        value.set_sign_negative(sign_exponent.is_negative());
    }
    Ok(value)
}

/// Encodes a value exactly, as sign, exponent and a mantissa of `length` bytes. Its decimal places
/// are kept: `1.50` becomes 150·10⁻².
pub fn from_decimal(value: Decimal, length: u8) -> Result<(SignExponent, Vec<u8>), NumberError> {
    let does_not_fit = NumberError::DoesNotFit { length };
    let bytes = value.mantissa().unsigned_abs().to_be_bytes();
    let (high, low) =
        bytes.split_at_checked(bytes.len().saturating_sub(length.into())).ok_or(does_not_fit)?;
    if high.iter().any(|&byte| byte != 0) || low.len() != usize::from(length) {
        return Err(does_not_fit);
    }
    // A scale is at most 28.
    let exponent = i8::try_from(value.scale()).map_err(|_| does_not_fit)?.wrapping_neg();
    let sign_exponent =
        SignExponent::new(value.is_sign_negative(), exponent).ok_or(does_not_fit)?;
    Ok((sign_exponent, low.to_vec()))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn decimal(sign_exponent: u8, mantissa: &[u8]) -> Result<Decimal, NumberError> {
        to_decimal(SignExponent::from_byte(sign_exponent), mantissa)
    }

    #[test]
    fn examples_of_the_manual() {
        // 5512-447 M1 p.7
        assert_eq!(decimal(0xC2, &[0, 0, 0x30, 0x39]).unwrap().to_string(), "-123.45");
        assert_eq!(decimal(0x03, &[0x05, 0x39, 0x7F, 0xB1]).unwrap().to_string(), "87654321000");
        assert_eq!(decimal(0x03, &[0xFF]).unwrap().to_string(), "255000");
        // 5512-447 M1 p.20
        assert_eq!(
            decimal(0x11, &[0x01, 0x2A, 0xF0, 0x24]).unwrap().to_string(),
            "1959120400000000000000000"
        );
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(decimal(0x82, &[0]).unwrap().to_string(), "0");
        assert_eq!(decimal(0xC1, &[0, 0]).unwrap().to_string(), "0.0");
        assert_eq!(decimal(0x3F, &[0]).unwrap(), Decimal::ZERO);
    }

    #[test]
    fn a_number_that_does_not_fit_is_an_error() {
        assert_eq!(decimal(0, &[]), Err(NumberError::Empty));
        let too_small = NumberError::OutOfRange { length: 1, exponent: -29 };
        assert_eq!(decimal(0x5D, &[1]), Err(too_small));
        let too_large = NumberError::OutOfRange { length: 1, exponent: 29 };
        assert_eq!(decimal(29, &[1]), Err(too_large));
        assert!(decimal(0, &[0xFF; 13]).is_err());
        assert!(decimal(0, &[0xFF; 12]).is_ok());
        assert!(decimal(0, &[0xFF; 255]).is_err());
        let value: Decimal = Decimal::from(256);
        assert_eq!(from_decimal(value, 1), Err(NumberError::DoesNotFit { length: 1 }));
        assert_eq!(from_decimal(value, 20), Err(NumberError::DoesNotFit { length: 20 }));
    }

    proptest! {
        #[test]
        fn the_byte_is_kept(byte: u8) {
            let sign_exponent = SignExponent::from_byte(byte);
            prop_assert_eq!(sign_exponent.byte(), byte);
            let again = SignExponent::new(sign_exponent.is_negative(), sign_exponent.exponent());
            // 0x40 and 0xC0 have the exponent minus zero.
            let canonical = if byte & 0x7F == 0x40 { byte & 0x80 } else { byte };
            prop_assert_eq!(again, Some(SignExponent::from_byte(canonical)));
        }

        #[test]
        fn from_decimal_then_to_decimal_is_the_identity(
            mantissa in -(1_i64 << 32) + 1..1_i64 << 32, scale in 0_u32..=28,
        ) {
            let value = Decimal::new(mantissa, scale);
            let (sign_exponent, bytes) = from_decimal(value, 4).unwrap();
            let again = to_decimal(sign_exponent, &bytes).unwrap();
            prop_assert_eq!(again, value);
            prop_assert_eq!(again.scale(), value.scale());
        }

        #[test]
        fn no_input_panics(byte: u8, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decimal(byte, &bytes);
        }
    }
}
