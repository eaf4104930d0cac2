//! The names of values on the page.

use kmp::register::{Register, RegisterId};

use crate::language::Language;

/// The name of a value in the visitor's language. A register that is not known has its number.
pub(in crate::web) struct Name {
    pub(in crate::web) text: String,
    pub(in crate::web) key: String,
}

impl Name {
    pub(in crate::web) fn new(key: &str, language: Language) -> Self {
        let known = Register::by_key(key).and_then(|register| language.register(register.id));
        Self { text: known.unwrap_or(key).to_owned(), key: key.to_owned() }
    }
}

/// The name of the plain register that this one repeats with more digits.
pub(super) fn finer(key: &str, language: Language) -> Option<&'static str> {
    let plain = match key {
        "e1highres" | "highresenergy" => 60,
        "e3highres" => 63,
        "volumehighres" | "highresvolume" | "volume_extradigit" => 68,
        _ => return None,
    };
    language.register(RegisterId::new(plain))
}
