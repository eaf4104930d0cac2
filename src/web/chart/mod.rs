//! Charts as SVG, each with a table for visitors who cannot see it.
//!
//! This module computes the positions that a template draws. They are whole numbers made from
//! decimals: no value passes through a float. Horizontal positions are parts of the width. So a
//! chart is as wide as the page, while its letters have the size of the page's letters.
//!
//! A chart also has its points in words ([`Points`]). `chart.js` shows them when somebody points at
//! the chart, touches it or uses the arrow keys.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod each;
mod scale;
mod shape;
#[cfg(test)]
mod tests;
mod window;

use std::fmt::Write as _;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;

pub(super) use self::each::{Each, month};
use self::scale::Scale;
pub(super) use self::shape::NamedTotal;
use self::shape::{Block, Curve, EDGE, Level, Mark, Points, Share, Table, WIDTH};
pub(super) use self::window::Window;
use crate::language::{Language, fill};
use history::{Consumption, Summary};

/// The share of the width that bars leave free between them: one in this many.
const SPACE: i64 = 6;

/// One curve.
#[derive(Debug)]
pub(super) struct Series<'a> {
    /// Its name among others.
    pub(super) name: &'static str,
    /// Readings, or summaries of hours or days by their beginning, oldest first.
    pub(super) points: &'a [(Timestamp, Summary)],
}

/// What curves have in common.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) window: Window,
    /// The time that each point stands for; `None` if it is a reading.
    pub(super) each: Option<Each>,
    /// The time of a row of the table.
    pub(super) row: Each,
    /// If two points are further apart, nothing is drawn between them.
    pub(super) gap: Duration,
}

/// Title, unit and language of a chart.
#[derive(Debug, Clone)]
pub(super) struct Heading {
    /// A unique name for the page's own addresses.
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
    /// The lowest and the highest value.
    pub(super) summary: String,
    pub(super) totals: Vec<NamedTotal>,
    /// Horizontal lines.
    pub(super) levels: Vec<Level>,
    /// Times below the plot.
    pub(super) times: Vec<Mark>,
    pub(super) curves: Vec<Curve>,
    pub(super) blocks: Vec<Block>,
    pub(super) points: Points,
    pub(super) table: Table,
}

/// Curves over the time of a window; `None` unless a curve has two points.
pub(super) fn curves(
    heading: Heading,
    series: &[Series<'_>],
    from_zero: bool,
    frame: &Frame,
) -> Option<Chart> {
    if series.iter().all(|one| one.points.len() < 2) {
        return None;
    }
    let summaries = || series.iter().flat_map(|one| one.points).map(|(_, summary)| summary);
    let low = summaries().map(|summary| summary.low).min()?;
    let high = summaries().map(|summary| summary.high).max()?;
    let scale = Scale::new(low, high, from_zero)?;
    let classes = ["one", "two"].into_iter().cycle();
    let curves = series.iter().zip(classes).map(|(one, class)| {
        let (path, band) = frame.paths(one.points, &scale);
        Curve { name: one.name, class, path, band }
    });
    let curves = curves.collect();
    let summary = reach(low, high, &heading.unit, heading.language);
    let table = frame.table(series, &heading);
    let points = frame.points(series, &scale, &heading);
    let Heading { id, title, language, .. } = heading;
    let (levels, times) = (scale.levels(language), frame.window.marks(language));
    let (totals, blocks) = (Vec::new(), Vec::new());
    Some(Chart { id, title, summary, totals, levels, times, curves, blocks, points, table })
}

/// The lowest and the highest value, or a single one.
fn reach(low: Decimal, high: Decimal, unit: &str, language: Language) -> String {
    let number = |value: Decimal| language.number(&value.normalize().to_string());
    let (from, to) = (number(low), number(high));
    if from == to {
        return format!("{to} {unit}");
    }
    fill(language.words().from_to, &[("from", &from), ("to", &to), ("unit", unit)])
}

/// The points of several curves in the order of their times, each with the number of its curve.
fn in_order(series: &[Series<'_>]) -> Vec<(Timestamp, usize, Summary)> {
    let numbered = series.iter().enumerate();
    let mut all: Vec<_> = numbered
        .flat_map(|(index, one)| one.points.iter().map(move |(time, own)| (*time, index, *own)))
        .collect();
    all.sort_by_key(|(time, ..)| *time);
    all
}

impl Frame {
    /// The value that is drawn: a reading, or the mean of several.
    fn value(&self, summary: &Summary) -> Option<Decimal> {
        match self.each {
            None => Some(summary.last.value),
            Some(_) => summary.mean(),
        }
    }

    /// The horizontal place of a point: the middle of the time that it stands for, up to now.
    fn place(&self, start: Timestamp) -> Option<i64> {
        let half = match self.each {
            None => SignedDuration::ZERO,
            Some(Each::Hour) => SignedDuration::from_mins(30),
            Some(_) => SignedDuration::from_hours(12),
        };
        let so_far = self.window.end.duration_since(start).checked_div(2)?;
        self.window.place(start.checked_add(half.min(so_far.max(SignedDuration::ZERO))).ok()?)
    }

    /// The path through the values, and the area between the lowest and the highest ones.
    fn paths(&self, points: &[(Timestamp, Summary)], scale: &Scale) -> (String, String) {
        let (mut path, mut band) = (String::new(), String::new());
        let mut back: Vec<(i64, i64)> = Vec::new();
        let mut last: Option<Timestamp> = None;
        let close = |band: &mut String, back: &mut Vec<(i64, i64)>| {
            for (x, y) in back.drain(..).rev() {
                let _ = write!(band, "L{x} {y}");
            }
            band.push('Z');
        };
        for (time, summary) in points {
            let Some(value) = self.value(summary) else { continue };
            let y = |value| scale.place(value);
            let place = self.place(*time).zip(y(value)).zip(y(summary.high).zip(y(summary.low)));
            let Some(((x, y), (high, low))) = place else { continue };
            let apart = last.map(|last| time.duration_since(last).unsigned_abs());
            let is_next = apart.is_some_and(|apart| apart <= self.gap);
            if is_next {
                let _ = write!(path, "L{x} {y}");
            } else {
                // Ends at its beginning, so that a single reading is seen as a dot.
                let _ = write!(path, "M{x} {y}L{x} {y}");
            }
            if self.each.is_some() {
                if !is_next && !back.is_empty() {
                    close(&mut band, &mut back);
                }
                let _ = write!(band, "{}{x} {high}", if is_next { 'L' } else { 'M' });
                back.push((x, low));
            }
            last = Some(*time);
        }
        if !back.is_empty() {
            close(&mut band, &mut back);
        }
        (path, band)
    }

    fn points(&self, series: &[Series<'_>], scale: &Scale, heading: &Heading) -> Points {
        let mut points = Points::default();
        if series.len() > 1 {
            let names: Vec<_> = series.iter().map(|one| one.name).collect();
            points.names = names.join("\t");
        }
        for together in in_order(series).chunk_by(|one, next| one.0 == next.0) {
            let Some((start, ..)) = together.first() else { continue };
            let Some(x) = self.place(*start) else { continue };
            let mut values = vec![None; series.len()];
            for (_, index, summary) in together {
                let value = self.value(summary);
                let y = value.and_then(|value| scale.place(value));
                if let (Some(place), Some(y), Some(value)) = (values.get_mut(*index), y, value) {
                    *place = Some((y, self.words(value, summary, heading)));
                }
            }
            let local = self.window.local(*start);
            let time = match self.each {
                None => self.window.words(&local, "%Y-%m-%d %H:%M"),
                Some(each) => self.window.name(each, &local),
            };
            points.add(x, &time, &values);
        }
        points
    }

    fn words(&self, value: Decimal, summary: &Summary, heading: &Heading) -> String {
        let Heading { unit, language, .. } = heading;
        let number = |value: Decimal| language.number(&value.to_string());
        if self.each.is_none() || summary.low == summary.high {
            return format!("{} {unit}", number(summary.last.value));
        }
        let [mean, low, high] = [value, summary.low, summary.high].map(number);
        let values = [("mean", &*mean), ("low", &low), ("high", &high), ("unit", unit)];
        fill(language.words().mean_words, &values)
    }

    /// A row for each hour, day or month with its lowest and highest values, and with the mean if the
    /// points are summaries.
    fn table(&self, series: &[Series<'_>], heading: &Heading) -> Table {
        let Heading { unit, language, .. } = heading;
        let words = language.words();
        let mut head = vec![self.row.head(*language).to_owned()];
        let mean = self.each.map(|_| words.mean);
        for one in series {
            let name = if series.len() > 1 { format!("{}, ", one.name) } else { String::new() };
            for end in mean.into_iter().chain([words.lowest, words.highest]) {
                head.push(format!("{name}{end} ({unit})"));
            }
        }
        let mut rows: Vec<(String, Vec<Option<Summary>>)> = Vec::new();
        for (time, index, summary) in in_order(series) {
            let name = self.window.name(self.row, &self.window.local(time));
            if rows.last().is_none_or(|(known, _)| *known != name) {
                rows.push((name, vec![None; series.len()]));
            }
            if let Some(own) = rows.last_mut().and_then(|(_, row)| row.get_mut(index)) {
                *own = Summary::all(own.iter().copied().chain([summary]));
            }
        }
        let rows = rows.into_iter().map(|(name, row)| {
            let cells = row.into_iter().flat_map(|own| {
                let mean = own.as_ref().and_then(Summary::mean);
                let ends = [own.map(|own| own.low), own.map(|own| own.high)];
                let mean = self.each.map(|_| mean);
                mean.into_iter().chain(ends).map(|value| known(value, *language))
            });
            std::iter::once(name).chain(cells).collect()
        });
        Table { head, rows: rows.collect() }
    }
}

fn known(value: Option<Decimal>, language: Language) -> String {
    let number = |value: Decimal| language.number(&value.to_string());
    value.map_or_else(|| language.words().not_known.to_owned(), number)
}

/// Bars of a consumption, side by side, from the first known one; `None` if none is known.
pub(super) fn bars(
    heading: Heading,
    (name, bars): (&str, &[Consumption]),
    each: Each,
    zone: TimeZone,
) -> Option<Chart> {
    let first = bars.iter().position(|bar| bar.used.is_some())?;
    let bars = bars.get(first..)?;
    let (start, end) = (bars.first()?.start, bars.last()?.end);
    let window = Window { start, end, zone };
    let used = || bars.iter().filter_map(|bar| bar.used);
    let (low, high) = (used().min()?, used().max()?);
    let scale = Scale::new(low, high, true)?;
    let Heading { id, title, unit, language } = heading;
    let words = language.words();
    let summary = reach(low, high, &unit, language);
    let head = vec![each.head(language).to_owned(), format!("{name} ({unit})")];
    let mut chart = Chart {
        id,
        title,
        summary,
        totals: Vec::new(),
        levels: scale.levels(language),
        times: Vec::new(),
        curves: Vec::new(),
        blocks: Vec::new(),
        points: Points::default(),
        table: Table { head, rows: Vec::new() },
    };
    let count = i64::try_from(bars.len()).ok()?;
    let wide = WIDTH.checked_div(count)?;
    let free = wide.checked_div(SPACE)?;
    let zero = scale.place(Decimal::ZERO)?;
    for (bar, number) in bars.iter().zip(0_usize..) {
        // Side by side rather than by time: a day of 23 hours is no narrower than its neighbours.
        let index = i64::try_from(number).ok()?;
        let x = index.checked_mul(WIDTH)?.checked_div(count)?;
        let middle = x.checked_add(wide.checked_div(2)?)?;
        let local = window.local(bar.start);
        let when = window.name(each, &local);
        let so_far = if bar.so_far { format!(" ({})", words.so_far) } else { String::new() };
        let amount = known(bar.used, language);
        let (y, class, shown) = match bar.used {
            Some(used) => {
                let class = if bar.so_far { "so-far" } else { "whole" };
                (scale.place(used)?, class, format!("{amount} {unit}{so_far}"))
            }
            None => (0, "unknown", amount.clone()),
        };
        let amount = format!("{amount}{so_far}");
        let words = format!("{when}: {shown}");
        let (width, height) = (wide.checked_sub(free)?, zero.checked_sub(y)?);
        let left = x.checked_add(free.checked_div(2)?)?;
        chart.blocks.push(Block { x: left, y, width, height, class, words });
        chart.points.add(middle, &when, &[Some((y, shown))]);
        let is_marked = each.is_marked(&local, number, bars.len());
        if (EDGE..=WIDTH - EDGE).contains(&middle) && is_marked {
            chart.times.push(Mark { x: Share(middle), text: each.mark(&local, language) });
        }
        chart.table.rows.push(vec![when, amount]);
    }
    Some(chart)
}
