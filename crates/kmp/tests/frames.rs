//! Every complete frame of `data/frames.csv` is a test. Its name is the document and page, or the
//! public place, where the frame was found.
//!
//! Columns of the file: `hex` is the frame as it was on the line. `decoded` is its content in
//! words, decoded by hand and by other programs. `crc_ok` is `yes`, `no (calc 774E)` for a
//! misprint, or `n/a` for the bare acknowledgement.

#![expect(clippy::expect_used, reason = "a test ends with a panic")]

use std::error::Error;
use std::process::ExitCode;

use kmp::datalink::{self, Address, Cid, Packet, PacketError};
use kmp::frame::{self, Decoder, Direction, Event};
use kmp::logger::{
    GetConfiguration, GetLogIdPastAbs, GetLogLastEntryPastAbs, Log, LogAnswer, LogConfiguration,
    LogId, LogInfo, LoggerRequest, Selection,
};
use kmp::message::{
    self, Command, GetRegister, GetSerialNo, GetType, Request, RequestError, SerialNumber,
};
use kmp::number;
use kmp::register::RegisterId;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let mut trials = Vec::new();
    let mut reader = csv::Reader::from_reader(&include_bytes!("data/frames.csv")[..]);
    for (index, record) in reader.deserialize().enumerate() {
        let row: Row = record.expect("frames.csv has eight text columns");
        let name = format!("row {:03}: {}: {}", index.saturating_add(2), row.source, row.meaning);
        trials.push(Trial::test(name, move || check(&row).map_err(Failed::from)));
    }
    trials.push(Trial::test("there are at least 100 rows", {
        let count = trials.len();
        move || require(count >= 100, || format!("only {count}")).map_err(Failed::from)
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// direction, hex, meaning, decoded, source, `crc_ok`, origin, meter
type Columns = (String, String, String, String, String, String, String, String);

#[derive(serde::Deserialize)]
#[serde(from = "Columns")]
struct Row {
    direction: Direction,
    bytes: Vec<u8>,
    meaning: String,
    decoded: String,
    source: String,
    crc_ok: String,
    origin: String,
}

impl From<Columns> for Row {
    fn from((direction, hex, meaning, decoded, source, crc_ok, origin, _meter): Columns) -> Self {
        let direction = match direction.as_str() {
            "to meter" => Direction::ToMeter,
            "from meter" => Direction::FromMeter,
            other => unreachable!("direction {other:?}"),
        };
        let digits: Vec<u32> =
            hex.chars().map(|digit| digit.to_digit(16).expect("hex digits")).collect();
        let (pairs, rest) = digits.as_chunks::<2>();
        assert!(rest.is_empty(), "an even number of hex digits: {hex}");
        let bytes = pairs
            .iter()
            .map(|[high, low]| u8::try_from(high << 4 | low).expect("two hex digits"))
            .collect();
        Self { direction, bytes, meaning, decoded, source, crc_ok, origin }
    }
}

type Checked = Result<(), Box<dyn Error>>;

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what().into()) }
}

#[expect(clippy::needless_pass_by_value, reason = "both sides are often temporary values")]
fn equal<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Checked {
    require(found == expected, || format!("found {found:?}, expected {expected:?}"))
}

fn check(row: &Row) -> Checked {
    if row.bytes == [frame::ACK] {
        return equal(Decoder::new().push(frame::ACK), Some(Event::Ack));
    }
    if row.origin == "captured, unstuffed in the post" {
        // The raw 0x80 begins another frame. That is why bytes must be escaped.
        return require(decode(row).is_err(), || "it must not be accepted as a frame".to_owned());
    }
    let body = decode(row)?;
    let packet = match row.crc_ok.strip_prefix("no (calc ") {
        Some(expected) => {
            let expected = u16::from_str_radix(expected.trim_end_matches(')'), 16)?;
            let found = datalink::parse(&body);
            return require(
                matches!(found, Err(PacketError::Checksum { expected: e, .. }) if e == expected),
                || format!("{found:?}"),
            );
        }
        None => datalink::parse(&body)?,
    };
    // Our encoder gives exactly the bytes that were sent.
    equal(datalink::emit(row.direction, packet), row.bytes.clone())?;
    match row.direction {
        Direction::ToMeter => check_request(row, packet),
        Direction::FromMeter => check_answer(row, packet),
    }
}

/// The body of the one frame.
fn decode(row: &Row) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut decoder = Decoder::new();
    let events: Vec<Event> = row.bytes.iter().filter_map(|&byte| decoder.push(byte)).collect();
    match <[Event; 1]>::try_from(events) {
        Ok([Event::Frame { direction, body }]) if direction == row.direction => Ok(body),
        other => Err(format!("{other:?}").into()),
    }
}

fn check_request(row: &Row, packet: Packet<'_>) -> Checked {
    let request = Request::parse(packet);
    if let Some(registers) = row.decoded.strip_prefix("registers ") {
        let registers: Vec<RegisterId> =
            registers.split(", ").map(str::parse).collect::<Result<_, _>>()?;
        let command = GetRegister::new(&registers)?;
        equal(message::emit_request(Address::HEAT_METER, &command), row.bytes.clone())?;
        return equal(request, Ok(Request::GetRegister(command)));
    }
    match packet.cid {
        Cid::GET_TYPE => {
            equal(message::emit_request(packet.address, &GetType), row.bytes.clone())?;
            equal(request, Ok(Request::GetType))
        }
        Cid::GET_SERIAL_NO => {
            equal(message::emit_request(packet.address, &GetSerialNo), row.bytes.clone())?;
            equal(request, Ok(Request::GetSerialNo))
        }
        Cid::LOGGER => check_logger_request(row, packet),
        Cid::GET_REGISTER => Err(format!("{request:?}, but the row has no registers").into()),
        cid => equal(request, Err(RequestError::Unknown { cid })),
    }
}

fn check_answer(row: &Row, packet: Packet<'_>) -> Checked {
    match packet.cid {
        Cid::GET_TYPE => {
            let answer = GetType.parse_answer(packet.data)?;
            equal(&answer.emit()[..], packet.data)?;
            let found = format!("type 0x{:04X}", answer.code);
            require(row.decoded.contains(&found), || found)?;
            let found = format!(" = {}", answer.revision);
            require(row.decoded.ends_with(&found), || found)
        }
        Cid::GET_SERIAL_NO => {
            let answer = GetSerialNo.parse_answer(packet.data)?;
            equal(&answer.emit()[..], packet.data)?;
            let expected = row.decoded.rsplit(' ').next().unwrap_or_default();
            equal(answer, SerialNumber::new(expected.parse()?))
        }
        Cid::GET_REGISTER => check_registers(row, packet.data),
        Cid::LOGGER => check_logger_answer(row, packet.data),
        // Other commands are checked only up to the data link layer.
        _ => Ok(()),
    }
}

/// `60 energy = 55.006 MWh (len 4, SiEx 43); 80 power = 0.0 kW (len 2, SiEx 41)`
fn check_registers(row: &Row, data: &[u8]) -> Checked {
    let described: Vec<&str> = match row.decoded.as_str() {
        "empty" => Vec::new(),
        decoded => decoded.split("; ").collect(),
    };
    let ids: Vec<RegisterId> = described
        .iter()
        .map(|text| text.split(' ').next().unwrap_or_default().parse())
        .collect::<Result<_, _>>()?;
    let asked = if ids.is_empty() { vec![RegisterId::new(60)] } else { ids };
    let values = GetRegister::new(&asked)?.parse_answer(data)?;
    equal(&GetRegister::emit_answer(&values)[..], data)?;
    equal(values.len(), described.len())?;
    for (value, described) in values.iter().zip(described) {
        let (_, after) = described.split_once(" = ").ok_or("no ` = `")?;
        let number = number::to_decimal(value.sign_exponent, value.mantissa())?;
        let unit = value.unit.symbol().unwrap_or("number");
        let length = value.mantissa().len();
        let sign_exponent = value.sign_exponent.byte();
        let found = format!("{number} {unit} (len {length}, SiEx {sign_exponent:02X})");
        equal(found.as_str(), after)?;
        // Every register that a real meter sent has a value.
        value.value()?;
    }
    Ok(())
}

/// `sub 06, log type 2, log id 2, 2 entries, register 1003`
fn check_logger_request(row: &Row, packet: Packet<'_>) -> Checked {
    let request = Request::parse(packet);
    if row.meaning.starts_with("unknown") {
        let length = packet.data.len();
        return equal(request, Err(RequestError::Data { cid: Cid::LOGGER, length }));
    }
    let Request::Logger(request) = request? else { return Err("no request to the logger".into()) };
    let (described, bytes) = match &request {
        LoggerRequest::Configuration(command) => {
            let described = format!("sub 05, log type {} ({})", command.log.code(), command.log);
            (described, message::emit_request(packet.address, command))
        }
        LoggerRequest::IdPastAbs(command) => {
            let GetLogIdPastAbs { from, selection } = command;
            let described = describe_selection("06", &format!("log id {from}"), selection);
            (described, message::emit_request(packet.address, command))
        }
        LoggerRequest::LastEntryPastAbs(command) => {
            let GetLogLastEntryPastAbs { offset, selection } = command;
            let described = describe_selection("07", &format!("offset {offset}"), selection);
            (described, message::emit_request(packet.address, command))
        }
    };
    equal(described.as_str(), &row.decoded)?;
    equal(bytes, row.bytes.clone())
}

fn describe_selection(sub_command: &str, from: &str, selection: &Selection) -> String {
    let (log, entries) = (selection.log().code(), selection.entries());
    let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    let registers: Vec<String> = selection.registers().iter().map(ToString::to_string).collect();
    let registers = registers.join(", ");
    format!("sub {sub_command}, log type {log}, {from}, {entries}, register {registers}")
}

/// Each captured answer with what it must be decoded to, beside what the row says in words.
fn check_logger_answer(row: &Row, data: &[u8]) -> Checked {
    let ids = |ids: &[u16]| ids.iter().map(|id| RegisterId::new(*id)).collect::<Vec<_>>();
    let values = |answer: &LogAnswer| -> Result<Vec<String>, Box<dyn Error>> {
        let mut shown = Vec::new();
        for entry in answer.entries() {
            for value in entry.values {
                shown.push(format!("{} {} {}", entry.id, value.register, value.value()?));
            }
        }
        Ok(shown)
    };
    let by_id = |log, from, entries, registers: &[u16]| -> Result<_, Box<dyn Error>> {
        let selection = Selection::new(log, entries, &ids(registers))?;
        let command = GetLogIdPastAbs { from: LogId::new(from), selection };
        let answer = command.parse_answer(data)?;
        equal(&command.emit_answer(&answer)[..], data)?;
        Ok(answer)
    };
    match data.first_chunk::<2>() {
        Some([5, 2]) => {
            let command = GetConfiguration { log: Log::Year };
            let found = command.parse_answer(data)?;
            equal(&command.emit_answer(&found)[..], data)?;
            let registers: Vec<String> =
                found.registers().iter().map(ToString::to_string).collect();
            let described = format!(
                "year log: date1 01-01, date2 00-00, depth {}, {} registers: {}",
                found.depth(),
                registers.len(),
                registers.join(" ")
            );
            equal(described.as_str(), &row.decoded)?;
            // A simulated meter sends the same bytes.
            let built = LogConfiguration::new(found.depth(), found.registers());
            equal(built, Some(found))
        }
        Some([7, 7]) => {
            let selection = Selection::new(Log::Minute2, 1, &ids(&[1002]))?;
            let command = GetLogLastEntryPastAbs { offset: 0xFFFF, selection };
            let answer = command.parse_answer(data)?;
            equal(&command.emit_answer(&answer)[..], data)?;
            equal((answer.first(), answer.newest()), (LogId::new(0), LogId::new(0)))?;
            equal(answer.info(), LogInfo::NO_ENTRIES)?;
            require(row.decoded.contains("info 0x0001"), || row.decoded.clone())?;
            equal(answer.entries(), Vec::new())
        }
        Some([6, 2]) => {
            let answer = by_id(Log::Year, 2, 2, &[1003])?;
            equal(answer.newest(), LogId::new(2))?;
            equal(answer.info(), LogInfo::OLDEST_INCLUDED.with(LogInfo::NEWEST_INCLUDED))?;
            require(row.decoded.contains("info 0x00C0"), || row.decoded.clone())?;
            equal(values(&answer)?, vec!["2 1003 2026-01-01".into(), "1 1003 2025-01-01".into()])
        }
        Some([6, 4]) => {
            let answer = by_id(Log::Day, 188, 3, &[1002, 1003, 348])?;
            equal(answer.newest(), LogId::new(645))?;
            equal(answer.info(), LogInfo::OLDEST_INCLUDED)?;
            require(row.decoded.contains("info 0x0040"), || row.decoded.clone())?;
            let day = |id: u32, date: &str| {
                [
                    format!("{id} 1002 00:00:04"),
                    format!("{id} 1003 {date}"),
                    format!("{id} 348 {date}T00:00:04"),
                ]
            };
            let days = [(188, "2024-12-31"), (187, "2024-12-30"), (186, "2024-12-29")];
            equal(values(&answer)?, days.map(|(id, date)| day(id, date)).concat())
        }
        other => Err(format!("nothing is known about the answer {other:?}").into()),
    }
}
