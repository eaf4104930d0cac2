//! What the page needs from the rest of the program.

use jiff::ZonedDateTime;
use kmp::register::RegisterId;
use tokio::time::Instant;

use super::access::Visitors;
use super::now::Now;
use super::setup::SetupPage;
use super::token::Token;
use crate::finder::Finder;
use crate::gaps::Desk;
use crate::options_change::ChangeSender;
use crate::status::Board;

/// What the page needs from the rest of the program.
#[derive(Debug, Clone)]
pub(crate) struct PageState {
    pub board: Board,
    /// Earlier readings, if they are kept.
    pub history: Option<history::Reader>,
    pub visitors: Visitors,
    /// The token with which visitors press buttons on another machine. Home Assistant's users need
    /// none.
    pub token: Token,
    /// The wall clock.
    pub clock: fn() -> ZonedDateTime,
    /// Setting up, if the program was started without a configuration.
    pub setup: Option<SetupPage>,
    /// Writes the registers that a search found as the setting `parameters`. Settings belong to
    /// `config`, which the page does not use.
    pub parameters_list: fn(&[RegisterId]) -> String,
    /// The same for a port, with its speed if that is not the default.
    pub port_lines: fn(&str, Option<u32>) -> String,
    /// Finds the port of the optical head.
    pub finder: Finder,
    /// Changes the app's options; `None` outside of the app.
    pub changes: Option<ChangeSender>,
    /// Fills gaps in Home Assistant's statistics.
    pub desk: Desk,
}

impl PageState {
    pub(super) fn now(&self) -> Now {
        Now { wall: (self.clock)(), at: Instant::now() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use meter::transport::PortQueues;

    /// The page of a program that has just started.
    pub(in super::super) fn empty() -> PageState {
        PageState {
            board: Board::default(),
            desk: Desk::default(),
            history: None,
            visitors: Visitors::HomeAssistant,
            token: Token::default(),
            clock: || "2026-11-24T10:00:00+01:00[Europe/Copenhagen]".parse().unwrap(),
            setup: None,
            parameters_list: |_| String::new(),
            port_lines: |_, _| String::new(),
            finder: Finder::new("/nothing".into(), PortQueues::default()),
            changes: None,
        }
    }
}
