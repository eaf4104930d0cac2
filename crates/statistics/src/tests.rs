//! Plans are carried out on a model of Home Assistant's recorder.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;

/// The rows of one entity in Home Assistant, which computes as the real one does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Recorder(BTreeMap<Hour, (Decimal, Decimal)>);

impl Recorder {
    /// Compiles an hour of an entity that continues.
    fn compile(&mut self, hour: Hour, state: Decimal) {
        let (_, (old, sum)) = self.0.last_key_value().expect("a row");
        let sum = sum + (state - old);
        self.0.insert(hour, (state, sum));
    }

    fn import(&mut self, import: &Import) {
        self.0.extend(import.rows().iter().map(|row| (row.hour, (row.state, row.sum))));
    }

    fn adjust(&mut self, adjustment: Adjustment) {
        for (_, (_, sum)) in self.0.range_mut(adjustment.from()..) {
            *sum += adjustment.by();
        }
    }

    fn series(&self) -> Series {
        self.series_until(NOW)
    }

    fn series_until(&self, end: Hour) -> Series {
        let row = |(hour, (state, sum)): (&Hour, &(Decimal, Decimal))| Row {
            hour: *hour,
            state: *state,
            sum: *sum,
        };
        Series::new(self.0.iter().map(row), Compiled::at(end.start()))
    }

    /// The bars of the energy dashboard: what was counted from each row to the next.
    fn bars(&self) -> Vec<(Hour, Decimal)> {
        let rows: Vec<_> = self.0.iter().collect();
        let bar = |pair: &[(&Hour, &(Decimal, Decimal))]| (*pair[1].0, pair[1].1.1 - pair[0].1.1);
        rows.windows(2).map(bar).collect()
    }
}

const NOW: Hour = hour(5000);

const fn hour(number: i64) -> Hour {
    Hour::numbered(490_000 + number)
}

fn index(number: usize) -> i64 {
    i64::try_from(number).expect("a small number")
}

fn kwh(number: i64) -> Decimal {
    Decimal::new(number, 2)
}

/// What a plan needs and Home Assistant does not keep.
#[derive(Debug, Default)]
struct Stored {
    first_live: Option<Hour>,
}

/// Does the next thing that has to be done. `false` if there is none.
fn step(recorder: &mut Recorder, stored: &mut Stored, counter: &Counter) -> bool {
    let Before { first_live, import, .. } =
        before(&recorder.series(), stored.first_live, counter).expect("a plan");
    stored.first_live = Some(first_live);
    if let Some(import) = import {
        recorder.import(&import);
        return true;
    }
    if let Some(adjustment) = Adjustment::at(&recorder.series(), first_live).expect("a plan") {
        recorder.adjust(adjustment);
        return true;
    }
    let found = gaps(&recorder.series(), counter);
    for gap in &found {
        match gap {
            Gap::Fill(import) => recorder.import(import),
            Gap::Repair(adjustment, _) => {
                recorder.adjust(*adjustment);
                return true;
            }
            Gap::Leave(left) => panic!("{left:?}"),
        }
    }
    !found.is_empty()
}

/// Does everything that has to be done.
fn run(recorder: &mut Recorder, stored: &mut Stored, counter: &Counter) -> usize {
    (0..50).find(|_| !step(recorder, stored, counter)).expect("an end")
}

fn counter(readings: impl IntoIterator<Item = (i64, i64)>) -> Counter {
    Counter::new(readings.into_iter().map(|(number, value)| (hour(number), kwh(value))))
}

/// Rows of hours, with state and sum.
fn recorder(rows: &[(i64, i64, i64)]) -> Recorder {
    let row = |&(number, state, sum): &(i64, i64, i64)| (hour(number), (kwh(state), kwh(sum)));
    Recorder(rows.iter().map(row).collect())
}

/// Home Assistant keeps states for a day at least, so a sum that differs after a shorter gap was
/// corrected by the user.
#[test]
fn a_sum_that_the_user_has_corrected_is_left_alone() {
    let repairs = |hours: i64| {
        let readings = counter((9..=hours + 12).map(|number| (number, 100 + number)));
        let after = hours + 11;
        let rows = recorder(&[
            (9, 109, 9),
            (10, 110, 10),
            (after, 100 + after, 3),
            (after + 1, 101 + after, 4),
        ]);
        gaps(&rows.series(), &readings)
    };
    let reason = |gap: &Gap| match gap {
        Gap::Leave(left) => left.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(repairs(23).iter().map(reason).collect::<Vec<_>>(), [Reason::Broken]);
    assert!(matches!(repairs(24)[..], [Gap::Repair(..)]));
}

#[test]
fn an_hour_counts_as_compiled_a_minute_after_its_end() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let thirteen = Hour::beginning(at("2026-11-28T13:00:00Z")).unwrap();
    for (now, is_compiled) in [
        ("2026-11-28T13:30:00Z", false),
        ("2026-11-28T14:00:05Z", false),
        ("2026-11-28T14:00:59Z", false),
        ("2026-11-28T14:01:00Z", true),
    ] {
        assert_eq!(Compiled::at(at(now)).has(thirteen), is_compiled, "{now}");
    }
    assert_eq!(Compiled::when(thirteen), at("2026-11-28T14:01:00Z"));
    assert_eq!(Hour::beginning(at("2026-11-28T13:00:01Z")), None);
}

#[test]
fn a_row_that_is_not_compiled_is_not_seen_and_never_written() {
    let rows = [Row { hour: NOW.previous(), state: kwh(1), sum: kwh(1) }];
    let series = Series::new(rows, Compiled::at(NOW.start()));
    assert_eq!(before(&series, None, &Counter::default()), Err(Refusal::NoRow));
}

#[test]
fn hours_before_the_first_row_are_imported_and_joined() {
    let counter = counter([(1, 500), (2, 510), (3, 530), (4, 560)]);
    // Home Assistant saw the first value during hour 3, at 5.40.
    let mut recorder = recorder(&[(3, 560, 20)]);
    let mut stored = Stored::default();
    run(&mut recorder, &mut stored, &counter);
    let bars = [(hour(1), kwh(10)), (hour(2), kwh(20)), (hour(3), kwh(30))];
    assert_eq!(recorder.bars(), bars);
    assert_eq!(recorder.0[&hour(0)], (kwh(500), kwh(0)));
    let first = recorder.clone();
    assert_eq!(run(&mut recorder, &mut stored, &counter), 0);
    assert_eq!(recorder, first);
}

/// The log of days may be read after the hours were written. Older rows are joined to the oldest row
/// of the first import, so that no bar changes but its own.
#[test]
fn a_longer_history_is_joined_to_what_was_imported() {
    let mut recorder = recorder(&[(3, 560, 20)]);
    let mut stored = Stored::default();
    run(&mut recorder, &mut stored, &counter([(2, 510), (3, 530), (4, 560)]));
    let first = recorder.clone();
    let longer = counter([(0, 450), (1, 500), (2, 510), (3, 530), (4, 560)]);
    assert_eq!(run(&mut recorder, &mut stored, &longer), 0);
    let plan = before(&recorder.series(), None, &longer).unwrap();
    let live = *recorder.series().rows().next().unwrap();
    assert_eq!((plan.first_live, live.hour), (hour(1), hour(1)));
    let import = plan.import.unwrap();
    let joint = Joint { oldest: import.rows().first().copied(), live, by: plan.raise };
    recorder.import(&import);
    recorder.adjust(Adjustment::at(&recorder.series(), live.hour).unwrap().unwrap());
    let bars = [(0, 50), (1, 10), (2, 20), (3, 30)];
    assert_eq!(recorder.bars(), bars.map(|(number, used)| (hour(number), kwh(used))));
    assert_eq!(recorder.0[&hour(-1)], (kwh(450), kwh(0)));
    assert_eq!(between(&recorder.series(), hour(3), &longer), Ok(None));
    let removal = Removal::plan(&recorder.series(), &joint).unwrap();
    for hour in removal.hours() {
        recorder.0.remove(hour);
    }
    recorder.adjust(removal.adjustment().unwrap());
    assert_eq!(recorder, first);
}

#[test]
fn hours_between_joined_rows_are_written_unless_somebody_has_changed_the_sums() {
    let known = counter([(0, 450), (1, 500), (2, 510), (3, 530), (4, 560), (5, 570)]);
    let joined = [(-1, 450, 0), (1, 510, 60), (3, 560, 110), (4, 570, 120)];
    let rows = between(&recorder(&joined).series(), hour(3), &known).unwrap().unwrap();
    let rows: Vec<_> = rows.rows().iter().map(|row| (row.hour, row.state, row.sum)).collect();
    let expected = [(0, 500, 50), (2, 530, 80)];
    assert_eq!(rows, expected.map(|(number, state, sum)| (hour(number), kwh(state), kwh(sum))));
    for (changed, by) in [(0, 1), (1, 1), (2, -30), (2, 30)] {
        let mut rows = joined;
        rows[changed].2 += by;
        let refused = between(&recorder(&rows).series(), hour(3), &known);
        assert_eq!(refused, Err(Refusal::Adjusted), "{changed}");
    }
    // Later sums are not looked at.
    let mut rows = joined;
    rows[3].2 -= 50;
    assert!(between(&recorder(&rows).series(), hour(3), &known).unwrap().is_some());
    // A new meter's log reaches back, too.
    let other = counter([(0, 4500), (1, 5000), (2, 5100), (3, 5300), (4, 5600)]);
    let refused = between(&recorder(&joined).series(), hour(3), &other);
    assert!(matches!(refused, Err(Refusal::Fell { .. })), "{refused:?}");
    assert_eq!(between(&recorder(&[]).series(), hour(3), &known), Ok(None));
}

#[test]
fn nothing_before_a_fall_is_imported() {
    let counter = counter([(1, 9000), (2, 9100), (3, 30), (4, 60)]);
    let Before { import, .. } = before(&recorder(&[(3, 60, 20)]).series(), None, &counter).unwrap();
    let hours: Vec<_> = import.unwrap().rows().iter().map(|row| row.hour).collect();
    assert_eq!(hours, [hour(2)]);
}

#[test]
fn a_counter_of_another_meter_is_refused() {
    let refusal =
        before(&recorder(&[(3, 60, 20)]).series(), None, &counter([(1, 9000), (2, 9100)]));
    assert_eq!(refusal, Err(Refusal::Fell { before: kwh(9100), live: kwh(60) }));
}

/// A new meter has counted in a test bench, or in another house.
#[test]
fn nothing_of_a_new_meter_is_written_before_the_hours_of_the_old_one() {
    let refused = |readings: &[(i64, i64)]| {
        let counter = counter(readings.iter().copied());
        before(&recorder(&[(3, 5000, 20)]).series(), None, &counter).unwrap_err()
    };
    let (live, after) = (kwh(5000), kwh(30));
    assert_eq!(refused(&[(1, 10), (2, 10), (9, 30)]), Refusal::OtherMeter { live, after });
    assert_eq!(refused(&[(1, 10), (2, 10)]), Refusal::Unknown);
}

#[test]
fn sums_that_somebody_has_raised_are_left_alone() {
    let counter = counter([(1, 500), (2, 510), (3, 530), (4, 560)]);
    let series = recorder(&[(3, 560, 61)]).series();
    assert_eq!(before(&series, None, &counter), Err(Refusal::Raised));
    let joined = recorder(&[(1, 510, 10), (3, 560, 61)]).series();
    assert_eq!(Adjustment::at(&joined, hour(3)), Err(Refusal::Raised));
}

#[test]
fn readings_of_another_source_only_fill_holes() {
    let counter = counter([(2, 200), (5, 500), (6, 600)]);
    // 3 and 4 fit; 5 is known; 1 is more than the counter showed later; 7 falls.
    let more = [(1, 210), (3, 200), (4, 499), (5, 501), (7, 600)];
    let more = more.map(|(number, value)| (hour(number), kwh(value)));
    let counter = counter.with_more(more);
    let known: Vec<_> = (0..8).map(|number| counter.at_end_of(hour(number - 1))).collect();
    let expected = [None, None, Some(200), Some(200), Some(499), Some(500), Some(600), Some(600)];
    assert_eq!(known, expected.map(|value| value.map(kwh)));
    assert_eq!(counter.first(), Some(hour(1)));
}

/// In summer, the entry of a day is made at 1:00. It counts as midnight, but not in the hour before
/// the first one of Home Assistant.
#[test]
fn days_are_used_before_all_hours_only() {
    let days = [(-48, 100), (-24, 110), (0, 120), (24, 140)];
    let days = days.map(|(number, value)| (hour(number), kwh(value)));
    let counter = counter([(3, 125), (4, 130)]).with_days(days);
    assert_eq!(counter.oldest(), Some(hour(-49)));
    assert_eq!(counter.at_end_of(hour(-25)), None);
    let plan = before(&recorder(&[(3, 130, 2)]).series(), None, &counter).unwrap();
    let rows = plan.import.unwrap();
    let rows: Vec<_> = rows.rows().iter().map(|row| (row.hour, row.sum)).collect();
    let expected = [(-49, 0), (-25, 10), (-1, 20), (2, 25)];
    assert_eq!(rows, expected.map(|(number, sum)| (hour(number), kwh(sum))));
    assert_eq!(plan.raise, kwh(28));
    // The entry at midnight may be of 1:00, when the row of that hour had less.
    let plan = before(&recorder(&[(0, 119, 2)]).series(), None, &counter).unwrap();
    let last = plan.import.unwrap().rows().last().unwrap().hour;
    assert_eq!(last, hour(-25));
}

#[test]
fn gaps_without_readings_are_found() {
    let rows = [(0, 100, 0), (1, 110, 10), (4, 140, 40), (5, 140, 40), (6, 160, 60), (9, 190, 90)];
    let series = recorder(&rows).series();
    let found = |readings: &[i64]| {
        let counter = counter(readings.iter().map(|number| (*number, 100 + number * 10)));
        uncovered(&series, &counter, hour(0))
    };
    assert_eq!(found(&[3, 4, 6, 8, 9]), None);
    assert_eq!(found(&[3, 4, 6, 8]), Some(hour(9)));
    assert_eq!(found(&[3, 4, 8, 9]), Some(hour(6)));
    assert_eq!(found(&[3, 6, 8, 9]), Some(hour(4)));
    assert_eq!(uncovered(&series, &Counter::default(), hour(9)), None);
}

#[test]
fn a_gap_after_which_the_meter_was_exchanged_is_left_alone() {
    let counter = counter([(1, 100), (2, 110), (7, 20), (8, 30)]);
    let series = recorder(&[(0, 100, 100), (1, 110, 110), (6, 20, 0), (7, 30, 10)]).series();
    let left = Left { first: hour(2), last: hour(5), reason: Reason::Fell };
    assert_eq!(gaps(&series, &counter), [Gap::Leave(left)]);
}

#[test]
fn a_new_meter_with_a_higher_counter_is_left_alone() {
    // The counter of the new meter alone is given: it was never read before the gap.
    let counter = counter([(37, 900), (38, 930)]);
    let series = recorder(&[(0, 100, 100), (1, 110, 110), (36, 900, 0), (37, 930, 30)]).series();
    let left = Left { first: hour(2), last: hour(35), reason: Reason::Broken };
    assert_eq!(gaps(&series, &counter), [Gap::Leave(left)]);
}

/// A log that was placed an hour early or late, or made by a clock that is wrong, is not used.
#[test]
fn a_log_of_another_time_does_not_agree() {
    let at = |minutes: i64| kwh(1_000 + minutes.pow(2) / 500);
    let readings = Counter::new((0..40).map(|number| (hour(number), at(60 * number))));
    let log = |late: i64| {
        (0..40).map(|number| (hour(number), at((60 * number + late).max(0)))).collect::<Vec<_>>()
    };
    for late in [0, 5, 10, -10] {
        assert!(readings.agrees_with(&log(late)), "{late}");
    }
    for late in [-120, -60, -45, 45, 60, 120] {
        assert!(!readings.agrees_with(&log(late)), "{late}");
    }
    // Nothing is known if there are few hours, or nothing was counted.
    assert!(readings.agrees_with(&log(60)[..5]));
    let still = Counter::new((0..40).map(|number| (hour(number), kwh(7))));
    assert!(still.agrees_with(&log(0)));
}

/// A counter of whole kWh that rises by one at these minutes, seen `late` minutes late at full hours.
fn seen(rises: &[i64], late: i64, hours: std::ops::Range<i64>) -> Vec<(Hour, Decimal)> {
    let shown = |minute: i64| rises.iter().filter(|at| **at <= minute).count();
    hours.map(|number| (hour(number), kwh(index(shown(60 * number - late))))).collect()
}

#[test]
fn a_log_is_proved_by_a_day_in_which_something_was_counted() {
    // In each hour, at another minute.
    let rises: Vec<i64> = (0..200).map(|number| 60 * number + 1 + number * 7 % 58).collect();
    let proof =
        |late, hours| Counter::new(seen(&rises, 0, 0..100)).proof(&seen(&rises, late, hours));
    for late in [-10, -5, 0, 5, 10] {
        assert_eq!(proof(late, 20..80), Proof::Proved, "{late}");
    }
    for late in [-1440, -120, -60, -30, -20, 20, 30, 60, 120, 1440] {
        assert_eq!(proof(late, 30..80), Proof::Differs, "{late}");
    }
    // The hours at both ends of the readings lack a neighbour.
    assert_eq!(proof(0, 1..26), Proof::Proved);
    assert_eq!(proof(0, 0..24), Proof::TooFew);
    assert_eq!(proof(60, 1..24), Proof::TooFew);
    assert_eq!(proof(0, 150..200), Proof::TooFew);
}

/// In summer, something is counted now and then. A log that is late by an hour agrees then.
#[test]
fn a_log_that_is_late_is_found_out_by_rare_use() {
    let rises: Vec<i64> = (0..60).map(|number| 600 * number + 30).collect();
    let readings = Counter::new(seen(&rises, 0, 0..600));
    for (late, expected) in [(0, Proof::Proved), (60, Proof::Differs), (-60, Proof::Differs)] {
        assert_eq!(readings.proof(&seen(&rises, late, 1..599)), expected, "{late}");
    }
    assert!(readings.agrees_with(&seen(&rises, 60, 1..599)));
    assert_eq!(readings.proof(&seen(&rises, 0, 1..200)), Proof::TooFew);
}

/// Many hours that fit must not outvote those since the clock was set, and the other way round.
#[test]
fn each_part_of_a_log_must_fit() {
    let rises: Vec<i64> = (0..400).map(|number| 60 * number + 30).collect();
    let readings = Counter::new(seen(&rises, 0, 0..400));
    for (first, second) in [(0, 60), (60, 0), (-60, 0)] {
        let mut log = seen(&rises, first, 1..200);
        log.extend(seen(&rises, second, 201..399));
        assert_eq!(readings.proof(&log), Proof::Differs, "{first} {second}");
    }
}

/// The oldest hours in both are nearest to those that only the log has.
#[test]
fn the_oldest_hours_of_a_log_must_fit() {
    let rises: Vec<i64> = (0..100).map(|number| 60 * number + 30).collect();
    let readings = Counter::new(seen(&rises, 0, 0..100));
    for (shifted, expected) in
        [(0, Proof::Proved), (6, Proof::Differs), (12, Proof::Differs), (20, Proof::Differs)]
    {
        let mut log = seen(&rises, -60, 30..30 + shifted);
        log.extend(seen(&rises, 0, 30 + shifted..30 + shifted + 24));
        assert_eq!(readings.proof(&log), expected, "{shifted}");
    }
}

/// Another row may stand beside a day whose entry was made an hour later.
#[test]
fn a_day_that_does_not_lie_between_its_neighbours_is_left_out() {
    let counter = Counter::new((10..=20).map(|number| (hour(number), kwh(100 + number))))
        .with_days([(hour(1), kwh(103)), (hour(5), kwh(105))]);
    let rows = [(-3, 90, -20), (1, 102, -8), (9, 110, 0), (10, 111, 1)];
    let import = between(&recorder(&rows).series(), hour(10), &counter).unwrap().unwrap();
    let written: Vec<_> = import.rows().iter().map(|row| row.hour).collect();
    assert_eq!(written, [hour(4)]);
}

/// Without rows on both sides, it is not known whether the sums are joined.
#[test]
fn sums_are_joined_only_if_there_are_rows_on_both_sides() {
    let superfluous =
        |rows: &[(i64, i64, i64)]| Adjustment::is_superfluous(&recorder(rows).series(), hour(3));
    assert!(superfluous(&[(2, 110, 10), (3, 120, 20)]));
    assert!(!superfluous(&[(2, 110, 10), (3, 120, 0)]));
    assert!(!superfluous(&[(2, 110, 10), (4, 120, 20)]));
    assert!(!superfluous(&[(3, 120, 20), (4, 120, 20)]));
}

/// What another program has written cannot be brought back, so it is not overwritten.
#[test]
fn rows_without_a_state_are_not_written() {
    let counter = counter((-5..=9).map(|number| (number, 98 + number)));
    let rows = [(0, 99, 0), (1, 100, 1), (5, 104, 5), (6, 105, 6)];
    let series = recorder(&rows).series();
    assert!(matches!(gaps(&series, &counter)[..], [Gap::Fill(_)]));
    let series = series.with_odd([hour(3)]);
    let left = Left { first: hour(2), last: hour(4), reason: Reason::Odd };
    assert_eq!(gaps(&series, &counter), [Gap::Leave(left)]);
    let series = recorder(&rows).series().with_odd([hour(-3)]);
    let import = before(&series, None, &counter).unwrap().import.unwrap();
    assert!(import.rows().iter().all(|row| row.hour != hour(-3)));
}

/// Its log reaches back, but shows that it was another one.
#[test]
fn a_new_meter_whose_log_was_read_is_left_alone() {
    let counter = counter((-5..=38).map(|number| (number, 870 + number)));
    let series = recorder(&[(0, 100, 100), (1, 110, 110), (36, 907, 0), (37, 908, 1)]).series();
    let left = Left { first: hour(2), last: hour(35), reason: Reason::Broken };
    assert_eq!(gaps(&series, &counter), [Gap::Leave(left)]);
}

#[test]
fn sums_that_do_not_belong_together_are_left_alone() {
    let counter = counter((1..=8).map(|number| (number, 90 + 10 * number)));
    // Somebody has lowered the sums before the gap.
    let series = recorder(&[(0, 100, 100), (1, 110, 110), (6, 160, 200), (7, 170, 210)]).series();
    let left = Left { first: hour(2), last: hour(5), reason: Reason::Broken };
    assert_eq!(gaps(&series, &counter), [Gap::Leave(left)]);
}

#[test]
fn a_repeated_row_with_an_unknown_counter_leaves_the_gap_alone() {
    let counter = counter([(1, 100), (2, 110), (3, 120), (6, 150)]);
    let series =
        recorder(&[(0, 100, 100), (1, 100, 100), (2, 100, 100), (3, 100, 100), (5, 150, 150)])
            .series();
    let left = Left { first: hour(1), last: hour(4), reason: Reason::Unknown(hour(3)) };
    assert_eq!(gaps(&series, &counter), [Gap::Leave(left)]);
}

#[test]
fn a_summer_without_heating_is_no_gap() {
    let counter = counter((1..=5).map(|number| (number, 100)));
    let series = recorder(&[(0, 100, 100), (1, 100, 100), (2, 100, 100), (5, 110, 110)]).series();
    // Hours 3 and 4 have no row; their counter is known.
    let found = gaps(&series, &counter);
    let [Gap::Fill(import)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(import.rows().iter().map(|row| row.hour).collect::<Vec<_>>(), [hour(3), hour(4)]);
    let quiet = recorder(&[(0, 100, 100), (1, 100, 100), (2, 100, 100), (3, 110, 110)]).series();
    assert_eq!(gaps(&quiet, &counter), []);
}

#[test]
fn a_gap_that_is_too_long_for_one_call_is_left_alone() {
    let most = index(Import::MOST);
    let counter = counter((0..=most + 20).map(|number| (number, 100 + number)));
    let found = |missing: i64| {
        let last = (missing + 2, 103 + missing);
        let rows = [(0, 101, 101), (1, 102, 102), (last.0, last.1, last.1)];
        gaps(&recorder(&rows).series_until(hour(most + 20)), &counter)
    };
    let [Gap::Fill(import)] = &found(most)[..] else { panic!() };
    assert_eq!(import.rows().len(), Import::MOST);
    let left = Left { first: hour(2), last: hour(most + 2), reason: Reason::TooLong };
    assert_eq!(found(most + 1), [Gap::Leave(left)]);
}

#[test]
fn a_gap_that_has_not_ended_is_left_out() {
    let counter = counter((1..=9).map(|number| (number, 90 + 10 * number)));
    let series = recorder(&[(0, 100, 100), (1, 105, 105), (2, 105, 105), (3, 105, 105)]).series();
    assert_eq!(gaps(&series, &counter), []);
}

#[test]
fn filled_rows_can_be_put_back() {
    let counter = counter((1..=5).map(|number| (number, 90 + 10 * number)));
    let mut recorder = recorder(&[(0, 100, 7), (1, 105, 12), (2, 105, 12), (4, 140, 47)]);
    let before = recorder.clone();
    let found = gaps(&recorder.series(), &counter);
    let [Gap::Fill(import)] = found.as_slice() else { panic!("{found:?}") };
    recorder.import(import);
    let bars: Vec<_> = recorder.bars().into_iter().map(|(_, bar)| bar).collect();
    assert_eq!(bars, [kwh(10); 4]);
    let replaced: Vec<_> = import.replaced().iter().map(|row| row.hour).collect();
    assert_eq!(replaced, [hour(1), hour(2)]);
    recorder.0.extend(import.replaced().iter().map(|row| (row.hour, (row.state, row.sum))));
    recorder.0.remove(&hour(3));
    assert_eq!(recorder, before);
}

/// A fill of missing and repeated rows, and what Home Assistant had before.
fn filled() -> (Recorder, Recorder, Import) {
    let counter = counter((1..=6).map(|number| (number, 90 + 10 * number)));
    let before = recorder(&[(0, 100, 7), (1, 105, 12), (2, 105, 12), (5, 150, 57)]);
    let mut recorder = before.clone();
    let found = gaps(&recorder.series(), &counter);
    let [Gap::Fill(import)] = found.as_slice() else { panic!("{found:?}") };
    recorder.import(import);
    (before, recorder, import.clone())
}

#[test]
fn an_undo_brings_all_bars_back() {
    let (before, mut recorder, import) = filled();
    let undo = Import::undo(&recorder.series(), import.rows(), import.replaced());
    recorder.import(&undo.unwrap().expect("rows"));
    for (hour, row) in &before.0 {
        assert_eq!(recorder.0[hour], *row, "{hour:?}");
    }
    // The rows that were missing repeat the row before, so that they are no bar.
    let bars = recorder.bars();
    let kept: Vec<_> = bars.iter().copied().filter(|(_, bar)| !bar.is_zero()).collect();
    let bars = before.bars();
    let expected: Vec<_> = bars.into_iter().filter(|(_, bar)| !bar.is_zero()).collect();
    assert_eq!(kept, expected);
    let again = Import::undo(&recorder.series(), import.rows(), import.replaced());
    assert_eq!(again, Ok(None));
}

#[test]
fn rows_that_were_changed_since_are_not_undone() {
    let (_, mut recorder, import) = filled();
    recorder.0.insert(hour(3), (kwh(999), kwh(999)));
    let undo = Import::undo(&recorder.series(), import.rows(), import.replaced());
    assert_eq!(undo, Err(Changed(hour(3))));
}

#[test]
fn an_undo_that_arrived_in_part_is_completed() {
    let (before, recorder, import) = filled();
    let undo = Import::undo(&recorder.series(), import.rows(), import.replaced());
    let undo = undo.unwrap().expect("rows");
    for arrived in 0..undo.rows().len() {
        let mut recorder = recorder.clone();
        for row in &undo.rows()[..arrived] {
            recorder.0.insert(row.hour, (row.state, row.sum));
        }
        let rest = Import::undo(&recorder.series(), import.rows(), import.replaced());
        recorder.import(&rest.unwrap().expect("rows"));
        for (hour, row) in &before.0 {
            assert_eq!(recorder.0[hour], *row, "{hour:?}");
        }
    }
}

#[test]
fn an_import_is_found_among_the_rows_that_were_read_back() {
    let (_, recorder, import) = filled();
    let rows: Vec<_> = recorder.series().rows().copied().collect();
    assert!(import.is_in(&rows));
    assert!(!import.is_in(&rows[..3]));
    let mut other = rows.clone();
    other[2].sum += kwh(1);
    assert!(!import.is_in(&other));
}

#[test]
fn rows_that_were_changed_since_are_not_removed() {
    let counter = counter([(1, 500), (2, 510), (3, 530), (4, 560)]);
    let mut recorder = recorder(&[(3, 560, 20)]);
    let joint = joint(&recorder, &counter).unwrap();
    run(&mut recorder, &mut Stored::default(), &counter);
    let changed = |at: i64, state: i64, sum: i64| {
        let mut recorder = recorder.clone();
        recorder.0.insert(hour(at), (kwh(state), kwh(sum)));
        Removal::plan(&recorder.series(), &joint).unwrap_err()
    };
    assert_eq!(changed(1, 510, 11), Changed(hour(1)));
    assert_eq!(changed(-1, 400, 0), Changed(hour(-1)));
    assert_eq!(changed(3, 560, 61), Changed(hour(3)));
    assert_eq!(changed(3, 561, 60), Changed(hour(3)));
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Unavailable,
    /// Longer than Home Assistant keeps states.
    Forgotten,
    Silent,
}

#[derive(Debug, Clone)]
struct Story {
    /// What is used in each hour.
    used: Vec<i64>,
    /// The first hour that Home Assistant records, and how much of it it sees.
    live: usize,
    seen: u8,
    /// From hours, for hours. The first hour of an outage is counted in part.
    outages: Vec<(usize, usize, Kind)>,
    /// How much of an hour its row lacks, in percent.
    lag: i64,
}

fn story() -> impl Strategy<Value = Story> {
    let kind = prop_oneof![Just(Kind::Unavailable), Just(Kind::Forgotten), Just(Kind::Silent)];
    let outage = (0_usize..20, 3_usize..12, kind);
    let used = proptest::collection::vec(prop_oneof![1 => Just(0), 3 => 1_i64..500], 100..260);
    (used, 0_usize..40, 0_u8..=100, proptest::collection::vec(outage, 0..4)).prop_map(
        |(mut used, live, seen, outages)| {
            // One after the other, with hours in between.
            let mut at = live + 3;
            let mut placed = Vec::new();
            for (wait, length, kind) in outages {
                let start = at + wait;
                // States are kept for a day at least.
                let length = if matches!(kind, Kind::Forgotten) { length + 24 } else { length };
                if start + length + 4 < used.len() {
                    placed.push((start, length, kind));
                    // What was used in the last hour alone may be a row that lags behind.
                    if let Some(used) = used.get_mut(start + 1) {
                        *used = (*used).max(1);
                    }
                }
                at = start + length + 3;
            }
            Story { used, live, seen, outages: placed, lag: 0 }
        },
    )
}

impl Story {
    fn counter_at(&self, number: usize) -> i64 {
        1000 + self.used.iter().take(number).sum::<i64>()
    }

    fn counter(&self) -> Counter {
        counter((0..=self.used.len()).map(|number| (index(number), self.counter_at(number))))
    }

    /// What Home Assistant has recorded.
    fn recorded(&self) -> Recorder {
        let part = |number: usize| self.used[number] * i64::from(self.seen) / 100;
        let mut recorder = Recorder::default();
        let mut is_forgotten = false;
        for number in self.live..self.used.len() {
            let at = hour(index(number));
            let mut state = self.counter_at(number + 1) - self.used[number] * self.lag / 100;
            if number == self.live {
                recorder.0.insert(at, (kwh(state), kwh(part(number))));
                continue;
            }
            let outage = self
                .outages
                .iter()
                .find(|(start, length, _)| (*start..start + length).contains(&number));
            if let Some((start, _, kind)) = outage {
                match kind {
                    _ if *start == number => {
                        let seen = part(number).min(self.used[number] * (100 - self.lag) / 100);
                        state = self.counter_at(number) + seen;
                    }
                    Kind::Silent => {
                        let last = recorder.0.last_key_value().expect("a row").1.0;
                        recorder.compile(at, last);
                        continue;
                    }
                    Kind::Unavailable => continue,
                    Kind::Forgotten => {
                        is_forgotten = true;
                        continue;
                    }
                }
            }
            if std::mem::take(&mut is_forgotten) {
                recorder.0.insert(at, (kwh(state), Decimal::ZERO));
            } else {
                recorder.compile(at, kwh(state));
            }
        }
        recorder
    }
}

/// What an undo needs: the joint as it is noted before the import.
fn joint(recorder: &Recorder, counter: &Counter) -> Option<Joint> {
    let series = recorder.series();
    let plan = before(&series, None, counter).unwrap();
    let live = *series.rows().find(|row| row.hour == plan.first_live).unwrap();
    let oldest = *plan.import?.rows().first()?;
    Some(Joint { oldest: Some(oldest), live, by: plan.raise })
}

/// The days of a meter's log, from 460 days back to 72 hours before hour `live`, and the hours
/// since.
fn log_of(used: &[i64], live: usize) -> (Counter, Vec<(Hour, Decimal)>) {
    let mut total = 100_000;
    let mut at = vec![total];
    for used in used {
        total += used;
        at.push(total);
    }
    let reading = |number: usize| (hour(index(number)), kwh(at[number]));
    let hours = (live - 72..at.len()).map(reading);
    let days = (0..=live).filter(|number| number % 24 == 0).map(reading);
    let days: Vec<_> = days.collect();
    (Counter::new(hours).with_days(days.clone()), days)
}

/// Home Assistant begins at hour `live`, and sees its second half.
fn since(used: &[i64], live: usize) -> Recorder {
    let mut recorder = Recorder::default();
    let mut state: i64 = 100_000 + used.iter().take(live + 1).sum::<i64>();
    recorder.0.insert(hour(index(live)), (kwh(state), kwh(used[live] / 2)));
    for (number, used) in used.iter().enumerate().skip(live + 1) {
        state += used;
        recorder.compile(hour(index(number)), kwh(state));
    }
    recorder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// 460 days and 72 hours. The run is killed anywhere in the import, before and after the
    /// adjustment.
    #[test]
    fn a_long_history_is_imported_once(
        used in proptest::collection::vec(0_i64..300, 200),
        killed in 0_usize..540,
        is_adjusted in any::<bool>(),
    ) {
        let live = 460 * 24 + 77;
        let used: Vec<_> = used.iter().copied().cycle().take(live + 40).collect();
        let (counter, days) = log_of(&used, live);
        let recorded = since(&used, live);
        let end = hour(index(live + 100));
        let plan = before(&recorded.series_until(end), None, &counter).unwrap();
        let import = plan.import.unwrap();
        let joint = {
            let oldest = import.rows().first().copied();
            let live = *recorded.series_until(end).rows().next().unwrap();
            Joint { oldest, live, by: plan.raise }
        };
        let mut recorder = recorded.clone();
        // The first run.
        for row in import.rows().iter().take(killed) {
            recorder.0.insert(row.hour, (row.state, row.sum));
        }
        if killed >= import.rows().len() && is_adjusted {
            let found = Adjustment::at(&recorder.series_until(end), joint.live.hour).unwrap();
            recorder.adjust(found.unwrap());
        }
        // The second.
        let again = before(&recorder.series_until(end), Some(joint.live.hour), &counter).unwrap();
        if let Some(import) = &again.import {
            recorder.import(import);
        }
        if let Some(found) = Adjustment::at(&recorder.series_until(end), joint.live.hour).unwrap() {
            prop_assert_eq!(found.by(), joint.by);
            recorder.adjust(found);
        }
        // The third has nothing to do.
        let series = recorder.series_until(end);
        let third = before(&series, Some(joint.live.hour), &counter).unwrap();
        prop_assert_eq!((third.import, third.raise), (None, Decimal::ZERO));
        prop_assert_eq!(Adjustment::at(&series, joint.live.hour), Ok(None));
        // 457 days, then 72 hours.
        let first: Vec<_> = recorder.0.iter().take(2).collect();
        prop_assert_eq!(first[0].1.1, Decimal::ZERO);
        prop_assert_eq!(first[1].1.1, days[1].1 - days[0].1);
        let counted = |from: Hour, to: Hour| recorder.0[&to].1 - recorder.0[&from].1;
        for (number, used) in used.iter().enumerate().skip(live - 71) {
            let at = hour(index(number));
            prop_assert_eq!(counted(at.previous(), at), kwh(*used));
        }
        // Taken back, and that is killed, too.
        let removal = Removal::plan(&series, &joint).unwrap();
        for hour in removal.hours().iter().take(killed) {
            recorder.0.remove(hour);
        }
        let removal = Removal::plan(&recorder.series_until(end), &joint).unwrap();
        for hour in removal.hours() {
            recorder.0.remove(hour);
        }
        recorder.adjust(removal.adjustment().unwrap());
        prop_assert_eq!(&recorder, &recorded);
        let removal = Removal::plan(&recorder.series_until(end), &joint).unwrap();
        prop_assert_eq!((removal.hours().len(), removal.adjustment()), (0, None));
    }
}

proptest! {
    /// Repairs of sums that began again are taken back, too.
    #[test]
    fn an_import_before_and_repairs_are_undone(story in story()) {
        let counter = story.counter();
        let recorded = story.recorded();
        let mut recorder = recorded.clone();
        let Some(joint) = joint(&recorder, &counter) else { return Ok(()) };
        let plan = before(&recorder.series(), None, &counter).unwrap();
        recorder.import(&plan.import.unwrap());
        if let Some(found) = Adjustment::at(&recorder.series(), joint.live.hour).unwrap() {
            recorder.adjust(found);
        }
        let mut joints = vec![joint];
        while let Some(adjustment) = gaps(&recorder.series(), &counter).into_iter().find_map(
            |gap| if let Gap::Repair(adjustment, _) = gap { Some(adjustment) } else { None },
        ) {
            let (live, by) = (*adjustment.first(), adjustment.by());
            joints.push(Joint { oldest: None, live, by });
            recorder.adjust(adjustment);
        }
        for joint in joints.iter().rev() {
            let removal = Removal::plan(&recorder.series(), joint).unwrap();
            for hour in removal.hours() {
                recorder.0.remove(hour);
            }
            if let Some(adjustment) = removal.adjustment() {
                recorder.adjust(adjustment);
            }
        }
        prop_assert_eq!(recorder, recorded);
    }

    #[test]
    fn every_bar_is_what_the_meter_counted(story in story()) {
        let counter = story.counter();
        let mut recorder = story.recorded();
        let mut stored = Stored::default();
        run(&mut recorder, &mut stored, &counter);
        for (at, bar) in recorder.bars() {
            let number = story.used.iter().enumerate().map(|(number, _)| number)
                .find(|number| hour(index(*number)) == at).unwrap();
            prop_assert_eq!(bar, kwh(story.used[number]), "hour {}", number);
        }
        prop_assert_eq!(recorder.0.len(), story.used.len() + 1);
        // The second run changes nothing.
        let first = recorder.clone();
        prop_assert_eq!(run(&mut recorder, &mut stored, &counter), 0);
        prop_assert_eq!(recorder, first);
    }

    #[test]
    fn an_interrupted_run_is_repaired_by_the_next(story in story(), steps in 0_usize..6) {
        let counter = story.counter();
        let mut whole = story.recorded();
        run(&mut whole, &mut Stored::default(), &counter);
        let mut recorder = story.recorded();
        let mut stored = Stored::default();
        for _ in 0..steps {
            step(&mut recorder, &mut stored, &counter);
        }
        run(&mut recorder, &mut stored, &counter);
        prop_assert_eq!(recorder, whole);
    }

    /// The reading of the full hour reaches Home Assistant a moment after it, so a row has the
    /// reading before. With a poll in each hour, that is the counter at the start of the hour.
    #[test]
    fn rows_that_lag_behind_are_no_gap(story in story(), lag in 0_i64..=100) {
        let mut recorder = Recorder::default();
        for number in story.live..story.used.len() {
            let at = hour(index(number));
            let state = kwh(story.counter_at(number + 1) - story.used[number] * lag / 100);
            if number == story.live {
                recorder.0.insert(at, (state, Decimal::ZERO));
            } else {
                recorder.compile(at, state);
            }
        }
        prop_assert_eq!(gaps(&recorder.series(), &story.counter()), []);
    }

    /// Rows outside the gaps stay as they are, and what was counted is only distributed.
    #[test]
    fn gaps_between_rows_that_lag_behind_are_filled(story in story(), lag in 0_i64..=100) {
        let story = Story { lag, live: 0, ..story };
        let mut recorder = story.recorded();
        let recorded = recorder.clone();
        for _ in 0..50 {
            let found = gaps(&recorder.series(), &story.counter());
            for gap in &found {
                match gap {
                    Gap::Fill(import) => recorder.import(import),
                    Gap::Repair(adjustment, _) => {
                        recorder.adjust(*adjustment);
                        // The rows have changed.
                        break;
                    }
                    Gap::Leave(left) => panic!("{left:?}"),
                }
            }
            if found.is_empty() {
                break;
            }
        }
        for (at, bar) in recorder.bars() {
            prop_assert!(bar >= Decimal::ZERO, "{at:?}: {bar}");
        }
        let is_in_gap = |at: &Hour| {
            let spans = story.outages.iter().map(|(start, length, _)| *start..start + length);
            spans.into_iter().any(|mut span| {
                // The edge is counted in part.
                let first = span.start.saturating_sub(1);
                at >= &hour(index(first)) && span.any(|number| *at <= hour(index(number)))
            })
        };
        for (at, (state, _)) in &recorded.0 {
            if !is_in_gap(at) {
                prop_assert_eq!(recorder.0[at].0, *state, "{:?}", at);
            }
        }
        prop_assert_eq!(gaps(&recorder.series(), &story.counter()), []);
    }

    /// A part of an import arrived before the interruption.
    #[test]
    fn a_part_of_an_import_is_completed(story in story(), arrived in 1_usize..40) {
        let counter = story.counter();
        let mut whole = story.recorded();
        run(&mut whole, &mut Stored::default(), &counter);
        let mut recorder = story.recorded();
        let plan = before(&recorder.series(), None, &counter).unwrap();
        let mut stored = Stored { first_live: Some(plan.first_live) };
        for row in plan.import.iter().flat_map(Import::rows).take(arrived) {
            recorder.0.insert(row.hour, (row.state, row.sum));
        }
        run(&mut recorder, &mut stored, &counter);
        prop_assert_eq!(recorder, whole);
    }
}
