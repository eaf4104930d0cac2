//! The registers that a meter does not have.
//!
//! One answer without a register proves little, and so does one silence. An absence is certain once
//! two polls have seen it. The register is then not requested for a day.

use std::collections::BTreeMap;
use std::time::Duration;

use kmp::register::RegisterId;
use tokio::time::Instant;

use crate::reading::Missing;

/// How long a register is not requested after its absence is certain.
pub(super) const ABSENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The registers that the meter left out of its answers, or did not answer a request for.
#[derive(Debug, Clone, Default)]
pub(super) struct Absences(BTreeMap<RegisterId, Absence>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Absence {
    why: Missing,
    since: Instant,
    /// The first poll that saw it.
    poll: u64,
    is_certain: bool,
}

impl Absences {
    /// Why a register is not requested; `None` if it is.
    pub(super) fn reason(&self, register: RegisterId) -> Option<&Missing> {
        let absence = self.0.get(&register)?;
        (absence.is_certain && absence.since.elapsed() < ABSENCE).then_some(&absence.why)
    }

    /// Whether the meter did not answer the last request for a register.
    pub(super) fn has_silenced(&self, register: RegisterId) -> bool {
        self.0.get(&register).is_some_and(|absence| absence.why == Missing::Silences)
    }

    /// The absences that are certain, with their reasons.
    pub(super) fn certain(&self) -> impl Iterator<Item = (RegisterId, &Missing)> {
        let certain = self.0.iter().filter(|(_, absence)| absence.is_certain);
        certain.map(|(register, absence)| (*register, &absence.why))
    }

    /// Notes that the meter seems not to have a register. Returns the reason to report.
    pub(super) fn note(&mut self, register: RegisterId, why: Missing, poll: u64) -> Missing {
        let before = self.0.get(&register);
        let before = before.filter(|it| it.why == why && it.since.elapsed() < ABSENCE);
        let is_certain = before.is_some_and(|it| it.is_certain || it.poll != poll);
        let poll = before.map_or(poll, |it| it.poll);
        let absence = Absence { why: why.clone(), since: Instant::now(), poll, is_certain };
        self.0.insert(register, absence);
        // It was requested alone, several times, and the meter was awake.
        let is_silent = why == Missing::Silences;
        if is_certain || is_silent { why } else { Missing::Omitted }
    }

    /// Notes that the meter has a register.
    pub(super) fn remove(&mut self, register: RegisterId) {
        self.0.remove(&register);
    }
}
