//! Metrics for Prometheus. The counts exist elsewhere anyway; this names them when somebody asks.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use super::api::whole_seconds;
use super::now::Now;
use crate::status::{Board, BrokerState, LineQuality, MeterState};

/// The prefix of all names.
const PREFIX: &str = "kamstrup2mqtt";

type Labels = [(&'static str, String); 1];

/// A metric of a meter: name, help, unit and value.
type Row = (&'static str, &'static str, Option<Unit>, fn(&LineQuality) -> u64);

/// Counted since the program started.
const COUNTERS: [Row; 7] = [
    ("polls", "Polls of the meter", None, |line| line.polls),
    ("failed_polls", "Polls that failed or were incomplete", None, |line| line.failed),
    ("request_retries", "Requests that were repeated", None, |line| line.retries),
    ("damaged_answers", "Damaged answers", None, |line| line.bad_checksums),
    ("sent", "Bytes sent to the meter", Some(Unit::Bytes), |line| line.bytes_sent),
    ("received", "Bytes received from the meter's line", Some(Unit::Bytes), |line| {
        line.bytes_received
    }),
    ("awake", "Time for which the meter was kept awake", Some(Unit::Seconds), |line| {
        whole_seconds(line.awake)
    }),
];

/// All metrics, in the text format of `OpenMetrics`.
pub(super) fn text(board: &Board, now: &Now) -> Result<String, fmt::Error> {
    let meters = board.meters();
    let mut registry = Registry::with_prefix(PREFIX);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    registry.register("build", "Version of the program", Info::new(version));
    let started: Gauge = Gauge::default();
    started.set(epoch_seconds(board.started(), now));
    registry.register_with_unit("start_time", "Start time of the program", Unit::Seconds, started);
    let connected: Gauge = Gauge::default();
    connected.set(i64::from(matches!(&*board.broker().borrow(), BrokerState::Connected { .. })));
    registry.register("broker_connected", "Whether the broker is connected", connected);
    let answering: Family<Labels, Gauge> = Family::default();
    let polled: Family<Labels, Gauge> = Family::default();
    for meter in &meters {
        if let Some(last) = &meter.last {
            answering.get_or_create(&labels(meter)).set(i64::from(last.answered));
            polled.get_or_create(&labels(meter)).set(epoch_seconds(last.at, now));
        }
    }
    registry.register("meter_answering", "Whether the meter answered the last poll", answering);
    let help = "Time of the last poll";
    registry.register_with_unit("last_poll_timestamp", help, Unit::Seconds, polled);
    for (name, help, unit, of) in COUNTERS {
        let family: Family<Labels, Counter> = Family::default();
        for meter in &meters {
            family.get_or_create(&labels(meter)).inc_by(of(&meter.line_in_all));
        }
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, family),
            None => registry.register(name, help, family),
        }
    }
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    readings(&mut text, &meters)?;
    encode_eof(&mut text)?;
    Ok(text)
}

fn labels(meter: &MeterState) -> Labels {
    [("meter", meter.title.clone())]
}

fn epoch_seconds(at: Instant, now: &Now) -> i64 {
    let ago = now.at.saturating_duration_since(at).as_secs();
    now.wall.timestamp().as_second().saturating_sub_unsigned(ago)
}

/// The values, one metric for each unit. The library would convert them to floats; these have the
/// meter's digits.
fn readings(text: &mut String, meters: &[MeterState]) -> fmt::Result {
    let values = || meters.iter().flat_map(|meter| meter.values.iter().map(move |it| (meter, it)));
    let mut units: Vec<_> =
        values().filter(|(_, value)| value.is_number).map(|(_, value)| value.unit).collect();
    units.sort_unstable();
    units.dedup();
    for unit in units {
        let (name, suffix) = match unit.map(unit_words) {
            Some(words) => (format!("{PREFIX}_reading_{words}"), Some(words)),
            None => (format!("{PREFIX}_reading"), None),
        };
        writeln!(text, "# HELP {name} Last value from the meter.\n# TYPE {name} gauge")?;
        if let Some(suffix) = suffix {
            writeln!(text, "# UNIT {name} {suffix}")?;
        }
        for (meter, value) in values().filter(|(_, value)| value.is_number && value.unit == unit) {
            let [title, parameter] = [&meter.title, &value.name].map(|text| escaped(text));
            writeln!(text, "{name}{{meter=\"{title}\",parameter=\"{parameter}\"}} {}", value.text)?;
        }
    }
    Ok(())
}

/// A unit in the name of a metric: `kilowatt_hours`.
fn unit_words(unit: &str) -> String {
    let known = match unit {
        "kWh" => "kilowatt_hours",
        "W" => "watts",
        "°C" => "celsius",
        "K" => "kelvins",
        "m³" => "cubic_meters",
        "m³/h" => "cubic_meters_per_hour",
        "h" => "hours",
        "s" => "seconds",
        "d" => "days",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let mut words = String::new();
    for character in unit.chars() {
        match character {
            '³' => words.push('3'),
            '/' => words.push_str("_per_"),
            '°' => {}
            letter if letter.is_ascii_alphanumeric() => words.push(letter.to_ascii_lowercase()),
            _ => words.push('_'),
        }
    }
    words
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::api::tests::{boards, now};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_metric_has_a_conventional_name() {
        let [full, empty] = boards().await;
        let full = text(&full, &now()).unwrap();
        assert!(full.ends_with("# EOF\n"));
        // The library has no fixed order.
        let mut lines: Vec<&str> = full.lines().collect();
        lines.sort_unstable();
        insta::assert_snapshot!(lines.join("\n"));
        assert!(text(&empty, &now()).unwrap().ends_with("# EOF\n"));
    }
}
