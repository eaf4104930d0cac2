use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::datalink::{self, Address, Cid, Packet};
use crate::frame::{Decoder, Event};
use crate::message::{
    AnswerError, Command, GetRegister, GetSerialNo, GetType, MinData, Request, RequestError,
    emit_request,
};
use crate::number::SignExponent;
use crate::register::RegisterId;
use crate::unit::Unit;
use crate::value::{Date, RegisterValue};

fn ids(ids: &[u16]) -> Vec<RegisterId> {
    ids.iter().map(|&id| RegisterId::new(id)).collect()
}

fn value(id: u16, mantissa: &[u8]) -> RegisterValue {
    let exponent = SignExponent::from_byte(0);
    RegisterValue::new(RegisterId::new(id), Unit::NUMBER, exponent, mantissa.to_vec()).unwrap()
}

fn selection(entries: u16, registers: &[u16]) -> Selection {
    Selection::new(Log::Day, entries, &ids(registers)).unwrap()
}

fn from(from: u32, entries: u16, registers: &[u16]) -> GetLogIdPastAbs {
    GetLogIdPastAbs { from: LogId::new(from), selection: selection(entries, registers) }
}

/// Entries with these registers, from an id backwards.
fn entries(from: u32, count: u8, registers: &[u16]) -> Vec<LogEntry> {
    let entry = |back: u8| LogEntry {
        id: LogId::new(from - u32::from(back)),
        values: registers.iter().map(|id| value(*id, &[1, 2, 3, back])).collect(),
    };
    (0..count).map(entry).collect()
}

fn answer(from: u32, count: u8, registers: &[u16]) -> LogAnswer {
    let entries = entries(from, count, registers);
    LogAnswer::new(LogId::new(from), LogInfo::NONE, &entries).unwrap()
}

fn data<C: Command>(command: &C) -> Vec<u8> {
    let mut data = vec![];
    command.emit_data(&mut data);
    data
}

#[test]
fn entries_are_numbered_from_the_first_one_down() {
    let command = from(645, 3, &[1003, 60]);
    let sent = command.emit_answer(&answer(645, 3, &[1003, 60]));
    let found = command.parse_answer(&sent).unwrap();
    assert_eq!(found.entries(), entries(645, 3, &[1003, 60]));
    assert_eq!(found.newest(), LogId::new(645));
}

#[test]
fn a_late_answer_to_an_older_piece_is_rejected() {
    let late = from(645, 24, &[60]).emit_answer(&answer(645, 24, &[60]));
    let command = from(621, 24, &[60]);
    let rejected = AnswerError::OtherEntry { asked: LogId::new(621), found: LogId::new(645) };
    assert_eq!(command.parse_answer(&late), Err(rejected));
}

#[test]
fn an_answer_about_something_else_is_rejected() {
    let command = from(9, 2, &[60, 68]);
    let sent = command.emit_answer(&answer(9, 2, &[60, 68]));
    let reject = |command: &GetLogIdPastAbs| command.parse_answer(&sent).unwrap_err();

    let selection = Selection::new(Log::Hour, 2, &ids(&[60, 68])).unwrap();
    let hour = GetLogIdPastAbs { selection: selection.clone(), ..command.clone() };
    assert_eq!(reject(&hour), AnswerError::OtherLog { asked: Log::Hour, found: 4 });
    let last = GetLogLastEntryPastAbs { offset: 0, selection };
    let other = AnswerError::OtherSubCommand { asked: 7, found: 6 };
    assert_eq!(last.parse_answer(&sent), Err(other));
    assert_eq!(
        GetConfiguration { log: Log::Day }.parse_answer(&sent),
        Err(AnswerError::OtherSubCommand { asked: 5, found: 6 })
    );
    assert_eq!(reject(&from(9, 1, &[60, 68])), AnswerError::Entries { asked: 1, found: 2 });
    let register = RegisterId::new(68);
    assert_eq!(reject(&from(9, 2, &[60, 74])), AnswerError::NotRequested { register });
    assert_eq!(reject(&from(9, 2, &[68, 60])), AnswerError::NotRequested { register });
    assert!(command.parse_answer(&sent).is_ok());
}

#[test]
fn an_answer_may_lack_entries_and_registers() {
    let command = from(9, 24, &[1003, 60, 68]);
    let sent = command.emit_answer(&answer(9, 2, &[1003, 68]));
    assert_eq!(command.parse_answer(&sent).unwrap().entries().len(), 2);
}

#[test]
fn bytes_that_lack_or_are_left_over_are_rejected() {
    let command = from(9, 3, &[60]);
    let sent = command.emit_answer(&answer(9, 3, &[60]));
    for length in 0..sent.len() {
        assert!(command.parse_answer(&sent[..length]).is_err(), "{length}");
    }
    let more = [&sent[..], &[0]].concat();
    let expected = sent.len();
    let rejected = AnswerError::Length { expected, found: expected + 1 };
    assert_eq!(command.parse_answer(&more), Err(rejected));
}

#[test]
fn ids_must_exist() {
    let command = from(9, 12, &[60]);
    let mut sent = command.emit_answer(&answer(9, 9, &[60]));
    // The log's newest id.
    sent[12] = 8;
    assert!(matches!(command.parse_answer(&sent), Err(AnswerError::Ids { .. })));
    sent[12] = 9;
    assert!(command.parse_answer(&sent).is_ok());
    // Eleven entries from id 9 down would include an id below zero.
    sent[3] = 11;
    assert!(matches!(command.parse_answer(&sent), Err(AnswerError::Ids { .. })));
}

#[test]
fn an_answer_gives_no_entries_if_the_meter_says_that_there_are_none() {
    let command = from(9, 3, &[60]);
    let sent = command.emit_answer(&answer(9, 3, &[60]));
    for bit in 0..16 {
        let info = LogInfo::from_bits(1 << bit);
        let mut sent = sent.clone();
        sent[13..15].copy_from_slice(&info.bits().to_be_bytes());
        let found = command.parse_answer(&sent).unwrap();
        let without = [0, 1, 8, 9, 10, 11, 12, 14, 15].contains(&bit);
        assert_eq!(info.has_entries(), !without, "bit {bit}");
        assert_eq!(found.entries().is_empty(), without, "bit {bit}");
        assert_eq!(info.unknown() == info, [11, 12, 14, 15].contains(&bit), "bit {bit}");
        assert_eq!(command.emit_answer(&found), sent);
    }
}

#[test]
fn an_empty_log_gives_no_entry_of_zeros() {
    let command = GetLogLastEntryPastAbs {
        offset: GetLogLastEntryPastAbs::OLDEST,
        selection: selection(1, &[60]),
    };
    let sent = command.emit_answer(&LogAnswer::empty(&[value(60, &[0; 4])]));
    let found = command.parse_answer(&sent).unwrap();
    assert_eq!((found.info(), found.entries()), (LogInfo::NO_ENTRIES, vec![]));
    // Also if an entry was requested by its id, which the answer does not repeat.
    let by_id = from(7, 24, &[60]);
    let sent = by_id.emit_answer(&LogAnswer::empty(&[value(60, &[0; 4])]));
    assert_eq!(by_id.parse_answer(&sent).unwrap().entries(), vec![]);
    // Also if the meter does not say why it gives nothing.
    let nothing = LogAnswer::refusal(LogInfo::UNSUPPORTED_REGISTER, LogId::new(7), LogId::new(9));
    let found = by_id.parse_answer(&by_id.emit_answer(&nothing)).unwrap();
    assert!(found.is_empty() && found.entries().is_empty());
    let refused = LogAnswer::refusal(LogInfo::OUT_OF_RANGE, LogId::new(7), LogId::new(9));
    let found = by_id.parse_answer(&by_id.emit_answer(&refused)).unwrap();
    assert_eq!((found.info(), found.entries()), (LogInfo::OUT_OF_RANGE, vec![]));
}

#[test]
fn a_selection_is_valid() {
    let new = |entries, registers: &[u16]| Selection::new(Log::Year, entries, &ids(registers));
    assert_eq!(new(1, &[]), Err(LogRequestError::Registers { count: 0 }));
    let many: Vec<u16> = (0..=32).collect();
    assert!(new(1, &many[..32]).is_ok());
    assert_eq!(new(1, &many), Err(LogRequestError::Registers { count: 33 }));
    let register = RegisterId::new(60);
    assert_eq!(new(1, &[60, 68, 60]), Err(LogRequestError::Duplicate { register }));
    assert_eq!(new(0, &[60]), Err(LogRequestError::NoEntries));
}

#[test]
fn the_longest_answer_follows_from_what_is_requested() {
    let selected = selection(24, &[348, 60]);
    let command = |selection| GetLogIdPastAbs { from: LogId::new(99), selection };
    assert_eq!(command(selected.clone()).max_answer_data(), 15 + 10 + 24 * 24);
    assert_eq!(command(selected.with_entry_bytes(11)).max_answer_data(), 15 + 10 + 24 * 11);
    // A frame holds no more.
    assert_eq!(command(selection(u16::MAX, &[60])).max_answer_data(), 1020);
}

#[test]
fn stamps_keep_the_offset_apart() {
    let stamp = |bytes: &[u8]| {
        let exponent = SignExponent::from_byte(0);
        let register = RegisterId::new(348);
        RegisterValue::new(register, Unit::DATE_TIME, exponent, bytes.to_vec()).unwrap().stamp()
    };
    let summer = stamp(&[60, 26, 7, 1, 23, 30, 4]).unwrap();
    assert_eq!(summer.offset_minutes, 60);
    assert_eq!(
        (summer.date.to_string(), summer.time.to_string()),
        ("2026-07-01".into(), "23:30:04".into())
    );
    let day = |date: Date| (date.year(), date.month(), date.day());
    assert_eq!(day(stamp(&[0, 24, 12, 31, 0, 0, 4]).unwrap().date), (2024, 12, 31));
    assert!(
        stamp(&[0; 7]).is_err()
            && stamp(&[0; 6]).is_err()
            && stamp(&[0, 26, 2, 30, 0, 0, 0]).is_err()
    );
    assert!(value(1003, &[0, 3, 0xF5, 0x5D]).stamp().is_err());
}

#[test]
fn logs_have_different_codes() {
    for log in Log::ALL {
        assert_eq!(Log::from_code(log.code()), Some(log));
    }
    // Configuration, info and software downloads hold no readings.
    for code in [0, 1, 8, 9, 255] {
        assert_eq!(Log::from_code(code), None);
    }
}

/// The command, and the sub-command if it has one, of a request's frame.
fn command_of<C: Command>(command: &C) -> (u8, Option<u8>) {
    let bytes = emit_request(Address::HEAT_METER, command);
    let mut decoder = Decoder::new();
    let event = bytes.iter().find_map(|byte| decoder.push(*byte));
    let Some(Event::Frame { body, .. }) = event else { panic!("{event:?}") };
    let packet = datalink::parse(&body).unwrap();
    let is_logger = packet.cid == Cid::LOGGER;
    (packet.cid.get(), is_logger.then(|| packet.data[0]))
}

/// Every command that exists: [`Command`] is sealed, so no other crate adds one.
#[test]
fn nothing_that_can_be_built_changes_the_meter() {
    let mut found = vec![command_of(&GetType), command_of(&GetSerialNo)];
    for register in 0..=u16::MAX {
        found.push(command_of(&GetRegister::new(&ids(&[register])).unwrap()));
    }
    for log in Log::ALL {
        found.push(command_of(&GetConfiguration { log }));
        for registers in 1..=32_u16 {
            let registers = ids(&(0..registers).collect::<Vec<_>>());
            for number in [0, 1, 2, 0x0102, 0x0506, 0x0909, 0x1111, 0xB8B8, u16::MAX] {
                let selection = Selection::new(log, number.max(1), &registers).unwrap();
                let from = LogId::new(u32::from(number) << 16 | u32::from(number));
                found.push(command_of(&GetLogIdPastAbs { from, selection: selection.clone() }));
                found.push(command_of(&GetLogLastEntryPastAbs { offset: number, selection }));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    let expected = [
        (0x01, None),
        (0x02, None),
        (0x10, None),
        (0xB8, Some(0x05)),
        (0xB8, Some(0x06)),
        (0xB8, Some(0x07)),
    ];
    assert_eq!(found, expected);
}

/// [`Request`] has a variant for each command, so a command that it rejects does not exist.
#[test]
fn no_other_command_or_sub_command_is_a_request() {
    let rest = [&data(&from(9, 2, &[60, 68]))[2..], &[0, 0, 0, 1, 1, 0, 60]].map(<[u8]>::to_vec);
    let mut accepted = vec![];
    for (cid, sub, log) in (0..=255_u8).flat_map(|cid| {
        (0..=255_u8).flat_map(move |sub| (0..=10_u8).map(move |log| (cid, sub, log)))
    }) {
        for rest in [&[][..], &rest[0], &rest[1]] {
            let data = [&[sub, log], rest].concat();
            let cid = Cid::new(cid);
            let parsed = Request::parse(Packet { address: Address::HEAT_METER, cid, data: &data });
            match parsed {
                Ok(Request::Logger(_)) => accepted.push((sub, log)),
                // Its data are registers.
                Ok(Request::GetRegister(_)) => assert_eq!(cid, Cid::GET_REGISTER),
                Ok(other) => panic!("{other:?}"),
                Err(RequestError::Data { .. }) => {
                    assert!([0x01, 0x02, 0x10, 0xB8].contains(&cid.get()));
                }
                Err(RequestError::Unknown { .. }) => {
                    assert!(![0x01, 0x02, 0x10, 0xB8].contains(&cid.get()));
                }
            }
        }
    }
    accepted.sort_unstable();
    accepted.dedup();
    let expected: Vec<(u8, u8)> =
        (5..=7).flat_map(|sub| (2..=7).map(move |log| (sub, log))).collect();
    assert_eq!(accepted, expected);
}

fn any_log() -> impl Strategy<Value = Log> {
    prop::sample::select(&Log::ALL[..])
}

prop_compose! {
    fn any_selection()(
        log in any_log(), entries in 1..=u16::MAX,
        registers in prop::collection::hash_set(any::<u16>(), 1..=32),
    ) -> Selection {
        let registers: Vec<_> = registers.into_iter().map(RegisterId::new).collect();
        Selection::new(log, entries, &registers).unwrap()
    }
}

/// Values of these registers in each of the entries, with the same formats.
fn any_entries(registers: Vec<RegisterId>, most: u32) -> impl Strategy<Value = Vec<LogEntry>> {
    let formats = prop::collection::vec((any::<u8>(), any::<u8>(), 1..13_usize), registers.len());
    (formats, 1..=most.min(30), 100..u32::MAX, any::<u8>()).prop_map(
        move |(formats, count, first, seed)| {
            let value = |index: usize, back: u32| {
                let (unit, exponent, length) = formats[index];
                let bytes = (u32::from(seed) + back).wrapping_mul(0x9E37_79B1).to_be_bytes();
                let mantissa = bytes.iter().copied().cycle().take(length).collect();
                let (unit, exponent) = (Unit::from_code(unit), SignExponent::from_byte(exponent));
                RegisterValue::new(registers[index], unit, exponent, mantissa).unwrap()
            };
            let entry = |back: u32| LogEntry {
                id: LogId::new(first - back),
                values: (0..registers.len()).map(|index| value(index, back)).collect(),
            };
            (0..count).map(entry).collect()
        },
    )
}

/// No beginning of this data says that it is longer, also with the checksum after it.
fn assert_least<C: Command>(command: &C, data: &[u8]) {
    let with_checksum = [data, &[0xFF, 0xFF]].concat();
    let mut before = 0;
    for end in 0..=with_checksum.len() {
        let MinData { certain, complete } = command.min_answer_data(&with_checksum[..end]);
        assert_eq!(certain, complete);
        assert!((before.min(data.len())..=data.len()).contains(&certain), "{end}: {certain}");
        before = certain;
    }
    assert!(before == data.len() || before == command.max_answer_data());
}

/// The client sleeps until an answer can be complete.
#[test]
fn the_rest_of_an_answer_is_at_least_what_its_head_says() {
    let command = from(645, 3, &[1003, 60]);
    let data = command.emit_answer(&answer(645, 3, &[1003, 60]));
    let least = |begun: &[u8]| command.min_answer_data(begun).certain;
    // A head of 15, two registers of 9, and two entries of 8.
    assert_eq!((data.len(), least(&[]), least(&data[..14])), (49, 15, 15));
    assert_eq!(least(&data[..15]), 15 + 2 * 5);
    assert_eq!(least(&data[..20]), 15 + 2 * 5 + 3 * 4);
    assert_eq!((least(&data[..29]), least(&data)), (49, 49));
    // An empty log, and one entry more than was requested.
    let empty = command.emit_answer(&LogAnswer::empty(&[value(60, &[0; 4])]));
    assert_eq!(least(&empty), 15);
    let mut more = data.clone();
    more[3] = 4;
    assert_eq!(least(&more), 15);
    // A damaged length is no reason to wait longer than an answer can take.
    let mut longer = data;
    longer[18] = 255;
    assert_eq!(least(&longer), command.max_answer_data());
    let command = GetConfiguration { log: Log::Day };
    let data = command.emit_answer(&LogConfiguration::new(460, &ids(&[1003, 60])).unwrap());
    assert_eq!(command.min_answer_data(&data[..14]).certain, 15);
    assert_eq!(command.min_answer_data(&data[..15]).certain, data.len());
}

proptest! {
    #[test]
    fn requests_survive_a_round_trip(
        log in any_log(), selection in any_selection(), from: u32, offset: u16,
    ) {
        let parse = |data: &[u8]| LoggerRequest::parse(data).unwrap();
        let command = GetConfiguration { log };
        prop_assert_eq!(parse(&data(&command)), LoggerRequest::Configuration(command));
        let command = GetLogIdPastAbs { from: LogId::new(from), selection: selection.clone() };
        prop_assert_eq!(parse(&data(&command)), LoggerRequest::IdPastAbs(command));
        let command = GetLogLastEntryPastAbs { offset, selection };
        prop_assert_eq!(parse(&data(&command)), LoggerRequest::LastEntryPastAbs(command));
    }

    #[test]
    fn configurations_survive_a_round_trip(
        log in any_log(), depth: u16, registers in prop::collection::vec(any::<u16>(), 0..=255),
    ) {
        let command = GetConfiguration { log };
        let configuration = LogConfiguration::new(depth, &ids(&registers)).unwrap();
        let data = command.emit_answer(&configuration);
        prop_assert!(data.len() <= command.max_answer_data());
        assert_least(&command, &data);
        prop_assert_eq!(command.parse_answer(&data), Ok(configuration));
    }

    #[test]
    fn answers_survive_a_round_trip(
        (selection, entries, newer, bits) in any_selection().prop_flat_map(|selection| {
            let most = selection.entries().into();
            let entries = any_entries(selection.registers().to_vec(), most);
            (Just(selection), entries, 0..99_u32, any::<u16>())
        }),
    ) {
        let from = entries[0].id;
        let newest = LogId::new(from.get().saturating_add(newer));
        // Only bits with which there are entries.
        let info = LogInfo::from_bits(bits & 0b0010_0000_1111_1100);
        let answer = LogAnswer::new(newest, info, &entries).unwrap();
        let by_id = GetLogIdPastAbs { from, selection: selection.clone() };
        let last = GetLogLastEntryPastAbs { offset: 0, selection };
        for (data, parsed) in [
            (by_id.emit_answer(&answer), by_id.parse_answer(&by_id.emit_answer(&answer))),
            (last.emit_answer(&answer), last.parse_answer(&last.emit_answer(&answer))),
        ] {
            prop_assert!(data.len() <= by_id.max_answer_data() || by_id.max_answer_data() == 1020);
            assert_least(&by_id, &data);
            prop_assert_eq!(parsed.as_ref(), Ok(&answer));
            prop_assert_eq!(parsed.unwrap().entries(), entries.clone());
        }
    }

    #[test]
    fn no_input_panics(data in prop::collection::vec(any::<u8>(), 0..200), sub in 5..8_u8) {
        let data = [&[sub, 4], &data[..]].concat();
        let _ = LoggerRequest::parse(&data);
        let _ = GetConfiguration { log: Log::Day }.parse_answer(&data);
        let selection = selection(24, &[1003, 60, 0, 255]);
        let _ = GetLogLastEntryPastAbs { offset: 0, selection: selection.clone() }.parse_answer(&data);
        if let Some(first) = data.get(5..9).and_then(|it| it.first_chunk::<4>()) {
            let from = LogId::new(u32::from_be_bytes(*first));
            let _ = GetLogIdPastAbs { from, selection }.parse_answer(&data);
        }
    }
}
