//! Entries of a log as a table, CSV or JSON.

use std::fmt::Write as _;

use anyhow::Context;
use jiff::tz::Offset;
use kmp::logger::{Log, LogEntry};
use kmp::register::RegisterId;
use kmp::value::{RegisterValue, Value};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::ask::{MeterJson, Object, ValueJson, hex};
use crate::cli::table::Table;
use crate::meter_logs::{is_stamp, name, text_of};
use crate::{config, payload};
use meter::identity::Identity;
use meter::logger::LogStamp;
use meter::reading::Reading;
use tariff::{Counters, Means, Point, rounded};

const E1: RegisterId = RegisterId::new(60);
const VOLUME: RegisterId = RegisterId::new(68);
const E8: RegisterId = RegisterId::new(97);
const E9: RegisterId = RegisterId::new(110);

/// Entries with what was used since the one before, the oldest first.
pub(super) struct Shown<'a> {
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    entry: &'a LogEntry,
    stamp: Option<LogStamp>,
    energy: Option<Decimal>,
    volume: Option<Decimal>,
    supply: Option<Decimal>,
    returned: Option<Decimal>,
}

#[derive(Serialize)]
pub(super) struct Json {
    meter: MeterJson,
    log: String,
    /// By how many seconds the meter's clock is ahead.
    clock_ahead: Option<i64>,
    complete: bool,
    entries: Vec<EntryJson>,
}

#[derive(Serialize)]
struct EntryJson {
    id: u32,
    /// The start of the next period, as the meter wrote it.
    until: Option<String>,
    dst_minutes: Option<u8>,
    values: Object<ValueJson>,
    mean_supply: Option<Box<RawValue>>,
    mean_return: Option<Box<RawValue>>,
}

impl<'a> Shown<'a> {
    /// Shows entries of one log, the newest first.
    pub(super) fn new(entries: &'a [LogEntry]) -> Self {
        let mut rows: Vec<Row<'a>> = Vec::with_capacity(entries.len());
        for entry in entries.iter().rev() {
            let before = rows.last().map(|row| row.entry);
            // What a gap hides is not what was used in one period.
            let before = before.filter(|before| entry.id.older(1) == Some(before.id));
            let used = |register| {
                let (now, then) = (number(entry, register)?, number(before?, register)?);
                now.checked_sub(then)
            };
            let means = before.and_then(|before| means(before, entry)).unwrap_or_default();
            rows.push(Row {
                entry,
                stamp: LogStamp::of(&entry.values),
                energy: used(E1),
                volume: used(VOLUME),
                supply: means.supply.map(|mean| rounded(mean.value)),
                returned: means.returned.map(|mean| rounded(mean.value)),
            });
        }
        Self { rows }
    }

    pub(super) fn table(&self) -> String {
        let head = ["entry", "until", "E1", "used", "", "V1", "used", "", "supply", "return"];
        let mut table = Table::new(head).right([0, 2, 3, 5, 6, 8, 9]);
        for row in &self.rows {
            let text = |register| value(row.entry, register).map(text_of).unwrap_or_default();
            let unit = |register| value(row.entry, register).map(unit_of).unwrap_or_default();
            let shown =
                |number: Option<Decimal>| number.map(|it| it.to_string()).unwrap_or_default();
            let celsius =
                |mean: Option<Decimal>| mean.map(|it| format!("{it} °C")).unwrap_or_default();
            table.row([
                row.entry.id.to_string(),
                row.stamp.map(until).unwrap_or_default(),
                text(E1),
                shown(row.energy),
                unit(E1),
                text(VOLUME),
                shown(row.volume),
                unit(VOLUME),
                celsius(row.supply),
                celsius(row.returned),
            ]);
        }
        table.to_string()
    }

    pub(super) fn csv(&self) -> String {
        let Some(first) = self.rows.first() else { return String::new() };
        let values = || first.entry.values.iter().filter(|value| !is_stamp(value));
        let mut text = "id,until,dst_minutes".to_owned();
        for value in values() {
            let unit = unit_of(value);
            let unit = if unit.is_empty() { unit } else { format!(" ({unit})") };
            let _ = write!(text, ",{}{unit}", name(value.register));
        }
        text.push_str(",mean_supply (°C),mean_return (°C)\n");
        for row in &self.rows {
            let at = row.stamp.and_then(LogStamp::written);
            let offset = row.stamp.and_then(|stamp| stamp.offset_minutes);
            let _ = write!(
                text,
                "{},{},{}",
                row.entry.id,
                at.map(|at| at.to_string()).unwrap_or_default(),
                offset.map(|offset| offset.to_string()).unwrap_or_default(),
            );
            for like in values() {
                let value = value(row.entry, like.register).map(text_of).unwrap_or_default();
                let _ = write!(text, ",{value}");
            }
            for mean in [row.supply, row.returned] {
                let _ = write!(text, ",{}", mean.map(|it| it.to_string()).unwrap_or_default());
            }
            text.push('\n');
        }
        text
    }

    pub(super) fn json(
        &self,
        (identity, meter): (&Identity, &config::Meter),
        log: Log,
        complete: bool,
        clock_ahead: Option<i64>,
    ) -> anyhow::Result<Json> {
        let entries = self.rows.iter().map(Row::json).collect::<anyhow::Result<_>>()?;
        let (meter, log) = (MeterJson::new(identity, meter), log.to_string());
        Ok(Json { meter, log, clock_ahead, complete, entries })
    }
}

impl Row<'_> {
    fn json(&self) -> anyhow::Result<EntryJson> {
        let mut values = Vec::new();
        for value in self.entry.values.iter().filter(|value| !is_stamp(value)) {
            let is_number = matches!(value.value(), Ok(Value::Number(_)));
            let json = ValueJson {
                register: value.register.get(),
                value: payload::exact(&text_of(value), is_number)
                    .context("the value cannot be written as JSON")?,
                unit: value.unit.symbol(),
                raw: hex(&value.to_bytes()),
            };
            values.push((name(value.register), json));
        }
        let mean = |mean: Option<Decimal>| {
            mean.and_then(|mean| RawValue::from_string(mean.to_string()).ok())
        };
        Ok(EntryJson {
            id: self.entry.id.get(),
            until: self.stamp.and_then(LogStamp::written).map(|at| at.to_string()),
            dst_minutes: self.stamp.and_then(|stamp| stamp.offset_minutes),
            values: Object(values),
            mean_supply: mean(self.supply),
            mean_return: mean(self.returned),
        })
    }
}

fn value(entry: &LogEntry, register: RegisterId) -> Option<&RegisterValue> {
    entry.values.iter().find(|value| value.register == register)
}

fn number(entry: &LogEntry, register: RegisterId) -> Option<Decimal> {
    match value(entry, register)?.value() {
        Ok(Value::Number(number)) => Some(number),
        _ => None,
    }
}

fn unit_of(value: &RegisterValue) -> String {
    value.unit.symbol().unwrap_or_default().to_owned()
}

/// `2026-07-01 00:00 DST`: as the meter wrote it, without the seconds that it is late.
fn until(stamp: LogStamp) -> String {
    let mut text = stamp.date.to_string();
    if let Some(time) = stamp.time {
        let _ = write!(text, " {:02}:{:02}", time.hour(), time.minute());
    }
    if stamp.offset_minutes.is_some_and(|offset| offset > 0) {
        text.push_str(" DST");
    }
    text
}

/// The mean temperatures between two entries.
fn means(from: &LogEntry, to: &LogEntry) -> Option<Means> {
    let point = |entry: &LogEntry| {
        let at = LogStamp::of(&entry.values)?.written()?;
        // Only the order of the two matters.
        let at = Offset::UTC.to_timestamp(at).ok()?;
        let counters = Counters {
            volume: number(entry, VOLUME)?,
            supply: number(entry, E8)?,
            returned: number(entry, E9)?,
            energy: None,
        };
        Some(Point { at, counters })
    };
    let step = |register| Reading::try_from(value(to, register)?).ok()?.step();
    let steps =
        Counters { volume: step(VOLUME)?, supply: step(E8)?, returned: step(E9)?, energy: None };
    Some(Means::between(&point(from)?, &point(to)?, &steps, None))
}

#[cfg(test)]
mod tests {
    use kmp::logger::LogId;
    use kmp::number::SignExponent;
    use kmp::unit::Unit;

    use super::*;

    /// An entry of a month, with E1 in MWh, V1 in m³, E8 and E9.
    fn entry(id: u32, month: u8, counters: [i64; 4]) -> LogEntry {
        let offset = if (4..=10).contains(&month) { 60 } else { 0 };
        let stamp = RegisterValue::new(
            LogStamp::DATE_TIME,
            Unit::DATE_TIME,
            SignExponent::from_byte(0),
            vec![offset, 26, month, 1, 0, 0, 4],
        );
        let registers = [
            (E1, Unit::MEGAWATT_HOUR, 3),
            (VOLUME, Unit::CUBIC_METRE, 2),
            (E8, Unit::CUBIC_METRE_CELSIUS, 0),
            (E9, Unit::CUBIC_METRE_CELSIUS, 0),
        ];
        let counters = registers.iter().zip(counters).map(|((register, unit, places), counter)| {
            let value = Decimal::new(counter, *places);
            RegisterValue::from_decimal(*register, *unit, value, 4).unwrap()
        });
        LogEntry { id: LogId::new(id), values: stamp.into_iter().chain(counters).collect() }
    }

    fn entries() -> Vec<LogEntry> {
        vec![
            entry(9, 5, [84_000, 200_000, 134_000, 54_000]),
            // Entry 7 is missing.
            entry(8, 4, [83_000, 196_000, 131_280, 52_920]),
            entry(6, 2, [80_500, 188_000, 125_800, 50_640]),
            entry(5, 1, [78_000, 180_000, 120_200, 48_400]),
        ]
    }

    #[test]
    fn entries_are_shown_with_what_was_used() {
        let entries = entries();
        let shown = Shown::new(&entries);
        insta::assert_snapshot!(format!("{}\n{}", shown.table(), shown.csv()));
        let json = serde_json::to_string_pretty(&shown.rows[1].json().unwrap()).unwrap();
        insta::assert_snapshot!("entry_in_json", json);
    }

    /// 6720 m³·°C of supply and 2240 of return for 80 m³.
    #[test]
    fn means_are_weighted_by_volume() {
        let entries = [
            entry(6, 2, [0, 188_000, 126_720, 50_640]),
            entry(5, 1, [0, 180_000, 120_000, 48_400]),
        ];
        let shown = Shown::new(&entries);
        let row = &shown.rows[1];
        assert_eq!((row.supply, row.returned), (Some(Decimal::from(84)), Some(Decimal::from(28))));
        assert_eq!(shown.rows[0].supply, None);
        // Without E8, nothing is known.
        let mut without = entries.clone();
        without[0].values.retain(|value| value.register != E8);
        assert_eq!(Shown::new(&without).rows[1].returned, None);
    }
}
