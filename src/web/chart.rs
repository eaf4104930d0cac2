//! Charts as SVG, with a table beside each for who does not see it.
//!
//! What a template needs to draw is worked out here in whole numbers, from decimals: no value passes
//! through a float. Places from left to right are parts of the width, so that a chart is as wide as
//! the page while its letters stay as large as the page's.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::fmt::{self, Write as _};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use rust_decimal::Decimal;

use super::language::{Language, fill};
use history::{Consumption, Point};

/// The plot's own units from left to right.
const WIDTH: i64 = 10_000;

/// The plot's own units from top to bottom.
const HEIGHT: i64 = 1_000;

/// The plot in pixels from the top of the picture; beneath it stand the times.
const TOP: i64 = 8;
const TALL: i64 = 140;

/// So many steps of the scale are enough to read a value from it.
const STEPS: i64 = 4;

/// The share of the width that bars leave free between them: one in so many.
const SPACE: i64 = 6;

/// Nearer to an edge than this, a time would be cut off: it is left out.
const EDGE: i64 = WIDTH / 15;

/// One curve.
#[derive(Debug)]
pub(super) struct Series<'a> {
    /// What it is called beside others.
    pub(super) name: &'static str,
    /// In the order of their times.
    pub(super) points: &'a [Point],
}

/// From when to when, and by which clock.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) zone: TimeZone,
}

/// What a chart is called, and in which unit and language.
#[derive(Debug, Clone)]
pub(super) struct Heading {
    /// For the page's own addresses; no other chart has it.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) unit: String,
    pub(super) language: Language,
}

/// What the template draws.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) id: String,
    pub(super) title: String,
    /// What it shows, in one sentence.
    pub(super) summary: String,
    /// Horizontal lines, and what they stand for.
    pub(super) levels: Vec<Level>,
    /// What stands under it.
    pub(super) times: Vec<Mark>,
    pub(super) curves: Vec<Curve>,
    pub(super) blocks: Vec<Block>,
    pub(super) table: Table,
}

/// A horizontal line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// In pixels from the top.
    pub(super) y: i64,
    /// Where its text stands.
    pub(super) text_y: i64,
    pub(super) text: String,
}

/// Something at a place from left to right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) x: Share,
    pub(super) text: String,
}

/// A curve.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// `one` or `two`: solid or broken, and a colour.
    pub(super) class: &'static str,
    /// The way that it takes, with a new beginning after each gap.
    pub(super) path: String,
}

/// A bar.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) class: &'static str,
    /// When, and how much.
    pub(super) words: String,
}

/// The same in letters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A part of the width, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share(i64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.div_euclid(100), self.0.rem_euclid(100));
        write!(f, "{whole}.{part:02}%")
    }
}

impl Window {
    /// The 24 hours before this time.
    pub(super) fn before(now: &ZonedDateTime) -> Self {
        let (end, zone) = (now.timestamp(), now.time_zone().clone());
        let start = end.checked_sub(SignedDuration::from_hours(24)).unwrap_or(end);
        Self { start, end, zone }
    }

    /// Where a time is, from left to right; `None` where it is not within.
    fn place(&self, time: Timestamp) -> Option<i64> {
        let whole = self.end.as_millisecond().checked_sub(self.start.as_millisecond())?;
        let into = time.as_millisecond().checked_sub(self.start.as_millisecond())?;
        if !(0..=whole).contains(&into) {
            return None;
        }
        into.checked_mul(WIDTH)?.checked_div(whole)
    }

    fn local(&self, time: Timestamp) -> ZonedDateTime {
        time.to_zoned_datetime(self.zone.clone())
    }

    /// The full hours of the local clock that are within.
    fn hours(&self) -> Vec<ZonedDateTime> {
        let mut hours = Vec::new();
        let mut next = hour_after(&self.local(self.start));
        while let Some(hour) = next.filter(|hour| hour.timestamp() <= self.end) {
            next = hour_after(&hour);
            hours.push(hour);
        }
        hours
    }

    /// Whether the clock changes within, so that a time of day alone may be two times.
    fn changes_clock(&self) -> bool {
        self.local(self.start).offset() != self.local(self.end).offset()
    }

    /// The local hour of a time, by which nothing else within is called.
    fn hour_words(&self, time: &ZonedDateTime) -> String {
        let pattern = if self.changes_clock() { "%Y-%m-%d %H:00 (%:z)" } else { "%Y-%m-%d %H:00" };
        time.strftime(pattern).to_string()
    }
}

/// The full hour of the local clock that comes next.
fn hour_after(time: &ZonedDateTime) -> Option<ZonedDateTime> {
    let into = i64::from(time.minute()).checked_mul(60)?.checked_add(i64::from(time.second()))?;
    let whole = time.timestamp().as_second();
    let next = whole.checked_add(3600_i64.checked_sub(into)?)?;
    let next = Timestamp::from_second(next).ok()?.to_zoned_datetime(time.time_zone().clone());
    // Where the clock changes by half an hour, the full hour is sooner or later than that.
    match next.minute() {
        0 => Some(next),
        _ => hour_after(&next),
    }
}

/// Curves over one day.
///
/// `None` where no curve has two readings: a dot alone tells nothing. Where two readings are further apart than `gap`, nothing is
/// drawn between them.
pub(super) fn curves(
    heading: Heading,
    series: &[Series<'_>],
    from_zero: bool,
    window: &Window,
    gap: Duration,
) -> Option<Chart> {
    if series.iter().all(|one| one.points.len() < 2) {
        return None;
    }
    let values = || series.iter().flat_map(|one| one.points).map(|point| point.value);
    let (low, high) = (values().min()?, values().max()?);
    let scale = Scale::new(low, high, from_zero)?;
    let Heading { id, title, unit, language } = heading;
    let summary = reach(low, high, &unit, language);
    let hours = window.hours();
    let every_fourth = hours.iter().filter(|hour| hour.hour() % 4 == 0);
    let times = every_fourth.filter_map(|hour| {
        let x = window.place(hour.timestamp()).filter(|x| (EDGE..=WIDTH - EDGE).contains(x))?;
        Some(Mark { x: Share(x), text: hour.strftime("%H:%M").to_string() })
    });
    let times = times.collect();
    let table = hourly(series, window, language, &unit);
    let classes = ["one", "two"].into_iter().cycle();
    let drawn = series.iter().zip(classes).map(|(one, class)| Curve {
        name: one.name,
        class,
        path: path(one.points, &scale, window, gap),
    });
    let curves = drawn.collect();
    let levels = scale.levels(language);
    Some(Chart { id, title, summary, levels, times, curves, blocks: Vec::new(), table })
}

/// From the lowest to the highest value, or the only one there is.
fn reach(low: Decimal, high: Decimal, unit: &str, language: Language) -> String {
    let number = |value: Decimal| language.number(&value.normalize().to_string());
    let (from, to) = (number(low), number(high));
    if from == to {
        return format!("{to} {unit}");
    }
    fill(language.words().from_to, &[("from", &from), ("to", &to), ("unit", unit)])
}

/// The way through the points.
fn path(points: &[Point], scale: &Scale, window: &Window, gap: Duration) -> String {
    let mut path = String::new();
    let mut last: Option<Timestamp> = None;
    for point in points {
        let place = window.place(point.time).zip(scale.place(point.value));
        let Some((x, y)) = place else { continue };
        let apart = last.map(|last| point.time.duration_since(last).unsigned_abs());
        if apart.is_some_and(|apart| apart <= gap) {
            let _ = write!(path, "L{x} {y}");
        } else {
            // Ends where it begins, so that a reading alone is seen as a dot.
            let _ = write!(path, "M{x} {y}L{x} {y}");
        }
        last = Some(point.time);
    }
    path
}

/// The lowest and the highest value of each hour.
fn hourly(series: &[Series<'_>], window: &Window, language: Language, unit: &str) -> Table {
    let words = language.words();
    let mut head = vec![words.time.to_owned()];
    for one in series {
        let name = if series.len() > 1 { format!("{}, ", one.name) } else { String::new() };
        for end in [words.lowest, words.highest] {
            head.push(format!("{name}{end} ({unit})"));
        }
    }
    let mut starts = vec![window.local(window.start)];
    starts.extend(window.hours());
    let ends = starts.iter().skip(1).map(ZonedDateTime::timestamp).chain([Timestamp::MAX]);
    let rows = starts.iter().zip(ends).filter_map(|(start, end)| {
        let from = start.timestamp();
        let mut row = vec![window.hour_words(start)];
        let mut any = false;
        for one in series {
            let within = || {
                let of_hour = |point: &&Point| point.time >= from && point.time < end;
                one.points.iter().filter(of_hour).map(|point| point.value)
            };
            any |= within().next().is_some();
            for end in [within().min(), within().max()] {
                row.push(known(end, language));
            }
        }
        any.then_some(row)
    });
    let rows = rows.collect();
    Table { head, rows }
}

fn known(value: Option<Decimal>, language: Language) -> String {
    let number = |value: Decimal| language.number(&value.to_string());
    value.map_or_else(|| language.words().not_known.to_owned(), number)
}

/// How long each bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    Hour,
    Day,
}

/// Bars of what was used of something, side by side. `None` where nothing of it is known.
pub(super) fn bars(
    heading: Heading,
    (name, bars): (&str, &[Consumption]),
    each: Each,
    zone: TimeZone,
) -> Option<Chart> {
    let (start, end) = (bars.first()?.start, bars.last()?.end);
    let window = Window { start, end, zone };
    let used = || bars.iter().filter_map(|bar| bar.used);
    let (low, high) = (used().min()?, used().max()?);
    let scale = Scale::new(low, high, true)?;
    let Heading { id, title, unit, language } = heading;
    let words = language.words();
    let summary = reach(low, high, &unit, language);
    let head = match each {
        Each::Hour => words.time,
        Each::Day => words.day,
    };
    let head = vec![head.to_owned(), format!("{name} ({unit})")];
    let mut chart = Chart {
        id,
        title,
        summary,
        levels: scale.levels(language),
        times: Vec::new(),
        curves: Vec::new(),
        blocks: Vec::new(),
        table: Table { head, rows: Vec::new() },
    };
    let count = i64::try_from(bars.len()).ok()?;
    let wide = WIDTH.checked_div(count)?;
    let free = wide.checked_div(SPACE)?;
    let zero = scale.place(Decimal::ZERO)?;
    for (bar, index) in bars.iter().zip(0_i64..) {
        // Side by side rather than by time: a day of 23 hours is no narrower than its neighbours.
        let x = index.checked_mul(WIDTH)?.checked_div(count)?;
        let local = window.local(bar.start);
        let when = match each {
            Each::Hour => window.hour_words(&local),
            Each::Day => local.strftime("%Y-%m-%d").to_string(),
        };
        let mut amount = known(bar.used, language);
        if bar.so_far {
            amount = format!("{amount} ({})", words.so_far);
        }
        if let Some(used) = bar.used {
            let y = scale.place(used)?;
            chart.blocks.push(Block {
                x: x.checked_add(free.checked_div(2)?)?,
                y,
                width: wide.checked_sub(free)?,
                height: zero.checked_sub(y)?,
                class: if bar.so_far { "so-far" } else { "whole" },
                words: format!("{when}: {amount} {unit}"),
            });
        } else {
            chart.blocks.push(Block {
                x: x.checked_add(free.checked_div(2)?)?,
                y: 0,
                width: wide.checked_sub(free)?,
                height: HEIGHT,
                class: "unknown",
                words: format!("{when}: {amount}"),
            });
        }
        let middle = x.checked_add(wide.checked_div(2)?)?;
        if (EDGE..=WIDTH - EDGE).contains(&middle) && each.is_marked(&local, index) {
            chart.times.push(Mark { x: Share(middle), text: each.mark(&local, language) });
        }
        chart.table.rows.push(vec![when, amount]);
    }
    Some(chart)
}

impl Each {
    /// Whether something stands under this bar: under all there is no room on a phone.
    fn is_marked(self, start: &ZonedDateTime, index: i64) -> bool {
        match self {
            Self::Hour => start.hour() % 4 == 0,
            Self::Day => index % 3 == 0,
        }
    }

    fn mark(self, start: &ZonedDateTime, language: Language) -> String {
        match self {
            Self::Hour => start.strftime("%H:%M").to_string(),
            Self::Day => {
                let (day, month) = (start.day().to_string(), start.month().to_string());
                fill(language.words().day_short, &[("day", &day), ("month", &month)])
            }
        }
    }
}

/// What the plot reaches from and to, in steps of 1, 2 or 5 times a power of ten.
#[derive(Debug, PartialEq, Eq)]
struct Scale {
    low: Decimal,
    high: Decimal,
    step: Decimal,
}

impl Scale {
    /// Wide enough for all between `low` and `high`. `None` where that has too many digits.
    fn new(low: Decimal, high: Decimal, from_zero: bool) -> Option<Self> {
        let (low, high) =
            if from_zero { (low.min(Decimal::ZERO), high.max(Decimal::ZERO)) } else { (low, high) };
        let width = high.checked_sub(low)?;
        let step = if width.is_zero() {
            Decimal::ONE
        } else {
            let most = Decimal::from(STEPS);
            let enough = |step: &Decimal| step.checked_mul(most).is_some_and(|all| all >= width);
            steps().find(enough)?
        };
        let whole = |value: Decimal| value.checked_div(step);
        let mut high = whole(high)?.ceil().checked_mul(step)?;
        let low = whole(low)?.floor().checked_mul(step)?;
        if high == low {
            high = low.checked_add(step)?;
        }
        Some(Self { low, high, step })
    }

    /// Where a value is, from top to bottom.
    fn place(&self, value: Decimal) -> Option<i64> {
        let whole = self.high.checked_sub(self.low)?;
        let beneath = self.high.checked_sub(value)?;
        let place = beneath.checked_mul(Decimal::from(HEIGHT))?.checked_div(whole)?;
        i64::try_from(place.round()).ok()
    }

    fn levels(&self, language: Language) -> Vec<Level> {
        let mut levels = Vec::new();
        let mut value = Some(self.low);
        while let Some(now) = value.filter(|value| *value <= self.high) {
            let text = language.number(&now.normalize().to_string());
            let place = self.place(now).and_then(|place| place.checked_mul(TALL));
            if let Some(place) = place.and_then(|place| place.checked_div(HEIGHT)) {
                let y = place.saturating_add(TOP);
                levels.push(Level { y, text_y: y.saturating_add(4), text });
            }
            value = now.checked_add(self.step);
        }
        levels
    }
}

/// 0.000001, 0.000002, 0.000005, 0.00001 and so on.
fn steps() -> impl Iterator<Item = Decimal> {
    (0_u32..24).flat_map(|power| {
        [1_i64, 2, 5].into_iter().filter_map(move |digit| {
            let whole = 10_i64.checked_pow(power.saturating_sub(6));
            match power {
                0..6 => Some(Decimal::new(digit, 6_u32.saturating_sub(power))),
                _ => Decimal::from(whole?).checked_mul(Decimal::from(digit)),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn copenhagen() -> TimeZone {
        TimeZone::get("Europe/Copenhagen").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn window(end: &str) -> Window {
        Window::before(&at(end).to_zoned_datetime(copenhagen()))
    }

    fn heading() -> Heading {
        let (id, title) = ("c".to_owned(), "Power".to_owned());
        Heading { id, title, unit: "W".to_owned(), language: Language::English }
    }

    fn point(time: &str, value: &str) -> Point {
        Point { time: at(time), value: value.parse().unwrap() }
    }

    fn one(points: &[Point]) -> [Series<'_>; 1] {
        [Series { name: "Power", points }]
    }

    fn times(chart: &Chart) -> Vec<String> {
        chart.times.iter().map(|mark| format!("{} {}", mark.x, mark.text)).collect()
    }

    const GAP: Duration = Duration::from_secs(900);

    #[test]
    fn what_stays_the_same_has_one_value() {
        let said = |low, high| {
            let [low, high] = [low, high].map(|value: &str| value.parse().unwrap());
            reach(low, high, "kW", Language::German)
        };
        assert_eq!(said("6.50", "6.5"), "6,5 kW");
        assert_eq!(said("6.5", "6.6"), "von 6,5 bis 6,6 kW");
    }

    #[test]
    fn a_day_as_any_other() {
        let points = vec![
            point("2026-11-23T09:00:00Z", "0"),
            point("2026-11-23T09:10:00Z", "2000"),
            // A gap.
            point("2026-11-23T21:00:00Z", "1000"),
            // Another one, after a reading alone.
            point("2026-11-24T08:55:00Z", "500.5"),
            point("2026-11-24T09:00:00Z", "4000"),
        ];
        let chart = curves(heading(), &one(&points), true, &window("2026-11-24T09:00:00Z"), GAP);
        let chart = chart.unwrap();
        assert_eq!(
            chart.curves[0].path,
            "M0 1000L0 1000L69 500M5000 750L5000 750M9965 875L9965 875L10000 0"
        );
        let hours = ["12:00", "16:00", "20:00", "00:00", "04:00", "08:00"];
        assert_eq!(
            times(&chart),
            ["8.33%", "25.00%", "41.66%", "58.33%", "75.00%", "91.66%"]
                .iter()
                .zip(hours)
                .map(|(x, hour)| format!("{x} {hour}"))
                .collect::<Vec<_>>()
        );
        let levels: Vec<_> = chart.levels.iter().map(|level| (level.y, &*level.text)).collect();
        assert_eq!(levels, [(148, "0"), (113, "1000"), (78, "2000"), (43, "3000"), (8, "4000")]);
        assert_eq!(chart.summary, "from 0 to 4000 W");
        assert_eq!(chart.table.head, ["Time", "Lowest (W)", "Highest (W)"]);
        assert_eq!(
            chart.table.rows,
            [
                ["2026-11-23 10:00", "0", "2000"],
                ["2026-11-23 22:00", "1000", "1000"],
                ["2026-11-24 09:00", "500.5", "500.5"],
                ["2026-11-24 10:00", "4000", "4000"],
            ]
        );
    }

    /// In autumn 2:00 comes twice, in spring not at all; an hour is as wide as any other.
    #[test]
    fn the_clock_changes() {
        let autumn = window("2026-10-25T11:00:00Z");
        let hours: Vec<_> = autumn.hours().iter().map(|hour| autumn.hour_words(hour)).collect();
        assert_eq!(hours.len(), 24);
        assert_eq!(hours[10], "2026-10-25 00:00 (+02:00)");
        assert_eq!(hours[12], "2026-10-25 02:00 (+02:00)");
        assert_eq!(hours[13], "2026-10-25 02:00 (+01:00)");
        assert_eq!(hours[14], "2026-10-25 03:00 (+01:00)");
        let points = vec![point("2026-10-24T11:00:00Z", "1"), point("2026-10-25T11:00:00Z", "2")];
        let chart = curves(heading(), &one(&points), true, &autumn, GAP).unwrap();
        // From midnight to four it is five hours.
        assert_eq!(
            times(&chart),
            ["12.50% 16:00", "29.16% 20:00", "45.83% 00:00", "66.66% 04:00", "83.33% 08:00"]
        );
        let spring = window("2026-03-29T10:00:00Z");
        let hours: Vec<_> = spring.hours().iter().map(|hour| spring.hour_words(hour)).collect();
        assert_eq!(hours.len(), 24);
        assert_eq!(hours[13], "2026-03-29 01:00 (+01:00)");
        assert_eq!(hours[14], "2026-03-29 03:00 (+02:00)");
    }

    #[test]
    fn hours_of_odd_zones_are_theirs() {
        for (zone, end, first) in [
            ("Asia/Kathmandu", "2026-11-24T09:00:00Z", "15:00"),
            // Its clock goes back by half an hour, at 2:00.
            ("Australia/Lord_Howe", "2026-04-05T09:00:00Z", "21:00"),
            // And forward.
            ("Australia/Lord_Howe", "2026-10-04T09:00:00Z", "20:00"),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            let window = Window::before(&at(end).to_zoned_datetime(zone));
            let hours = window.hours();
            assert!((23..=25).contains(&hours.len()), "{hours:?}");
            assert!(hours.iter().all(|hour| hour.minute() == 0 && hour.second() == 0), "{hours:?}");
            assert_eq!(hours[0].strftime("%H:%M").to_string(), first);
        }
    }

    #[test]
    fn what_is_not_known_is_shown_as_such() {
        let bar = |start: &str, end: &str, used: Option<&str>, so_far| Consumption {
            start: at(start),
            end: at(end),
            used: used.map(|used| used.parse().unwrap()),
            so_far,
        };
        let days = [
            bar("2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", Some("30.5"), false),
            // 25 hours.
            bar("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", None, false),
            bar("2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z", Some("12"), true),
        ];
        let heading = Heading { unit: "kWh".to_owned(), language: Language::German, ..heading() };
        let chart = bars(heading, ("Energie", &days), Each::Day, copenhagen()).unwrap();
        assert_eq!(
            chart.table.rows,
            [
                ["2026-10-24", "30,5"],
                ["2026-10-25", "nicht bekannt"],
                ["2026-10-26", "12 (bis jetzt)"],
            ]
        );
        let blocks = chart.blocks.iter().map(|block| (block.y, block.height, block.class));
        assert_eq!(
            blocks.collect::<Vec<_>>(),
            [(238, 762, "whole"), (0, 1000, "unknown"), (700, 300, "so-far")]
        );
        assert_eq!(chart.blocks[2].words, "2026-10-26: 12 (bis jetzt) kWh");
        assert_eq!(times(&chart), ["16.66% 24.10."]);
        assert_eq!(chart.summary, "von 12 bis 30,5 kWh");
    }

    #[test]
    fn hours_of_the_longest_day_are_each_called_otherwise() {
        let start = at("2026-10-24T22:00:00Z").as_second();
        let hour = |index: i64| Timestamp::from_second(start + index * 3600).unwrap();
        let hours: Vec<Consumption> = (0..25)
            .map(|index| Consumption {
                start: hour(index),
                end: hour(index + 1),
                used: Some(Decimal::from(index)),
                so_far: false,
            })
            .collect();
        let chart = bars(heading(), ("Energy", &hours), Each::Hour, copenhagen()).unwrap();
        assert_eq!(chart.blocks.len(), 25);
        let mut names: Vec<_> = chart.table.rows.iter().map(|row| row[0].clone()).collect();
        assert_eq!(names[2..4], ["2026-10-25 02:00 (+02:00)", "2026-10-25 02:00 (+01:00)"]);
        names.dedup();
        assert_eq!(names.len(), 25);
    }

    #[test]
    fn without_values_there_is_no_chart() {
        let window = window("2026-11-24T09:00:00Z");
        for points in [&[][..], &[point("2026-11-24T08:55:00Z", "1")]] {
            assert!(curves(heading(), &one(points), true, &window, GAP).is_none());
        }
        assert!(bars(heading(), ("Energy", &[]), Each::Day, copenhagen()).is_none());
        let (start, end) = (window.start, window.end);
        let unknown = Consumption { start, end, used: None, so_far: false };
        assert!(bars(heading(), ("Energy", &[unknown]), Each::Hour, copenhagen()).is_none());
    }

    #[test]
    fn scales_have_round_steps() {
        let scale = |low: &str, high: &str, from_zero| {
            let [low, high] = [low, high].map(|text| text.parse().unwrap());
            let Scale { low, high, step } = Scale::new(low, high, from_zero).unwrap();
            [low, high, step].map(|value| value.normalize().to_string()).join(" ")
        };
        assert_eq!(scale("0.128", "0.31", true), "0 0.4 0.1");
        assert_eq!(scale("31.2", "68.9", false), "30 70 10");
        assert_eq!(scale("45", "45", false), "45 46 1");
        assert_eq!(scale("0", "0", true), "0 1 1");
        assert_eq!(scale("-3", "9", true), "-5 10 5");
        assert_eq!(scale("1", "99999999", true), "0 100000000 50000000");
    }

    proptest! {
        /// Whatever a meter says, the plot has it within its bounds.
        #[test]
        fn every_value_is_within(
            values in prop::collection::vec((-999_999_999_i64..999_999_999, 0_u32..7), 1..20),
            from_zero: bool,
        ) {
            let values: Vec<_> =
                values.into_iter().map(|(digits, scale)| Decimal::new(digits, scale)).collect();
            let (low, high) = (*values.iter().min().unwrap(), *values.iter().max().unwrap());
            let scale = Scale::new(low, high, from_zero).unwrap();
            for value in values {
                prop_assert!((0..=HEIGHT).contains(&scale.place(value).unwrap()));
            }
            let levels = scale.levels(Language::English).len();
            prop_assert!((2..=7).contains(&levels), "{}", levels);
        }

        /// No value panics, however many digits it has.
        #[test]
        fn no_value_is_too_much(low: i64, mantissa: i64, scale in 0_u32..28) {
            let (low, high) = (Decimal::from(low), Decimal::new(mantissa, scale));
            let (low, high) = (low.min(high), low.max(high));
            if let Some(scale) = Scale::new(low, high, false) {
                prop_assert!((0..=HEIGHT).contains(&scale.place(low).unwrap()));
            }
        }
    }
}
