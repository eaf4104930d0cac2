//! The log: one line per event on standard output, with the local time.

use std::fmt;
use std::io;

use anyhow::Context;
use jiff::ZonedDateTime;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends this program's log lines to standard output.
///
/// Only its own: what libraries have to say stays out, since the MQTT client's debug lines hold
/// the password.
pub fn start(level: Level) -> anyhow::Result<()> {
    start_on(level, io::stdout)
}

/// Sends them to standard error, for a program whose result is on standard output.
pub fn start_beside(level: Level) -> anyhow::Result<()> {
    start_on(level, io::stderr)
}

fn start_on<W>(level: Level, writer: W) -> anyhow::Result<()>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_timer(LocalTime)
        .with_target(false)
        .with_ansi(false);
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    tracing_subscriber::registry().with(lines).with(ours).try_init().context("the log is taken")
}

/// The wall clock in the local zone, ISO 8601 with offset: the only place that reads it.
#[derive(Debug, Clone, Copy)]
pub struct LocalTime;

impl LocalTime {
    /// What time it is, by ISO 8601 with the offset of the local zone.
    #[must_use]
    pub fn now_text() -> String {
        Self::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// What time it is.
    #[expect(clippy::disallowed_methods, reason = "the one door to the wall clock")]
    #[must_use]
    pub fn now() -> ZonedDateTime {
        ZonedDateTime::now()
    }
}

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", Self::now().strftime("%Y-%m-%dT%H:%M:%S%:z"))
    }
}
