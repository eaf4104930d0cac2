//! What the page needs from the rest of the program.

use jiff::ZonedDateTime;
use kmp::register::RegisterId;
use tokio::time::Instant;

use super::access::Visitors;
use super::now::Now;
use super::token::Token;
use crate::status::Board;

/// What the page needs from the rest of the program.
#[derive(Debug, Clone)]
pub(crate) struct PageState {
    pub board: Board,
    /// Earlier readings, if they are kept.
    pub history: Option<history::Reader>,
    pub visitors: Visitors,
    /// The token of those who may press buttons on another machine. Home Assistant's users need
    /// none.
    pub token: Token,
    /// The wall clock.
    pub clock: fn() -> ZonedDateTime,
    /// Writes the registers that a search found as the setting `parameters`. Settings belong to
    /// `config`, which the page does not use.
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

    /// The page of a program that has just started.
    pub(in super::super) fn empty() -> PageState {
        PageState {
            board: Board::default(),
            history: None,
            visitors: Visitors::HomeAssistant,
            token: Token::default(),
            clock: || "2026-11-24T10:00:00+01:00[Europe/Copenhagen]".parse().unwrap(),
            parameters_list: |_| String::new(),
        }
    }
}
