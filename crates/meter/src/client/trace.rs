//! Describes the bytes on the line for the log: frames with their meaning, and all other bytes.

use std::fmt::{self, Write as _};

use kmp::datalink::{self, Cid};
use kmp::frame::{Decoder, Direction, Event, MAX_BODY};
use kmp::logger::{Log, LogInfo, LoggerRequest};
use kmp::message::{Command, GetSerialNo, GetType, Request};
use kmp::register::RegisterId;
use kmp::value::RegisterValue;
use tracing::{Level, debug, enabled};

/// The bytes since the last frame ended or was abandoned.
#[derive(Debug)]
pub(super) struct Trace {
    /// The start of each line: the direction of the bytes, or what happens to them.
    label: &'static str,
    bytes: Vec<u8>,
    /// How many more bytes there were than [`KEPT`].
    more: usize,
}

/// Noise can be endless. Stuffing can double every byte of a frame.
const KEPT: usize = 2 * MAX_BODY;

impl Trace {
    pub(super) fn new(label: &'static str) -> Self {
        Self { label, bytes: Vec::new(), more: 0 }
    }

    /// Adds a byte that the decoder has received. `before` is the frame that the decoder was in before
    /// it. If the byte ended a frame, [`Trace::show_event`] must follow.
    pub(super) fn push(&mut self, byte: u8, before: Option<Direction>, decoder: &Decoder) {
        // The bytes before a start byte do not belong to its frame.
        if before.is_none() && decoder.inside().is_some() && !self.bytes.is_empty() {
            self.show("not a frame");
        }
        self.keep(byte);
    }

    fn keep(&mut self, byte: u8) {
        if self.bytes.len() < KEPT {
            self.bytes.push(byte);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Logs the bytes and forgets them.
    pub(super) fn show(&mut self, meaning: impl fmt::Display) {
        let Self { label, bytes, more } = self;
        match more {
            0 => debug!("{label}: {}: {meaning}", Hex(bytes)),
            more => debug!("{label}: {} … and {more} more: {meaning}", Hex(bytes)),
        }
        self.bytes.clear();
        self.more = 0;
    }

    /// Logs the bytes of an event. A start byte that interrupted a frame belongs to the next one.
    pub(super) fn show_event(&mut self, decoder: &Decoder, meaning: impl fmt::Display) {
        let next = decoder.inside().and_then(|_| self.bytes.pop());
        self.show(meaning);
        self.bytes.extend(next);
    }

    /// Logs the remaining bytes when listening ends.
    pub(super) fn end(&mut self, decoder: &Decoder) {
        if !self.bytes.is_empty() {
            self.show(if decoder.inside().is_some() {
                "an incomplete frame"
            } else {
                "not a frame"
            });
        }
    }
}

/// The meaning of an event, and the reason if it is not the answer. Empty if it is not logged.
pub(super) fn meaning(event: &Event, rejection: Option<&dyn fmt::Display>) -> String {
    if !enabled!(Level::DEBUG) {
        return String::new();
    }
    let what = match event {
        Event::Frame { direction, body } => match datalink::parse(body) {
            Ok(packet) => Some(packet_words(*direction, packet)),
            // For an answer the rejection has this error.
            Err(error) => (*direction == Direction::ToMeter).then(|| error.to_string()),
        },
        Event::Damaged { direction: Direction::ToMeter, damage } => {
            Some(format!("a damaged frame: {damage}"))
        }
        Event::Ack | Event::Damaged { .. } => None,
    };
    let skipped = rejection.map(|rejection| format!("skipped: {rejection}"));
    what.into_iter().chain(skipped).collect::<Vec<_>>().join("; ")
}

/// The meaning of an event that no request waits for.
pub(super) fn discarded_meaning(event: &Event) -> String {
    let nothing = match event {
        Event::Frame { body, .. } => datalink::parse(body).err().map(|error| error.to_string()),
        Event::Ack => Some("a single acknowledgement byte".to_owned()),
        Event::Damaged { damage, .. } => Some(format!("a damaged frame: {damage}")),
    };
    nothing.unwrap_or_else(|| meaning(event, None))
}

/// The meaning of a request that is about to be sent.
pub(super) fn request_meaning(frame: &[u8]) -> String {
    let mut decoder = Decoder::new();
    let event = frame.iter().find_map(|byte| decoder.push(*byte));
    event.map(|event| meaning(&event, None)).unwrap_or_default()
}

fn packet_words(direction: Direction, packet: datalink::Packet<'_>) -> String {
    let address = match packet.address {
        datalink::Address::HEAT_METER => String::new(),
        other => format!(", address {other}"),
    };
    let what = match direction {
        Direction::ToMeter => request_words(packet),
        Direction::FromMeter => answer_words(packet),
    };
    format!("{}{address}{}", packet.cid, what.unwrap_or_else(|| " with invalid data".to_owned()))
}

fn request_words(packet: datalink::Packet<'_>) -> Option<String> {
    match Request::parse(packet).ok()? {
        Request::GetType | Request::GetSerialNo => Some(String::new()),
        Request::GetRegister(command) => {
            let names: Vec<_> = command.registers().iter().map(|id| name(*id)).collect();
            Some(format!(" {}", names.join(", ")))
        }
        Request::Logger(request) => Some(logger_request_words(&request)),
    }
}

fn logger_request_words(request: &LoggerRequest) -> String {
    let (from, selection) = match request {
        LoggerRequest::Configuration(command) => {
            return format!(": configuration of the {} log", command.log);
        }
        LoggerRequest::IdPastAbs(command) => (format!("id {}", command.from), &command.selection),
        LoggerRequest::LastEntryPastAbs(command) => {
            (format!("the newest minus {}", command.offset), &command.selection)
        }
    };
    let names: Vec<_> = selection.registers().iter().map(|id| name(*id)).collect();
    let (entries, log, names) = (selection.entries(), selection.log(), names.join(", "));
    format!(": entries of the {log} log: {entries}, from {from}: {names}")
}

fn answer_words(packet: datalink::Packet<'_>) -> Option<String> {
    match packet.cid {
        Cid::GET_TYPE => {
            let answer = GetType.parse_answer(packet.data).ok()?;
            Some(format!(": type {:#06x}, software {}", answer.code, answer.revision))
        }
        Cid::GET_SERIAL_NO => {
            let answer = GetSerialNo.parse_answer(packet.data).ok()?;
            Some(format!(": {answer}"))
        }
        Cid::GET_REGISTER => {
            let mut rest = packet.data;
            let mut words = Vec::new();
            while !rest.is_empty() {
                let (value, after) = RegisterValue::parse(rest)?;
                words.push(value_words(&value));
                rest = after;
            }
            Some(if words.is_empty() {
                ": nothing".to_owned()
            } else {
                format!(": {}", words.join(", "))
            })
        }
        Cid::LOGGER => logger_answer_words(packet.data),
        _ => None,
    }
}

fn logger_answer_words(data: &[u8]) -> Option<String> {
    let (&[sub_command, log], rest) = data.split_first_chunk::<2>()?;
    let log = Log::from_code(log)?;
    if sub_command == 5 {
        return Some(format!(": configuration of the {log} log"));
    }
    let (&[e1, e0, _, f3, f2, f1, f0, n3, n2, n1, n0, i1, i0], _) =
        rest.split_first_chunk::<13>()?;
    let entries = u16::from_be_bytes([e1, e0]);
    let (first, newest) =
        (u32::from_be_bytes([f3, f2, f1, f0]), u32::from_be_bytes([n3, n2, n1, n0]));
    let info = LogInfo::from_bits(u16::from_be_bytes([i1, i0]));
    Some(format!(
        ": entries of the {log} log: {entries}, from id {first}; newest id {newest}; info {info}"
    ))
}

/// `energy (60) = 81947 kWh`
fn value_words(register: &RegisterValue) -> String {
    let name = name(register.register);
    match register.value() {
        Ok(value) => format!("{name} = {value} {}", register.unit).trim_end().to_owned(),
        Err(error) => format!("{name}: {error}"),
    }
}

/// `energy (60)`, or `4000` if it has no name.
fn name(register: RegisterId) -> String {
    match register.info() {
        Some(info) => format!("{} ({register})", info.key),
        None => register.to_string(),
    }
}

/// `80 3F 01 05 8A 0D`
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kmp::datalink::Address;
    use kmp::logger::{
        GetConfiguration, GetLogIdPastAbs, GetLogLastEntryPastAbs, LogId, Selection,
    };
    use kmp::message::{self, GetRegister};

    use super::*;

    fn packet(cid: u8, data: &[u8]) -> String {
        let (address, cid) = (Address::HEAT_METER, Cid::new(cid));
        packet_words(Direction::FromMeter, datalink::Packet { address, cid, data })
    }

    #[test]
    fn requests_in_words() {
        let registers = [60, 80, 4000].map(RegisterId::new);
        let command = GetRegister::new(&registers).unwrap();
        let request = |frame: &[u8]| {
            let mut decoder = Decoder::new();
            let event = frame.iter().find_map(|byte| decoder.push(*byte)).unwrap();
            let Event::Frame { direction, body } = event else { panic!("a frame") };
            packet_words(direction, datalink::parse(&body).unwrap())
        };
        let frame = message::emit_request(Address::HEAT_METER, &command);
        assert_eq!(request(&frame), "GetRegister energy (60), power (80), 4000");
        let frame = message::emit_request(Address::HEAT_METER, &GetSerialNo);
        assert_eq!(request(&frame), "GetSerialNo");
        let selection = Selection::new(Log::Day, 24, &registers).unwrap();
        let command = GetLogIdPastAbs { from: LogId::new(645), selection: selection.clone() };
        assert_eq!(
            request(&message::emit_request(Address::HEAT_METER, &command)),
            "Logger: entries of the day log: 24, from id 645: energy (60), power (80), 4000"
        );
        let command = GetLogLastEntryPastAbs { offset: 0, selection };
        assert_eq!(
            request(&message::emit_request(Address::HEAT_METER, &command)),
            "Logger: entries of the day log: 24, from the newest minus 0: energy (60), power (80), 4000"
        );
        let command = GetConfiguration { log: Log::Year };
        assert_eq!(
            request(&message::emit_request(Address::HEAT_METER, &command)),
            "Logger: configuration of the year log"
        );
    }

    #[test]
    fn answers_in_words() {
        // 5512-447 M1 p.16, p.17; and an answer without registers.
        assert_eq!(packet(0x01, &[0x00, 0x01, 0x06, 0x01]), "GetType: type 0x0001, software F1");
        assert_eq!(packet(0x02, &[0x00, 0x69, 0x2D, 0x69]), "GetSerialNo: 6892905");
        assert_eq!(packet(0x10, &[]), "GetRegister: nothing");
        let energy = [0x00, 0x3C, 0x02, 0x04, 0x00, 0x00, 0x01, 0x40, 0x1B];
        assert_eq!(packet(0x10, &energy), "GetRegister: energy (60) = 81947 kWh");
        let date = [0x0F, 0xA0, 0x30, 0x04, 0x00, 0x00, 0x00, 0x00, 0x01];
        let words = packet(0x10, &date);
        assert!(words.starts_with("GetRegister: 4000: "), "{words}");
        assert_eq!(packet(0x10, &energy[..7]), "GetRegister with invalid data");
        assert_eq!(packet(0x02, &[1]), "GetSerialNo with invalid data");
        let empty = [7, 7, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 3, 0xEA, 0x2F, 4, 0, 0, 0, 0, 0];
        assert_eq!(
            packet(0xB8, &empty),
            "Logger: entries of the minute 2 log: 1, from id 0; newest id 9; info 0x0001"
        );
        assert_eq!(packet(0xB8, &[5, 2, 1]), "Logger: configuration of the year log");
        assert_eq!(packet(0xB8, &[6, 2, 1]), "Logger with invalid data");
        assert_eq!(packet(0x77, &[]), "command 0x77 with invalid data");
    }
}
