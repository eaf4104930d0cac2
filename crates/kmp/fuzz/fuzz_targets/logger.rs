#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/round_trips/properties.rs"]
#[expect(dead_code, reason = "each target checks one of the properties")]
mod properties;

fuzz_target!(|bytes: &[u8]| properties::logger(bytes));
