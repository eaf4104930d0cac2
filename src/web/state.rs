//! What the page shows, to whom, and what it takes from the rest of the program.

use jiff::ZonedDateTime;
use kmp::register::RegisterId;
use tokio::time::Instant;

use super::access::Visitors;
use super::now::Now;
use crate::status::Board;

/// What the page shows, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct PageState {
    /// What is known.
    pub board: Board,
    /// What was read earlier, where it is kept.
    pub history: Option<history::Reader>,
    /// Who may look.
    pub visitors: Visitors,
    /// The clock on the wall.
    pub clock: fn() -> ZonedDateTime,
    /// The registers that a search found, as the list in the setting `parameters`. Settings belong
    /// to `config`, of which the page knows nothing.
    pub parameters_list: fn(&[RegisterId]) -> String,
}

impl PageState {
    pub(super) fn now(&self) -> Now {
        Now { wall: (self.clock)(), at: Instant::now() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The page of a program that knows nothing yet.
    pub(in super::super) fn empty() -> PageState {
        PageState {
            board: Board::default(),
            history: None,
            visitors: Visitors::HomeAssistant,
            clock: || "2026-11-24T10:00:00+01:00[Europe/Copenhagen]".parse().unwrap(),
            parameters_list: |_| String::new(),
        }
    }
}
