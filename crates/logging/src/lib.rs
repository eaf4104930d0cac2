//! The log of a program: one line per event, on standard output, in a file, and to syslog.
//!
//! An event of `tracing` becomes a record. The record has the local time, and the name in the span
//! that [`about`] made around the event, such as the name of a meter. The record goes into the
//! queue of each destination, and into the list of the last lines ([`LogLines`]). Each destination
//! has a thread, which formats the records and writes them.
//!
//! # Guarantees
//!
//! - Logging never blocks the program: not on a full disk, a silent log server, or a pipe that
//!   nobody reads. A queue holds 1024 records. Records for a full queue are dropped and counted,
//!   and a line reports in their place how many are missing.
//! - The same line is written 20 times a minute at most (200 times at `DEBUG`). The first ones are
//!   written at once. Further ones are counted, and one line a minute says how many there were.
//!   Lines that differ are never counted together.
//! - A line that cannot be written is reported once. It stays at the head of its queue and is
//!   retried after 1 s, doubling to 60 s.
//! - Errors of a destination are events of this crate. They always appear on standard output,
//!   whatever the destinations are.
//! - At the end of the program, and after a panic, each queue has half a second to empty. The
//!   records that remain are counted and reported.
//! - New settings go through the queues. Records from before the change are written with the old
//!   settings.
//! - The only state of log rotation is the time of the last write to the file: see [`Rotation`]. So
//!   a restart, a repeated hour, and a clock that is set back are not special cases.
//! - Only events of the program's own crates ([`Program::crates`]) are logged. Events of libraries
//!   may hold secrets.
//!
//! The crate knows the program only through [`Program`]. It is also the only crate that reads the
//! wall clock ([`LocalTime`]).

pub mod capture;
mod clock;
mod date;
mod error;
mod format;
mod handle;
mod line_format;
mod lines;
mod log_file;
mod program;
mod queue;
mod recent;
mod record;
mod repeats;
mod rotation;
mod settings;
mod sink;
mod sinks;
mod syslog;

pub use self::clock::LocalTime;
pub use self::date::{DateFormat, DateFormatError};
pub use self::error::LogError;
pub use self::format::{Format, FormatError};
pub use self::handle::{Handle, start, start_beside};
pub use self::line_format::{LineFormat, Style};
pub use self::lines::about;
pub use self::log_file::RotatingFile;
pub use self::program::{Hints, Program};
pub use self::recent::{LogLine, LogLines};
pub use self::rotation::{ParseWhenError, Rotation, When};
pub use self::settings::{FileSettings, Settings, SyslogSettings};
pub use self::syslog::{Address, Facility, ParseAddressError, ParseFacilityError};
