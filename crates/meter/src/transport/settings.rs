//! The settings of the serial line to the meter.

use std::num::NonZeroU32;

/// Speed, format and modem lines. For a network serial server they determine only how long a byte
/// takes: the server has its own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialSettings {
    /// Bits per second.
    pub baud: NonZeroU32,
    /// Data bits per byte.
    pub data_bits: DataBits,
    /// The parity bit.
    pub parity: Parity,
    /// Stop bits per byte.
    pub stop_bits: StopBits,
    /// The modem line DTR (data terminal ready).
    pub dtr: ModemLine,
    /// The modem line RTS (request to send).
    pub rts: ModemLine,
}

/// What happens to a modem line (DTR or RTS) when the port is opened.
///
/// These lines power some optical heads. Some need both raised (Ho-Ro/OpenMetra), others one raised
/// and one lowered (swharden/pyTENMA). Both sources are about the heads of multimeters; no document
/// describes Kamstrup's. An adapter with a processor may stay silent until DTR is raised
/// (b14ckyy/Kite-GC pull 33).
///
/// Linux raises both when a port is opened and lowers them when it is closed. A program cannot
/// prevent that (serialport/serialport-rs pull 242, Fazecast/jSerialComm issue 437).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModemLine {
    /// Raise it (a positive voltage on RS-232).
    Raise,
    /// Lower it, after the system has raised it for a moment.
    Lower,
    /// Leave it as the system sets it.
    Leave,
}

/// Data bits per byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataBits {
    /// 7 bits.
    Seven,
    /// 8 bits.
    Eight,
}

/// The parity bit of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// No parity bit.
    None,
    /// The number of ones is even.
    Even,
    /// The number of ones is odd.
    Odd,
}

/// Stop bits per byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopBits {
    /// One, which works with some meters.
    One,
    /// Two, as in the meter's documents.
    Two,
}

impl SerialSettings {
    /// Bits per byte on the line: start, data, parity and stop bits.
    #[must_use]
    pub fn bits_per_byte(self) -> u32 {
        let data: u32 = match self.data_bits {
            DataBits::Seven => 7,
            DataBits::Eight => 8,
        };
        data.saturating_add(match (self.parity, self.stop_bits) {
            (Parity::None, StopBits::One) => 2,
            (Parity::None, StopBits::Two) | (Parity::Even | Parity::Odd, StopBits::One) => 3,
            (Parity::Even | Parity::Odd, StopBits::Two) => 4,
        })
    }
}

/// The settings of the meter: 1200 baud, 8 data bits, no parity, 2 stop bits (5512-447 M1 p.5).
impl Default for SerialSettings {
    fn default() -> Self {
        Self {
            baud: NonZeroU32::new(1200).unwrap_or(NonZeroU32::MIN),
            data_bits: DataBits::Eight,
            parity: Parity::None,
            stop_bits: StopBits::Two,
            dtr: ModemLine::Raise,
            rts: ModemLine::Raise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_a_byte_are_counted() {
        let bits = |data_bits, parity, stop_bits| {
            SerialSettings { data_bits, parity, stop_bits, ..SerialSettings::default() }
                .bits_per_byte()
        };
        assert_eq!(SerialSettings::default().bits_per_byte(), 11);
        assert_eq!(bits(DataBits::Eight, Parity::None, StopBits::One), 10);
        assert_eq!(bits(DataBits::Seven, Parity::Even, StopBits::Two), 11);
        assert_eq!(bits(DataBits::Eight, Parity::Odd, StopBits::Two), 12);
    }
}
