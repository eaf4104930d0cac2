//! How long bytes take on the line to the meter, and how long its answer may take to begin.

use core::time::Duration;

/// How long the meter may think before its answer begins, and how long the line must rest after a
/// failure (5512-447 M1 p.4).
pub const THINKING: Duration = Duration::from_millis(1600);

/// How fast bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    baud: u32,
    bits_per_byte: u32,
    patience: Duration,
}

impl Line {
    /// A line of this speed, with 11 bits for a byte: start bit, 8 data bits, 2 stop bits. A speed
    /// of zero is taken for one.
    #[must_use]
    pub const fn new(baud: u32) -> Self {
        Self::with_bits(baud, 11)
    }

    /// A line with another number of bits for a byte.
    #[must_use]
    pub const fn with_bits(baud: u32, bits_per_byte: u32) -> Self {
        Self { baud: if baud == 0 { 1 } else { baud }, bits_per_byte, patience: THINKING }
    }

    /// The same line where an answer may take longer to begin, as over a slow serial server. Less
    /// than the meter may think counts as that.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience: patience.max(THINKING), ..self }
    }

    /// How long an answer may take to begin, beyond the time that the request takes.
    #[must_use]
    pub const fn patience(self) -> Duration {
        self.patience
    }

    /// How long `bytes` bytes take: 9.17 ms for one at 1200 baud.
    #[must_use]
    pub fn time_for(self, bytes: usize) -> Duration {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Duration::from_secs(self.bits_per_byte.into())
            .saturating_mul(bytes)
            .checked_div(self.baud)
            .unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_has_eleven_bits() {
        assert_eq!(Line::new(1200).time_for(1), Duration::from_nanos(9_166_666));
        assert_eq!(Line::new(0).time_for(1), Duration::from_secs(11));
    }

    #[test]
    fn patience_is_never_less_than_a_meter_needs() {
        let patience = |seconds| Line::new(1200).patient(Duration::from_secs(seconds)).patience();
        assert_eq!(Line::new(1200).patience(), THINKING);
        assert_eq!(patience(1), THINKING);
        assert_eq!(patience(2), Duration::from_secs(2));
    }
}
