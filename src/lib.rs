//! kamstrup2mqtt: reads a Kamstrup MULTICAL heat meter over its optical port and publishes what it
//! says to MQTT, announced so that Home Assistant shows it by itself.
//!
//! `ARCHITECTURE.md` is the map: which module does what, and what each must not know.

#![cfg_attr(test, expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails"))]

pub mod advice;
pub mod app;
pub mod back_off;
pub mod cause;
pub mod cli;
pub mod condition;
pub mod config;
pub mod consistency;
pub mod discovery;
pub mod file;
pub mod guard;
pub mod highres;
pub mod history;
pub mod hosts;
pub mod http;
pub mod identity;
pub mod inbox;
pub mod line;
pub mod logging;
pub mod mend;
pub mod meter;
pub mod mqtt;
pub mod name;
pub mod news;
pub mod payload;
pub mod poll;
pub mod reading;
pub mod resident;
pub mod resources;
pub mod simulator;
pub mod status;
pub mod supervisor;
pub mod systemd;
pub mod tls;
pub mod topic;
pub mod transport;
pub mod units;
pub mod web;
pub mod words;
