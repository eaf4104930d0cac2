//! Charts as SVG, with a table beside each for who does not see it.
//!
//! What a template needs to draw is worked out here in whole numbers, from decimals: no value passes
//! through a float. Places from left to right are parts of the width, so that a chart is as wide as
//! the page while its letters stay as large as the page's.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

#[cfg(test)]
mod tests;

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
