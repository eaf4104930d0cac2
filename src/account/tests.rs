//! Fourteen months of simulated meters, against a calculation with whole numbers.

use jiff::tz::TimeZone;
use kmp::value::RegisterValue;

use super::*;
use history::{History, Reader, Stop};
use simulator::{EnergyUnit, Model, Registers};
use tariff::{Limit, Row};

/// The first reading: 20 s before a full hour, like all.
const START: &str = "2025-09-14T21:59:40Z";
/// Over the end of January.
const GAP: [&str; 2] = ["2026-01-30T09:30:00Z", "2026-02-02T09:30:00Z"];
const EXCHANGE: &str = "2026-04-17T12:30:00Z";
const END: &str = "2026-11-14T23:00:00Z";

/// The registers of a meter, in whole steps: energy, 0.01 m³, m³·°C, m³·°C.
type Steps = [i128; 4];

/// What flows through a house: millilitres, and those times hundredths of a degree.
struct House {
    volume: i128,
    supply: i128,
    returned: i128,
}

impl House {
    /// An hour of the year, which is warm in its middle. In summer there is only hot water, at
    /// times.
    fn pass(&mut self, hour: i128) {
        let season = (hour % 8760 - 4380).abs();
        let (day, week) = (hour % 24, hour % 168);
        let heating = (season - 2000).max(0) * 40 + (day * 997 + week * 131) % 9000;
        let hot_water = if [6, 7, 18, 21].contains(&day) { 23_456 } else { 0 };
        let litres = if season > 2000 { heating } else { 0 } + hot_water;
        let supply = 6_000 + season / 3 + (hour * 37) % 211;
        let returned = 2_650 + day * 41 + (hour * 53) % 307 + if hot_water > 0 { 731 } else { 0 };
        self.volume += litres;
        self.supply += litres * supply;
        self.returned += litres * returned;
    }

    /// What the meter shows, which has counted `offset` before.
    fn shown(&self, offset: Steps, energy: EnergyUnit) -> Steps {
        // 1.163 Wh for each litre and kelvin, or 4.1868 kJ.
        let cooled = self.supply - self.returned;
        let energy = match energy {
            EnergyUnit::KilowattHour | EnergyUnit::MegawattHour => cooled * 1_163 / 100_000_000_000,
            EnergyUnit::Gigajoule => cooled * 41_868 / 10_000_000_000_000,
        };
        let per_cubic_metre = 100_000_000;
        let shown = [
            energy,
            self.volume / 10_000,
            self.supply / per_cubic_metre,
            self.returned / per_cubic_metre,
        ];
        [0, 1, 2, 3].map(|index| shown[index] + offset[index])
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What a poll reads from a meter that shows these registers, through the bytes of an answer.
fn poll(model: Model, energy: EnergyUnit, shown: Steps) -> PollResult {
    let mut registers = Registers::model(model, energy, 0);
    let (unit, places) = match energy {
        EnergyUnit::KilowattHour => (Unit::KILOWATT_HOUR, 0),
        EnergyUnit::MegawattHour => (Unit::MEGAWATT_HOUR, 3),
        EnergyUnit::Gigajoule => (Unit::GIGAJOULE, 2),
    };
    let values = [
        (ENERGY, unit, places),
        (VOLUME, Unit::CUBIC_METRE, 2),
        (SUPPLY, Unit::CUBIC_METRE_CELSIUS, 0),
        (RETURNED, Unit::CUBIC_METRE_CELSIUS, 0),
    ];
    for ((register, unit, places), steps) in values.into_iter().zip(shown) {
        let value = Decimal::from_i128_with_scale(steps, places);
        registers.insert(RegisterValue::from_decimal(register, unit, value, 4).unwrap());
    }
    let wanted =
        [ENERGY, VOLUME, SUPPLY, RETURNED, READING_DATE].into_iter().chain(OF_MONTH).chain(OF_YEAR);
    let sent = wanted.filter_map(|register| registers.values.get(&register));
    let read = sent.map(|value| {
        let bytes = value.to_bytes();
        Reading::try_from(&RegisterValue::parse(&bytes).unwrap().0).unwrap()
    });
    PollResult { readings: read.collect(), is_recognized: true, ..PollResult::default() }
}

/// A mean in hundredths, and whether its error is at most 0.5: `part` × `times` / `by` per m³.
fn mean(part: i128, step: i128, volume: i128, (times, by): (i128, i128)) -> Option<i128> {
    // (part + step) / (volume - 1) - part / volume, the greatest error, in hundredths of a m³.
    let error = (part + step) * volume - part * (volume - 1);
    let is_known = volume > 1 && error * 200 * times <= by * volume * (volume - 1);
    let (part, volume) = (part * times * 10_000, volume * by);
    is_known.then(|| (2 * part + volume) / (2 * volume))
}

/// All that the test knows of a meter.
struct Observed {
    /// Each reading.
    readings: Vec<(Timestamp, Steps)>,
    /// Since when it is this meter, if it has replaced another one.
    exchanged: Option<Timestamp>,
    /// kWh of a step of energy.
    kwh: (i128, i128),
    /// The meter's own averages, in hundredths, and the month with which its year begins.
    of_month: Option<[i128; 2]>,
    of_year: Option<[i128; 2]>,
    first_month: i8,
}

/// An entry in short: its name, its value in hundredths, since when it counts, and whether it is the
/// meter's own.
type Expected = (&'static str, i128, Timestamp, bool);

/// The expected means, without the crate `tariff`.
fn expected(now: &ZonedDateTime, observed: &Observed) -> Vec<Expected> {
    let midnight = |year: i16, month: i8| {
        let first = jiff::civil::date(year, month, 1);
        first.to_zoned_datetime(now.time_zone().clone()).unwrap().timestamp()
    };
    let first_month = observed.first_month;
    let year = now.year() - i16::from(now.month() < first_month);
    let starts = [
        Timestamp::from_second(now.timestamp().as_second() - 86_400).unwrap(),
        midnight(now.year(), now.month()),
        midnight(year, first_month),
    ];
    let names = [
        ["mean_supply_day", "mean_return_day", "mean_cooling_day", "energy_per_volume_day", ""],
        [
            "mean_supply_month",
            "mean_return_month",
            "mean_cooling_month",
            "energy_per_volume_month",
            "over_limit_month",
        ],
        [
            "mean_supply_year",
            "mean_return_year",
            "mean_cooling_year",
            "energy_per_volume_year",
            "over_limit_year",
        ],
    ];
    let (_, last) = observed.readings.last().unwrap();
    let mut all = Vec::new();
    for (index, (start, names)) in starts.into_iter().zip(names).enumerate() {
        let away = |at: &Timestamp| (at.as_second() - start.as_second()).abs();
        let mut candidates: Vec<_> = observed.readings.iter().collect();
        candidates.retain(|(at, _)| at.as_second() >= start.as_second() - 3600);
        candidates.sort_by_key(|(at, _)| away(at));
        let (since, first) = candidates[0];
        let [energy, volume, supply, returned] = [0, 1, 2, 3].map(|it| last[it] - first[it]);
        let kwh = observed.kwh;
        let mut means = [
            mean(supply, 1, volume, (1, 1)),
            mean(returned, 1, volume, (1, 1)),
            mean(supply - returned, 2, volume, (1, 1)),
            mean(energy, 1, volume, kwh),
            // The limit is 30 °C.
            mean(returned, 1, volume, (1, 1)).map(|mean| mean - 3_000),
        ];
        let mut since = [*since; 5];
        let own = [None, observed.of_month, observed.of_year][index];
        let own = own.filter(|_| observed.exchanged.is_none_or(|at| at <= start));
        let is_own = away(&since[0]) > 3600 && own.is_some();
        if let Some([supply, returned]) = own.filter(|_| is_own) {
            let energy = (means[3], since[3]);
            means = [supply, returned, supply - returned, 0, returned - 3_000].map(Some);
            since = [start; 5];
            (means[3], since[3]) = energy;
        }
        let found = names.into_iter().zip(means).zip(since).enumerate();
        all.extend(found.filter_map(|(place, ((name, mean), since))| {
            Some((name, mean.filter(|_| !name.is_empty())?, since, is_own && place != 3))
        }));
    }
    all.sort_unstable();
    all
}

/// Waits until the thread of the history has written a reading.
fn written(reader: &Reader, key: &MeterKey, at: Timestamp) {
    let end = at + SignedDuration::from_secs(1);
    loop {
        let snapshot = reader.snapshot().unwrap();
        if !snapshot.readings(key, SERIES[3], (at, end)).unwrap().is_empty() {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(3));
    }
}

/// Returns how many means were compared, and how many of them were the meter's own.
fn fourteen_months(model: Model, energy: EnergyUnit) -> (usize, usize) {
    let zone = TimeZone::get("Europe/Copenhagen").unwrap();
    let local = |at: Timestamp| at.to_zoned_datetime(zone.clone());
    let folder = tempfile::tempdir().unwrap();
    let history = History::start(Some(folder.path().join("history.db")), &local(at(START)));
    let reader = history.reader();
    let row = Row { supply: None, expected: Decimal::from(30) };
    let tariff = Tariff { first_month: None, limit: Limit::new(vec![row]) };
    let mut house = House { volume: 0, supply: 0, returned: 0 };
    let mut offset = [81_947, 187_556, 128_953, 51_601];
    let kwh = if energy == EnergyUnit::Gigajoule { (25, 9) } else { (1, 1) };
    let has_averages = model != Model::Multical603;
    let mut observed = Observed {
        readings: Vec::new(),
        exchanged: None,
        kwh,
        of_month: has_averages.then_some([6_689, 2_733]),
        of_year: (model == Model::Multical402).then_some([7_012, 3_051]),
        first_month: 1,
    };
    let mut key = MeterKey::new("house", Some(1));
    let [gap_from, gap_to, exchange] = [GAP[0], GAP[1], EXCHANGE].map(at);
    let (mut compared, mut own) = (0, 0);
    let mut now = at(START);
    let mut hour = 6_165;
    while now < at(END) {
        if observed.exchanged.is_none() && now > exchange {
            // The new meter comes from another house, where it has counted more.
            offset = [291_947, 587_556, 428_953, 251_601];
            key = MeterKey::new("house", Some(2));
            observed.exchanged = Some(now);
            observed.readings.clear();
        }
        let shown = house.shown(offset, energy);
        // The meter is read seldom in the middle of the day, which makes the test faster.
        let is_read = [22, 23, 0, 1, 2].contains(&local(now).hour()) || hour % 6 == 0;
        let is_near = now.duration_since(exchange).abs() < SignedDuration::from_hours(4)
            || now.duration_since(gap_to).abs() < SignedDuration::from_hours(4);
        if !(gap_from..gap_to).contains(&now) && (is_read || is_near) {
            let counted = Counted::of(&poll(model, energy, shown), now).unwrap();
            history.note(&key, now, &counted.samples());
            observed.readings.push((now, shown));
            let here = local(now);
            let is_first = here.day() == 1 && here.hour() < 3;
            if hour % 37 < 3 || is_first || is_near {
                written(&reader, &key, now);
                let snapshot =
                    reader.snapshot_of(std::slice::from_ref(&key), &Stop::default()).unwrap();
                let noticed = (&here, observed.exchanged);
                let entries = report(&snapshot, &key, &counted, &tariff, noticed).unwrap();
                let mut found: Vec<Expected> = Vec::new();
                for entry in &entries {
                    assert_eq!(entry.until, now);
                    let mut value = entry.value;
                    value.rescale(2);
                    let is_own = entry.source == Source::Meter;
                    found.push((entry.key.name(), value.mantissa(), entry.since, is_own));
                }
                found.sort_unstable();
                assert_eq!(found, expected(&here, &observed), "{here}");
                compared += found.len();
                own += found.iter().filter(|(.., is_own)| *is_own).count();
            }
        }
        house.pass(hour);
        hour += 1;
        now += SignedDuration::from_hours(1);
    }
    history.close();
    (compared, own)
}

#[test]
fn fourteen_months_of_a_402() {
    let (compared, own) = fourteen_months(Model::Multical402, EnergyUnit::KilowattHour);
    assert!(compared > 1_000 && own > 20, "{compared} {own}");
}

#[test]
fn fourteen_months_of_a_403() {
    let (compared, own) = fourteen_months(Model::Multical403, EnergyUnit::MegawattHour);
    assert!(compared > 1_000 && own > 20, "{compared} {own}");
}

#[test]
fn fourteen_months_of_a_603() {
    let (compared, own) = fourteen_months(Model::Multical603, EnergyUnit::Gigajoule);
    assert!(compared > 1_000 && own == 0, "{compared} {own}");
}
