//! The answer to a request for a log, as JSON messages of limited length.

use std::collections::BTreeMap;

use kmp::logger::{Log, LogEntry};
use kmp::message::SerialNumber;
use kmp::value::Value;
use serde::Serialize;
use serde_json::value::RawValue;

use super::entry::{is_stamp, name, text_of};
use crate::payload::exact;
use meter::logger::LogStamp;
use meter::poll::Explanation;

/// The most entries in one message.
pub(super) const PIECE: usize = 24;

#[derive(Serialize)]
struct PieceJson<'a> {
    serial_number: String,
    log: String,
    piece: u32,
    entries: &'a [EntryJson],
}

/// An entry.
#[derive(Debug, Serialize)]
pub(super) struct EntryJson {
    id: u32,
    /// The start of the next period, as the meter wrote it.
    until: Option<String>,
    dst_minutes: Option<u8>,
    values: BTreeMap<String, ValueJson>,
}

#[derive(Debug, Serialize)]
struct ValueJson {
    value: Box<RawValue>,
    unit: Option<&'static str>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Everything that was requested was sent.
    Complete,
    /// The older entries are missing.
    Stopped(Explanation),
    /// Nothing was read.
    Refused(Explanation),
}

#[derive(Serialize)]
struct EndJson<'a> {
    serial_number: Option<String>,
    log: Option<String>,
    end: &'static str,
    pieces: u32,
    entries: u32,
    reason: Option<&'a str>,
    hint: Option<&'a str>,
}

impl EntryJson {
    pub(super) fn new(entry: &LogEntry) -> Self {
        let stamp = LogStamp::of(&entry.values);
        let values = entry.values.iter().filter(|value| !is_stamp(value)).filter_map(|value| {
            let is_number = matches!(value.value(), Ok(Value::Number(_)));
            let json =
                ValueJson { value: exact(&text_of(value), is_number)?, unit: value.unit.symbol() };
            Some((name(value.register), json))
        });
        Self {
            id: entry.id.get(),
            until: stamp.and_then(LogStamp::written).map(|at| at.to_string()),
            dst_minutes: stamp.and_then(|stamp| stamp.offset_minutes),
            values: values.collect(),
        }
    }
}

/// A message with entries, the newest first.
pub(super) fn piece(serial: SerialNumber, log: Log, piece: u32, entries: &[EntryJson]) -> String {
    let json =
        PieceJson { serial_number: serial.to_string(), log: log.to_string(), piece, entries };
    serde_json::to_string(&json).unwrap_or_default()
}

/// The last message.
pub(super) fn last(
    serial: Option<SerialNumber>,
    log: Option<Log>,
    (pieces, entries): (u32, u32),
    end: &End,
) -> String {
    let (end, why) = match end {
        End::Complete => ("complete", None),
        End::Stopped(why) => ("stopped", Some(why)),
        End::Refused(why) => ("refused", Some(why)),
    };
    let json = EndJson {
        serial_number: serial.map(|serial| serial.to_string()),
        log: log.map(|log| log.to_string()),
        end,
        pieces,
        entries,
        reason: why.map(|why| why.words.as_str()),
        hint: why.map(|why| why.hint.as_str()).filter(|hint| !hint.is_empty()),
    };
    serde_json::to_string(&json).unwrap_or_default()
}
