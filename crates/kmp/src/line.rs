//! The timing of the line: how long bytes take, and when an answer must begin.

use core::time::Duration;

/// How long the meter may take to begin its answer, and how long the line must be idle after a
/// failure (5512-447 M1 p.4).
pub const RESPONSE_TIME: Duration = Duration::from_millis(1600);

/// The speed and the format of the line, and how long an answer may take to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    baud: u32,
    bits_per_byte: u32,
    answer_timeout: Duration,
}

impl Line {
    /// A line of this speed, with 11 bits per byte: a start bit, 8 data bits, 2 stop bits. A speed
    /// of 0 is treated as 1.
    #[must_use]
    pub const fn new(baud: u32) -> Self {
        Self::with_bits(baud, 11)
    }

    /// A line with another number of bits per byte, including the start bit.
    #[must_use]
    pub const fn with_bits(baud: u32, bits_per_byte: u32) -> Self {
        let baud = if baud == 0 { 1 } else { baud };
        Self { baud, bits_per_byte, answer_timeout: RESPONSE_TIME }
    }

    /// The speed.
    #[must_use]
    pub const fn baud(self) -> u32 {
        self.baud
    }

    /// The same line with another time that an answer may take to begin, for example over a slow
    /// serial server. A time below [`RESPONSE_TIME`] is raised to it.
    #[must_use]
    pub fn with_answer_timeout(self, timeout: Duration) -> Self {
        Self { answer_timeout: timeout.max(RESPONSE_TIME), ..self }
    }

    /// How long an answer may take to begin, after the request has been sent.
    #[must_use]
    pub const fn answer_timeout(self) -> Duration {
        self.answer_timeout
    }

    /// How long this number of bytes takes: 9.17 ms for one byte at 1200 baud.
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
    fn the_timeout_is_never_less_than_a_meter_needs() {
        let line = Line::new(1200);
        let timeout =
            |seconds| line.with_answer_timeout(Duration::from_secs(seconds)).answer_timeout();
        assert_eq!(line.answer_timeout(), RESPONSE_TIME);
        assert_eq!(timeout(1), RESPONSE_TIME);
        assert_eq!(timeout(2), Duration::from_secs(2));
    }
}
