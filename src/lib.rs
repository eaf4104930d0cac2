//! kamstrup2mqtt reads a Kamstrup MULTICAL heat meter through its optical eye, publishes the values
//! to MQTT, and announces them so that Home Assistant shows them automatically.
//!
//! `ARCHITECTURE.md` says which module does what, and what each must not know.

mod account;
mod addon;
mod advice;
pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
mod discovery;
mod file;
mod filling;
mod finder;
mod gaps;
mod history_file;
mod http;
mod inbox;
mod language;
mod machine;
mod mean;
mod meter_logs;
mod mqtt;
mod name;
mod neighbour;
mod options_change;
mod payload;
mod recovery;
mod resources;
mod setup;
mod similar;
mod status;
mod supervisor;
mod systemd;
mod tls;
mod topic;
mod units;
mod usage;
mod web;
mod words;

pub use self::resources::THREADS;

/// How the log names the program and its modules. Each module has the program's name, whatever
/// crate it is in.
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
        file_forbidden: "Remove `directory` from the section `logging`, so that a service or a \
                         container logs to its own folder. Or allow this user to write there",
        file_path: "Check `directory` and `filename` in the section `logging`",
        no_syslog: "in a container, mount it, or remove `syslog` from `logging.destinations`",
        log_server: "Check that it is running, and check `syslog_address` in the section `logging`",
        no_thread: resources::RAISE_THREADS,
    },
};

/// The same for the app (add-on), whose log goes only to standard output.
pub const APP: logging::Program = logging::Program {
    hints: logging::Hints { no_thread: resources::RESTART, ..PROGRAM.hints },
    ..PROGRAM
};
