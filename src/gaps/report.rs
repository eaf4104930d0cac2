//! What was done, in words.

use std::fmt::Write as _;

use tracing::info;

use home_assistant::{Import, Kept, Left, Outcome, Reason, Row, Unsuitable};

/// What was done, or would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// By entity id.
    pub(crate) entities: Vec<(String, OfEntity)>,
}

/// What happened to the gaps of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OfEntity {
    /// Its gaps were filled, or would be.
    Filled { unit: String, outcome: Outcome },
    /// It has no statistics that can be filled.
    Unsuitable(Unsuitable),
    /// Its readings cannot be converted exactly.
    Inexact { ours: String, theirs: String },
}

/// What became of one import that was to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undone {
    pub(crate) entity_id: String,
    pub(crate) kept: Kept,
    /// Whether the rows are no longer those that were written, so that they stay.
    pub(crate) is_changed: bool,
}

impl Report {
    /// Logs what was filled.
    pub(super) fn log(&self) {
        for (id, hours) in self.filled() {
            info!("Filled {hours} h of {id} in Home Assistant's statistics.");
        }
    }

    /// The number of hours that were filled, and the entities that they belong to.
    pub(crate) fn filled(&self) -> Vec<(&str, usize)> {
        let hours = |done: &OfEntity| match done {
            OfEntity::Filled { outcome, .. } => {
                outcome.filled.iter().map(|import| import.rows().len()).sum()
            }
            OfEntity::Unsuitable(_) | OfEntity::Inexact { .. } => 0,
        };
        let all = self.entities.iter().map(|(id, done)| (id.as_str(), hours(done)));
        all.filter(|(_, hours)| *hours > 0).collect()
    }
}

/// The time of an hour's start.
fn start(row: &Row) -> String {
    row.hour.start().to_string()
}

fn hours(count: usize) -> String {
    match count {
        1 => "1 hour".to_owned(),
        count => format!("{count} hours"),
    }
}

/// Everything that was filled, or would be.
pub(crate) fn filled_words(report: &Report, is_dry: bool) -> String {
    let mut text = String::new();
    if report.entities.is_empty() {
        return "Home Assistant has no entity of a counter with stored readings.\n".to_owned();
    }
    for (id, done) in &report.entities {
        let before = text.len();
        if let OfEntity::Filled { unit, outcome } = done {
            let verb = if is_dry { "Would fill" } else { "Filled" };
            for import in &outcome.filled {
                let _ = writeln!(text, "{id}: {verb} {}:", hours(import.rows().len()));
                rows(&mut text, import, unit);
            }
        }
        for remark in remarks_of(id, done) {
            let _ = writeln!(text, "{remark}");
        }
        if text.len() == before {
            let _ = writeln!(text, "{id}: No gaps that stored readings can fill.");
        }
    }
    text
}

/// What was left alone, and why.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    report.entities.iter().flat_map(|(id, done)| remarks_of(id, done)).collect()
}

fn remarks_of(id: &str, done: &OfEntity) -> Vec<String> {
    let Outcome { left, restarted, undone, .. } = match done {
        OfEntity::Unsuitable(reason) => return vec![format!("{id}: {reason}.")],
        OfEntity::Inexact { ours, theirs } => {
            return vec![format!(
                "{id}: its statistics are in {theirs}. The readings in {ours} cannot be converted \
                 exactly."
            )];
        }
        OfEntity::Filled { outcome, .. } => outcome,
    };
    let mut all: Vec<_> = left.iter().map(|left| format!("{id}: {}", left_words(left))).collect();
    all.extend(restarted.iter().map(|hour| {
        format!(
            "{id}: Left the gap before {} alone: Home Assistant's sum begins again at 0 after it.",
            hour.start()
        )
    }));
    if *undone > 0 {
        all.push(format!("{id}: Left gaps alone that an undo has brought back: {undone}."));
    }
    all
}

fn rows(text: &mut String, import: &Import, unit: &str) {
    for row in import.rows() {
        let old = import.replaced().iter().find(|old| old.hour == row.hour);
        let old = old.map(|old| format!(", before: {} and {}", old.state, old.sum));
        let (start, state, sum) = (start(row), row.state, row.sum);
        let old = old.unwrap_or_default();
        let _ = writeln!(text, "  {start}  state {state} {unit}, sum {sum} {unit}{old}");
    }
}

fn left_words(left: &Left) -> String {
    let Left { first, last, reason } = left;
    let gap = format!("Left the gap from {} to {} alone", first.start(), last.next().start());
    match reason {
        Reason::Unknown(hour) => {
            format!("{gap}: there is no reading of {}.", hour.next().start())
        }
        Reason::Fell => format!("{gap}: the counter fell, or belongs to another meter."),
        Reason::Broken => format!("{gap}: Home Assistant's sums before and after do not match."),
        Reason::TooLarge => format!("{gap}: a number is too large."),
        Reason::TooLong => format!("{gap}: it is too long to be filled at once."),
    }
}

/// What was taken back.
pub(crate) fn undone_words(undone: &[Undone]) -> String {
    if undone.is_empty() {
        return "There is nothing to undo.\n".to_owned();
    }
    let mut text = String::new();
    for Undone { entity_id, kept, is_changed } in undone {
        let since = kept.written.first().map(start).unwrap_or_default();
        let count = hours(kept.written.len());
        let _ = if *is_changed {
            writeln!(text, "{entity_id}: Left {count} from {since} alone: they have changed since.")
        } else {
            writeln!(text, "{entity_id}: Restored {count} from {since}.")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use home_assistant::Hour;
    use rust_decimal::Decimal;

    use super::*;

    fn hour(number: u8) -> Hour {
        let text = format!("2026-11-28T{number:02}:00:00Z");
        Hour::beginning(text.parse().unwrap()).unwrap()
    }

    fn row(number: u8) -> Row {
        Row { hour: hour(number), state: Decimal::new(1004, 1), sum: Decimal::new(104, 1) }
    }

    #[test]
    fn gaps_that_are_left_alone_have_a_reason() {
        let left = |reason| Left { first: hour(10), last: hour(11), reason };
        let outcome = Outcome {
            left: vec![
                left(Reason::Unknown(hour(11))),
                left(Reason::Fell),
                left(Reason::Broken),
                left(Reason::TooLarge),
                left(Reason::TooLong),
            ],
            restarted: vec![hour(12)],
            undone: 1,
            ..Outcome::default()
        };
        let entities = vec![
            ("sensor.a".to_owned(), OfEntity::Filled { unit: "kWh".to_owned(), outcome }),
            ("sensor.b".to_owned(), OfEntity::Unsuitable(Unsuitable::NoSum)),
            (
                "sensor.c".to_owned(),
                OfEntity::Inexact { ours: "GJ".to_owned(), theirs: "kWh".to_owned() },
            ),
            (
                "sensor.d".to_owned(),
                OfEntity::Filled { unit: "kWh".to_owned(), outcome: Outcome::default() },
            ),
        ];
        let report = Report { entities };
        assert_eq!(report.filled(), []);
        let gap = "sensor.a: Left the gap from 2026-11-28T10:00:00Z to 2026-11-28T12:00:00Z alone";
        let expected = format!(
            "{gap}: there is no reading of 2026-11-28T12:00:00Z.\n\
             {gap}: the counter fell, or belongs to another meter.\n\
             {gap}: Home Assistant's sums before and after do not match.\n\
             {gap}: a number is too large.\n\
             {gap}: it is too long to be filled at once.\n\
             sensor.a: Left the gap before 2026-11-28T12:00:00Z alone: Home Assistant's sum begins \
             again at 0 after it.\n\
             sensor.a: Left gaps alone that an undo has brought back: 1.\n\
             sensor.b: Home Assistant keeps no sum of it.\n\
             sensor.c: its statistics are in kWh. The readings in GJ cannot be converted exactly.\n\
             sensor.d: No gaps that stored readings can fill.\n"
        );
        assert_eq!(filled_words(&report, false), expected);
    }

    #[test]
    fn an_undo_says_what_it_has_restored() {
        let undone = |is_changed| Undone {
            entity_id: "sensor.a".to_owned(),
            kept: Kept { written: vec![row(10), row(11)], replaced: vec![] },
            is_changed,
        };
        assert_eq!(
            undone_words(&[undone(false), undone(true)]),
            "sensor.a: Restored 2 hours from 2026-11-28T10:00:00Z.\n\
             sensor.a: Left 2 hours from 2026-11-28T10:00:00Z alone: they have changed since.\n"
        );
        assert_eq!(undone_words(&[]), "There is nothing to undo.\n");
    }
}
