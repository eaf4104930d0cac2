//! Properties that hold for any bytes: accepted input is encoded again to the same bytes, rejected
//! input is rejected for the right reason, and nothing panics.
//!
//! The fuzz targets and `cargo test` both use this module. It computes the expected result of each
//! parser a second time, in the simplest way. So it also finds results that are consistent but
//! wrong.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken property ends with a panic"
)]

use kmp::datalink::{self, Address, Cid, Packet, PacketError};
use kmp::frame::{self, Damage, Decoder, Direction, Event};
use kmp::logger::{
    GetConfiguration, GetLogIdPastAbs, GetLogLastEntryPastAbs, Log, LogAnswer, LogEntry, LogId,
    LoggerRequest, Selection,
};
use kmp::message::{
    self, AnswerError, AnswerOrder, Command, GetRegister, GetSerialNo, GetType, Request,
    RequestError,
};
use kmp::number::{self, NumberError, SignExponent};
use kmp::register::RegisterId;
use kmp::unit::{Quantity, Unit};
use kmp::value::{Date, RegisterValue, TimeOfDay, Value, ValueError};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// Checks bytes as they arrive from the line.
pub(crate) fn frame(bytes: &[u8]) {
    let mut decoder = Decoder::new();
    for (index, &byte) in bytes.iter().enumerate() {
        let begun = decoder.inside();
        let event = decoder.push(byte);
        match &event {
            Some(Event::Frame { direction, body }) => packet_of(*direction, body),
            Some(Event::Ack) => assert_eq!((byte, begun), (frame::ACK, None)),
            Some(Event::Damaged { direction, .. }) => assert_eq!(begun, Some(*direction)),
            None => {}
        }
        // Every frame is found, and nothing else is accepted as one.
        let frame = match event {
            Some(Event::Frame { direction, body }) => Some((direction, body)),
            _ => None,
        };
        assert_eq!(frame, frame_at_the_end(&bytes[..=index]));
        if let Some((direction, body)) = frame {
            assert!(bytes[..=index].ends_with(&frame::emit(direction, &body)));
        }
    }
    // The same bytes as the body of a frame.
    if let [address, cid, data @ ..] = bytes {
        let packet = Packet { address: Address::new(*address), cid: Cid::new(*cid), data };
        for direction in [Direction::ToMeter, Direction::FromMeter] {
            let event = only_event(&datalink::emit(direction, packet));
            if data.len() + 4 > frame::MAX_BODY {
                assert_eq!(event, Event::Damaged { direction, damage: Damage::TooLong });
                continue;
            }
            let Event::Frame { direction: found, body } = event else { panic!("{event:?}") };
            assert_eq!((found, datalink::parse(&body)), (direction, Ok(packet)));
            packet_of(direction, &body);
        }
    }
}

/// The frame whose stop byte is the last byte, according to the definition: between the last start
/// byte and the stop byte, the only reserved byte is [`frame::ESCAPE`], and the complement of a
/// reserved byte follows each of them (5512-447 M1 p.5).
fn frame_at_the_end(bytes: &[u8]) -> Option<(Direction, Vec<u8>)> {
    let (&frame::STOP, before) = bytes.split_last()? else { return None };
    let is_limit =
        |byte: &u8| [frame::START_TO_METER, frame::START_FROM_METER, frame::STOP].contains(byte);
    let start = before.iter().rposition(is_limit)?;
    let direction = match before[start] {
        frame::START_TO_METER => Direction::ToMeter,
        frame::START_FROM_METER => Direction::FromMeter,
        _ => return None,
    };
    let mut body = Vec::new();
    let mut stuffed = before[start + 1..].iter();
    while let Some(&byte) = stuffed.next() {
        body.push(match byte {
            frame::ESCAPE => stuffed.next().map(|next| !next).filter(|b| frame::is_reserved(*b))?,
            frame::ACK => return None,
            byte => byte,
        });
    }
    (body.len() <= frame::MAX_BODY).then_some((direction, body))
}

fn only_event(bytes: &[u8]) -> Event {
    let mut decoder = Decoder::new();
    let events: Vec<Event> = bytes.iter().filter_map(|&byte| decoder.push(byte)).collect();
    let [event] = <[Event; 1]>::try_from(events).unwrap();
    event
}

fn packet_of(direction: Direction, body: &[u8]) {
    let frame = frame::emit(direction, body);
    assert_eq!(only_event(&frame), Event::Frame { direction, body: body.to_vec() });
    match datalink::parse(body) {
        Ok(packet) => {
            assert_eq!(datalink::emit(direction, packet), frame);
            let request = datalink::emit(Direction::ToMeter, packet);
            match Request::parse(packet) {
                Ok(Request::GetType) => {
                    assert_eq!(message::emit_request(packet.address, &GetType), request);
                }
                Ok(Request::GetSerialNo) => {
                    assert_eq!(message::emit_request(packet.address, &GetSerialNo), request);
                }
                Ok(Request::GetRegister(command)) => {
                    assert_eq!(message::emit_request(packet.address, &command), request);
                }
                Ok(Request::Logger(command)) => {
                    let emitted = match command {
                        LoggerRequest::Configuration(it) => {
                            message::emit_request(packet.address, &it)
                        }
                        LoggerRequest::IdPastAbs(it) => message::emit_request(packet.address, &it),
                        LoggerRequest::LastEntryPastAbs(it) => {
                            message::emit_request(packet.address, &it)
                        }
                    };
                    assert_eq!(emitted, request);
                }
                Err(RequestError::Unknown { cid }) => {
                    assert_eq!(cid, packet.cid);
                    let known = [Cid::GET_TYPE, Cid::GET_SERIAL_NO, Cid::GET_REGISTER, Cid::LOGGER];
                    assert!(!known.contains(&cid));
                }
                Err(RequestError::Data { cid, length }) => {
                    assert_eq!((cid, length), (packet.cid, packet.data.len()));
                }
            }
            answer(packet.data);
        }
        Err(PacketError::TooShort { length }) => {
            assert_eq!(length, body.len());
            assert!(length < 4);
        }
        Err(PacketError::Checksum { expected, found }) => {
            assert_ne!(expected, found);
            let (covered, crc) = body.split_last_chunk().unwrap();
            assert_eq!(*crc, found.to_be_bytes());
            let corrected = [covered, &expected.to_be_bytes()].concat();
            let packet = datalink::parse(&corrected).unwrap();
            assert_eq!(datalink::emit(direction, packet), frame::emit(direction, &corrected));
        }
    }
}

/// Checks the data that follows a command id, as a request and as an answer of each command.
pub(crate) fn answer(data: &[u8]) {
    requests(data);
    four_bytes(data);
    registers(data);
    logger(data);
}

fn requests(data: &[u8]) {
    let parse = |cid| Request::parse(Packet { address: Address::HEAT_METER, cid, data });
    let rejected = |cid| Err(RequestError::Data { cid, length: data.len() });
    let bare = |cid, request| if data.is_empty() { Ok(request) } else { rejected(cid) };
    assert_eq!(parse(Cid::GET_TYPE), bare(Cid::GET_TYPE, Request::GetType));
    assert_eq!(parse(Cid::GET_SERIAL_NO), bare(Cid::GET_SERIAL_NO, Request::GetSerialNo));

    let request = match parse(Cid::GET_REGISTER) {
        Ok(Request::GetRegister(command)) => {
            let mut emitted = Vec::new();
            command.emit_data(&mut emitted);
            assert_eq!(emitted, data);
            assert_eq!(GetRegister::new(command.registers()), Ok(command.clone()));
            Some(command.registers().to_vec())
        }
        request => {
            assert_eq!(request, rejected(Cid::GET_REGISTER));
            None
        }
    };
    assert_eq!(request, registers_of_request(data));
}

/// Parses `count | high low | high low ...`: 1 to 8 registers, each once (5512-447 M1 p.19).
fn registers_of_request(data: &[u8]) -> Option<Vec<RegisterId>> {
    let (&count, ids) = data.split_first()?;
    let ids: Vec<_> = ids.chunks(2).map(id).collect::<Option<_>>()?;
    let each_once = (0..ids.len()).all(|index| !ids[..index].contains(&ids[index]));
    ((1..=8).contains(&count) && ids.len() == count.into() && each_once).then_some(ids)
}

fn id(bytes: &[u8]) -> Option<RegisterId> {
    let &[high, low, ..] = bytes else { return None };
    Some(RegisterId::new(u16::from(high) * 256 + u16::from(low)))
}

fn four_bytes(data: &[u8]) {
    let Ok(bytes) = <[u8; 4]>::try_from(data) else {
        let rejected = AnswerError::Length { expected: 4, found: data.len() };
        assert_eq!(GetType.parse_answer(data), Err(rejected));
        assert_eq!(GetSerialNo.parse_answer(data), Err(rejected));
        return;
    };
    let meter_type = GetType.parse_answer(data).unwrap();
    assert_eq!(meter_type.emit(), bytes);
    let revision = meter_type.revision.to_string();
    let (letter, number) = match revision.split_once('.') {
        Some((letter, number)) => (letter.parse().unwrap(), number),
        None => (revision.as_bytes()[0] - b'A' + 1, &revision[1..]),
    };
    assert_eq!([letter, number.parse().unwrap()], bytes[2..]);
    let serial = GetSerialNo.parse_answer(data).unwrap();
    assert_eq!(serial.emit(), bytes);
    assert_eq!(serial.to_string().parse(), Ok(u32::from_be_bytes(bytes)));
}

/// Cuts data into complete registers. The second value is the rest.
fn cut(mut data: &[u8]) -> (Vec<(RegisterId, &[u8])>, &[u8]) {
    let mut registers = Vec::new();
    while let (Some(id), Some(&length)) = (id(data), data.get(3)) {
        let whole = usize::from(length) + 5;
        if whole > data.len() {
            break;
        }
        registers.push((id, &data[..whole]));
        data = &data[whole..];
    }
    (registers, data)
}

fn registers(data: &[u8]) {
    let (cut, rest) = cut(data);
    let mut asked: Vec<RegisterId> = Vec::new();
    for (register, _) in &cut {
        if asked.len() < GetRegister::MAX && !asked.contains(register) {
            asked.push(*register);
        }
    }
    if asked.is_empty() {
        asked.push(RegisterId::new(60));
    }
    let command = GetRegister::new(&asked).unwrap();
    let rejection = cut.iter().enumerate().find_map(|(index, &(register, _))| {
        if !asked.contains(&register) {
            Some(AnswerError::NotRequested { register })
        } else if cut[..index].iter().any(|(earlier, _)| *earlier == register) {
            Some(AnswerError::Duplicate { register })
        } else {
            None
        }
    });
    let truncated = AnswerError::Truncated { offset: data.len() - rest.len() };
    let rejection = rejection.or((!rest.is_empty()).then_some(truncated));
    let values = match (command.parse_answer(data), rejection) {
        (Ok(values), None) => values,
        (found, rejection) => {
            assert_eq!(found.err(), rejection);
            return;
        }
    };
    assert_eq!(GetRegister::emit_answer(&values), data);
    assert_eq!(values.len(), cut.len());
    for (value, (register, bytes)) in values.iter().zip(&cut) {
        assert_eq!(value.register, *register);
        assert_eq!(value.unit.code(), bytes[2]);
        assert_eq!(value.sign_exponent.byte(), bytes[4]);
        assert_eq!(value.mantissa(), &bytes[5..]);
        meaning(value);
    }
    if values.len() < 2 {
        assert_eq!(command.answer_order(&values), AnswerOrder::Undecidable);
    } else {
        assert_eq!(command.answer_order(&values), AnswerOrder::InOrder);
        let reversed: Vec<_> = asked.iter().rev().copied().collect();
        let reversed = GetRegister::new(&reversed).unwrap();
        assert_eq!(reversed.parse_answer(data).as_ref(), Ok(&values));
        assert_eq!(reversed.answer_order(&values), AnswerOrder::Reordered);
        let fewer = GetRegister::new(&asked[1..]).unwrap();
        let register = asked[0];
        assert_eq!(fewer.parse_answer(data), Err(AnswerError::NotRequested { register }));
    }
    let another = (0..=9).map(RegisterId::new).find(|id| !asked.contains(id)).unwrap();
    if let Ok(more) = GetRegister::new(&[&asked[..], &[another]].concat()) {
        assert_eq!(more.parse_answer(data).as_ref(), Ok(&values));
        assert_eq!(
            more.expecting(|id| id == another).answer_order(&values),
            AnswerOrder::Incomplete
        );
    }
}

/// Checks the data of a request to the logger, or of its answer.
pub(crate) fn logger(data: &[u8]) {
    let packet = Packet { address: Address::HEAT_METER, cid: Cid::LOGGER, data };
    let parsed = LoggerRequest::parse(data);
    let length = data.len();
    let rejected = RequestError::Data { cid: Cid::LOGGER, length };
    assert_eq!(Request::parse(packet), parsed.clone().map(Request::Logger).ok_or(rejected));
    if let Some(request) = parsed {
        let mut emitted = Vec::new();
        match request {
            LoggerRequest::Configuration(command) => command.emit_data(&mut emitted),
            LoggerRequest::IdPastAbs(command) => command.emit_data(&mut emitted),
            LoggerRequest::LastEntryPastAbs(command) => command.emit_data(&mut emitted),
        }
        assert_eq!(emitted, data);
        assert!((5..=7).contains(&data[0]) && (2..=7).contains(&data[1]));
    }
    let log = data.get(1).and_then(|code| Log::from_code(*code)).unwrap_or(Log::Day);
    let command = GetConfiguration { log };
    if let Ok(configuration) = command.parse_answer(data) {
        assert_eq!(command.emit_answer(&configuration), data);
        assert_eq!(data.len(), 15 + 2 * configuration.registers().len());
        assert!(data.len() <= command.max_answer_data());
    }
    entries(log, data);
}

/// Checks the data of an answer with entries, as the answer to the request that it fits.
fn entries(log: Log, data: &[u8]) {
    let Some(head) = data.first_chunk::<15>() else { return };
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum * 256 + u32::from(*byte));
    let (first, newest) = (number(&head[5..9]), number(&head[9..13]));
    let (cut, _) = cut(&data[15..]);
    let count = usize::from(head[4]);
    let first_entry = cut.get(..count).unwrap_or(&cut);
    let mut ids: Vec<RegisterId> = Vec::new();
    for (id, _) in first_entry {
        if ids.len() < Selection::MAX_REGISTERS && !ids.contains(id) {
            ids.push(*id);
        }
    }
    if ids.is_empty() {
        ids.push(RegisterId::new(60));
    }
    let asked = u16::from_be_bytes([head[2], head[3]]).max(1);
    let selection = Selection::new(log, asked, &ids).unwrap();
    let from = GetLogIdPastAbs { from: LogId::new(first), selection: selection.clone() };
    let last = GetLogLastEntryPastAbs { offset: 0, selection };
    let (found, emitted) = match head[0] {
        6 => {
            let found = from.parse_answer(data);
            let other = GetLogIdPastAbs { from: LogId::new(first ^ 1), ..from.clone() };
            let is_empty = found.as_ref().is_ok_and(LogAnswer::is_empty);
            assert!(other.parse_answer(data).is_err() || first == 0 && is_empty);
            (found.clone(), found.map(|answer| from.emit_answer(&answer)))
        }
        7 => {
            let found = last.parse_answer(data);
            (found.clone(), found.map(|answer| last.emit_answer(&answer)))
        }
        _ => {
            assert!(from.parse_answer(data).is_err() && last.parse_answer(data).is_err());
            return;
        }
    };
    let Ok(answer) = found else { return };
    assert_eq!(emitted.as_deref(), Ok(data));
    assert_eq!((answer.first().get(), answer.newest().get()), (first, newest));
    let entries = answer.entries();
    // Bits 0, 1, 8, 9 and 10, and those that nobody explains: 11, 12, 14 and 15.
    if answer.info().bits() & 0b1101_1111_0000_0011 != 0 || head[2..4] == [0, 0] {
        assert_eq!(entries, []);
        return;
    }
    assert_eq!(entries.len(), usize::from(asked));
    assert_eq!(LogAnswer::new(answer.newest(), answer.info(), &entries), Some(answer));
    // The bytes of the values are those of the answer, in their order.
    let heads: usize = 15 + 5 * count;
    let values: Vec<u8> = entries
        .iter()
        .flat_map(|entry| entry.values.iter().flat_map(|value| value.mantissa().to_vec()))
        .collect();
    assert_eq!(heads + values.len(), data.len());
    assert!(data.ends_with(&values[first_entry_bytes(&entries)..]));
    for (LogEntry { id, values }, back) in entries.iter().zip(0..) {
        assert_eq!(id.get(), first - back);
        assert_eq!(values.len(), count);
        values.iter().for_each(meaning);
    }
}

fn first_entry_bytes(entries: &[LogEntry]) -> usize {
    entries.first().map_or(0, |entry| entry.values.iter().map(|it| it.mantissa().len()).sum())
}

/// Checks one register: `register 2 | unit 1 | SiEx 1 | mantissa`, as on the line except for the
/// length, which follows from the mantissa.
pub(crate) fn value(bytes: &[u8]) {
    let &[high, low, unit, sign_exponent, ref mantissa @ ..] = bytes else { return };
    let register = RegisterId::new(u16::from_be_bytes([high, low]));
    let unit = Unit::from_code(unit);
    let sign_exponent = SignExponent::from_byte(sign_exponent);
    let new =
        |mantissa: &[u8]| RegisterValue::new(register, unit, sign_exponent, mantissa.to_vec());
    let value = new(mantissa);
    assert_eq!(value.is_some(), mantissa.len() <= 255);
    let value = value.or_else(|| new(&mantissa[..255])).unwrap();

    let data = GetRegister::emit_answer(std::slice::from_ref(&value));
    let command = GetRegister::new(&[register]).unwrap();
    assert_eq!(command.parse_answer(&data).as_deref(), Ok(&[value.clone()][..]));

    assert_eq!(register.to_string().parse(), Ok(register));
    assert_eq!(format!("{:#06x}", register.get()).parse(), Ok(register));
    assert!(register.info().is_none_or(|info| info.id == register));
    if let Some(symbol) = unit.symbol() {
        assert_eq!(unit.to_string(), symbol);
        assert_eq!(Unit::from_symbol(symbol), Some(unit));
    }
    meaning(&value);
}

/// Checks the value of a register's bytes.
fn meaning(register: &RegisterValue) {
    let mantissa = register.mantissa();
    let number = number(register.sign_exponent, mantissa);
    let value = register.value();
    let shown = value.as_ref().map(ToString::to_string).unwrap_or_default();
    match register.unit.quantity() {
        Quantity::DateTime if register.unit == Unit::DATE_TIME => date_time(mantissa, &value),
        Quantity::DateTime => {
            assert_eq!(value, Err(ValueError::UnknownLayout { unit: register.unit }));
        }
        Quantity::Text => {
            let zeros = mantissa.iter().rev().take_while(|byte| **byte == 0).count();
            let filled = &mantissa[..mantissa.len() - zeros];
            let expected = match filled.iter().find(|byte| !(b' '..=b'~').contains(byte)) {
                Some(&byte) => Err(ValueError::Text { byte }),
                None => match str::from_utf8(filled).unwrap().trim() {
                    "" => Err(ValueError::NotSet),
                    text => Ok(Value::Text(text.to_owned())),
                },
            };
            assert_eq!(value, expected);
        }
        quantity @ (Quantity::Date | Quantity::MonthDay | Quantity::TimeOfDay) => {
            let digits = match number {
                Err(error) => return assert_eq!(value, Err(error.into())),
                Ok(number) => match number.to_u32().filter(|_| number.is_integer()) {
                    None => {
                        return assert_eq!(value, Err(ValueError::NotAnInteger { value: number }));
                    }
                    Some(digits) => digits,
                },
            };
            // 20260131, 260131, 131 and 235959 are all split in this way.
            let (high, middle, low) = (digits / 10_000, digits / 100 % 100, digits % 100);
            let (exists, skipped) = match quantity {
                Quantity::TimeOfDay => (high < 24 && middle < 60 && low < 60, 0),
                Quantity::MonthDay => (high == 0 && exists(2000, middle, low), 0),
                _ if register.unit == Unit::DATE_YYYYMMDD => {
                    (high <= 9999 && exists(high, middle, low), 0)
                }
                _ => (high < 100 && exists(high + 2000, middle, low), 20_000_000),
            };
            assert_eq!(value.is_ok(), exists, "{value:?}");
            if exists {
                let text: String = shown.chars().filter(char::is_ascii_digit).collect();
                assert_eq!(text.parse::<u32>().unwrap() - skipped, digits);
                let (id, unit) = (register.register, register.unit);
                let again = RegisterValue::from_decimal(id, unit, digits.into(), 4).unwrap();
                assert_eq!(again.value(), value);
            } else if digits == 0 {
                assert_eq!(value, Err(ValueError::NotSet));
            }
        }
        _ => {
            assert_eq!(value, number.map(Value::Number).map_err(ValueError::from));
            if let Ok(number) = number {
                let again = Decimal::from_str_exact(&shown).unwrap();
                assert_eq!((again, again.scale()), (number, number.scale()));
            }
        }
    }
}

/// The largest coefficient of a [`Decimal`], plus one.
const LIMIT: u128 = 1 << 96;

/// Computes mantissa · 10^exponent in integers: the exact result, or an error.
fn number(sign_exponent: SignExponent, mantissa: &[u8]) -> Result<Decimal, NumberError> {
    let found = number::to_decimal(sign_exponent, mantissa);
    let exponent = sign_exponent.exponent();
    assert_eq!(
        SignExponent::new(sign_exponent.is_negative(), exponent)
            .map(|again| { (again.is_negative(), again.exponent()) }),
        Some((sign_exponent.is_negative(), exponent))
    );
    if mantissa.is_empty() {
        assert_eq!(found, Err(NumberError::Empty));
        return found;
    }
    let integer = mantissa.iter().try_fold(0_u128, |sum, &byte| {
        Some(sum * 256 + u128::from(byte)).filter(|sum| *sum < LIMIT)
    });
    let (coefficient, scale) = if exponent >= 0 {
        let tens = (0..exponent)
            .fold(integer, |product, _| product.and_then(|p| Some(p * 10).filter(|p| *p < LIMIT)));
        (tens, 0)
    } else {
        (integer.filter(|_| exponent >= -28), u32::from(exponent.unsigned_abs()))
    };
    let Some(coefficient) = coefficient else {
        let length = mantissa.len();
        assert_eq!(found, Err(NumberError::OutOfRange { length, exponent }));
        return found;
    };
    let number = found.unwrap();
    assert_eq!(number.mantissa().unsigned_abs(), coefficient);
    assert_eq!(number.scale(), scale);
    assert_eq!(number.is_sign_negative(), sign_exponent.is_negative() && coefficient != 0);

    // Twelve bytes hold any decimal.
    let (again, bytes) = number::from_decimal(number, 12).unwrap();
    let again = number::to_decimal(again, &bytes).unwrap();
    assert_eq!((again, again.scale()), (number, scale));
    // With its own length, the mantissa has its own bytes again, unless it was multiplied.
    let length = u8::try_from(mantissa.len()).unwrap();
    let fits = mantissa.len() <= 16 && (length >= 12 || coefficient >> (8 * length) == 0);
    match number::from_decimal(number, length) {
        Ok((again, bytes)) => {
            assert!(fits);
            assert_eq!(bytes.len(), mantissa.len());
            assert_eq!(number::to_decimal(again, &bytes), Ok(number));
            if exponent <= 0 {
                assert_eq!(bytes, mantissa);
                assert_eq!(again.exponent(), exponent);
            }
        }
        rejected => {
            assert!(!fits);
            assert_eq!(rejected, Err(NumberError::DoesNotFit { length }));
        }
    }
    found
}

fn date_time(mantissa: &[u8], value: &Result<Value, ValueError>) {
    let &[offset, year, month, day, hour, minute, second] = mantissa else {
        let length = mantissa.len();
        return assert_eq!(value, &Err(ValueError::DateTimeLength { length }));
    };
    let [year, month, day] = [2000 + u32::from(year), month.into(), day.into()];
    if !exists(year, month, day) || hour > 23 || minute > 59 || second > 59 {
        let expected = match mantissa {
            [0, 0, 0, 0, 0, 0, 0] => ValueError::NotSet,
            _ => ValueError::DateTime { bytes: mantissa.try_into().unwrap() },
        };
        return assert_eq!(value, &Err(expected));
    }
    let Ok(Value::DateTime(found)) = value else { panic!("{value:?}") };
    let minutes = |hour: u8, minute: u8| 60 * u32::from(hour) + u32::from(minute);
    let expected = days(year, month, day) * 1440 + minutes(hour, minute) + u32::from(offset);
    assert_eq!(days_of(found.date) * 1440 + minutes_of(found.time), expected);
    assert_eq!(found.time.second(), second);
    assert!(exists(found.date.year().into(), found.date.month().into(), found.date.day().into()));
}

fn days_of(date: Date) -> u32 {
    days(date.year().into(), date.month().into(), date.day().into())
}

fn minutes_of(time: TimeOfDay) -> u32 {
    60 * u32::from(time.hour()) + u32::from(time.minute())
}

/// Days since 1 March of the year -400. Years begin in March here, so a leap day is the last day of
/// a year.
fn days(year: u32, month: u32, day: u32) -> u32 {
    let (year, month) = if month > 2 { (year + 400, month - 3) } else { (year + 399, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1
}

fn exists(year: u32, month: u32, day: u32) -> bool {
    let next = || if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
    (1..=12).contains(&month) && day >= 1 && days(year, month, 1) + day <= next()
}
