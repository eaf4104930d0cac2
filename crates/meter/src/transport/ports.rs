//! Lists the serial ports of this machine without opening one. Opening a port raises its modem
//! lines, which resets the device on some adapters.
//!
//! `serialport` can list ports too, but it panics if `/sys` is missing.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::cause::is_shortage;

/// A serial port of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPort {
    /// The device, such as `/dev/ttyUSB0`.
    pub path: PathBuf,
    /// The persistent path: it stays the same when other devices are plugged in.
    pub by_id: Option<PathBuf>,
    /// Whether another program has it open. Programs outside this container are not detected, and
    /// those of other users only if this one runs as root.
    pub is_held: bool,
}

impl LocalPort {
    /// The path to configure: the persistent one, if there is one.
    #[must_use]
    pub fn best_name(&self) -> &Path {
        self.by_id.as_ref().unwrap_or(&self.path)
    }

    /// Whether a text is one of its paths.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let name = Path::new(name);
        self.path == name || self.by_id.as_deref() == Some(name)
    }
}

/// Lists the serial ports, sorted by path. This blocks: it reads files in `/sys`, `/dev` and
/// `/proc`. It fails only if no more files can be opened.
pub fn local_ports() -> io::Result<Vec<LocalPort>> {
    local_ports_under(Path::new("/"))
}

/// [`local_ports`] of a system whose root is elsewhere, for tests.
pub fn local_ports_under(root: &Path) -> io::Result<Vec<LocalPort>> {
    let mut ports: Vec<PathBuf> = entries(&root.join("sys/class/tty"))?
        .into_iter()
        .filter(|tty| has_hardware(tty))
        .filter_map(|tty| Some(root.join("dev").join(tty.file_name()?)))
        .filter(|device| device.exists())
        .collect();
    ports.sort();
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    described(root, ports)
}

/// Finds out the persistent path of each of these devices, and whether it is held. This blocks.
pub(crate) fn described(root: &Path, devices: Vec<PathBuf>) -> io::Result<Vec<LocalPort>> {
    let names = entries(&root.join("dev/serial/by-id"))?;
    let held = held(&root.join("proc"))?;
    let port = |path: PathBuf| {
        let device = path.canonicalize().unwrap_or_else(|_| path.clone());
        let leads_here = |name: &&PathBuf| name.canonicalize().is_ok_and(|found| found == device);
        let by_id = names.iter().find(leads_here).cloned();
        LocalPort { is_held: held.contains(&device), path, by_id }
    };
    Ok(devices.into_iter().map(port).collect())
}

/// Whether a terminal has hardware. Linux also creates devices for ports that a computer might
/// have, on a bus called `platform`.
fn has_hardware(tty: &Path) -> bool {
    let device = tty.join("device");
    let bus = device.join("subsystem").canonicalize();
    let is_platform = bus.is_ok_and(|bus| bus.file_name().is_some_and(|name| name == "platform"));
    device.is_dir() && !is_platform
}

/// The files in `/dev` that other processes have open.
fn held(proc: &Path) -> io::Result<Vec<PathBuf>> {
    let own = std::process::id().to_string();
    let is_other = |process: &PathBuf| {
        process
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name != own && name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut held = Vec::new();
    for process in entries(proc)?.into_iter().filter(is_other) {
        let handles = entries(&process.join("fd"))?;
        let open = handles.into_iter().filter_map(|handle| fs::read_link(handle).ok());
        held.extend(open.filter(|path| path.components().any(|part| part.as_os_str() == "dev")));
    }
    Ok(held)
}

/// The entries of a directory; none if it is missing or cannot be read.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if is_shortage(&error) => Err(error),
        Err(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn ports_are_found_without_being_opened() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert_eq!(local_ports_under(&root).unwrap(), []);
        let make = |path: &str| fs::create_dir_all(root.join(path)).unwrap();
        let link = |to: &str, name: &str| symlink(root.join(to), root.join(name)).unwrap();
        make("dev/serial/by-id");
        for bus in ["usb-serial", "platform", "amba"] {
            make(&format!("sys/bus/{bus}"));
        }
        let ports = [("ttyUSB0", "usb-serial"), ("ttyUSB1", "usb-serial"), ("ttyS0", "platform")];
        for (port, bus) in ports.into_iter().chain([("ttyAMA0", "amba"), ("ttyGone", "amba")]) {
            make(&format!("sys/class/tty/{port}/device"));
            link(&format!("sys/bus/{bus}"), &format!("sys/class/tty/{port}/device/subsystem"));
            if port != "ttyGone" {
                fs::write(root.join("dev").join(port), "").unwrap();
            }
        }
        // A virtual terminal.
        make("sys/class/tty/tty0");
        fs::write(root.join("dev/tty0"), "").unwrap();
        link("dev/ttyUSB1", "dev/serial/by-id/usb-FTDI-if00-port0");
        make("proc/12/fd");
        make("proc/self/fd");
        make(&format!("proc/{}/fd", std::process::id()));
        link("dev/ttyUSB0", "proc/12/fd/7");
        link("dev/ttyAMA0", &format!("proc/{}/fd/7", std::process::id()));
        let path = |name: &str| root.join("dev").join(name);
        let port = |name: &str, by_id: Option<&str>, is_held| LocalPort {
            path: path(name),
            by_id: by_id.map(path),
            is_held,
        };
        let expected = [
            port("ttyAMA0", None, false),
            port("ttyUSB0", None, true),
            port("ttyUSB1", Some("serial/by-id/usb-FTDI-if00-port0"), false),
        ];
        assert_eq!(local_ports_under(&root).unwrap(), expected);
    }
}
