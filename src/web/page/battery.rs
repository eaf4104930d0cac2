//! What the polls of a meter cost its battery, on the page.

use jiff::{Timestamp, ZonedDateTime};

use super::timed::length;
use crate::language::{Language, fill};
use crate::status::MeterState;
use crate::usage::{Projected, Total, projected};

pub(super) struct Battery {
    /// Name, today, and the last 30 days.
    pub(super) totals: Vec<[String; 3]>,
    /// Since when it counts, if that is not the whole time.
    pub(super) since: Option<String>,
    /// Interval; readings, bytes and time awake a day.
    pub(super) days: Vec<[String; 4]>,
}

pub(super) fn battery(state: &MeterState, language: Language, wall: &ZonedDateTime) -> Battery {
    let words = language.words();
    let MeterState { ledger, settings, .. } = state;
    let totals = [ledger.today(wall.date()), ledger.month(wall.date())];
    let row = |name: &str, of: fn(&Total) -> String| {
        let [today, month] = totals.map(|total| of(&total));
        [name.to_owned(), today, month]
    };
    let since = totals[1].since.map(|since| {
        let text = match (ledger.is_kept, ledger.has_predecessor) {
            (false, _) => words.counted_since_start,
            (true, true) => words.counted_since_exchange,
            (true, false) => words.counted_since,
        };
        fill(text, &[("time", &local(since, wall))])
    });
    let days = projected(ledger, settings).into_iter().map(|day| row_of(&day, language));
    Battery {
        totals: vec![
            row(words.polls, |total| total.usage.polls.to_string()),
            row(words.bytes_sent, |total| total.usage.sent.to_string()),
            row(words.bytes_received, |total| total.usage.received.to_string()),
            row(words.awake, |total| length(total.usage.awake.as_secs())),
        ],
        since,
        days: days.collect(),
    }
}

fn row_of(day: &Projected, language: Language) -> [String; 4] {
    let words = language.words();
    let Projected { interval, is_own, polls, bytes, awake, is_at_most } = day;
    let interval = length(interval.as_secs());
    let interval = if *is_own { fill(words.now, &[("value", &interval)]) } else { interval };
    let shown = |value: String| match is_at_most {
        true => fill(words.at_most, &[("value", &value)]),
        false => value,
    };
    let polls = language.number(&polls.to_string());
    [interval, polls, shown(bytes.to_string()), shown(length(awake.as_secs()))]
}

fn local(time: Timestamp, wall: &ZonedDateTime) -> String {
    let time = time.to_zoned_datetime(wall.time_zone().clone());
    time.strftime("%Y-%m-%d %H:%M").to_string()
}
