//! kamstrup2mqtt: reads a Kamstrup MULTICAL heat meter over its optical port and publishes what it
//! says to MQTT, announced so that Home Assistant shows it by itself.
//!
//! `ARCHITECTURE.md` is the map: which module does what, and what each must not know.

mod addon;
mod advice;
pub mod app;
pub mod cli;
pub mod config;
mod discovery;
mod file;
mod history_file;
mod http;
mod inbox;
mod mqtt;
mod name;
mod payload;
mod recovery;
mod resources;
mod status;
mod supervisor;
mod systemd;
mod tls;
mod topic;
mod units;
mod web;
mod words;

pub use self::resources::THREADS;

/// Whose log it is: each module shows as one of the program's, whatever crate it is in.
pub const PROGRAM: logging::Program = logging::Program {
    name: "kamstrup2mqtt",
    crates: &[
        ("kamstrup2mqtt", "kamstrup2mqtt"),
        ("kamstrup2mqtt_history", "kamstrup2mqtt::history"),
        ("kamstrup2mqtt_logging", "kamstrup2mqtt::logging"),
        ("kamstrup_meter", "kamstrup2mqtt"),
        ("kamstrup_simulator", "kamstrup2mqtt::simulator"),
    ],
    hints: logging::Hints {
        file_forbidden: "Let this user write there, or set another `directory` in the section \
                         `logging`",
        file_path: "Check `directory` and `filename` in the section `logging`",
        no_syslog: "in a container mount it, or take `syslog` out of `logging.destinations`",
        log_server: "Check that it runs, and `syslog_address` in the section `logging`",
        no_thread: resources::RAISE_THREADS,
    },
};
