//! Home Assistant's statistics on the page: what would be written, and what was.

use jiff::{Timestamp, ZonedDateTime};

use crate::filling::{FilledLine, Filling, FillingJob, Progress, Work};
use crate::language::{Words, fill};

/// The gaps in Home Assistant's statistics.
pub(super) struct Statistics {
    pub(super) running: bool,
    /// Whether gaps were shown that can be filled.
    pub(super) can_fill: bool,
    /// How far it is, or how it ended.
    pub(super) said: Option<String>,
    /// Whether this is to be announced. The steps of a work are not.
    pub(super) is_news: bool,
    pub(super) trouble: Option<String>,
    pub(super) rows: Vec<Row>,
    /// How many rows and remarks did not fit.
    pub(super) more: Option<String>,
    pub(super) remarks: Vec<String>,
    pub(super) more_remarks: Option<String>,
}

impl Statistics {
    /// Whether the rows have sums. What was undone has none.
    pub(super) fn has_sums(&self) -> bool {
        self.rows.iter().any(|row| !row.sums.is_empty())
    }
}

/// A gap.
pub(super) struct Row {
    pub(super) entity: String,
    pub(super) hours: String,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) sums: String,
}

/// `None` if Home Assistant's address or token is not known.
pub(super) fn statistics(
    filling: Filling,
    words: &'static Words,
    now: &ZonedDateTime,
) -> Option<Statistics> {
    let Filling { offered, job } = filling;
    if !offered {
        return None;
    }
    let Some(job) = job else {
        return Some(Statistics {
            running: false,
            can_fill: false,
            said: None,
            is_news: false,
            trouble: None,
            rows: Vec::new(),
            more: None,
            remarks: Vec::new(),
            more_remarks: None,
        });
    };
    let running = job.progress.is_running();
    let is_looked = job.work == Work::Look && job.progress == Progress::Done;
    let can_fill = is_looked && !job.lines.is_empty();
    let said = said(&job, words);
    let is_news = !matches!(job.progress, Progress::At(..));
    let FillingJob { progress, lines, more, remarks, more_remarks, .. } = job;
    let trouble = match progress {
        Progress::Failed(trouble) => Some(trouble),
        _ => None,
    };
    let beyond =
        |count: usize| (count > 0).then(|| fill(words.gaps_more, &[("count", &count.to_string())]));
    Some(Statistics {
        running,
        can_fill,
        said,
        is_news,
        trouble,
        rows: lines.into_iter().map(|line| row(line, now)).collect(),
        more: beyond(more),
        remarks,
        more_remarks: beyond(more_remarks),
    })
}

fn said(job: &FillingJob, words: &Words) -> Option<String> {
    let is_empty = job.lines.is_empty();
    Some(match (&job.progress, job.work) {
        (Progress::Waiting, _) => words.gaps_waiting.to_owned(),
        (Progress::At(number, of), _) => {
            let (number, of) = (number.to_string(), of.to_string());
            fill(words.gaps_at, &[("number", &number), ("count", &of)])
        }
        (Progress::Stopped, Work::Look) => words.gaps_look_stopped.to_owned(),
        (Progress::Stopped, Work::Fill) => words.gaps_fill_stopped.to_owned(),
        (Progress::Stopped, Work::Undo) => words.gaps_undo_stopped.to_owned(),
        (Progress::Failed(_), _) => return None,
        // The remarks say what was done.
        (Progress::Done, Work::Undo) if is_empty && !job.remarks.is_empty() => return None,
        (Progress::Done, Work::Look | Work::Fill) if is_empty => words.gaps_none.to_owned(),
        (Progress::Done, Work::Look) => words.gaps_would.to_owned(),
        (Progress::Done, Work::Fill) => words.gaps_filled.to_owned(),
        (Progress::Done, Work::Undo) if is_empty => words.gaps_nothing_undone.to_owned(),
        (Progress::Done, Work::Undo) => words.gaps_undone.to_owned(),
    })
}

fn row(line: FilledLine, now: &ZonedDateTime) -> Row {
    let FilledLine { entity_id, hours, first, last, sums } = line;
    let time = |at: Timestamp| {
        at.to_zoned_datetime(now.time_zone().clone()).strftime("%Y-%m-%d %H:%M").to_string()
    };
    let sums = sums.map(|(first, last, unit)| format!("{first} – {last} {unit}"));
    Row {
        entity: entity_id,
        hours: hours.to_string(),
        first: time(first),
        last: time(last),
        sums: sums.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[test]
    fn a_stop_says_what_is_left() {
        for (work, expected) in [
            (Work::Look, "Stopped. Nothing was written."),
            (Work::Fill, "Stopped. What was written so far can be taken back."),
            (Work::Undo, "Stopped. Press the button again to undo the rest."),
        ] {
            let job = FillingJob {
                work,
                progress: Progress::Stopped,
                lines: Vec::new(),
                more: 0,
                remarks: Vec::new(),
                more_remarks: 0,
            };
            let words = Language::English.words();
            assert_eq!(said(&job, words).as_deref(), Some(expected));
            // The steps of a work are not announced.
            let is_news = |progress| {
                let job = Some(FillingJob { progress, ..job.clone() });
                let now = Timestamp::UNIX_EPOCH.to_zoned_datetime(jiff::tz::TimeZone::UTC);
                statistics(Filling { offered: true, job }, words, &now).unwrap().is_news
            };
            assert!(is_news(Progress::Waiting) && is_news(Progress::Done));
            assert!(!is_news(Progress::At(1, 2)));
        }
    }
}
