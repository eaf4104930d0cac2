//! The logs of the simulated models. All of them have measured the same invented house since March
//! 2023.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::{DateTime, date};
use kmp::logger::{Log, LogEntry, LogId};
use kmp::number::SignExponent;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;

use super::calendar::{count, is_summer, times};
use super::{Kept, LONGEST_ANSWER, Logs};
use crate::encode::{digits, seven_bytes};
use crate::models::Model;
use crate::registers::{EnergyUnit, Registers};

/// How the meter stamps an entry in summer. The log keeps standard time all year, so a day's entry
/// is made at 1:00 local time (TD 603 5512-2029 A1 p.111, TD 403 5512-1689 M1 p.98). Whether its
/// stamp says 0:00 or 1:00 is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummerStamp {
    /// Standard time, with the offset beside it.
    Standard,
    /// Local time, with the offset that it contains.
    Local,
}

/// The depth of a log and its registers, apart from those of the stamp.
struct Profile {
    log: Log,
    depth: u16,
    registers: &'static [u16],
}

const fn profile(log: Log, depth: u16, registers: &'static [u16]) -> Profile {
    Profile { log, depth, registers }
}

/// The year log is that of a captured answer. The others have the registers that jktjkt/PyKMP
/// requests. The depth of the hour log is a guess: "as in the 602" (TD 603 5512-2029 A1 p.110).
const PROFILES_603: [Profile; 4] = [
    profile(
        Log::Year,
        20,
        &[
            60, 63, 97, 110, 64, 65, 362, 68, 84, 85, 369, 99, 123, 383, 124, 125, 384, 126, 127,
            385, 128, 129, 386, 130, 1004, 175, 94, 61, 62, 95, 96, 473, 474, 69, 224, 225, 72, 73,
            515, 338,
        ],
    ),
    profile(Log::Month, 36, &[60, 68, 97, 110, 1004, 175, 369, 99, 338]),
    profile(Log::Day, 460, &[60, 68, 97, 110, 86, 87, 74, 80, 379, 380, 369, 99, 338]),
    profile(Log::Hour, 1400, &[60, 68, 86, 87, 74, 80]),
];

/// The depths of the default profile (TD 403 5512-1689 M1 p.13, p.97). The registers are a guess.
const PROFILES_403: [Profile; 4] = [
    profile(Log::Year, 20, &[60, 63, 97, 110, 68, 123, 124, 1004]),
    profile(Log::Month, 36, &[60, 63, 97, 110, 68, 138, 139, 1004]),
    profile(Log::Day, 460, &[60, 63, 97, 110, 68, 99, 1004]),
    profile(Log::Hour, 72, &[60, 68]),
];

/// When the meter was put into operation.
fn beginning() -> DateTime {
    date(2023, 3, 15).at(10, 0, 0, 0)
}

/// When the simulation begins.
fn now() -> DateTime {
    date(2026, 11, 23).at(7, 0, 0, 0)
}

impl Logs {
    /// The logs of a model at the start of the simulation; `None` for a model that does not answer.
    #[must_use]
    pub fn model(model: Model, energy: EnergyUnit, summer: SummerStamp) -> Option<Self> {
        let (profiles, stamp): (&[Profile], &[u16]) = match model {
            Model::Multical303 | Model::Multical603 => (&PROFILES_603, &[348, 1003, 1002]),
            Model::Multical403 => (&PROFILES_403, &[1003, 1002]),
            Model::Generic | Model::Multical402 | Model::Multical21 => return None,
        };
        let mut logs = BTreeMap::new();
        for Profile { log, depth, registers } in profiles {
            let registers = registers.iter().chain(stamp).map(|id| RegisterId::new(*id)).collect();
            let mut kept = Kept { depth: *depth, registers, entries: Vec::new() };
            let newest = LogId::new(count(*log, beginning(), now()));
            for (at, back) in times(*log, beginning(), now(), *depth).into_iter().zip(0..) {
                let Some(id) = newest.older(back) else { break };
                let mut values = stamped(at, summer);
                let minutes = now().duration_until(at).as_mins();
                let house = Registers::of_house(model, energy, minutes);
                values.extend(house.values.into_values().filter(|value| {
                    kept.registers.contains(&value.register)
                        && ![348, 1002, 1003].contains(&value.register.get())
                }));
                kept.entries.push(LogEntry { id, values });
            }
            kept.entries.reverse();
            logs.insert(*log, kept);
        }
        Some(Self { logs, longest_answer: LONGEST_ANSWER })
    }
}

/// The registers of an entry's stamp: date and time, date, time of day.
fn stamped(at: DateTime, summer: SummerStamp) -> Vec<RegisterValue> {
    let is_summer = is_summer(at);
    let local = match summer {
        SummerStamp::Local if is_summer => at.checked_add(1.hour()).unwrap_or(at),
        SummerStamp::Local | SummerStamp::Standard => at,
    };
    // The meter is a few seconds late, as in the captured frames.
    let local = local.checked_add(4.seconds()).unwrap_or(local);
    let number = |id: u16, digits: i64, unit| {
        RegisterValue::from_decimal(RegisterId::new(id), unit, Decimal::from(digits), 4).ok()
    };
    let both = seven_bytes(local, if is_summer { 60 } else { 0 }).and_then(|bytes| {
        let exponent = SignExponent::from_byte(0);
        RegisterValue::new(RegisterId::new(348), Unit::DATE_TIME, exponent, bytes.to_vec())
    });
    let day = digits(&[local.year() % 100, local.month().into(), local.day().into()]);
    let time = digits(&[local.hour().into(), local.minute().into(), local.second().into()]);
    let day = number(1003, day, Unit::DATE_YYMMDD);
    [both, day, number(1002, time, Unit::CLOCK)].into_iter().flatten().collect()
}
