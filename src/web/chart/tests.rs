use history::Point;
use proptest::prelude::*;

use super::shape::HEIGHT;
use super::*;

fn copenhagen() -> TimeZone {
    TimeZone::get("Europe/Copenhagen").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The 24 hours before this time.
fn window(end: &str) -> Window {
    let end = at(end);
    let start = end.checked_sub(SignedDuration::from_hours(24)).unwrap();
    Window { start, end, zone: copenhagen() }
}

/// Readings of 24 hours.
fn readings(end: &str) -> Frame {
    Frame { window: window(end), each: None, row: Each::Hour, gap: GAP }
}

fn heading() -> Heading {
    let (id, title) = ("c".to_owned(), "Power".to_owned());
    Heading { id, title, unit: "W".to_owned(), language: Language::English }
}

fn point(time: &str, value: &str) -> (Timestamp, Summary) {
    let time = at(time);
    (time, Summary::of(Point { time, value: value.parse().unwrap() }))
}

/// Three values of an hour or a day.
fn summary(start: &str, values: [&str; 3]) -> (Timestamp, Summary) {
    let all = values.map(|value| point(start, value).1);
    (at(start), Summary::all(all).unwrap())
}

fn one(points: &[(Timestamp, Summary)]) -> [Series<'_>; 1] {
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
    let chart = curves(heading(), &one(&points), true, &readings("2026-11-24T09:00:00Z"));
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
    let names = |window: &Window| -> Vec<String> {
        window.hours().iter().map(|hour| window.name(Each::Hour, hour)).collect()
    };
    let hours = names(&autumn);
    assert_eq!(hours.len(), 24);
    assert_eq!(hours[10], "2026-10-25 00:00 (+02:00)");
    assert_eq!(hours[12], "2026-10-25 02:00 (+02:00)");
    assert_eq!(hours[13], "2026-10-25 02:00 (+01:00)");
    assert_eq!(hours[14], "2026-10-25 03:00 (+01:00)");
    let points = vec![point("2026-10-24T11:00:00Z", "1"), point("2026-10-25T11:00:00Z", "2")];
    let chart = curves(heading(), &one(&points), true, &readings("2026-10-25T11:00:00Z")).unwrap();
    // From midnight to four it is five hours.
    assert_eq!(
        times(&chart),
        ["12.50% 16:00", "29.16% 20:00", "45.83% 00:00", "66.66% 04:00", "83.33% 08:00"]
    );
    let spring = window("2026-03-29T10:00:00Z");
    let hours = names(&spring);
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
        let window = Window { zone, ..window(end) };
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
        [["2026-10-24", "30,5"], ["2026-10-25", "unbekannt"], ["2026-10-26", "12 (bisher)"],]
    );
    let blocks = chart.blocks.iter().map(|block| (block.y, block.height, block.class));
    assert_eq!(
        blocks.collect::<Vec<_>>(),
        [(238, 762, "whole"), (0, 1000, "unknown"), (700, 300, "so-far")]
    );
    assert_eq!(chart.blocks[2].words, "2026-10-26: 12 kWh (bisher)");
    assert_eq!(times(&chart), ["16.66% 24.10.", "49.99% 25.10.", "83.32% 26.10."]);
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
    let frame = readings("2026-11-24T09:00:00Z");
    for points in [&[][..], &[point("2026-11-24T08:55:00Z", "1")]] {
        assert!(curves(heading(), &one(points), true, &frame).is_none());
    }
    assert!(bars(heading(), ("Energy", &[]), Each::Day, copenhagen()).is_none());
    let Window { start, end, .. } = frame.window;
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

/// An hour of readings has the whole width, and no mark of a time before it.
#[test]
fn the_time_axis_begins_with_the_first_reading() {
    let end = "2026-11-24T09:00:00Z";
    let from = |first: &str| window(end).since_first(at(first));
    let marks = |first: &str| -> Vec<String> {
        let marks = from(first).marks(Language::English);
        marks.iter().map(|mark| format!("{} {}", mark.x, mark.text)).collect()
    };
    assert_eq!(from("2026-11-24T08:00:00Z").place(at("2026-11-24T08:00:00Z")), Some(0));
    assert_eq!(
        marks("2026-11-24T08:00:00Z"),
        ["16.66% 09:10", "33.33% 09:20", "50.00% 09:30", "66.66% 09:40", "83.33% 09:50"]
    );
    assert_eq!(marks("2026-11-24T05:10:30Z").first().unwrap(), "21.56% 07:00");
    // Two readings in a row are not the ends of the axis.
    assert_eq!(from("2026-11-24T08:59:30Z").start, at("2026-11-24T08:50:00Z"));
    // All of the range is kept.
    assert_eq!(from("2026-11-20T08:00:00Z").start, at("2026-11-23T09:00:00Z"));
}

#[test]
fn marks_are_days_and_months_of_longer_ranges() {
    let marks = |start: &str, end: &str, language| -> Vec<String> {
        let window = Window { start: at(start), end: at(end), zone: copenhagen() };
        window.marks(language).into_iter().map(|mark| mark.text).collect()
    };
    let end = "2026-11-24T09:00:00Z";
    let of = |start: &str| marks(start, end, Language::German);
    assert_eq!(of("2026-11-22T11:00:00Z"), ["23.11.", "12:00", "24.11."]);
    assert_eq!(of("2026-11-16T23:00:00Z"), ["18.11.", "20.11.", "22.11."]);
    // Mondays; the clock goes back on the 25th.
    assert_eq!(of("2026-10-24T22:00:00Z"), ["2.11.", "9.11.", "16.11."]);
    let year = ["2026", "Mär", "Mai", "Jul", "Sep", "Nov"];
    assert_eq!(of("2025-10-31T23:00:00Z"), year);
    let ends = |end: &str| marks("9999-12-01T00:00:00Z", end, Language::English);
    assert!(!ends("9999-12-30T22:00:00Z").is_empty());
}

/// Of hours and days, the mean is drawn, and an area from the lowest to the highest values.
#[test]
fn summaries_have_a_band() {
    let days = [
        summary("2026-10-23T22:00:00Z", ["1000", "1500", "3000"]),
        // Of 25 hours.
        summary("2026-10-24T22:00:00Z", ["0", "1000", "1000.5"]),
        // A gap.
        summary("2026-10-27T23:00:00Z", ["2000", "2000", "2000"]),
    ];
    let window = Window { start: days[0].0, end: at("2026-10-28T23:00:00Z"), zone: copenhagen() };
    let gap = Duration::from_secs(36 * 3600);
    let frame = Frame { window, each: Some(Each::Day), row: Each::Month, gap };
    let heading = Heading { language: Language::Danish, ..heading() };
    let chart = curves(heading, &one(&days), true, &frame).unwrap();
    insta::assert_debug_snapshot!(chart);
}

/// The day that is not over is drawn in the middle of what there is of it.
#[test]
fn a_summary_is_in_the_middle_of_its_time() {
    let (start, end) = (at("2026-11-22T23:00:00Z"), at("2026-11-24T05:00:00Z"));
    let window = Window { start, end, zone: copenhagen() };
    let frame = Frame { window, each: Some(Each::Day), row: Each::Day, gap: GAP };
    assert_eq!(frame.place(start), Some(4_000));
    assert_eq!(frame.place(at("2026-11-23T23:00:00Z")), Some(9_000));
    assert_eq!(frame.place(end), Some(10_000));
}

#[test]
fn points_of_two_curves_are_together() {
    let (supply, back) = (
        [point("2026-11-24T08:00:00Z", "71.60"), point("2026-11-24T08:05:00Z", "71.5")],
        [point("2026-11-24T08:05:00Z", "31.00"), point("2026-11-24T08:10:00Z", "30")],
    );
    let series =
        [Series { name: "Vorlauf", points: &supply }, Series { name: "Rücklauf", points: &back }];
    let heading = Heading { unit: "°C".to_owned(), language: Language::German, ..heading() };
    let chart = curves(heading, &series, false, &readings("2026-11-24T09:00:00Z")).unwrap();
    let points = chart.points;
    assert_eq!(points.names, "Vorlauf\tRücklauf");
    assert_eq!(
        points.lines.split('\n').collect::<Vec<_>>(),
        [
            "9583\t140 -\t2026-11-24 09:00\t71,60 °C\t",
            "9618\t142 817\t2026-11-24 09:05\t71,5 °C\t31,00 °C",
            "9652\t- 833\t2026-11-24 09:10\t\t30 °C",
        ]
    );
    assert_eq!(points.last, 2);
    assert_eq!(points.words, "2026-11-24 09:10: Rücklauf 30 °C");
}

#[test]
fn bars_begin_with_the_first_known_one() {
    let bar = |month: u32, used: Option<i64>| Consumption {
        start: at(&format!("2026-{month:02}-01T00:00:00Z")),
        end: at(&format!("2026-{:02}-01T00:00:00Z", month + 1)),
        used: used.map(Decimal::from),
        so_far: month == 8,
    };
    let months = [bar(3, None), bar(4, None), bar(5, Some(5)), bar(6, None), bar(8, Some(2))];
    let chart = bars(heading(), ("Energy", &months), Each::Month, TimeZone::UTC).unwrap();
    assert_eq!(
        chart.table.rows,
        [["2026-05", "5"], ["2026-06", "not known"], ["2026-08", "2 (so far)"]]
    );
    assert_eq!(times(&chart), ["16.66% May", "49.99% Jun", "83.32% Aug"]);
    let words =
        "1666\t167\t2026-05\t5 W\n4999\t0\t2026-06\tnot known\n8332\t667\t2026-08\t2 W (so far)";
    assert_eq!(chart.points.lines, words);
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

    /// Two values that differ in their last digits, which may be more than those of a step.
    #[test]
    fn every_scale_ends(low in 0_i128..1 << 96, more in 0_i128..20, places in 0_u32..=28) {
        let value = |mantissa| Decimal::try_from_i128_with_scale(mantissa, places).ok();
        let ends = value(low).zip(value(low + more));
        let scale = ends.and_then(|(low, high)| Scale::new(low, high, false));
        let levels = scale.map(|scale| scale.levels(Language::English)).unwrap_or_default();
        prop_assert!(levels.len() <= 7, "{}", levels.len());
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

/// A meter may send 16 bytes. One step of this scale is less than the last digit of its numbers, so
/// the next line was the same as the one before, without an end.
#[test]
fn a_scale_whose_steps_are_too_small_for_its_numbers_ends() {
    for (low, high) in [
        ("100000000000000000000000.00000", "100000000000000000000000.00001"),
        ("-100000000000000000000000.00001", "-100000000000000000000000.00000"),
        ("7000000000000000000000000000.0", "7000000000000000000000000000.1"),
    ] {
        let scale = Scale::new(low.parse().unwrap(), high.parse().unwrap(), false);
        let levels = scale.map(|scale| scale.levels(Language::English)).unwrap_or_default();
        assert!(levels.len() <= 7, "{low}");
    }
}
