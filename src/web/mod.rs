//! The status page, in Home Assistant's sidebar or at the machine's own address, and the same data
//! for programs.
//!
//! The page changes nothing except through its buttons. They use the tasks that poll the meters
//! (`actions`). Others can reach the page's port, so `access` decides who is answered, and who may
//! press the buttons: Home Assistant's users, visitors who have the `token`, and this machine if no
//! token is configured. `server` limits connections, requests and times, so that nobody can keep
//! the program busy.

mod access;
mod actions;
mod address;
mod api;
mod attempts;
mod blocking;
mod chart;
mod delivery;
mod events;
mod guest;
mod head;
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
mod setup;
mod state;
mod statistics;
mod streams;
#[cfg(test)]
mod tests;
mod token;
mod token_file;
mod turns;

pub(crate) use self::access::Visitors;
pub(crate) use self::address::{IN_ADD_ON, find};
pub(crate) use self::blocking::BlockingJobs;
pub(crate) use self::routes::{HEALTH, HEALTHY};
pub(crate) use self::server::run;
pub(crate) use self::setup::SetupPage;
pub(crate) use self::state::PageState;
pub(crate) use self::token::Token;
