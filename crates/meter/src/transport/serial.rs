//! Opens a serial port of this machine.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use serialport::TTYPort;
use tokio_serial::SerialPort;
use tracing::debug;

use super::error::OpenError;
use super::settings::{DataBits, ModemLine, Parity, SerialSettings, StopBits};
use super::watched::Watched;

/// The time from setting the modem lines to the first byte. No document says how long optical heads
/// need. Other devices that are powered by these lines get from 200 ms (serial mice) to 500 ms. A
/// request that is sent too early only costs a retry.
pub(super) const POWER_UP: Duration = Duration::from_millis(200);

/// Opens the device and sets its modem lines.
pub(crate) async fn open(
    path: &Path,
    settings: SerialSettings,
) -> Result<Watched<TTYPort>, OpenError> {
    let mut port = open_device(path, settings)?;
    set_modem_lines(&mut port, settings).await;
    Watched::new(port).map_err(|error| OpenError::of_device(&error))
}

fn open_device(path: &Path, settings: SerialSettings) -> Result<TTYPort, OpenError> {
    // The library reports the same error for a missing file and for one that is not a device.
    let metadata = std::fs::metadata(path).map_err(|error| OpenError::of_device(&error))?;
    if !metadata.file_type().is_char_device() {
        return Err(OpenError::NotSerial);
    }
    let SerialSettings { baud, data_bits, parity, stop_bits, .. } = settings;
    tokio_serial::new(path.to_string_lossy(), baud.get())
        .data_bits(match data_bits {
            DataBits::Seven => tokio_serial::DataBits::Seven,
            DataBits::Eight => tokio_serial::DataBits::Eight,
        })
        .parity(match parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .stop_bits(match stop_bits {
            StopBits::One => tokio_serial::StopBits::One,
            StopBits::Two => tokio_serial::StopBits::Two,
        })
        .timeout(Duration::ZERO)
        .open_native()
        .map_err(OpenError::from)
}

/// A port with modem lines.
trait ModemLines {
    /// Fails on a port without modem lines, such as a pseudo-terminal.
    fn probe(&mut self) -> tokio_serial::Result<()>;
    fn set_dtr(&mut self, up: bool) -> tokio_serial::Result<()>;
    fn set_rts(&mut self, up: bool) -> tokio_serial::Result<()>;
}

impl ModemLines for TTYPort {
    fn probe(&mut self) -> tokio_serial::Result<()> {
        self.read_clear_to_send().map(|_| ())
    }

    fn set_dtr(&mut self, up: bool) -> tokio_serial::Result<()> {
        self.write_data_terminal_ready(up)
    }

    fn set_rts(&mut self, up: bool) -> tokio_serial::Result<()> {
        self.write_request_to_send(up)
    }
}

/// Sets the modem lines, and waits until a head that they power is ready. On a port without modem
/// lines the head has another power supply, so there is nothing to set or to wait for.
async fn set_modem_lines<P: ModemLines>(port: &mut P, settings: SerialSettings) {
    if let Err(error) = port.probe() {
        debug!("The port has no modem lines: {error}.");
        return;
    }
    let up = |line| match line {
        ModemLine::Raise => Some(true),
        ModemLine::Lower => Some(false),
        ModemLine::Leave => None,
    };
    let (dtr, rts) = (up(settings.dtr), up(settings.rts));
    if let Some(Err(error)) = dtr.map(|up| port.set_dtr(up)) {
        debug!("Cannot set DTR: {error}.");
    }
    if let Some(Err(error)) = rts.map(|up| port.set_rts(up)) {
        debug!("Cannot set RTS: {error}.");
    }
    // Two lowered lines power nothing.
    if (dtr, rts) != (Some(false), Some(false)) {
        tokio::time::sleep(POWER_UP).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// A port that records which lines were set, in order.
    #[derive(Default)]
    struct Recorder {
        lines: Vec<(&'static str, bool)>,
        has_none: bool,
        refuses: bool,
    }

    impl Recorder {
        fn set(&mut self, line: &'static str, up: bool) -> tokio_serial::Result<()> {
            self.lines.push((line, up));
            if self.refuses {
                Err(tokio_serial::Error::new(tokio_serial::ErrorKind::Unknown, "I/O error"))
            } else {
                Ok(())
            }
        }
    }

    impl ModemLines for Recorder {
        fn probe(&mut self) -> tokio_serial::Result<()> {
            if self.has_none {
                Err(tokio_serial::Error::new(tokio_serial::ErrorKind::Unknown, "ENOTTY"))
            } else {
                Ok(())
            }
        }

        fn set_dtr(&mut self, up: bool) -> tokio_serial::Result<()> {
            self.set("DTR", up)
        }

        fn set_rts(&mut self, up: bool) -> tokio_serial::Result<()> {
            self.set("RTS", up)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn modem_lines_are_set_as_configured_and_the_head_gets_time() {
        use ModemLine::{Leave, Lower, Raise};

        for (dtr, rts, lines, wait) in [
            (Raise, Raise, vec![("DTR", true), ("RTS", true)], POWER_UP),
            (Raise, Lower, vec![("DTR", true), ("RTS", false)], POWER_UP),
            (Lower, Raise, vec![("DTR", false), ("RTS", true)], POWER_UP),
            (Leave, Lower, vec![("RTS", false)], POWER_UP),
            // The system raises both.
            (Leave, Leave, vec![], POWER_UP),
            (Lower, Lower, vec![("DTR", false), ("RTS", false)], Duration::ZERO),
        ] {
            let settings = SerialSettings { dtr, rts, ..SerialSettings::default() };
            for refuses in [false, true] {
                let mut port = Recorder { refuses, ..Recorder::default() };
                let started = Instant::now();
                set_modem_lines(&mut port, settings).await;
                assert_eq!((port.lines, started.elapsed()), (lines.clone(), wait), "{settings:?}");
            }
            let mut port = Recorder { has_none: true, ..Recorder::default() };
            let started = Instant::now();
            set_modem_lines(&mut port, settings).await;
            assert_eq!((port.lines, started.elapsed()), (vec![], Duration::ZERO));
        }
    }
}
