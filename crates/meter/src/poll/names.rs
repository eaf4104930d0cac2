//! Names of registers in log lines.

use kmp::register::RegisterId;

/// `, without volume, flow and 3 more`
pub(super) fn unread_words(registers: impl Iterator<Item = RegisterId>) -> String {
    match short_list(registers).as_str() {
        "" => String::new(),
        list => format!(", without {list}"),
    }
}

/// `volume, flow and 3 more`
pub(super) fn short_list(registers: impl Iterator<Item = RegisterId>) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = registers
        .map(|register| {
            register.info().map_or_else(|| register.to_string(), |info| info.key.to_owned())
        })
        .collect();
    if let Some(more @ 1..) = names.len().checked_sub(SHOWN) {
        names.truncate(SHOWN);
        names.push(format!("{more} more"));
    }
    listed(&names)
}

/// `a`, `a and b`, `a, b and c`
pub(super) fn listed(names: &[String]) -> String {
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// `energy (register 60)`
pub(super) fn register_words(register: RegisterId) -> String {
    match register.info() {
        Some(info) => format!("`{}` (register {register})", info.key),
        None => format!("Register {register}"),
    }
}
