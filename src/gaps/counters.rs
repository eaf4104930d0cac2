//! Counters of energy and volume: as they are stored, and as the meter has logged them.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;
use std::path::PathBuf;

use home_assistant::{Counter, Hour, Proof};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kmp::logger::Log;
use kmp::message::SerialNumber;
use kmp::register::RegisterId;
use rust_decimal::Decimal;

use crate::config::{Meter, MeterName, Parameter};
use crate::meter_logs::{self, Entries, Kept, Logged};
use crate::topic::Ids;
use history::{HistoryError, MeterKey, Reader};

/// How entries of the meter's log are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogUse {
    /// Not at all.
    #[default]
    Unused,
    /// A user has asked for it, and can look at a dry run first.
    ByHand,
    /// Nobody looks, so the log must be proved to show what was read.
    Unattended,
}

/// What the comparison of a log with readings says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogState {
    /// It can be used, or there is none.
    Fits,
    /// It is not certain yet.
    TooFew,
    /// It is not certain yet that the log of days fits that of hours.
    TooFewDays,
    /// It shows something else.
    Differs,
    /// The log of days shows something else than the log of hours.
    Contradicts,
}

/// In so many days, the log of days must show what the log of hours shows.
const DAYS: usize = 2;

/// The stored readings, and the meters that they are of.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    reader: Reader,
    meters: Vec<OfMeter>,
    /// Folders of the program's state, with the entries of the meter's logs.
    logs: Vec<PathBuf>,
    zone: TimeZone,
    log_use: LogUse,
}

/// The database is the same while the program runs.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (&self.meters, &self.logs, self.log_use) == (&other.meters, &other.logs, other.log_use)
    }
}

impl Eq for Source {}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OfMeter {
    key: MeterKey,
    /// The name of a value, its register, and the unique id of its entity.
    values: Vec<(String, RegisterId, String)>,
}

/// What a counter showed at full hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The unique id of its entity.
    pub(crate) unique_id: String,
    /// The unit in which it was published.
    pub(crate) unit: String,
    /// The configured name of the meter; empty for a single meter without one.
    pub(crate) meter: String,
    /// Whether entries of the meter's log of hours and of its log of days are kept.
    pub(crate) logs: [bool; 2],
    log_use: LogUse,
    readings: Vec<(Hour, Decimal)>,
    /// From the meter's log of hours.
    hours: Vec<(Hour, Decimal)>,
    /// From the meter's log of days.
    days: Vec<(Hour, Decimal)>,
}

impl Source {
    /// The readings of these meters.
    #[must_use]
    pub(crate) fn new(reader: Reader, meters: &[Meter], id_prefix: &str) -> Self {
        let of_meter = |meter: &Meter| {
            let ids = Ids::new(id_prefix, meter.name.as_ref());
            let value = |it: &Parameter| (it.name().to_owned(), it.register(), ids.parameter(it));
            // Without a serial number: the meter that is there now. Readings of an earlier one are
            // another series.
            let key = MeterKey::new(meter.name.as_ref().map_or("", MeterName::as_str), None);
            OfMeter { key, values: meter.parameters.iter().map(value).collect() }
        };
        let meters = meters.iter().map(of_meter).collect();
        Self { reader, meters, logs: Vec::new(), zone: TimeZone::UTC, log_use: LogUse::Unused }
    }

    /// Also uses the entries of the meter's logs that are kept in these folders of the program's
    /// state. The meter is in this zone.
    #[must_use]
    pub(crate) fn with_logs(
        self,
        folders: impl IntoIterator<Item = PathBuf>,
        zone: TimeZone,
        log_use: LogUse,
    ) -> Self {
        Self { logs: folders.into_iter().collect(), zone, log_use, ..self }
    }

    /// Uses readings alone.
    #[must_use]
    pub(crate) fn without_logs(self) -> Self {
        self.with_logs([], TimeZone::UTC, LogUse::Unused)
    }

    #[must_use]
    pub(crate) fn log_use(&self) -> LogUse {
        self.log_use
    }

    #[must_use]
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// What all counters of energy and volume showed. This waits for the disk.
    pub(crate) fn stored(
        &self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Stored>, HistoryError> {
        let snapshot = self.reader.snapshot()?;
        let mut all = Vec::new();
        for OfMeter { key, values } in &self.meters {
            // Entries belong to a serial number.
            let kept = |serial, log| -> Entries {
                let kept = |folder: &PathBuf| Kept::of(Some(folder.clone()), serial, log);
                self.logs.iter().flat_map(|folder| kept(folder).entries()).collect()
            };
            let serial = snapshot.serial(key.name())?.map(SerialNumber::new);
            let [of_hours, of_days] =
                [Log::Hour, Log::Day].map(|log| serial.map(|it| kept(it, log)).unwrap_or_default());
            for series in snapshot.series(key)? {
                let of_it = |(name, _, _): &&(String, _, _)| *name == series.parameter;
                let Some((_, register, unique_id)) = values.iter().find(of_it) else { continue };
                let Some(unit) = series.unit.filter(|_| series.is_counter) else { continue };
                if size(&unit).is_none() {
                    continue;
                }
                let range = (since, now);
                let known = snapshot.at_full_hours(key, &series.parameter, range, now)?;
                // Home Assistant's hours are those of UTC. In zones with half hours, none fits.
                let readings = known
                    .into_iter()
                    .filter_map(|(time, value)| Some((Hour::beginning(time)?, value)));
                let readings: Vec<_> = readings.collect();
                let in_unit = |logged: Vec<Logged>| -> Vec<_> {
                    let value = |it: Logged| Some((it.hour, converted(it.value, it.unit, &unit)?));
                    logged.into_iter().filter_map(value).collect()
                };
                let zone = &self.zone;
                let mut hours = in_unit(meter_logs::hours(&of_hours, &of_days, *register, zone));
                if self.log_use == LogUse::Unattended {
                    // Older ones have no readings here to be compared with.
                    hours.retain(|(hour, _)| since <= hour.start());
                }
                let days = in_unit(meter_logs::days(&of_days, *register, zone));
                if readings.is_empty() && hours.is_empty() && days.is_empty() {
                    continue;
                }
                let (unique_id, meter) = (unique_id.clone(), key.name().to_owned());
                let logs = [!of_hours.is_empty(), !of_days.is_empty()];
                let log_use = self.log_use;
                all.push(Stored { unique_id, unit, meter, logs, log_use, readings, hours, days });
            }
        }
        Ok(all)
    }
}

impl Stored {
    /// The counter in this unit. `None` if a conversion would have to be rounded.
    #[must_use]
    pub(crate) fn counter_in(&self, unit: &str) -> Option<Counter> {
        let convert =
            |(hour, value): &(Hour, Decimal)| Some((*hour, converted(*value, &self.unit, unit)?));
        let all = |readings: &[(Hour, Decimal)]| -> Option<Vec<_>> {
            readings.iter().map(convert).collect()
        };
        let counter = Counter::new(all(&self.readings)?);
        if self.log_state() != LogState::Fits {
            return Some(counter);
        }
        Some(counter.with_more(all(&self.hours)?).with_days(all(&self.days)?))
    }

    /// Whether the meter's log shows what was read at the same time. Otherwise it is not used.
    #[must_use]
    pub(crate) fn log_state(&self) -> LogState {
        let counter = Counter::new(self.readings.iter().copied());
        match self.log_use {
            _ if self.hours.is_empty() && self.days.is_empty() => LogState::Fits,
            LogUse::Unused => LogState::Fits,
            LogUse::ByHand if counter.agrees_with(&self.hours) => LogState::Fits,
            LogUse::ByHand => LogState::Differs,
            LogUse::Unattended => match counter.proof(&self.hours) {
                Proof::Proved => self.days_state(),
                Proof::Differs => LogState::Differs,
                Proof::TooFew => LogState::TooFew,
            },
        }
    }

    /// Whether the log of days shows what the log of hours shows. In summer, the meter makes its entry
    /// of a day an hour later.
    fn days_state(&self) -> LogState {
        let hours: BTreeMap<_, _> = self.hours.iter().copied().collect();
        let days: BTreeMap<_, _> = self.days.iter().copied().collect();
        let (mut found, mut before) = (0_usize, None);
        for (day, value) in days {
            let is_more = before.replace(value).is_some_and(|before| before < value);
            let Some(both) = hours.get(&day).zip(hours.get(&day.next())) else { continue };
            if !(*both.0..=*both.1).contains(&value) {
                return LogState::Contradicts;
            }
            found = found.saturating_add(usize::from(is_more));
        }
        if found >= DAYS || self.days.is_empty() { LogState::Fits } else { LogState::TooFewDays }
    }
}

/// What a unit measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    Energy,
    Volume,
}

/// How many joules or litres a unit has.
fn size(unit: &str) -> Option<(Measured, Decimal)> {
    use Measured::{Energy, Volume};
    let (measured, size): (_, i64) = match unit {
        "J" => (Energy, 1),
        "kJ" => (Energy, 1_000),
        "MJ" => (Energy, 1_000_000),
        "GJ" => (Energy, 1_000_000_000),
        "Wh" => (Energy, 3_600),
        "kWh" => (Energy, 3_600_000),
        "MWh" => (Energy, 3_600_000_000),
        "GWh" => (Energy, 3_600_000_000_000),
        "L" => (Volume, 1),
        "m³" => (Volume, 1_000),
        _ => return None,
    };
    Some((measured, Decimal::from(size)))
}

/// Exactly, or not at all.
fn converted(value: Decimal, from: &str, to: &str) -> Option<Decimal> {
    if from == to {
        return Some(value);
    }
    let ((kind, from), (other, to)) = (size(from)?, size(to)?);
    let whole = value.checked_mul(from).filter(|_| kind == other)?;
    let converted = whole.checked_div(to)?.normalize();
    (converted.checked_mul(to)? == whole && converted.scale() <= 15).then_some(converted)
}

#[cfg(test)]
mod tests {
    use history::{History, Sample};
    use jiff::tz::TimeZone;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Readings of an earlier meter, of other kinds and in zones with half hours are left out.
    #[test]
    fn only_counters_of_the_present_meter_are_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.db");
        let now = at("2026-11-24T09:00:00Z").to_zoned_datetime(TimeZone::UTC);
        let history = History::start(Some(file.clone()), &now);
        let sample = |parameter: &str, value: &str, unit: &str, is_counter| Sample {
            parameter: parameter.to_owned(),
            value: value.parse().unwrap(),
            unit: Some(unit.to_owned()),
            is_counter,
        };
        for (serial, time, energy) in [
            (1, "2026-11-24T10:00:05Z", "900"),
            (2, "2026-11-24T11:00:05Z", "10.5"),
            (2, "2026-11-24T12:00:05Z", "11.5"),
            (2, "2026-11-24T12:30:05Z", "11.7"),
        ] {
            let values = [
                sample("energy", energy, "kWh", true),
                sample("volume", "3", "m³", true),
                sample("power", "5", "kW", false),
                sample("hourcounter", "7", "h", true),
            ];
            history.note(&MeterKey::new("house", Some(serial)), at(time), &values);
        }
        history.close();
        let yaml = "serial_device: {com_port: /dev/a}\nkamstrup: {parameters: [energy, power, \
                    hourcounter]}\nmeters: [{name: house}]\n";
        let config = crate::config::check(
            Some((std::path::Path::new("x"), yaml)),
            &crate::config::Variables::new(),
        );
        let meters = config.unwrap().config.meters;
        let stored = |zone: TimeZone| {
            let source = Source::new(Reader::of_file(file.clone(), zone), &meters, "kamstrup");
            source.stored(at("2026-11-01T00:00:00Z"), at("2026-11-24T13:30:00Z")).unwrap()
        };
        let hour = |text: &str| Hour::beginning(at(text)).unwrap();
        let energy = Stored {
            unique_id: "kamstrup_house_energy".to_owned(),
            unit: "kWh".to_owned(),
            meter: "house".to_owned(),
            logs: [false, false],
            log_use: LogUse::Unused,
            hours: vec![],
            days: vec![],
            readings: vec![
                (hour("2026-11-24T11:00:00Z"), "10.5".parse().unwrap()),
                (hour("2026-11-24T12:00:00Z"), "11.5".parse().unwrap()),
            ],
        };
        let found = stored(TimeZone::UTC);
        assert_eq!(found, [energy]);
        assert_eq!(stored(TimeZone::get("Asia/Kolkata").unwrap()), []);
        let first = found[0].counter_in("MWh").unwrap().first();
        assert_eq!(first, Some(hour("2026-11-24T10:00:00Z")));
        assert_eq!(found[0].counter_in("m³"), None);
    }

    /// A counter that rises by 1 kWh in each hour, and its logs of hours and days.
    fn logged(log_use: LogUse, late: i64, days: &[(i64, i64)]) -> Stored {
        let hour = |number: i64| Hour::with(at("2026-11-20T00:00:00Z")).earlier(-number);
        let known = |number: i64| (hour(number), Decimal::from(100 + number));
        Stored {
            unique_id: "kamstrup_energy".to_owned(),
            unit: "kWh".to_owned(),
            meter: String::new(),
            logs: [true, true],
            log_use,
            readings: (10..60).map(known).collect(),
            hours: (-20..50).map(|number| (hour(number), known(number - late).1)).collect(),
            days: days.iter().map(|(day, value)| (hour(24 * day), Decimal::from(*value))).collect(),
        }
    }

    #[test]
    fn a_log_that_is_not_proved_is_not_used_unless_somebody_looks() {
        use LogUse::{ByHand, Unattended, Unused};
        let days = [(-2, 52), (-1, 76), (0, 100), (1, 124), (2, 148)];
        let state = |log_use, late, days: &[_]| logged(log_use, late, days).log_state();
        assert_eq!(state(Unattended, 0, &days), LogState::Fits);
        assert_eq!(state(Unattended, 1, &days), LogState::Differs);
        assert_eq!(state(ByHand, 1, &days), LogState::Differs);
        assert_eq!(state(Unused, 1, &days), LogState::Fits);
        // In summer, the entry of a day is made an hour later.
        let summer = days.map(|(day, value)| (day, value + 1));
        assert_eq!(state(Unattended, 0, &summer), LogState::Fits);
        let other = days.map(|(day, value)| (day, value + 2));
        assert_eq!(state(Unattended, 0, &other), LogState::Contradicts);
        assert_eq!(state(ByHand, 0, &other), LogState::Fits);
        // A day says nothing if its hours are not known.
        assert_eq!(state(Unattended, 0, &days[..3]), LogState::TooFewDays);
        // Nor if nothing is known to have been counted on it.
        assert_eq!(state(Unattended, 0, &days[3..4]), LogState::TooFewDays);
        assert_eq!(state(Unattended, 0, &[]), LogState::Fits);
        let few = |log_use| {
            let mut stored = logged(log_use, 1, &days);
            stored.hours.truncate(35);
            stored
        };
        assert_eq!(few(Unattended).log_state(), LogState::TooFew);
        let first = |stored: &Stored| stored.counter_in("kWh").unwrap().oldest().unwrap();
        assert!(first(&logged(Unattended, 0, &days)) < first(&few(Unattended)));
    }

    #[test]
    fn conversions_are_exact_or_refused() {
        let shown = |value: &str, from, to| {
            let value = converted(value.parse().unwrap(), from, to);
            value.map(|value| value.to_string())
        };
        for (value, from, to, expected) in [
            ("5000.1", "kWh", "kWh", Some("5000.1")),
            ("5000.1", "kWh", "MWh", Some("5.0001")),
            ("5000.1", "kWh", "Wh", Some("5000100")),
            ("5.0001", "MWh", "kWh", Some("5000.1")),
            ("1", "kWh", "GJ", Some("0.0036")),
            ("36", "GJ", "kWh", Some("10000")),
            ("1", "GJ", "kWh", None),
            ("1.5", "GJ", "MJ", Some("1500")),
            ("12.345", "m³", "L", Some("12345")),
            ("1", "kWh", "m³", None),
            ("1", "kWh", "Gcal", None),
            ("1", "t", "t", Some("1")),
        ] {
            assert_eq!(shown(value, from, to).as_deref(), expected, "{value} {from} in {to}");
        }
    }
}
