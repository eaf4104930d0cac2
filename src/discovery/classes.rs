//! How Home Assistant classifies and shows a measure: classes, icon, decimal places.

use kmp::register::{Kind, Register, RegisterId};
use kmp::unit::Quantity;

use crate::units::Measure;
use meter::identity::Identity;

/// `None` if Home Assistant does not accept this unit for the class: it would reject the whole
/// entity.
pub(super) fn device_class(measure: Measure) -> Option<&'static str> {
    let unit = measure.unit.unwrap_or_default();
    let (class, units): (_, &[&str]) = match measure.quantity {
        // This counter wraps. The energy dashboard would mistake each wrap for a new meter, so it
        // is shown without a class.
        Quantity::Energy if measure.kind == Some(Kind::WrappingCounter) => return None,
        Quantity::Energy => (
            "energy",
            &["J", "kJ", "MJ", "GJ", "Wh", "kWh", "MWh", "GWh", "cal", "kcal", "Mcal", "Gcal"],
        ),
        Quantity::Power => ("power", &["W", "kW", "MW", "GW"]),
        Quantity::Temperature => ("temperature", &["°C"]),
        Quantity::TemperatureDifference => ("temperature_delta", &["°C", "K"]),
        // Not `water`: heating water circulates and is not consumed (see `is_consumed_water`).
        Quantity::Volume => ("volume", &["L", "m³"]),
        Quantity::Flow => ("volume_flow_rate", &["L/h", "m³/h"]),
        Quantity::Duration => ("duration", &["d", "h", "min", "s", "ms"]),
        Quantity::Pressure => ("pressure", &["bar"]),
        Quantity::Date => return Some("date"),
        _ => return None,
    };
    units.contains(&unit).then_some(class)
}

/// `None` if the measure is not a number, or the kind of the register is unknown.
pub(super) fn state_class(
    measure: Measure,
    device_class: Option<&'static str>,
) -> Option<&'static str> {
    use Quantity::{BitField, Date, DateTime, MonthDay, Text, TimeOfDay};
    if matches!(measure.quantity, BitField | Date | DateTime | MonthDay | Text | TimeOfDay) {
        return None;
    }
    let counts = match measure.kind? {
        Kind::Counter => true,
        Kind::Gauge | Kind::WrappingCounter => false,
        Kind::Date | Kind::Clock | Kind::Code | Kind::Identity | Kind::Setting => return None,
    };
    match device_class {
        // Home Assistant accepts only totals for these classes.
        Some("energy" | "volume") => counts.then_some("total_increasing"),
        // It accepts totals for these too, and for no others.
        Some("duration") | None if counts => Some("total_increasing"),
        _ => Some("measurement"),
    }
}

/// Registers that repeat another one with more digits, apart from those that wrap.
const HIGH_RESOLUTION: [RegisterId; 3] =
    [RegisterId::new(13), RegisterId::new(14), RegisterId::new(622)];

/// A water meter counts litres in this register, a heat meter tens of litres.
const VOLUME: RegisterId = RegisterId::new(68);

/// Whether a register has more decimal places than others of its unit.
fn is_in_high_resolution(register: RegisterId, measure: Measure, identity: &Identity) -> bool {
    let wraps = register.info().is_some_and(|info| info.kind == Kind::WrappingCounter);
    let counts_litres = identity.is_water_meter && measure.quantity == Quantity::Volume;
    wraps || counts_litres || HIGH_RESOLUTION.contains(&register)
}

/// Whether the register counts the water that a house consumes. The energy dashboard recognizes it
/// by its class alone.
pub(super) fn is_consumed_water(register: RegisterId, identity: &Identity) -> bool {
    register == VOLUME && identity.is_water_meter
}

/// Decimal places that meters usually have in a unit, and those of their registers with more
/// digits.
#[rustfmt::skip]
const DECIMAL_PLACES: &[(&str, u8, u8)] = &[
    ("J", 0, 0), ("kJ", 0, 0), ("MJ", 0, 0), ("GJ", 2, 4),
    // Whole kWh; or converted from GJ, in steps of 2.8 kWh.
    ("Wh", 0, 0), ("kWh", 0, 3), ("MWh", 3, 5), ("GWh", 6, 8),
    ("cal", 0, 0), ("kcal", 0, 0), ("Mcal", 0, 2), ("Gcal", 3, 5),
    ("W", 0, 0), ("kW", 1, 1), ("MW", 4, 4),
    // As on the meter's own display. With fewer places for temperatures than for their difference,
    // the three would not add up.
    ("°C", 2, 2), ("K", 2, 2),
    ("L", 0, 1), ("m³", 2, 3), ("t", 2, 3),
    // A house never reaches 1 m³/h, and by default Home Assistant shows no decimal places.
    ("L/h", 0, 0), ("m³/h", 3, 3),
    ("m³·°C", 0, 0),
    ("bar", 2, 2),
    ("d", 0, 0), ("h", 0, 0), ("min", 0, 0), ("s", 0, 0), ("ms", 0, 0),
];

/// How many decimal places are shown. Home Assistant keeps every digit and rounds only for display;
/// its user can choose to see more of them.
pub(super) fn display_precision(
    register: RegisterId,
    measure: Measure,
    identity: &Identity,
) -> Option<u8> {
    let unit = measure.unit?;
    let (_, usual, fine) = DECIMAL_PLACES.iter().find(|(one, ..)| *one == unit)?;
    let is_temperature =
        matches!(measure.quantity, Quantity::Temperature | Quantity::TemperatureDifference);
    Some(match register.get() {
        // Water meters send whole degrees in one byte (seen on a MULTICAL 21).
        292..=305 if is_temperature => 0,
        // t1, t2 and their difference once more, with one decimal place.
        398..=400 if is_temperature => 1,
        _ if is_in_high_resolution(register, measure, identity) => *fine,
        _ => *usual,
    })
}

/// Whether Home Assistant shows the register apart from the values: the meter's identity, settings,
/// clock and codes, and how long it has been running.
pub(super) fn is_diagnostic(register: &Register) -> bool {
    match register.kind {
        Kind::Identity | Kind::Setting | Kind::Clock | Kind::Code => true,
        // Counts of events, hours of operation, days left.
        Kind::Counter => matches!(register.quantity, Quantity::Number | Quantity::Duration),
        Kind::Gauge => register.quantity == Quantity::Duration,
        Kind::WrappingCounter | Kind::Date => false,
    }
}

/// `None` if the entity has a class: Home Assistant has an icon for each.
pub(super) fn icon(measure: Measure, class: Option<&'static str>) -> Option<&'static str> {
    if class.is_some() {
        return None;
    }
    Some(match (measure.kind, measure.quantity) {
        (Some(Kind::Date), _) | (_, Quantity::Date | Quantity::MonthDay | Quantity::DateTime) => {
            "mdi:calendar"
        }
        (_, Quantity::TimeOfDay) => "mdi:clock-outline",
        // Those of Home Assistant's classes `energy`, `power` and `weight`.
        (_, Quantity::Energy) => "mdi:lightning-bolt",
        (_, Quantity::Power) => "mdi:flash",
        (_, Quantity::Mass | Quantity::MassFlow) => "mdi:weight",
        (_, Quantity::VolumeTemperature) => "mdi:thermometer-water",
        (Some(Kind::Setting), _) => "mdi:cog",
        (Some(Kind::Identity), _) => "mdi:identifier",
        (Some(Kind::Counter), _) => "mdi:counter",
        _ => "mdi:information",
    })
}
