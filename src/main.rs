//! The binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    kamstrup2mqtt::cli::run()
}
