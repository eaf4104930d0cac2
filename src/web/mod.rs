//! The status page, in Home Assistant's sidebar or at the machine's own address, and the same data
//! for programs.
//!
//! It changes nothing except through its buttons, and those go through the tasks that poll
//! (`actions`). Others can reach its port, so `access` decides who is answered, and who may press
//! the buttons: this machine if no token is configured, Home Assistant, and those who have the
//! `token`. `server` limits connections, requests and times, so that nobody can keep it busy.

mod access;
mod actions;
mod address;
mod api;
mod attempts;
mod blocking;
mod chart;
mod events;
mod guest;
mod language;
mod locked;
mod memory;
mod metrics;
mod now;
mod page;
mod paging;
mod past;
mod places;
mod ports;
mod response;
mod routes;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod token;
mod token_file;

pub(crate) use self::access::Visitors;
pub(crate) use self::address::{IN_ADD_ON, find};
pub(crate) use self::routes::{HEALTH, HEALTHY};
pub(crate) use self::server::run;
pub(crate) use self::state::PageState;
pub(crate) use self::token::Token;
