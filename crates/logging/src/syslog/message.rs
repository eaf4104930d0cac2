//! Messages to a log server.

use std::str::FromStr;

use thiserror::Error;

use crate::record::{Level, Record};

/// The facility that lines are filed under (RFC 5424, 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(pub(super) u8);

/// A text is not the name of a facility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("use one of {}", FACILITIES.map(|(name, _)| name).join(", "))]
pub struct ParseFacilityError;

/// The facilities, with Python's names.
const FACILITIES: [(&str, u8); 24] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("ntp", 12),
    ("security", 13),
    ("console", 14),
    ("solaris-cron", 15),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

impl Facility {
    /// The names of all facilities.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FACILITIES.iter().map(|(name, _)| *name)
    }
}

impl FromStr for Facility {
    type Err = ParseFacilityError;

    fn from_str(text: &str) -> Result<Self, ParseFacilityError> {
        let name = text.to_ascii_lowercase();
        // The spelling of C programs is accepted too.
        let name = name.strip_prefix("log_").unwrap_or(&name);
        let known = FACILITIES.iter().find(|(known, _)| *known == name);
        known.map(|(_, code)| Self(*code)).ok_or(ParseFacilityError)
    }
}

/// RFC 5424, 6.2.1.
const fn severity(level: Level) -> u8 {
    match level {
        Level::Debug => 7,
        Level::Info => 6,
        Level::Warning => 4,
        Level::Error => 3,
        Level::Critical => 2,
    }
}

/// The sender of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) app_name: &'static str,
    /// The name of this computer; empty if it is not known.
    pub(crate) host: String,
    /// The id of the process.
    pub(crate) process: u32,
}

impl Sender {
    pub(super) fn this_process(app_name: &'static str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { app_name, host: host.trim().to_owned(), process: std::process::id() }
    }
}

/// The header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// The complete header of RFC 5424.
    Full,
    /// The header that C programs send to the system's own log. There, journald (systemd issue
    /// 19251), `BusyBox`, and rsyslog by default treat everything except the priority and
    /// `name[123]: ` as the message.
    Local,
}

/// The most bytes of a message over UDP: every server should accept this many (RFC 5424, 6.1).
pub(super) const LONGEST_UDP: usize = 2048;
/// The most bytes of a message elsewhere: rsyslog and journald accept this many.
pub(super) const LONGEST: usize = 8192;

fn priority(record: &Record, facility: Facility) -> u8 {
    facility.0 * 8 + severity(record.level)
}

/// A message with the full header:
/// `<134>1 2026-11-24T10:00:00.123000+01:00 pi kamstrup2mqtt 4711 - - Read 7 of …`.
///
/// It has no structured data, and no byte order mark before the UTF-8, which servers would show.
pub(crate) fn message(
    record: &Record,
    facility: Facility,
    sender: &Sender,
    text: &str,
    longest: usize,
) -> String {
    let time = record.time.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z");
    let host = printable(&sender.host, 255);
    let priority = priority(record, facility);
    let Sender { app_name, process, .. } = sender;
    let message = format!("<{priority}>1 {time} {host} {app_name} {process} - - {text}");
    cut(message, longest)
}

/// A message to the system's own log. It has no tag if the user's format already names the program.
pub(super) fn local_message(
    record: &Record,
    facility: Facility,
    sender: &Sender,
    text: &str,
    tagged: bool,
) -> String {
    let priority = priority(record, facility);
    let tag =
        if tagged { String::new() } else { format!("{}[{}]: ", sender.app_name, sender.process) };
    cut(format!("<{priority}>{tag}{text}"), LONGEST)
}

/// A name for a header: only its ASCII characters without spaces, or `-` if nothing is left.
fn printable(name: &str, longest: usize) -> String {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(longest).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// Cuts a text to at most `longest` bytes. A cut text ends with `…`.
pub(super) fn cut(mut text: String, longest: usize) -> String {
    const MORE: char = '…';
    if text.len() > longest {
        let room = longest.saturating_sub(MORE.len_utf8());
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push(MORE);
    }
    text
}
