//! Which charts a meter has on the page.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use kmp::register::RegisterId;
use rust_decimal::Decimal;

use super::names::{Name, finer};
use crate::language::{Language, Words, fill};
use crate::status::MeterState;
use crate::web::chart::{self, Chart, Each, Frame, Heading, NamedTotal, Series, Window};
use crate::web::memory::{Counter, Curve, Memories, Memory, Range};
use history::{Consumption, Total};

const FLOW: RegisterId = RegisterId::new(74);
const POWER: RegisterId = RegisterId::new(80);

/// The charts of a meter, and the switch between their ranges.
pub(super) struct Charts {
    pub(super) ranges: Vec<Choice>,
    pub(super) shown: Vec<Chart>,
    /// The sentence that replaces missing charts.
    pub(super) none: &'static str,
}

/// A range that can be chosen.
pub(super) struct Choice {
    pub(super) key: &'static str,
    pub(super) text: &'static str,
    pub(super) is_shown: bool,
}

/// The charts of a meter; `None` if no readings of it can be looked up.
pub(super) fn charts(
    meter: &MeterState,
    memories: &Memories,
    language: Language,
    wall: &ZonedDateTime,
) -> Option<Charts> {
    let memory = memories.of(meter.number)?;
    let words = language.words();
    let choice = |range: Range| {
        let text = texts(range, words).range;
        Choice { key: range.key(), text, is_shown: range == memories.range }
    };
    let ranges = Range::ALL.map(choice).into();
    let none = match memories.range {
        Range::Day => words.no_charts,
        _ => words.no_charts_of_range,
    };
    let drawing = Drawing { number: meter.number, range: memories.range, language, wall };
    let frame = drawing.frame(memory, meter.interval);
    let curves = frame.map(|frame| drawing.curves(memory, &frame));
    let bars = memory.counter.as_ref().and_then(|counter| drawing.bars(counter));
    let returned = drawing.returned(&memory.returned);
    let shown = bars.into_iter().chain(returned).chain(curves.into_iter().flatten()).collect();
    Some(Charts { ranges, shown, none })
}

/// The texts of a range.
struct Texts {
    range: &'static str,
    /// The title of a curve.
    last: &'static str,
    /// The previous period.
    before: &'static str,
    /// The title of bars.
    per: &'static str,
    /// The current hour, day or month.
    so_far: Option<&'static str>,
}

fn texts(range: Range, words: &Words) -> Texts {
    let (day, month) = (Some(words.today_so_far), Some(words.month_so_far));
    let (range, last, before, per, so_far) = match range {
        Range::Day => (words.range_day, words.last_day, words.before_day, words.per_hour, None),
        Range::Week => (words.range_week, words.last_week, words.before_week, words.per_day, day),
        Range::Month => {
            (words.range_month, words.last_month, words.before_month, words.per_day, day)
        }
        Range::Year => {
            (words.range_year, words.last_year, words.before_year, words.per_month, month)
        }
    };
    Texts { range, last, before, per, so_far }
}

/// What the charts of a meter have in common.
struct Drawing<'a> {
    number: usize,
    range: Range,
    language: Language,
    wall: &'a ZonedDateTime,
}

impl Drawing<'_> {
    fn heading(&self, what: &str, title: &str, name: &str, unit: &str) -> Heading {
        let id = format!("{what}-{}", self.number);
        let (title, unit) = (fill(title, &[("name", name)]), unit.to_owned());
        Heading { id, title, unit, language: self.language }
    }

    /// The time axis of all curves, from the first reading in the range; `None` without one.
    fn frame(&self, memory: &Memory, interval: Duration) -> Option<Frame> {
        let Memory { power, flow, supply, back, .. } = memory;
        let drawn = [power, flow, supply, back].into_iter().flatten();
        let first = drawn.filter_map(|curve| curve.points.first()).map(|(time, _)| *time).min()?;
        let (end, zone) = (self.wall.timestamp(), self.wall.time_zone().clone());
        let start = self.range.start(self.wall).unwrap_or(first);
        let window = Window { start, end, zone }.since_first(first);
        let (each, row, least) = match self.range {
            // If there are many readings, only some are drawn.
            Range::Day => (None, Each::Hour, SignedDuration::from_mins(15)),
            Range::Week => (Some(Each::Hour), Each::Day, SignedDuration::from_mins(90)),
            Range::Month => (Some(Each::Day), Each::Day, SignedDuration::from_hours(36)),
            Range::Year => (Some(Each::Day), Each::Month, SignedDuration::from_hours(36)),
        };
        // A poll fails now and then, so the line continues over two failed ones. More are a gap.
        let gap = interval.saturating_mul(3).max(least.unsigned_abs());
        Some(Frame { window, each, row, gap })
    }

    fn curves(&self, memory: &Memory, frame: &Frame) -> Vec<Chart> {
        let words = self.language.words();
        let Memory { power, flow, supply, back, .. } = memory;
        let title = texts(self.range, words).last;
        let draw = |what: &str,
                    name: &str,
                    from_zero,
                    curves: &[(&'static str, &Option<Curve>)]| {
            let curves = curves.iter().filter_map(|(name, curve)| Some((*name, curve.as_ref()?)));
            let curves: Vec<_> = curves.filter(|(_, curve)| !curve.points.is_empty()).collect();
            let (_, Curve { unit, .. }) = curves.first()?;
            let heading = self.heading(what, title, name, unit);
            let series = curves.iter().map(|(name, Curve { points, .. })| Series { name, points });
            chart::curves(heading, &series.collect::<Vec<_>>(), from_zero, frame)
        };
        let name = |register| self.language.register(register).unwrap_or_default();
        let (power_name, flow_name) = (name(POWER), name(FLOW));
        let temperatures = [(words.supply_short, supply), (words.back_short, back)];
        let charts = [
            draw("power", power_name, true, &[(power_name, power)]),
            draw("flow", flow_name, true, &[(flow_name, flow)]),
            draw("temperatures", words.temperatures, false, &temperatures),
        ];
        charts.into_iter().flatten().collect()
    }

    fn bars(&self, counter: &Counter) -> Option<Chart> {
        let words = self.language.words();
        let Counter { parameter, unit, bars, .. } = counter;
        // There is only one counter here.
        let plain = finer(&parameter.to_ascii_lowercase(), self.language).map(str::to_owned);
        let name = plain.unwrap_or_else(|| Name::new(parameter, self.language).text);
        let heading = self.heading("used", texts(self.range, words).per, &name, unit);
        let zone = self.wall.time_zone().clone();
        let chart = chart::bars(heading, (&name, bars), self.each(), zone)?;
        Some(Chart { totals: self.totals(counter), ..chart })
    }

    /// The mean return temperature of each day, weighted by volume.
    fn returned(&self, days: &[Consumption]) -> Option<Chart> {
        let words = self.language.words();
        let heading = self.heading("returned", words.per_day, words.mean_return, "°C");
        let zone = self.wall.time_zone().clone();
        chart::bars(heading, (words.mean_return, days), Each::Day, zone)
    }

    fn each(&self) -> Each {
        match self.range {
            Range::Day => Each::Hour,
            Range::Week | Range::Month => Each::Day,
            Range::Year => Each::Month,
        }
    }

    /// The totals of the range and of the previous period, and the consumption since then.
    fn totals(&self, counter: &Counter) -> Vec<NamedTotal> {
        let words = self.language.words();
        let Counter { unit, bars, total, before, .. } = counter;
        let Texts { before: before_words, so_far, .. } = texts(self.range, words);
        let ([first, ..], [.., last]) = (bars.as_slice(), bars.as_slice()) else {
            return Vec::new();
        };
        let amount =
            |used: Decimal| Some(format!("{} {unit}", self.language.number(&used.to_string())));
        let named = |name: String, total: &Total| {
            let (amount, note) = match total {
                Total::Whole(used) => (amount(*used), None),
                Total::Part { .. } | Total::Unknown => (None, Some(words.total_missing)),
                Total::Fell => (None, Some(words.total_fell)),
            };
            NamedTotal { name, amount, note }
        };
        let own = match total {
            Total::Part { since, until, used } => NamedTotal {
                name: self.times(*since, *until),
                amount: amount(*used),
                note: Some(words.total_of_part),
            },
            _ => named(self.stretch(first.start, last.start), total),
        };
        let so_far = so_far.zip(last.used);
        let so_far = so_far.map(|(name, used)| named(name.to_owned(), &Total::Whole(used)));
        [own, named(before_words.to_owned(), before)].into_iter().chain(so_far).collect()
    }

    fn local(&self, time: Timestamp) -> ZonedDateTime {
        time.to_zoned_datetime(self.wall.time_zone().clone())
    }

    /// From one time to another.
    fn times(&self, start: Timestamp, end: Timestamp) -> String {
        let words = |time: Timestamp| {
            let local = self.local(time);
            let mark = |each: Each| each.mark(&local, self.language);
            format!("{} {}", mark(Each::Day), mark(Each::Hour))
        };
        format!("{} – {}", words(start), words(end))
    }

    /// From one hour, day or month to the last one before `end`.
    fn stretch(&self, start: Timestamp, end: Timestamp) -> String {
        let last = end.checked_sub(SignedDuration::from_secs(1)).unwrap_or(end);
        let words = |time: Timestamp| {
            let local = self.local(time);
            match self.range {
                Range::Year => format!("{} {}", chart::month(&local, self.language), local.year()),
                _ => Each::Day.mark(&local, self.language),
            }
        };
        match self.range {
            Range::Day => self.times(start, end),
            _ => format!("{} – {}", words(start), words(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(range: Range, language: Language, total: Total, before: Total) -> Vec<String> {
        let wall: ZonedDateTime = "2026-11-24T09:30:00+01:00[Europe/Copenhagen]".parse().unwrap();
        let bar = |start: Timestamp, end: Timestamp, used| {
            let (used, so_far) = (Some(Decimal::new(used, 1)), end > wall.timestamp());
            Consumption { start, end, used, so_far }
        };
        let end = wall.checked_add(SignedDuration::from_mins(30)).unwrap().timestamp();
        let last: Timestamp = match range {
            Range::Day => "2026-11-24T08:00:00Z",
            Range::Week | Range::Month => "2026-11-23T23:00:00Z",
            Range::Year => "2026-10-31T23:00:00Z",
        }
        .parse()
        .unwrap();
        let first = range.start(&last.to_zoned_datetime(wall.time_zone().clone())).unwrap();
        let bars = vec![bar(first, last, 1000), bar(last, end, 85)];
        let (parameter, unit) = ("energy".to_owned(), "kWh".to_owned());
        let counter = Counter { parameter, unit, bars, total, before };
        let drawing = Drawing { number: 0, range, language, wall: &wall };
        let totals = drawing.totals(&counter);
        let words = |NamedTotal { name, amount, note }: NamedTotal| {
            let note = note.map(|note| format!("[{note}]"));
            [Some(name), amount, note].into_iter().flatten().collect::<Vec<_>>().join(" ")
        };
        totals.into_iter().map(words).collect()
    }

    #[test]
    fn totals_are_beside_those_of_the_same_time_before() {
        let whole = |digits| Total::Whole(Decimal::new(digits, 1));
        let mut said = Vec::new();
        for language in Language::ALL {
            for range in Range::ALL {
                said.push(totals(range, language, whole(1234), whole(1502)).join("\n"));
            }
        }
        insta::assert_snapshot!(said.join("\n\n"));
    }

    #[test]
    fn a_total_that_is_not_known_says_why() {
        let [since, until] = ["2026-11-21T06:55:00Z", "2026-11-23T23:00:00Z"];
        let [since, until] = [since, until].map(|time| time.parse().unwrap());
        let part = Total::Part { since, until, used: Decimal::new(382, 1) };
        let mut said = Vec::new();
        for language in Language::ALL {
            for (total, before) in
                [(part, Total::Unknown), (Total::Fell, part), (Total::Unknown, Total::Fell)]
            {
                said.push(totals(Range::Week, language, total, before).join("\n"));
            }
        }
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
