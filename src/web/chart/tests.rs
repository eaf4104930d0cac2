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
        [["2026-10-24", "30,5"], ["2026-10-25", "nicht bekannt"], ["2026-10-26", "12 (bis jetzt)"],]
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
