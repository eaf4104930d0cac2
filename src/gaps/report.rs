//! What was done, in words.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use tracing::info;

use super::counters::{LogState, LogUse, Stored};
use super::unattended::ZoneTrouble;
use home_assistant::{
    Import, Joint, Kept, Left, Outcome, Prepended, Raised, Reason, Refusal, Row, Unsuitable,
};

/// What was done, or would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// By entity id.
    pub(crate) entities: Vec<(String, OfEntity)>,
    /// The id of the entity that is being filled, its unit, and what was done so far.
    current: Option<(String, String, Outcome)>,
    /// Whether the hours before the first one were asked for, and no log of a meter is kept.
    pub(crate) has_no_log: bool,
    /// The entities whose meter's log was not used, because it does not fit the readings.
    pub(crate) odd_logs: Vec<String>,
    /// Why no log was used at all.
    pub(crate) zone: Option<ZoneTrouble>,
    /// The entities whose meter's logs contradict each other.
    pub(crate) contradictions: Vec<String>,
    /// The entities for which something is missing before the log can be used.
    pub(crate) waiting: Vec<(String, Wait)>,
}

/// What is missing before the log of a meter can be used while nobody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Readings of the same hours.
    Readings,
    /// Hours of the same days.
    Days,
    /// The log of hours or that of days.
    Logs,
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
    /// What was written was taken back, or that was begun.
    Withdrawn,
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
    /// Notes what happened to an entity.
    pub(super) fn note(&mut self, id: &str, done: OfEntity) {
        self.entities.push((id.to_owned(), done));
    }

    /// Begins with an entity. The result is for what is done.
    pub(super) fn begin(&mut self, id: &str, unit: &str) -> &mut Outcome {
        let (_, _, outcome) =
            self.current.insert((id.to_owned(), unit.to_owned(), Outcome::default()));
        outcome
    }

    /// Notes that everything is done for the entity that was begun.
    pub(super) fn end(&mut self) {
        if let Some((id, unit, outcome)) = self.current.take() {
            self.entities.push((id, OfEntity::Filled { unit, outcome }));
        }
    }

    /// Notes that the work has ended early. The entity that is not finished counts if something was
    /// done for it.
    pub(crate) fn close(&mut self) {
        if self.current.as_ref().is_some_and(|(_, _, outcome)| outcome.has_changes()) {
            self.end();
        }
        self.current = None;
    }

    /// Notes what became of the meter's log. Without all readings, it is not known what is missing.
    pub(super) fn note_log(&mut self, id: &str, stored: &Stored, log_use: LogUse, is_all: bool) {
        let is_it = |(of, done): &(String, OfEntity)| of == id && *done == OfEntity::Withdrawn;
        if self.entities.iter().any(is_it) {
            return;
        }
        self.has_no_log |= log_use == LogUse::ByHand && stored.logs == [false, false];
        let state = stored.log_state();
        match state {
            LogState::Differs => self.odd_logs.push(id.to_owned()),
            LogState::Contradicts => self.contradictions.push(id.to_owned()),
            LogState::Fits | LogState::TooFew | LogState::TooFewDays => {}
        }
        let wait = match state {
            _ if log_use != LogUse::Unattended || self.zone.is_some() || !is_all => None,
            _ if stored.logs != [true, true] => Some(Wait::Logs),
            LogState::TooFew => Some(Wait::Readings),
            LogState::TooFewDays => Some(Wait::Days),
            LogState::Fits | LogState::Differs | LogState::Contradicts => None,
        };
        self.waiting.extend(wait.map(|wait| (id.to_owned(), wait)));
    }

    /// Why less was written than the meter has logged.
    pub(super) fn reasons(&self) -> Vec<String> {
        let odd_logs = self.odd_logs.iter().map(|id| odd_log_words(id));
        let contradictions = self.contradictions.iter().map(|id| contradiction_words(id));
        let waiting = self.waiting.iter().map(|(id, wait)| wait_words(id, *wait));
        let of_entities = self.entities.iter().filter_map(|(id, done)| match done {
            OfEntity::Withdrawn => Some(format!("{id}: {WITHDRAWN}")),
            OfEntity::Filled { outcome, .. } => {
                let before = outcome.before.as_ref()?;
                let refused = before.refused.as_ref()?;
                Some(format!("{id}: {}", refusal_words(refused, !before.imports.is_empty())))
            }
            OfEntity::Unsuitable(_) | OfEntity::Inexact { .. } => None,
        });
        let zone = self.zone.iter().map(zone_words);
        zone.chain(odd_logs).chain(contradictions).chain(waiting).chain(of_entities).collect()
    }

    /// Logs what was filled.
    pub(super) fn log(&self) {
        for (id, done) in &self.entities {
            let OfEntity::Filled { outcome, .. } = done else { continue };
            let before = outcome.before.iter().flat_map(|before| &before.imports);
            let rows: usize = before.map(|import| import.rows().len()).sum();
            if outcome.before.as_ref().is_some_and(|before| before.is_again) {
                info!("{id}: {AGAIN}");
            }
            if rows > 0 {
                info!(
                    "Wrote {rows} hours and days of {id} before the first hour of Home Assistant."
                );
            }
            let hours: usize = outcome.filled.iter().map(|import| import.rows().len()).sum();
            if hours > 0 {
                info!("Filled {hours} h of {id} in Home Assistant's statistics.");
            }
        }
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

/// What is said if the hours before the first one were asked for, and no log of the meter is kept.
const NO_LOG: &str = "No log of the meter was read yet, so only stored readings were used. Read it \
                      as the same user with `kamstrup2mqtt history --log day` and `kamstrup2mqtt \
                      history --log hour`, with `--meter` if there are several.\n";

fn odd_log_words(id: &str) -> String {
    format!(
        "{id}: The meter's log was not used, because it does not show what was read at the same \
         hours. Check the time zone of this machine and the clock of the meter."
    )
}

fn contradiction_words(id: &str) -> String {
    format!(
        "{id}: The meter's log was not used, because its log of days does not show what its log of \
         hours shows. The clock of the meter may have been set."
    )
}

const WITHDRAWN: &str = "Left alone, because an undo was begun.";

fn zone_words(trouble: &ZoneTrouble) -> String {
    match trouble {
        ZoneTrouble::Universal => {
            "The meter's log was not used, because the time zone here is UTC. \
                                   Set the variable `TZ` to the zone of the meter, such as \
                                   `Europe/Copenhagen`."
                .to_owned()
        }
        ZoneTrouble::Differs(theirs) => format!(
            "The meter's log was not used, because the time zone here is not that of Home Assistant \
             (`{}`). Set both to the zone of the meter.",
            theirs.as_deref().unwrap_or("unknown")
        ),
    }
}

fn wait_words(id: &str, wait: Wait) -> String {
    match wait {
        Wait::Readings => format!(
            "{id}: Waiting for more hours that have both a reading and an entry of the meter's log, \
             and in which something was counted: 24 are needed. Read the log of hours again after \
             some days."
        ),
        Wait::Days => format!(
            "{id}: Waiting for two days that both logs of the meter have, and in which something \
             was counted. Read both logs again on the same day."
        ),
        Wait::Logs => format!(
            "{id}: Waiting for the meter's log of hours and its log of days, if the meter gives \
             them. The time before Home Assistant's first hour is written when entries of both were \
             read."
        ),
    }
}

/// Everything that was filled, or would be.
pub(crate) fn filled_words(report: &Report, is_dry: bool) -> String {
    let mut text = String::new();
    if report.has_no_log {
        text.push_str(NO_LOG);
    }
    for id in &report.odd_logs {
        let _ = writeln!(text, "{}", odd_log_words(id));
    }
    if report.entities.is_empty() {
        return "Home Assistant has no entity of a counter with stored readings.\n".to_owned();
    }
    for (id, done) in &report.entities {
        let before = text.len();
        if let OfEntity::Filled { unit, outcome } = done {
            for import in outcome.before.iter().flat_map(|before| &before.imports) {
                let (verb, count) =
                    (if is_dry { "Would write" } else { "Wrote" }, import.rows().len());
                let count = hours(count);
                let _ =
                    writeln!(text, "{id}: {verb} {count} before the first one of Home Assistant:");
                rows(&mut text, import, unit, |row| outcome.final_sum(row, is_dry));
            }
            let verb = if is_dry { "Would fill" } else { "Filled" };
            for import in &outcome.filled {
                let _ = writeln!(text, "{id}: {verb} {}:", hours(import.rows().len()));
                rows(&mut text, import, unit, |row| outcome.final_sum(row, is_dry));
            }
        }
        for remark in remarks_of(id, done, is_dry) {
            let _ = writeln!(text, "{remark}");
        }
        if text.len() == before {
            let _ = writeln!(text, "{id}: No gaps that stored readings can fill.");
        }
    }
    text
}

/// What else was done or left alone, and why.
pub(super) fn remarks(report: &Report, is_dry: bool) -> Vec<String> {
    let no_log = report.has_no_log.then(|| NO_LOG.trim_end().to_owned());
    let of_entities = report.entities.iter().flat_map(|(id, done)| remarks_of(id, done, is_dry));
    let odd_logs = report.odd_logs.iter().map(|id| odd_log_words(id));
    let contradictions = report.contradictions.iter().map(|id| contradiction_words(id));
    let waiting = report.waiting.iter().map(|(id, wait)| wait_words(id, *wait));
    let zone = report.zone.iter().map(zone_words);
    let of_log =
        no_log.into_iter().chain(zone).chain(odd_logs).chain(contradictions).chain(waiting);
    of_log.chain(of_entities).collect()
}

fn remarks_of(id: &str, done: &OfEntity, is_dry: bool) -> Vec<String> {
    let (unit, outcome) = match done {
        OfEntity::Unsuitable(reason) => return vec![format!("{id}: {reason}.")],
        OfEntity::Withdrawn => return vec![format!("{id}: {WITHDRAWN}")],
        OfEntity::Inexact { ours, theirs } => {
            return vec![format!(
                "{id}: its statistics are in {theirs}. The readings in {ours} cannot be converted \
                 exactly."
            )];
        }
        OfEntity::Filled { unit, outcome } => (unit, outcome),
    };
    let Outcome { before, left, repaired, undone, .. } = outcome;
    let mut all = before.as_ref().map(|it| before_words(it, unit, is_dry)).unwrap_or_default();
    for raised in repaired {
        all.push(format!("{} They began again at 0 then.", raised_words(raised, unit, is_dry)));
        if is_dry {
            all.push("The gap before that would be filled after it.".to_owned());
        }
    }
    all.extend(left.iter().map(left_words));
    if *undone > 0 {
        all.push(format!("Left gaps alone that an undo has brought back: {undone}."));
    }
    all.into_iter().map(|words| format!("{id}: {words}")).collect()
}

/// What is said if rows that an earlier run has written do not exist any more.
const AGAIN: &str = "Home Assistant no longer has the hours that an earlier run has written: its \
                     database was restored or replaced. So they are written again.";

/// What was done before the first hour of Home Assistant, apart from the rows.
fn before_words(before: &Prepended, unit: &str, is_dry: bool) -> Vec<String> {
    let Prepended { imports, raised, refused, is_undone, is_again } = before;
    let mut all = Vec::new();
    if *is_again {
        all.push(AGAIN.to_owned());
    }
    all.extend(raised.iter().map(|raised| raised_words(raised, unit, is_dry)));
    all.extend(refused.as_ref().map(|refused| refusal_words(refused, !imports.is_empty())));
    if *is_undone {
        all.push(
            "Left the time before the first hour of Home Assistant alone, because it was undone."
                .to_owned(),
        );
    }
    all
}

/// What happened to all later sums.
pub(super) fn raised_words(raised: &Raised, unit: &str, is_dry: bool) -> String {
    let verb = if is_dry { "Would raise" } else { "Raised" };
    let Raised { from, by } = raised;
    format!("{verb} all sums from {} on by {by} {unit}.", from.start())
}

/// Why nothing, or nothing more, was written before the first hour of Home Assistant.
pub(super) fn refusal_words(refusal: &Refusal, was_written: bool) -> String {
    let nothing = if was_written { "nothing more" } else { "nothing" };
    format!("Wrote {nothing} before the first hour of Home Assistant: {refusal}.")
}

fn rows(text: &mut String, import: &Import, unit: &str, sum: impl Fn(&Row) -> Decimal) {
    for row in import.rows() {
        let old = import.replaced().iter().find(|old| old.hour == row.hour);
        let old = old.map(|old| format!(", before: {} and {}", old.state, old.sum));
        let (start, state, sum) = (start(row), row.state, sum(row));
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
        Reason::Odd => format!("{gap}: another program has written a row of it without a state."),
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
        if let Some(joint) = &kept.joint {
            let _ = writeln!(text, "{entity_id}: {}", joint_words(joint, *is_changed));
            continue;
        }
        let _ = if *is_changed {
            writeln!(text, "{entity_id}: Left {count} from {since} alone: they have changed since.")
        } else {
            writeln!(text, "{entity_id}: Restored {count} from {since}.")
        };
    }
    text
}

/// What became of an adjustment, and of the rows before it.
pub(super) fn joint_words(joint: &Joint, is_changed: bool) -> String {
    let live = start(&joint.live);
    let rows =
        joint.oldest.as_ref().map(|oldest| format!("the hours from {} to {live}", start(oldest)));
    match (rows, is_changed) {
        (Some(rows), true) => format!("Left {rows} alone: they have changed since."),
        (None, true) => format!("Left the sums from {live} on alone: they have changed since."),
        (Some(rows), false) => format!("Emptied {rows}, and lowered all later sums again."),
        (None, false) => format!("Lowered all sums from {live} on again."),
    }
}

#[cfg(test)]
mod tests {
    use home_assistant::Hour;

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
                left(Reason::Odd),
                left(Reason::TooLarge),
                left(Reason::TooLong),
            ],
            repaired: vec![Raised { from: hour(12), by: Decimal::from(7) }],
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
        let report = Report { entities, ..Report::default() };
        let gap = "sensor.a: Left the gap from 2026-11-28T10:00:00Z to 2026-11-28T12:00:00Z alone";
        let expected = format!(
            "sensor.a: Raised all sums from 2026-11-28T12:00:00Z on by 7 kWh. They began again at 0 \
             then.\n\
             {gap}: there is no reading of 2026-11-28T12:00:00Z.\n\
             {gap}: the counter fell, or belongs to another meter.\n\
             {gap}: Home Assistant's sums before and after do not match.\n\
             {gap}: another program has written a row of it without a state.\n\
             {gap}: a number is too large.\n\
             {gap}: it is too long to be filled at once.\n\
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
            kept: Kept { written: vec![row(10), row(11)], replaced: vec![], joint: None },
            is_changed,
        };
        assert_eq!(
            undone_words(&[undone(false), undone(true)]),
            "sensor.a: Restored 2 hours from 2026-11-28T10:00:00Z.\n\
             sensor.a: Left 2 hours from 2026-11-28T10:00:00Z alone: they have changed since.\n"
        );
        assert_eq!(undone_words(&[]), "There is nothing to undo.\n");
        let joined = |oldest, is_changed| Undone {
            entity_id: "sensor.a".to_owned(),
            kept: Kept {
                written: vec![],
                replaced: vec![],
                joint: Some(Joint { oldest, live: row(11), by: Decimal::ONE }),
            },
            is_changed,
        };
        let all = [None, Some(row(7))].map(|oldest| [false, true].map(|it| joined(oldest, it)));
        let rows = "the hours from 2026-11-28T07:00:00Z to 2026-11-28T11:00:00Z";
        let expected = format!(
            "sensor.a: Lowered all sums from 2026-11-28T11:00:00Z on again.\n\
             sensor.a: Left the sums from 2026-11-28T11:00:00Z on alone: they have changed since.\n\
             sensor.a: Emptied {rows}, and lowered all later sums again.\n\
             sensor.a: Left {rows} alone: they have changed since.\n"
        );
        assert_eq!(undone_words(all.as_flattened()), expected);
    }

    #[test]
    fn what_a_log_waits_for_is_said() {
        let report = Report {
            entities: vec![("sensor.a".to_owned(), OfEntity::Withdrawn)],
            odd_logs: vec!["sensor.b".to_owned()],
            contradictions: vec!["sensor.e".to_owned()],
            zone: Some(ZoneTrouble::Differs(Some("Europe/London".to_owned()))),
            waiting: vec![
                ("sensor.c".to_owned(), Wait::Readings),
                ("sensor.f".to_owned(), Wait::Days),
                ("sensor.d".to_owned(), Wait::Logs),
            ],
            ..Report::default()
        };
        let universal = Report { zone: Some(ZoneTrouble::Universal), ..Report::default() };
        let all = [report.reasons(), universal.reasons()].concat();
        insta::assert_snapshot!(all.join("\n"));
        assert_eq!(remarks(&report, false), report.reasons());
    }

    #[test]
    fn what_was_written_before_the_first_hour_is_shown() {
        let report = |before| Report {
            entities: vec![(
                "sensor.a".to_owned(),
                OfEntity::Filled {
                    unit: "kWh".to_owned(),
                    outcome: Outcome { before: Some(before), ..Outcome::default() },
                },
            )],
            has_no_log: true,
            odd_logs: vec!["sensor.b".to_owned()],
            ..Report::default()
        };
        let raised = vec![Raised { from: hour(12), by: Decimal::new(3207, 1) }];
        let refused = Some(Refusal::Unknown);
        let done = Prepended { raised, refused, is_again: true, ..Prepended::default() };
        let head = "No log of the meter was read yet, so only stored readings were used. Read it as \
                    the same user with `kamstrup2mqtt history --log day` and `kamstrup2mqtt history \
                    --log hour`, with `--meter` if there are several.\n\
                    sensor.b: The meter's log was not used, because it does not show what was read \
                    at the same hours. Check the time zone of this machine and the clock of the \
                    meter.\n";
        let expected = format!(
            "{head}\
             sensor.a: Home Assistant no longer has the hours that an earlier run has written: its \
             database was restored or replaced. So they are written again.\n\
             sensor.a: Would raise all sums from 2026-11-28T12:00:00Z on by 320.7 kWh.\n\
             sensor.a: Wrote nothing before the first hour of Home Assistant: the meter was not \
             read after the first hour of Home Assistant.\n"
        );
        assert_eq!(filled_words(&report(done), true), expected);
        let undone = Prepended { is_undone: true, ..Prepended::default() };
        let expected = format!(
            "{head}sensor.a: Left the time before the first hour of Home Assistant alone, because \
             it was undone.\n"
        );
        assert_eq!(filled_words(&report(undone), false), expected);
    }
}
