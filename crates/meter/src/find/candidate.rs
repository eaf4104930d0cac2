//! Which serial ports there are, and which of them will be asked.

use std::io;
use std::path::{Path, PathBuf};

use super::known::{self, Kind};
use super::usb::UsbDevice;
use crate::transport::{LocalPort, described, local_ports_under};

/// A serial port of this machine, and whether it will be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The port.
    pub port: LocalPort,
    /// What its adapter says about itself, if it is a USB device.
    pub usb: Option<UsbDevice>,
    /// Whether it will be asked.
    pub plan: Plan,
}

/// Whether a port will be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It will be opened and asked.
    Ask,
    /// It will not be opened.
    LeaveOut(Reason),
}

/// Why a port will not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Another program has it open.
    InUse,
    /// A meter of the configuration is read there.
    Configured {
        /// The meter's name or title.
        meter: String,
    },
    /// It is known as something else.
    KnownAs(Kind),
}

/// The serial port of a configured meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredPort {
    /// The device, by any of its paths.
    pub path: PathBuf,
    /// The meter's name or title.
    pub meter: String,
}

/// A port that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Askable(LocalPort);

impl Askable {
    /// The port.
    #[must_use]
    pub fn port(&self) -> &LocalPort {
        &self.0
    }
}

impl Candidate {
    /// The port for [`search`](super::search()), unless it is left out.
    #[must_use]
    pub fn askable(&self) -> Option<Askable> {
        match self.plan {
            Plan::Ask => Some(Askable(self.port.clone())),
            Plan::LeaveOut(_) => None,
        }
    }

    fn new(root: &Path, port: LocalPort, configured: &[ConfiguredPort]) -> Self {
        let usb = UsbDevice::behind(root, &port.path);
        let by_id = port.by_id.as_ref().and_then(|name| name.file_name()?.to_str());
        let device = device(&port.path);
        let meter = configured.iter().find(|known| self::device(&known.path) == device);
        let reason = match (meter, known::kind(usb.as_ref(), by_id)) {
            (Some(known), _) => Some(Reason::Configured { meter: known.meter.clone() }),
            (None, _) if port.is_held => Some(Reason::InUse),
            (None, kind) => kind.map(Reason::KnownAs),
        };
        Self { port, usb, plan: reason.map_or(Plan::Ask, Plan::LeaveOut) }
    }
}

/// The device that a path leads to.
fn device(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Lists the serial ports of this machine without opening one. `root` is `/`, except in tests. This
/// blocks: it reads files in `/sys`, `/dev` and `/proc`. It fails only if no more files can be
/// opened.
pub fn candidates(root: &Path, configured: &[ConfiguredPort]) -> io::Result<Vec<Candidate>> {
    let ports = local_ports_under(root)?;
    Ok(ports.into_iter().map(|port| Candidate::new(root, port, configured)).collect())
}

/// Describes ports that the user has named. They are asked whatever they are known as, because the
/// user has chosen them, but not if they are in use. This blocks like [`candidates`].
pub fn named_candidates(
    root: &Path,
    devices: Vec<PathBuf>,
    configured: &[ConfiguredPort],
) -> io::Result<Vec<Candidate>> {
    let ports = described(root, devices)?.into_iter();
    let mut named: Vec<_> = ports.map(|port| Candidate::new(root, port, configured)).collect();
    for candidate in &mut named {
        if matches!(candidate.plan, Plan::LeaveOut(Reason::KnownAs(_))) {
            candidate.plan = Plan::Ask;
        }
    }
    Ok(named)
}
