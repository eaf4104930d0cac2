//! A snippet of configuration from the result of a search for registers.

use std::fmt::Write as _;

use kmp::register::{Kind, RegisterId};

use crate::name::Parameter;

/// These registers as `parameters`, to copy into a file, each with its meaning. Registers that
/// nobody wants to follow are behind a `#`. Empty where there are no registers.
#[must_use]
pub fn parameters_list(registers: &[RegisterId]) -> String {
    let mut text = String::new();
    let (wanted, rest): (Vec<RegisterId>, Vec<RegisterId>) =
        registers.iter().copied().partition(|register| is_worth_following(*register));
    if !registers.is_empty() {
        text.push_str("kamstrup:\n  parameters:\n");
    }
    let label = |register: RegisterId| register.info().map_or("not known", |info| info.label);
    // Writing to a `String` never fails.
    for register in wanted {
        let name = Parameter::of(register);
        let _ = writeln!(text, "    - {:<20} # {}", name.name(), label(register));
    }
    if !rest.is_empty() {
        text.push_str("    # What says which meter it is, and how it is set:\n");
    }
    for register in rest {
        let name = Parameter::of(register);
        let _ = writeln!(text, "    # - {:<18} # {}", name.name(), label(register));
    }
    text
}

/// Whether somebody wants to follow a register's value, rather than to know it once.
fn is_worth_following(register: RegisterId) -> bool {
    let kind = register.info().map(|info| info.kind);
    !matches!(kind, Some(Kind::Identity | Kind::Setting | Kind::Clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_who_the_meter_is_comes_last_and_does_not_count() {
        let registers = [60, 1001, 4000, 80].map(RegisterId::new);
        insta::assert_snapshot!(parameters_list(&registers));
        assert_eq!(parameters_list(&[]), "");
    }
}
