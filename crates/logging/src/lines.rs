//! Converts events of `tracing` to records.

use std::fmt::{self, Write as _};

use jiff::ZonedDateTime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::layer::{self, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::LocalTime;
use crate::program::Program;
use crate::record::{self, Record};

/// A span whose lines begin with a name, because they are about one of several things. Without a
/// name, it changes nothing.
#[must_use]
pub fn about(name: Option<&impl fmt::Display>) -> Span {
    // The highest level, so that the span exists at every level of the log. A `message` is shown
    // without the name of its field.
    name.map_or_else(Span::none, |name| tracing::error_span!("about", message = %name))
}

/// A layer of `tracing` that makes a [`Record`] from each event and passes it to `take`.
pub(crate) struct Lines<F> {
    program: Program,
    began: ZonedDateTime,
    take: F,
}

/// The name in a span of [`about`].
struct About(String);

impl<F> Lines<F> {
    pub(crate) fn new(program: Program, take: F) -> Self {
        Self { program, began: LocalTime::now(), take }
    }

    /// When the log began.
    pub(crate) fn began(&self) -> &ZonedDateTime {
        &self.began
    }
}

impl<S, F> Layer<S> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(Record) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: layer::Context<'_, S>) {
        let mut text = Text::default();
        attributes.record(&mut text);
        if let Some(span) = context.span(id).filter(|_| !text.0.is_empty()) {
            span.extensions_mut().insert(About(record::harmless(&text.0)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
        let time = LocalTime::now();
        let mut text = Text::default();
        event.record(&mut text);
        let spans = context.event_scope(event).into_iter().flatten();
        let mut names = spans
            .filter_map(|span| span.extensions().get::<About>().map(|About(name)| name.clone()));
        let metadata = event.metadata();
        (self.take)(Record {
            since_start: micros_since(&self.began, &time),
            time,
            level: (*metadata.level()).into(),
            target: self.program.module(metadata.target()),
            file: metadata.file().unwrap_or_default().to_owned(),
            line: metadata.line().unwrap_or_default(),
            about: names.next(),
            text: record::harmless(&text.0),
            kept: !text.1,
        });
    }
}

pub(crate) fn micros_since(began: &ZonedDateTime, time: &ZonedDateTime) -> i64 {
    time.timestamp().as_microsecond().saturating_sub(began.timestamp().as_microsecond())
}

/// The message of an event, followed by its other fields; and whether it has `kept = false`, with
/// which it goes to the destinations of the log only.
#[derive(Default)]
struct Text(String, bool);

impl Visit for Text {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "kept" {
            self.1 = !value;
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}{}", self.0);
        } else {
            // Writing to a `String` never fails.
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::capture;
    use crate::program::Hints;

    /// A line for the administrator alone goes to the destinations, and not to the page.
    #[test]
    fn an_event_can_be_withheld_from_the_kept_lines() {
        let program = Program { name: "kamstrup", crates: &[], hints: Hints::default() };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::new(program, {
            let seen = Arc::clone(&seen);
            move |record: Record| seen.lock().unwrap().push((record.text, record.kept))
        });
        capture::beside_other_tests();
        let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
        tracing::info!("for all");
        tracing::info!(kept = false, "for one");
        tracing::info!(other = false, "for all");
        let seen = seen.lock().unwrap();
        let seen: Vec<_> = seen.iter().map(|(text, kept)| (text.as_str(), *kept)).collect();
        assert_eq!(seen, [("for all", true), ("for one", false), ("for all other=false", true)]);
    }

    #[test]
    fn a_line_names_what_it_is_about() {
        let all = ["INFO one", "INFO garage: two", "WARN garage: three\\u{1b} number=4"];
        for (level, expected) in [(Level::INFO, &all[..]), (Level::WARN, &all[2..])] {
            let (log, _logging) = capture::from(level);
            about(None::<&String>).in_scope(|| tracing::info!("one"));
            let garage = about(Some(&"garage"));
            garage.in_scope(|| tracing::info!("{}", "two"));
            garage.in_scope(|| tracing::warn!(number = 4, "three\u{1b}"));
            assert_eq!(log.take(), expected);
        }
    }
}
