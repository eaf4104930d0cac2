//! Checks the properties of the fuzz targets on the same corpus and on random bytes, so that they
//! are also checked on a machine without a fuzzer.

#![expect(clippy::indexing_slicing, reason = "a test that overflows fails")]

mod corpus;
mod properties;

use corpus::corpus;
use kmp::frame;
use proptest::prelude::*;
use proptest::sample::Index;

#[test]
fn properties_hold_for_the_corpus() {
    let corpus = corpus();
    for seeds in [&corpus.frame, &corpus.answer, &corpus.value] {
        // Fewer seeds mean that frames.csv was not read correctly.
        assert!(seeds.len() >= 50, "{}", seeds.len());
    }
    corpus.frame.iter().for_each(|seed| properties::frame(seed));
    corpus.answer.iter().for_each(|seed| properties::answer(seed));
    corpus.value.iter().for_each(|seed| properties::value(seed));
    assert!(corpus.logger.len() >= 8, "{}", corpus.logger.len());
    corpus.logger.iter().for_each(|seed| properties::logger(seed));
}

/// Random bytes hardly ever give 29 February.
#[test]
fn properties_hold_for_every_day_and_for_invalid_days() {
    let number = |unit: u8, number: u32| {
        properties::value(&[&[0, 60, unit, 0][..], &number.to_be_bytes()].concat());
    };
    let days = || (0..=13_u8).flat_map(|month| (0..=32_u8).map(move |day| (month, day)));
    for (month, day) in days() {
        let digits = 100 * u32::from(month) + u32::from(day);
        number(50, digits);
        for year in [0, 23, 24, 99, 100] {
            number(48, 10_000 * u32::from(year) + digits);
            for (hour, minute, offset) in [(0, 0, 0), (23, 59, 0), (23, 59, 1), (20, 0, 255)] {
                properties::value(&[0, 60, 79, 0, offset, year, month, day, hour, minute, 59]);
            }
        }
        for year in [0, 1900, 2000, 2026, 2100, 9999, 10_000] {
            number(49, 10_000 * year + digits);
        }
    }
    for hour in 0..=24 {
        for minute in 0..=60 {
            number(47, 10_000 * hour + 100 * minute);
            number(47, 10_000 * hour + minute);
        }
    }
}

/// A seed with a few bytes changed, inserted or removed.
fn damaged(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<Index>(), any::<u8>(), 0..4), 0..4);
    (prop::sample::select(seeds), damage).prop_map(|(mut bytes, damage)| {
        for (index, byte, kind) in damage {
            let at = index.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => {}
            }
        }
        bytes
    })
}

/// About as many bytes as a frame can hold.
fn many_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), frame::MAX_BODY - 9..frame::MAX_BODY + 9)
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

/// A register that usually has a known unit and a number as meters send it.
fn register() -> impl Strategy<Value = Vec<u8>> {
    let exponent = prop_oneof![Just(0), 0_u8..4, 0x41_u8..0x44, any::<u8>()];
    let mantissa = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        (0_u32..100_000_000).prop_map(|digits| digits.to_be_bytes().to_vec()),
        "[ -~]{0,12}\0{0,2}".prop_map(String::into_bytes),
    ];
    (any::<u16>(), 0_u8..95, exponent, mantissa).prop_map(|(id, unit, exponent, mantissa)| {
        let [high, low] = id.to_be_bytes();
        [&[high, low, unit, exponent][..], &mantissa].concat()
    })
}

/// The answer of a logger, usually a valid one: two registers of 4 and 2 bytes in each entry.
fn logger() -> impl Strategy<Value = Vec<u8>> {
    let info = prop_oneof![Just(0_u16), (0_u16..16).prop_map(|bit| 1 << bit), any::<u16>()];
    let lengths = prop_oneof![Just((0, 0)), (0_u8..3, 0_usize..3)];
    (6_u8..8, 1_u8..30, 0_u32..60, info, lengths, any::<[u8; 6]>()).prop_map(
        |(sub, entries, first, info, (more_entries, more_bytes), value)| {
            let head = [sub, 4, 0, entries + more_entries, 2];
            let mut data = head.to_vec();
            data.extend(first.to_be_bytes());
            data.extend((first + 5).to_be_bytes());
            data.extend(info.to_be_bytes());
            data.extend(
                [&[0, 60, 8, 4, 0x43], &value[..4], &[0, 80, 22, 2, 0x41], &value[4..]].concat(),
            );
            (1..entries).for_each(|_| data.extend(value));
            data.extend(std::iter::repeat_n(0, more_bytes));
            data
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn properties_hold_for_frames(bytes in prop_oneof![damaged(corpus().frame), any_bytes(), many_bytes()]) {
        properties::frame(&bytes);
    }

    #[test]
    fn properties_hold_for_answers(data in prop_oneof![damaged(corpus().answer), any_bytes()]) {
        properties::answer(&data);
    }

    #[test]
    fn properties_hold_for_the_logger(data in prop_oneof![damaged(corpus().logger), logger()]) {
        properties::logger(&data);
    }

    #[test]
    fn properties_hold_for_values(bytes in prop_oneof![damaged(corpus().value), register(), any_bytes()]) {
        properties::value(&bytes);
    }
}
