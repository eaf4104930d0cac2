//! A simulated house in winter: its demand for heat follows the hours of the day. The energy and
//! volume of its meter rise by the power and flow that the meter shows.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use history::{History, MeterKey, Sample};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;
use simulator::{EnergyUnit, Registers};

/// The demand in W at each full hour: little at night, a peak in the morning and one in the
/// evening.
const DEMAND: [i64; 24] = [
    2_600, 2_400, 2_300, 2_300, 2_500, 3_900, 7_200, 7_800, 6_100, 4_700, 4_100, 3_800, 3_600,
    3_500, 3_600, 3_900, 4_600, 5_800, 6_600, 6_400, 5_600, 4_700, 3_600, 2_900,
];

/// The time between readings in the past, in seconds.
const INTERVAL: i64 = 300;
/// How far back readings go, in seconds.
const PAST: i64 = 48 * 3_600;

/// The counters at the beginning: kWh with two decimal places, and litres.
const ENERGY: i64 = 8_194_761;
const VOLUME: i64 = 1_917_570;

/// The house at one moment.
pub(crate) struct House {
    zone: TimeZone,
    /// In seconds since 1970.
    now: i64,
    watt_seconds: i64,
    /// In l/h times seconds.
    flowed: i64,
}

/// What the meter's gauges show: W, l/h, and hundredths of a degree.
struct Gauges {
    power: i64,
    flow: i64,
    supply: i64,
    back: i64,
}

impl House {
    /// The house two days before `now`.
    pub(crate) fn two_days_before(now: &ZonedDateTime) -> Self {
        let start = now.timestamp().as_second() - PAST;
        let start = start - start.rem_euclid(INTERVAL);
        Self { zone: now.time_zone().clone(), now: start, watt_seconds: 0, flowed: 0 }
    }

    /// Writes the readings from then until `now` into a file, as the program would have.
    pub(crate) async fn fill(&mut self, file: &Path, now: &ZonedDateTime) -> anyhow::Result<()> {
        let history = History::start(Some(file.to_owned()), now);
        let (reader, errors) = (history.reader(), history.error());
        let meter = MeterKey::new("", Some(Registers::empty().serial.number()));
        while self.now + INTERVAL < now.timestamp().as_second() {
            self.advance_to(self.now + INTERVAL)?;
            // A poll takes a moment.
            let time = Timestamp::from_second(self.now + 1)?;
            history.note(&meter, time, &self.samples()?);
            // The queue of the history is short, and a poll that does not fit is lost.
            while reader
                .snapshot()?
                .readings(&meter, "tempdiff", (time, Timestamp::MAX))?
                .is_empty()
            {
                if let Some(error) = errors.borrow().as_ref() {
                    anyhow::bail!("the simulated readings cannot be stored: {error}");
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        history.closed().await;
        Ok(())
    }

    /// Lets time pass, in seconds since 1970.
    pub(crate) fn advance_to(&mut self, time: i64) -> anyhow::Result<()> {
        while self.now < time {
            let seconds = (time - self.now).min(60);
            let Gauges { power, flow, .. } = self.gauges()?;
            self.watt_seconds += power * seconds;
            self.flowed += flow * seconds;
            self.now += seconds;
        }
        Ok(())
    }

    fn gauges(&self) -> anyhow::Result<Gauges> {
        let local = Timestamp::from_second(self.now)?.to_zoned_datetime(self.zone.clone());
        let at = |hour: i8| {
            let hour = usize::try_from(hour).unwrap_or_default();
            DEMAND.get(hour % DEMAND.len()).copied().unwrap_or_default()
        };
        let (from, to) = (at(local.hour()), at(local.hour() + 1));
        let seconds = i64::from(local.minute()) * 60 + i64::from(local.second());
        let demand = from + (to - from) * seconds / 3_600;
        // Valves open and close, each at its own pace, and each day has its own weather.
        let valves: i64 = [1_700, 4_300, 11_900].map(|period| self.swing(period)).iter().sum();
        let weather = i64::from(local.day_of_year()) * 37 % 17 * 10 - 80;
        let watts = demand * (1_000 + valves + weather) / 1_000;
        // The meter shows tenths of a kW.
        let power = watts / 100 * 100;
        let supply = 6_300 + power / 8;
        let back = 2_900 + power / 10;
        // A litre of water takes 1.163 Wh for each degree.
        let flow = power * 100_000 / (1_163 * (supply - back));
        Ok(Gauges { power, flow, supply, back })
    }

    /// Rises and falls between -60 and 60 in so many seconds.
    fn swing(&self, period: i64) -> i64 {
        (self.now.rem_euclid(period) - period / 2).abs() * 240 / period - 60
    }

    /// What the meter answers: kWh with two decimal places, and every other register of the
    /// example.
    pub(crate) fn registers(&self) -> anyhow::Result<Registers> {
        let Gauges { power, flow, supply, back } = self.gauges()?;
        let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
        for (id, number, places, unit, length) in [
            (60, self.energy(), 2, Unit::KILOWATT_HOUR, 4),
            (68, self.volume(), 3, Unit::CUBIC_METRE, 4),
            (74, flow, 0, Unit::LITRE_PER_HOUR, 2),
            (80, power / 100, 1, Unit::KILOWATT, 2),
            (86, supply, 2, Unit::CELSIUS, 2),
            (87, back, 2, Unit::CELSIUS, 2),
            (89, supply - back, 2, Unit::KELVIN, 2),
        ] {
            let (register, value) = (RegisterId::new(id), Decimal::new(number, places));
            let value = RegisterValue::from_decimal(register, unit, value, length);
            registers.insert(value.with_context(|| format!("register {id}"))?);
        }
        Ok(registers)
    }

    /// The same as the program publishes it.
    fn samples(&self) -> anyhow::Result<Vec<Sample>> {
        let Gauges { power, flow, supply, back } = self.gauges()?;
        let sample =
            |(parameter, number, places, unit, is_counter): (&str, i64, u32, &str, bool)| Sample {
                parameter: parameter.to_owned(),
                value: Decimal::new(number, places),
                unit: Some(unit.to_owned()),
                is_counter,
            };
        let samples = [
            ("energy", self.energy(), 2, "kWh", true),
            ("volume", self.volume(), 3, "m³", true),
            ("power", power, 0, "W", false),
            ("flow", flow, 3, "m³/h", false),
            ("temp1", supply, 2, "°C", false),
            ("temp2", back, 2, "°C", false),
            ("tempdiff", supply - back, 2, "°C", false),
        ];
        Ok(samples.into_iter().map(sample).collect())
    }

    fn energy(&self) -> i64 {
        ENERGY + self.watt_seconds / 36_000
    }

    fn volume(&self) -> i64 {
        VOLUME + self.flowed / 3_600
    }
}
