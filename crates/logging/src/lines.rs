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
        if let Some(span) = context.span(id).filter(|_| !text.words.is_empty()) {
            span.extensions_mut().insert(About(record::harmless(&text.words)));
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
            kind: text.kind,
            about: names.next(),
            text: record::harmless(&text.words),
            kept: !text.withheld,
        });
    }
}

pub(crate) fn micros_since(began: &ZonedDateTime, time: &ZonedDateTime) -> i64 {
    time.timestamp().as_microsecond().saturating_sub(began.timestamp().as_microsecond())
}

/// What an event says.
#[derive(Default)]
struct Text {
    /// The message, followed by the other fields.
    words: String,
    /// Whether the event has `kept = false`, with which it goes to the destinations of the log only.
    withheld: bool,
    /// The field `kind`, which is not shown. Lines of each kind have a limit of their own.
    kind: String,
}

impl Visit for Text {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "kept" {
            self.withheld = !value;
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.words = format!("{value:?}{}", self.words),
            "kind" => self.kind = format!("{value:?}"),
            // Writing to a `String` never fails.
            name => drop(write!(self.words, " {name}={value:?}")),
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
    fn the_kind_of_a_line_is_not_shown() {
        let (log, _logging) = capture::lines();
        tracing::warn!(kind = ?1, "{}", "text");
        assert_eq!(log.take(), ["WARN text"]);
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
