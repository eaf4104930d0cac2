//! Counters of energy and volume: as they are stored, and as the meter has logged them.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::path::PathBuf;

use home_assistant::{Counter, Hour};
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

/// The stored readings, and the meters that they are of.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    reader: Reader,
    meters: Vec<OfMeter>,
    /// Folders of the program's state, with the entries of the meter's logs.
    logs: Vec<PathBuf>,
    zone: TimeZone,
    is_full: bool,
}

/// The database is the same while the program runs.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (&self.meters, &self.logs, self.is_full) == (&other.meters, &other.logs, other.is_full)
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
    /// Whether entries of the meter's log of hours or days are kept.
    pub(crate) has_log: bool,
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
        Self { reader, meters, logs: Vec::new(), zone: TimeZone::UTC, is_full: false }
    }

    /// Adds the entries of the meter's logs that are kept in these folders of the program's state.
    /// The meter is in this zone.
    #[must_use]
    pub(crate) fn with_logs(
        self,
        folders: impl IntoIterator<Item = PathBuf>,
        zone: TimeZone,
    ) -> Self {
        Self { logs: folders.into_iter().collect(), zone, ..self }
    }

    /// Also writes hours that were before Home Assistant's first one, and repairs sums that began
    /// again.
    #[must_use]
    pub(crate) fn full(self) -> Self {
        Self { is_full: true, ..self }
    }

    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
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
                let hours = in_unit(meter_logs::hours(&of_hours, &of_days, *register, zone));
                let days = in_unit(meter_logs::days(&of_days, *register, zone));
                if readings.is_empty() && hours.is_empty() && days.is_empty() {
                    continue;
                }
                let (unique_id, meter) = (unique_id.clone(), key.name().to_owned());
                let has_log = !of_hours.is_empty() || !of_days.is_empty();
                all.push(Stored { unique_id, unit, meter, has_log, readings, hours, days });
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
        if !self.log_fits() {
            return Some(counter);
        }
        Some(counter.with_more(all(&self.hours)?).with_days(all(&self.days)?))
    }

    /// Whether the meter's log shows what was read at the same time. Otherwise it is not used.
    #[must_use]
    pub(crate) fn log_fits(&self) -> bool {
        Counter::new(self.readings.iter().copied()).agrees_with(&self.hours)
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
            has_log: false,
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
