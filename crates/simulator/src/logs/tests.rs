use jiff::civil::date;
use kmp::logger::{GetConfiguration, GetLogIdPastAbs};
use kmp::message::Command;
use kmp::value::Value;

use super::calendar::is_summer;
use super::*;
use crate::models::Model;
use crate::registers::{EnergyUnit, Registers};

fn logs(model: Model, summer: SummerStamp) -> Logs {
    Logs::model(model, EnergyUnit::MegawattHour, summer).unwrap()
}

fn of_603() -> Logs {
    logs(Model::Multical603, SummerStamp::Standard)
}

fn selection(log: Log, entries: u16, registers: &[u16]) -> Selection {
    let registers: Vec<_> = registers.iter().map(|id| RegisterId::new(*id)).collect();
    Selection::new(log, entries, &registers).unwrap()
}

fn by_id(logs: &Logs, from: u32, selection: Selection) -> LogAnswer {
    let command = GetLogIdPastAbs { from: LogId::new(from), selection };
    let data = logs.answer(&LoggerRequest::IdPastAbs(command.clone())).unwrap();
    command.parse_answer(&data).unwrap()
}

fn last(logs: &Logs, offset: u16, selection: Selection) -> LogAnswer {
    let command = GetLogLastEntryPastAbs { offset, selection };
    let data = logs.answer(&LoggerRequest::LastEntryPastAbs(command.clone())).unwrap();
    command.parse_answer(&data).unwrap()
}

fn shown(entry: &LogEntry, register: u16) -> String {
    let value = entry.values.iter().find(|value| value.register.get() == register).unwrap();
    value.value().unwrap().to_string()
}

/// What the manuals say about depths: TD 403 p.13 and p.97, TD 603 p.50.
#[test]
fn each_model_keeps_its_logs() {
    for (model, depths) in [
        (Model::Multical303, [20, 36, 460, 1400]),
        (Model::Multical403, [20, 36, 460, 72]),
        (Model::Multical603, [20, 36, 460, 1400]),
    ] {
        let logs = logs(model, SummerStamp::Standard);
        for (log, depth) in [Log::Year, Log::Month, Log::Day, Log::Hour].into_iter().zip(depths) {
            let command = GetConfiguration { log };
            let data = logs.answer(&LoggerRequest::Configuration(command)).unwrap();
            let configuration = command.parse_answer(&data).unwrap();
            assert_eq!(configuration.depth(), depth, "{model:?} {log}");
            let entries = logs.entries(log);
            // Three new years since it was put into operation.
            let expected = if log == Log::Year { 3 } else { depth };
            assert_eq!(entries.len(), usize::from(expected), "{model:?} {log}");
            for entry in entries {
                let has =
                    |id: &&RegisterId| entry.values.iter().any(|value| value.register == **id);
                let lacking: Vec<_> =
                    configuration.registers().iter().filter(|id| !has(id)).collect();
                assert!(lacking.is_empty(), "{model:?} {log} {lacking:?}");
            }
            let ids = entries.windows(2).map(|pair| (pair[0].id.get(), pair[1].id.get()));
            assert!(ids.into_iter().all(|(older, newer)| older + 1 == newer));
        }
        let command = GetConfiguration { log: Log::Minute1 };
        assert_eq!(logs.answer(&LoggerRequest::Configuration(command)), None);
    }
    for model in [Model::Generic, Model::Multical402, Model::Multical21] {
        assert!(Logs::model(model, EnergyUnit::KilowattHour, SummerStamp::Local).is_none());
    }
}

/// Counters never fall, and the newest entries do not exceed the present values.
#[test]
fn counters_rise() {
    let logs = of_603();
    let now = Registers::model(Model::Multical603, EnergyUnit::MegawattHour, 0);
    for log in [Log::Year, Log::Month, Log::Day, Log::Hour] {
        for register in [60, 68, 97, 110, 1004] {
            let numbers = logs.entries(log).iter().filter_map(|entry| {
                let is_it = |value: &&RegisterValue| value.register.get() == register;
                match entry.values.iter().find(is_it)?.value() {
                    Ok(Value::Number(number)) => Some(number),
                    other => panic!("{other:?}"),
                }
            });
            let mut numbers: Vec<_> = numbers.collect();
            let present = now.values[&RegisterId::new(register)].value();
            let Ok(Value::Number(present)) = present else { panic!("{present:?}") };
            numbers.push(present);
            assert!(numbers.is_sorted(), "{log} {register}");
        }
    }
}

#[test]
fn entries_are_stamped_with_the_start_of_the_next_period() {
    let logs = of_603();
    let newest = |log| {
        let entry = logs.entries(log).last().unwrap();
        (shown(entry, 1003), shown(entry, 1002))
    };
    let midnight = "00:00:04".to_owned();
    assert_eq!(newest(Log::Year), ("2026-01-01".to_owned(), midnight.clone()));
    assert_eq!(newest(Log::Month), ("2026-11-01".to_owned(), midnight.clone()));
    assert_eq!(newest(Log::Day), ("2026-11-23".to_owned(), midnight));
    assert_eq!(newest(Log::Hour), ("2026-11-23".to_owned(), "07:00:04".to_owned()));
}

/// The log keeps standard time. Both ways to write it are possible.
#[test]
fn a_day_in_summer_ends_at_one_oclock_local_time() {
    for (summer, hour) in [(SummerStamp::Standard, 0), (SummerStamp::Local, 1)] {
        let logs = logs(Model::Multical603, summer);
        let mut seen = [0, 0];
        for entry in logs.entries(Log::Day) {
            let stamp = entry.values.iter().find(|value| value.register.get() == 348).unwrap();
            let stamp = stamp.stamp().unwrap();
            match stamp.offset_minutes {
                0 => assert_eq!(stamp.time.hour(), 0),
                60 => assert_eq!(stamp.time.hour(), hour),
                other => panic!("{other}"),
            }
            seen[usize::from(stamp.offset_minutes / 60)] += 1;
        }
        assert!(seen[0] > 150 && seen[1] > 150, "{seen:?}");
    }
    // The last Sundays of March and October 2026.
    assert!(!is_summer(date(2026, 3, 29).at(1, 59, 59, 0)));
    assert!(is_summer(date(2026, 3, 29).at(2, 0, 0, 0)));
    assert!(is_summer(date(2026, 10, 25).at(1, 59, 59, 0)));
    assert!(!is_summer(date(2026, 10, 25).at(2, 0, 0, 0)));
    // 31 March 2024 was a Sunday.
    assert!(!is_summer(date(2024, 3, 30).at(12, 0, 0, 0)));
    assert!(is_summer(date(2024, 3, 31).at(12, 0, 0, 0)));
}

#[test]
fn entries_are_found_by_id_and_by_age() {
    let logs = of_603();
    let kept = logs.entries(Log::Day);
    let (oldest, newest) = (kept[0].id, kept[459].id);
    let one = selection(Log::Day, 1, &[1003, 60]);
    let found = last(&logs, 0, one.clone());
    assert_eq!((found.first(), found.newest()), (newest, newest));
    assert_eq!(found.info(), LogInfo::NEWEST_INCLUDED);
    let found = last(&logs, GetLogLastEntryPastAbs::OLDEST, one);
    assert_eq!((found.first(), found.newest()), (oldest, newest));
    assert_eq!(found.info(), LogInfo::OLDEST_INCLUDED);

    let found = by_id(&logs, oldest.get() + 30, selection(Log::Day, 24, &[1003, 60]));
    let entries = found.entries();
    assert_eq!((found.info(), entries.len()), (LogInfo::NONE, 24));
    for (entry, kept) in entries.iter().zip(kept[..31].iter().rev()) {
        assert_eq!(entry.id, kept.id);
        assert_eq!((shown(entry, 1003), shown(entry, 60)), (shown(kept, 1003), shown(kept, 60)));
    }
    let found = by_id(&logs, oldest.get() + 3, selection(Log::Day, 24, &[1003]));
    assert_eq!((found.info(), found.entries().len()), (LogInfo::OLDEST_INCLUDED, 4));
    for id in [oldest.get() - 1, newest.get() + 1] {
        let found = by_id(&logs, id, selection(Log::Day, 24, &[1003]));
        assert_eq!((found.info(), found.is_empty()), (LogInfo::OUT_OF_RANGE, true));
    }
}

#[test]
fn a_register_that_is_not_logged_is_left_out() {
    let logs = of_603();
    let newest = logs.entries(Log::Day)[459].id.get();
    let found = by_id(&logs, newest, selection(Log::Day, 2, &[1003, 4000, 60]));
    assert!(found.info().contains(LogInfo::UNSUPPORTED_REGISTER));
    assert_eq!(found.entries()[1].values.len(), 2);
    let found = by_id(&logs, newest, selection(Log::Day, 2, &[4000]));
    assert!(found.is_empty());
}

#[test]
fn an_answer_that_is_too_long_loses_its_old_end() {
    let logs = of_603().with_longest_answer(100);
    let newest = logs.entries(Log::Day)[459].id;
    let found = by_id(&logs, newest.get(), selection(Log::Day, 24, &[1003, 60]));
    // 15 bytes before the first entry, which has 18, and 8 for each other one.
    assert_eq!(found.entries().len(), 1 + (100 - 15 - 18) / 8);
    assert_eq!(found.first(), newest);
    assert!(found.info().contains(LogInfo::ENTRIES_CUT));
    assert!(!found.info().contains(LogInfo::OLDEST_INCLUDED));
}

#[test]
fn an_empty_log_answers_as_captured() {
    let mut logs = of_603();
    logs.clear(Log::Day);
    let found = last(&logs, 0, selection(Log::Day, 1, &[1003]));
    assert_eq!((found.info(), found.entries()), (LogInfo::NO_ENTRIES, vec![]));
    assert_eq!((found.first(), found.newest()), (LogId::new(0), LogId::new(0)));
}

#[test]
fn a_missing_day_leaves_no_gap_in_the_ids() {
    let mut logs = of_603();
    let before = logs.entries(Log::Day).to_vec();
    logs.miss(Log::Day, before[300].id);
    let after = logs.entries(Log::Day);
    assert_eq!(after.len(), 459);
    assert!(after.windows(2).all(|pair| pair[0].id.get() + 1 == pair[1].id.get()));
    assert_eq!(shown(&after[299], 1003), shown(&before[299], 1003));
    assert_eq!(shown(&after[300], 1003), shown(&before[301], 1003));
    assert_eq!(after[458].id, before[459].id);
}

#[test]
fn a_reset_restarts_the_counters() {
    let mut logs = of_603();
    let before = logs.entries(Log::Day).to_vec();
    logs.reset(Log::Day, before[400].id);
    let after = logs.entries(Log::Day);
    assert_eq!(after[399], before[399]);
    assert_eq!(shown(&after[400], 60), "0.000");
    assert_eq!(shown(&after[400], 86), shown(&before[400], 86), "it counts nothing");
    assert_ne!(shown(&after[459], 60), "0.000");
}

#[test]
fn an_answer_ends_where_the_format_changes() {
    let mut logs = of_603();
    let ids: Vec<u32> = logs.entries(Log::Day).iter().map(|entry| entry.id.get()).collect();
    logs.change_format(Log::Day, LogId::new(ids[449]));
    let found = by_id(&logs, ids[459], selection(Log::Day, 24, &[1003, 60]));
    assert_eq!(found.entries().len(), 10);
    assert!(found.info().contains(LogInfo::FORMAT_CHANGED));
    let found = by_id(&logs, ids[449], selection(Log::Day, 2, &[1003, 60]));
    assert_eq!(found.entries()[0].values[1].unit, Unit::KILOWATT_HOUR);
    assert!(!found.info().contains(LogInfo::FORMAT_CHANGED));
    // A register whose format is the same.
    let found = by_id(&logs, ids[459], selection(Log::Day, 24, &[1003]));
    assert_eq!(found.entries().len(), 24);
}
