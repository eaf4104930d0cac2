//! The names of values on the page.

use kmp::register::Register;

use crate::web::language::{Words, fill};

/// The name of a value, in the visitor's language if the catalogue has it.
pub(super) struct Name {
    pub(super) text: String,
    /// Its language, if that is another one.
    pub(super) lang: Option<&'static str>,
    pub(super) key: String,
}

impl Name {
    pub(super) fn new(key: &str, words: &Words) -> Self {
        let lower = key.to_ascii_lowercase();
        // It would have the same name as the plain register.
        if let Some(of) = finer(&lower, words) {
            let text = fill(words.high_resolution, &[("name", of)]);
            return Self { text, lang: None, key: key.to_owned() };
        }
        let text = match lower.as_str() {
            "energy" => words.energy,
            "energy3" => words.cooling,
            "volume" => words.volume,
            "power" => words.power,
            "flow" => words.flow,
            "temp1" => words.supply,
            "temp2" => words.back,
            "tempdiff" => words.difference,
            "hourcounter" => words.hours,
            "infocode" => words.info_code,
            "maxpower_m" => words.highest_power_month,
            "maxpower_y" => words.highest_power_year,
            "maxflow_m" => words.highest_flow_month,
            "maxflow_y" => words.highest_flow_year,
            "water_temp" => words.water_temperature,
            "meter_temp" => words.meter_temperature,
            _ => "",
        };
        let (text, lang) = match (text, Register::by_key(key)) {
            ("", Some(register)) => (register.label, Some("en")),
            ("", None) => (key, None),
            (text, _) => (text, None),
        };
        Self { text: text.to_owned(), lang, key: key.to_owned() }
    }
}

/// The name of the plain register that this one repeats with more digits.
pub(super) fn finer(key: &str, words: &Words) -> Option<&'static str> {
    match key {
        "e1highres" | "highresenergy" => Some(words.energy),
        "e3highres" => Some(words.cooling),
        "volumehighres" | "highresvolume" | "volume_extradigit" => Some(words.volume),
        _ => None,
    }
}
