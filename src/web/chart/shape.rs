//! The data of a chart, in whole numbers and texts.

use std::fmt::{self, Write as _};

/// The plot's own units from left to right.
pub(super) const WIDTH: i64 = 10_000;

/// The plot's own units from top to bottom.
pub(super) const HEIGHT: i64 = 1_000;

/// The plot in pixels from the top of the picture; the times are below it.
pub(super) const TOP: i64 = 8;
pub(super) const TALL: i64 = 140;

/// A mark nearer to an edge would be cut off, so it is left out.
pub(super) const EDGE: i64 = WIDTH / 17;

/// A total of the time that a chart shows, or of another time.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) struct NamedTotal {
    pub(in crate::web) name: String,
    /// With its unit; `None` if it is not known.
    pub(in crate::web) amount: Option<String>,
    /// Why it is unknown, or known only for a part of the time.
    pub(in crate::web) note: Option<&'static str>,
}

/// A horizontal line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) struct Level {
    /// In pixels from the top.
    pub(in crate::web) y: i64,
    /// The same for its text.
    pub(in crate::web) text_y: i64,
    pub(in crate::web) text: String,
}

/// A text at a horizontal place.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) struct Mark {
    pub(in crate::web) x: Share,
    pub(in crate::web) text: String,
}

/// A curve.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) struct Curve {
    pub(in crate::web) name: &'static str,
    /// `one` or `two`: solid or dashed, and a colour.
    pub(in crate::web) class: &'static str,
    /// The path, with a new beginning after each gap.
    pub(in crate::web) path: String,
    /// The area from the lowest to the highest values; empty for readings.
    pub(in crate::web) band: String,
}

/// A bar.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) struct Block {
    pub(in crate::web) x: i64,
    pub(in crate::web) y: i64,
    pub(in crate::web) width: i64,
    pub(in crate::web) height: i64,
    pub(in crate::web) class: &'static str,
    /// Time and amount.
    pub(in crate::web) words: String,
}

/// The points of a chart in words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct Points {
    /// A line for each point: its horizontal place, the vertical place of each curve (`-` for none),
    /// its time, and a text for each curve, with tabs between them.
    pub(in crate::web) lines: String,
    /// The names of the curves, if there is more than one, with tabs between them.
    pub(in crate::web) names: String,
    /// The number of the last point, from 0.
    pub(in crate::web) last: usize,
    /// The last point in words.
    pub(in crate::web) words: String,
}

/// The chart as a table.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) struct Table {
    pub(in crate::web) head: Vec<String>,
    pub(in crate::web) rows: Vec<Vec<String>>,
}

/// A part of the width, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) struct Share(pub(super) i64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.div_euclid(100), self.0.rem_euclid(100));
        write!(f, "{whole}.{part:02}%")
    }
}

impl Points {
    /// Adds a point: its places, its time, and a text for each curve that has a value there.
    pub(super) fn add(&mut self, x: i64, time: &str, values: &[Option<(i64, String)>]) {
        if self.lines.is_empty() {
            self.last = 0;
        } else {
            self.lines.push('\n');
            self.last = self.last.saturating_add(1);
        }
        let _ = write!(self.lines, "{x}\t");
        for (index, value) in values.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let _ = match value {
                Some((y, _)) => write!(self.lines, "{space}{y}"),
                None => write!(self.lines, "{space}-"),
            };
        }
        let _ = write!(self.lines, "\t{time}");
        let mut names = self.names.split('\t');
        let mut words = Vec::new();
        for value in values {
            let text = value.as_ref().map_or("", |(_, text)| text);
            let _ = write!(self.lines, "\t{text}");
            let name = names.next().unwrap_or_default();
            if !text.is_empty() {
                words.push(format!("{name} {text}").trim_start().to_owned());
            }
        }
        self.words = format!("{time}: {}", words.join("; "));
    }
}
