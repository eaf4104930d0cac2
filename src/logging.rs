//! The log: one line per event on standard output, with the local time.

use std::fmt;
use std::io;

use anyhow::Context;
use jiff::ZonedDateTime;
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends this program's log lines to standard output.
///
/// Only its own: what libraries have to say stays out, since the MQTT client's debug lines hold
/// the password.
pub fn start(level: Level) -> anyhow::Result<Handle> {
    start_on(level, io::stdout)
}

/// Sends them to standard error, for a program whose result is on standard output.
pub fn start_beside(level: Level) -> anyhow::Result<()> {
    start_on(level, io::stderr).map(drop)
}

/// The log while it runs.
pub struct Handle {
    set_level: Box<dyn Fn(Level) + Send + Sync>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// From now on logs what is of this level or above.
    pub fn set_level(&self, level: Level) {
        (self.set_level)(level);
    }
}

fn ours(level: Level) -> Targets {
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), level)
}

fn start_on<W>(level: Level, writer: W) -> anyhow::Result<Handle>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(ours(level));
    lines(writer).with(filter).try_init().context("the log is taken")?;
    // Fails only where there is no log any more.
    let set_level = move |level| drop(handle.reload(ours(level)));
    Ok(Handle { set_level: Box::new(set_level) })
}

fn lines<W>(writer: W) -> impl Subscriber + Send + Sync + for<'a> LookupSpan<'a>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false).event_format(Lines);
    tracing_subscriber::registry().with(lines)
}

#[cfg(test)]
fn subscriber<W>(level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    lines(writer).with(ours(level))
}

/// What is logged in here is about one of several things, and its lines begin with this name. Without
/// a name they are as everywhere.
#[must_use]
pub fn about(name: Option<&impl fmt::Display>) -> Span {
    // Of the highest level, so that it is there whatever is logged; a `message` is shown without the
    // name of its field.
    name.map_or_else(Span::none, |name| tracing::error_span!("about", message = %name))
}

/// `2026-11-23T15:17:23+01:00  INFO garage: Read 7 of 7 values in 0.9 s.`
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        LocalTime.format_time(&mut writer)?;
        write!(writer, " {:>5} ", event.metadata().level().as_str())?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(name) = span.extensions().get::<FormattedFields<N>>() {
                write!(writer, "{name}: ")?;
            }
        }
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_whose_it_is() {
        let all = ["  INFO one", "  INFO garage: two", "  WARN garage: three"];
        for (level, expected) in [(Level::INFO, &all[..]), (Level::WARN, &all[2..])] {
            let written = Written::default();
            let writer = written.clone();
            tracing::subscriber::with_default(subscriber(level, move || writer.clone()), || {
                about(None::<&String>).in_scope(|| tracing::info!("one"));
                let garage = about(Some(&"garage"));
                garage.in_scope(|| tracing::info!("{}", "two"));
                garage.in_scope(|| tracing::warn!("three"));
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            // After `2026-11-23T15:17:23+01:00`.
            let lines: Vec<_> = text.lines().map(|line| &line[25..]).collect();
            assert_eq!(lines, expected);
        }
    }
}
