//! The page that says how it goes, for Home Assistant's sidebar and for whoever is on this machine;
//! and the same for programs.
//!
//! It changes nothing but what a visitor asks for, and that goes through the tasks that poll
//! (`actions`). Others can reach its port, so `access` says who may ask; and nobody can keep it busy:
//! `server` bounds connections, requests and times.

mod access;
mod actions;
mod address;
mod api;
mod blocking;
mod chart;
mod events;
mod guest;
mod language;
mod memory;
mod metrics;
mod now;
mod page;
mod past;
mod ports;
mod response;
mod routes;
mod server;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use self::access::Visitors;
pub(crate) use self::address::{IN_ADD_ON, find};
pub(crate) use self::routes::{HEALTH, HEALTHY};
pub(crate) use self::server::run;
pub(crate) use self::state::PageState;
