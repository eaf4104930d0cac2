//! Which charts a meter has on the page.

use std::time::Duration;

use jiff::ZonedDateTime;

use super::names::{Name, finer};
use crate::web::chart::{self, Chart, Each, Heading, Series, Window};
use crate::web::language::{Language, fill};
use crate::web::memory::{Counter, Curve, Memory};

/// The curves and bars of what is remembered.
pub(super) fn charts(
    number: usize,
    memory: &Memory,
    language: Language,
    interval: Duration,
    wall: &ZonedDateTime,
) -> Vec<Chart> {
    let words = language.words();
    let window = Window::before(wall);
    // Two polls may fail before it is a gap; and of many readings only some are drawn.
    let gap = interval.saturating_mul(3).max(Duration::from_secs(15 * 60));
    let heading = |what: &str, title: String, unit: String| {
        let id = format!("{what}-{number}");
        Heading { id, title, unit, language }
    };
    let Memory { power, flow, supply, back, counter } = memory;
    let single = |what: &str, name: &'static str, curve: &Option<Curve>| {
        let Curve { unit, points } = curve.as_ref()?;
        let title = fill(words.last_day, &[("name", name)]);
        let series = [Series { name, points }];
        chart::curves(heading(what, title, unit.clone()), &series, true, &window, gap)
    };
    let unit = supply.as_ref().or(back.as_ref()).map(|curve| curve.unit.clone());
    let both = [(words.supply_short, supply), (words.back_short, back)];
    let both: Vec<_> = both
        .into_iter()
        .filter_map(|(name, curve)| Some(Series { name, points: &curve.as_ref()?.points }))
        .filter(|series| !series.points.is_empty())
        .collect();
    let temperatures = unit.and_then(|unit| {
        let title = fill(words.last_day, &[("name", words.temperatures)]);
        chart::curves(heading("temperatures", title, unit), &both, false, &window, gap)
    });
    let used = |what: &str, title: &str, each: Each| {
        let Counter { parameter, unit, hours, days } = counter.as_ref()?;
        // There is only one counter here.
        let plain = finer(&parameter.to_ascii_lowercase(), words).map(str::to_owned);
        let name = plain.unwrap_or_else(|| Name::new(parameter, words).text);
        let heading = heading(what, fill(title, &[("name", &name)]), unit.clone());
        let used = match each {
            Each::Hour => hours,
            Each::Day => days,
        };
        chart::bars(heading, (&name, used), each, wall.time_zone().clone())
    };
    [
        single("power", words.power, power),
        single("flow", words.flow, flow),
        temperatures,
        used("hours", words.per_hour, Each::Hour),
        used("days", words.per_day, Each::Day),
    ]
    .into_iter()
    .flatten()
    .collect()
}
