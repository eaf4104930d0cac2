//! A snippet of configuration made from the registers that a scan found.

use std::fmt::Write as _;

use kmp::register::{Kind, RegisterId};

use crate::name::Parameter;

/// These registers as `parameters`, to copy into a file, each with its meaning. Registers whose value
/// is not worth following are commented out. Empty if there are no registers.
#[must_use]
pub fn parameters_list(registers: &[RegisterId]) -> String {
    let mut text = String::new();
    let (wanted, rest): (Vec<RegisterId>, Vec<RegisterId>) =
        registers.iter().copied().partition(|register| is_worth_following(*register));
    if !registers.is_empty() {
        text.push_str("kamstrup:\n  parameters:\n");
    }
    let label = |register: RegisterId| register.info().map_or("unknown", |info| info.label);
    for register in wanted {
        let name = Parameter::of(register);
        let _ = writeln!(text, "    - {:<20} # {}", name.name(), label(register));
    }
    if !rest.is_empty() {
        text.push_str("    # These identify the meter or show its settings:\n");
    }
    for register in rest {
        let name = Parameter::of(register);
        let _ = writeln!(text, "    # - {:<18} # {}", name.name(), label(register));
    }
    text
}

/// This port as `serial_device`, to copy into a file. `baud` is set unless it is the default.
#[must_use]
pub fn serial_port_lines(port: &str, baud: Option<u32>) -> String {
    let mut text = format!("serial_device:\n  com_port: {port}\n");
    if let Some(baud) = baud {
        let _ = writeln!(text, "  baudrate: {baud}");
    }
    text
}

/// Whether a register's value is worth following. The others need to be known only once.
#[must_use]
pub(crate) fn is_worth_following(register: RegisterId) -> bool {
    let kind = register.info().map(|info| info.kind);
    !matches!(kind, Some(Kind::Identity | Kind::Setting | Kind::Clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_that_identify_the_meter_come_last_and_are_commented_out() {
        let registers = [60, 1001, 4000, 80].map(RegisterId::new);
        insta::assert_snapshot!(parameters_list(&registers));
        assert_eq!(parameters_list(&[]), "");
    }
}
