//! Metrics for Prometheus, written on request from the counts on the status board ([`Board`]).

use std::collections::BTreeSet;
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
use crate::usage::projected;
use history::{MeterKey, Usage};

/// The prefix of all names.
const PREFIX: &str = "kamstrup2mqtt";

type Labels = [(&'static str, String); 1];

/// Those of a period, or of an interval.
type MoreLabels = [(&'static str, String); 2];
type Projection = [(&'static str, String); 3];

/// A metric of a meter: name, help, unit and value.
type Row = (&'static str, &'static str, Option<Unit>, fn(&LineQuality) -> u64);

/// Counted since the program started.
const COUNTERS: [Row; 7] = [
    ("polls", "Polls of the meter", None, |line| line.polls),
    ("failed_polls", "Polls that failed or were incomplete", None, |line| line.failed),
    (
        "request_retries",
        "Requests that were sent again, because the answer was missing or damaged",
        None,
        |line| line.retries,
    ),
    ("damaged_answers", "Damaged answers", None, |line| line.bad_checksums),
    ("sent", "Bytes sent to the meter", Some(Unit::Bytes), |line| line.bytes_sent),
    ("received", "Bytes received from the meter's line", Some(Unit::Bytes), |line| {
        line.bytes_received
    }),
    ("awake", "Time for which the meter was kept awake", Some(Unit::Seconds), |line| {
        whole_seconds(line.awake)
    }),
];

/// What the polls of a period have cost: name, help, unit and value.
type UsageRow = (&'static str, &'static str, Option<Unit>, fn(&Usage) -> u64);

/// Counted by the local day. Unlike the counters, they survive a restart.
const USAGE: [UsageRow; 4] = [
    ("usage_polls", "Polls of today, and of the last 30 days", None, |usage| usage.polls),
    ("usage_sent", "Bytes sent to the meter in this period", Some(Unit::Bytes), |usage| usage.sent),
    (
        "usage_received",
        "Bytes received from the meter's line in this period",
        Some(Unit::Bytes),
        |usage| usage.received,
    ),
    (
        "usage_awake",
        "Time for which the meter was kept awake in this period",
        Some(Unit::Seconds),
        |usage| whole_seconds(usage.awake),
    ),
];

/// To how frequent readings the battery lifetimes of the MULTICAL 403 apply: 5512-1689 p. 112.
const CONDITION: i64 = 60 * 60;

/// All metrics, in the text format of `OpenMetrics`.
pub(super) fn text(board: &Board, now: &Now) -> Result<String, fmt::Error> {
    let meters = labelled(board.meters());
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
    for (label, meter) in &meters {
        if let Some(last) = &meter.last {
            answering.get_or_create(&labels(label)).set(i64::from(last.answered));
            polled.get_or_create(&labels(label)).set(epoch_seconds(last.at, now));
        }
    }
    registry.register("meter_answering", "Whether the meter answered the last poll", answering);
    let help = "Time of the last poll";
    registry.register_with_unit("last_poll_timestamp", help, Unit::Seconds, polled);
    for (name, help, unit, of) in COUNTERS {
        let family: Family<Labels, Counter> = Family::default();
        for (label, meter) in &meters {
            family.get_or_create(&labels(label)).inc_by(of(&meter.line_in_all));
        }
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, family),
            None => registry.register(name, help, family),
        }
    }
    register_usage(&mut registry, &meters, now);
    register_projections(&mut registry, &meters);
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    readings(&mut text, &meters)?;
    encode_eof(&mut text)?;
    Ok(text)
}

fn register_usage(registry: &mut Registry, meters: &[(String, MeterState)], now: &Now) {
    let today = now.wall.date();
    for (name, help, unit, of) in USAGE {
        let family: Family<MoreLabels, Gauge> = Family::default();
        for (label, meter) in meters {
            let ledger = &meter.ledger;
            for (period, total) in
                [("today", ledger.today(today)), ("30_days", ledger.month(today))]
            {
                let labels = [("meter", label.clone()), ("period", period.to_owned())];
                family.get_or_create(&labels).set(gauge(of(&total.usage)));
            }
        }
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, family),
            None => registry.register(name, help, family),
        }
    }
}

fn register_projections(registry: &mut Registry, meters: &[(String, MeterState)]) {
    let (bytes, awake) =
        (Family::<Projection, Gauge>::default(), Family::<Projection, Gauge>::default());
    for (label, meter) in meters {
        for day in projected(&meter.ledger, &meter.settings) {
            let bound = if day.is_at_most { "at_most" } else { "estimate" };
            let labels = [
                ("meter", label.clone()),
                ("interval_seconds", day.interval.as_secs().to_string()),
                ("bound", bound.to_owned()),
            ];
            bytes.get_or_create(&labels).set(gauge(day.bytes));
            awake.get_or_create(&labels).set(gauge(whole_seconds(day.awake)));
        }
    }
    let help = "Bytes per day that polls at this interval would cost, computed from past polls";
    registry.register_with_unit("projected_daily", help, Unit::Bytes, bytes);
    let help = "Time per day for which polls at this interval would keep the meter awake, computed \
                from past polls";
    registry.register_with_unit("projected_daily_awake", help, Unit::Seconds, awake);
    let condition: Gauge = Gauge::default();
    condition.set(CONDITION);
    let help = "Shortest interval for which the battery lifetimes of the MULTICAL 403 apply \
                (Kamstrup 5512-1689, page 112)";
    registry.register_with_unit("battery_condition_interval", help, Unit::Seconds, condition);
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Each meter with its label, which no two meters have. Of several with one name in Home Assistant,
/// all but the first have their name in the list of meters too.
fn labelled(meters: Vec<MeterState>) -> Vec<(String, MeterState)> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let labels: BTreeSet<String> = meters.iter().map(|meter| meter.label.clone()).collect();
    let with_label = |meter: MeterState| {
        let mut label = meter.label.clone();
        let name = meter.key.as_ref().map_or("", MeterKey::name);
        while taken.contains(&label) || (label != meter.label && labels.contains(&label)) {
            label = format!("{label} ({name})");
        }
        taken.insert(label.clone());
        (label, meter)
    };
    meters.into_iter().map(with_label).collect()
}

fn labels(label: &str) -> Labels {
    [("meter", label.to_owned())]
}

fn epoch_seconds(at: Instant, now: &Now) -> i64 {
    let ago = now.at.saturating_duration_since(at).as_secs();
    now.wall.timestamp().as_second().saturating_sub_unsigned(ago)
}

/// The values, one metric for each unit. The library would convert them to floats; these have the
/// meter's digits.
fn readings(text: &mut String, meters: &[(String, MeterState)]) -> fmt::Result {
    let values = || {
        let each = meters.iter();
        each.flat_map(|(label, meter)| meter.values.iter().map(move |value| (label, value)))
    };
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
        for (label, value) in values().filter(|(_, value)| value.is_number && value.unit == unit) {
            let [meter, parameter] = [label, &value.name].map(|text| escaped(text));
            writeln!(text, "{name}{{meter=\"{meter}\",parameter=\"{parameter}\"}} {}", value.text)?;
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
        "t" => "tonnes",
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
    use std::time::Duration;

    use super::super::api::tests::{boards, now};
    use super::*;

    #[test]
    fn units_are_whole_words() {
        assert_eq!(unit_words("t"), "tonnes");
        assert_eq!(unit_words("kWh"), "kilowatt_hours");
        assert_eq!(unit_words("m³·°C"), "m3_c");
    }

    /// Two meters of one title were counted as one, and each of their values appeared twice.
    #[test]
    fn no_two_meters_have_the_same_label() {
        let meter = |name: &str, title: &str| {
            let meter = MeterState::new(title.to_owned(), "/dev/a".to_owned(), Duration::ZERO);
            MeterState { key: Some(MeterKey::new(name, None)), ..meter }
        };
        let labels = |meters: &[[&str; 2]]| {
            let meters = meters.iter().map(|[name, title]| meter(name, title)).collect();
            labelled(meters).into_iter().map(|(label, _)| label).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[["a", "Heat"], ["b", "Cold"]]), ["Heat", "Cold"]);
        assert_eq!(labels(&[["a", "Heat"], ["b", "Heat"]]), ["Heat", "Heat (b)"]);
        assert_eq!(
            labels(&[["a", "Heat"], ["b", "Heat"], ["c", "Heat (b)"], ["d", "Heat"]]),
            ["Heat", "Heat (b) (b)", "Heat (b)", "Heat (d)"]
        );

        let board = Board::default();
        board.set_meters(vec![(0, meter("a", "Heat")), (1, meter("b", "Heat"))]);
        let text = text(&board, &now()).unwrap();
        for label in ["Heat", "Heat (b)"] {
            let line = format!("kamstrup2mqtt_polls_total{{meter=\"{label}\"}} 0");
            assert_eq!(text.matches(&line).count(), 1, "{text}");
        }
    }

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
