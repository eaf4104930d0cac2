//! Reads Kamstrup MULTICAL meters over their optical port: any byte stream in, exact readings out.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod back_off;
pub mod cause;
pub mod client;
pub mod condition;
pub mod consistency;
pub mod highres;
pub mod hosts;
pub mod identity;
pub mod news;
pub mod plausibility;
pub mod poll;
pub mod reading;
pub mod transport;

/// As what the program runs: what somebody can do about a trouble depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunsAs {
    /// By itself: with a configuration and a command line.
    #[default]
    Program,
    /// As an add-on of Home Assistant: with a form.
    AddOn,
}
