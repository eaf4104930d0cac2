//! Earlier readings, as JSON for programs.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::{Timestamp, ZonedDateTime};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::blocking::BlockingJobs;
use super::response::HttpRefusal;
use super::state::PageState;
use crate::history_file;
use crate::payload::exact;
use history::{HistoryError, MeterKey, Point, Series, Snapshot, Summary};

/// The default start is this long ago.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The query, as it was sent.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Query {
    meter: Option<String>,
    parameter: Option<String>,
    from: Option<String>,
    to: Option<String>,
    step: Option<String>,
}

/// What a visitor wants to know.
#[derive(Debug, Clone)]
struct Wanted {
    meter: usize,
    parameter: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    step: Resolution,
}

impl Wanted {
    /// The error names what is wrong, and what is accepted.
    fn new(query: Query) -> Result<Self, HttpRefusal> {
        let Query { meter, parameter, from, to, step } = query;
        let meter = meter.and_then(|text| text.parse().ok()).ok_or_else(|| {
            invalid("`meter` is missing or invalid. It is the number of a meter, such as 0.")
        })?;
        let no_name = || invalid("`parameter` is missing. It is a name, such as `energy`.");
        let parameter = parameter.filter(|name| !name.is_empty()).ok_or_else(no_name)?;
        let step = match step.as_deref() {
            None | Some("reading") => Resolution::Reading,
            Some("hour") => Resolution::Hour,
            Some("day") => Resolution::Day,
            Some(_) => return Err(invalid("`step` must be `reading`, `hour` or `day`.")),
        };
        let (from, to) = (time("from", from.as_deref())?, time("to", to.as_deref())?);
        Ok(Self { meter, parameter, from, to, step })
    }
}

/// Each reading, or a summary of each hour or day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Resolution {
    Reading,
    Hour,
    Day,
}

#[derive(Serialize)]
struct PastJson {
    meter: usize,
    parameter: String,
    unit: Option<String>,
    /// Whether it counts up.
    is_counter: bool,
    from: String,
    to: String,
    step: Resolution,
    points: Vec<PointJson>,
}

#[derive(Serialize)]
struct PointJson {
    /// When the value was read, or when the hour or the day began.
    time: String,
    /// The last value of the hour or the day.
    value: Option<Box<RawValue>>,
    lowest: Option<Box<RawValue>>,
    highest: Option<Box<RawValue>>,
    mean: Option<Box<RawValue>>,
    readings: u32,
}

/// The readings of a value.
pub(super) async fn answer(
    site: &PageState,
    jobs: &BlockingJobs,
    query: Query,
) -> Result<String, HttpRefusal> {
    let wanted = Wanted::new(query)?;
    let now = (site.clock)();
    let meter = site.board.one_meter(wanted.meter);
    let key = meter.ok_or_else(|| not_found("There is no such meter."))?.key;
    let (Some(key), Some(reader)) = (key, site.history.clone()) else {
        return Err(not_found("No readings are stored."));
    };
    let to = wanted.to.unwrap_or_else(|| now.timestamp());
    let from = wanted.from.unwrap_or_else(|| to.saturating_sub(DAY).unwrap_or(to));
    let reading = {
        // The disk may be slow.
        jobs.run(move |stop| {
            let snapshot = reader.snapshot_of(&[], stop)?;
            let json = read(&snapshot, &key, &wanted, (from, to), &now)?;
            // It has up to 3 MB.
            Ok::<_, HistoryError>(json.map(|json| serde_json::to_string(&json)))
        })
    };
    let json = match reading.await {
        Ok(Ok(Some(json))) => json,
        Ok(Ok(None)) => return Err(not_found("Nothing is kept of that value.")),
        Ok(Err(trouble)) => {
            let words = trouble.to_string();
            let hint = history_file::hint(site.visitors.runs_as());
            return Err(unavailable(&format!("{words}. {}", hint(&trouble))));
        }
        Err(busy) => return Err(unavailable(&busy.words(site.visitors.runs_as()))),
    };
    json.map_err(|error| unavailable(&error.to_string()))
}

fn not_found(words: &str) -> HttpRefusal {
    HttpRefusal(StatusCode::NOT_FOUND, format!("{words}\n").into())
}

fn invalid(words: &str) -> HttpRefusal {
    HttpRefusal(StatusCode::BAD_REQUEST, format!("{words}\n").into())
}

fn unavailable(words: &str) -> HttpRefusal {
    HttpRefusal(StatusCode::SERVICE_UNAVAILABLE, format!("{words}\n").into())
}

/// Parses a time with its zone.
fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, HttpRefusal> {
    let wrong = || {
        invalid(&format!(
            "`{name}` must be a time like 2026-11-24T10:00:00Z or 2026-11-24T11:00:00%2B01:00 (a \
             `+` in an address is written %2B)."
        ))
    };
    text.map(|text| text.parse().map_err(|_| wrong())).transpose()
}

/// `None` if the history has nothing of that value.
fn read(
    reader: &Snapshot,
    key: &MeterKey,
    wanted: &Wanted,
    range: (Timestamp, Timestamp),
    now: &ZonedDateTime,
) -> Result<Option<PastJson>, HistoryError> {
    let kept = reader.series(key)?;
    let kept = kept.into_iter().find(|kept| kept.parameter == wanted.parameter);
    let Some(Series { parameter, unit, is_counter }) = kept else { return Ok(None) };
    let text = |time: Timestamp| {
        let time = time.to_zoned_datetime(now.time_zone().clone());
        time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    };
    let summarised = |summaries: Vec<(Timestamp, Summary)>| {
        summaries.into_iter().map(|(start, summary)| summed(text(start), &summary)).collect()
    };
    let points = match wanted.step {
        Resolution::Reading => {
            let points = reader.readings(key, &parameter, range)?;
            let point = |Point { time, value }| PointJson {
                time: text(time),
                value: number(value),
                lowest: number(value),
                highest: number(value),
                mean: number(value),
                readings: 1,
            };
            points.into_iter().map(point).collect()
        }
        Resolution::Hour => summarised(reader.hours(key, &parameter, range)?),
        Resolution::Day => summarised(reader.days(key, &parameter, range)?),
    };
    let (from, to) = (text(range.0), text(range.1));
    let (meter, step) = (wanted.meter, wanted.step);
    Ok(Some(PastJson { meter, parameter, unit, is_counter, from, to, step, points }))
}

fn summed(time: String, summary: &Summary) -> PointJson {
    PointJson {
        time,
        value: number(summary.last.value),
        lowest: number(summary.low),
        highest: number(summary.high),
        mean: summary.mean().and_then(number),
        readings: summary.count,
    }
}

fn number(value: Decimal) -> Option<Box<RawValue>> {
    exact(&value.to_string(), true)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::access::Visitors;
    use super::super::api::tests::faults;
    use super::super::state::tests::empty;
    use super::*;
    use crate::status::{Board, MeterState};
    use history::{History, Sample};

    fn now() -> ZonedDateTime {
        "2026-11-24T10:30:00+01:00[Europe/Copenhagen]".parse().unwrap()
    }

    /// A site with some readings of the meter 3.
    pub(in super::super) fn site(folder: &std::path::Path) -> PageState {
        let history = History::start(Some(folder.join("history.db")), &now());
        let key = MeterKey::new("", None);
        let noted = |parameter: &str, value: &str, unit: Option<&str>, is_counter| Sample {
            parameter: parameter.to_owned(),
            value: value.parse().unwrap(),
            unit: unit.map(str::to_owned),
            is_counter,
        };
        for (time, energy, temp) in [
            ("2026-11-24T07:59:59Z", "12345678901234567.80", "71.60"),
            ("2026-11-24T08:10:00Z", "12345678901234567.89", "71.5"),
            ("2026-11-24T08:20:00Z", "12345678901234568.00", "70.00"),
        ] {
            let energy = noted("energy", energy, Some("kWh"), true);
            history.note(&key, time.parse().unwrap(), &[energy, noted("temp1", temp, None, false)]);
        }
        let reader = history.reader();
        history.close();
        let board = Board::default();
        let meter = MeterState::new("a".to_owned(), "b".to_owned(), DAY);
        let kept = MeterState { key: Some(key), ..meter.clone() };
        board.set_meters(vec![(3, kept), (4, meter)]);
        PageState {
            board,
            history: Some(reader),
            visitors: Visitors::Anybody,
            clock: now,
            ..empty()
        }
    }

    fn wanted(meter: usize, parameter: &str, step: Resolution) -> Query {
        let step = match step {
            Resolution::Reading => "reading",
            Resolution::Hour => "hour",
            Resolution::Day => "day",
        };
        let text = |text: &str| Some(text.to_owned());
        let (meter, parameter, step) = (text(&meter.to_string()), text(parameter), text(step));
        Query { meter, parameter, step, ..Query::default() }
    }

    /// Of a wrong `step`, the answer said that `meter` or `parameter` is wrong.
    #[tokio::test]
    async fn the_answer_names_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path());
        let text = |text: &str| Some(text.to_owned());
        let right = || wanted(3, "temp1", Resolution::Day);
        for (name, query) in [
            ("meter", Query { meter: None, ..right() }),
            ("meter", Query { meter: text("x"), ..right() }),
            ("meter", Query { meter: text("-1"), ..right() }),
            ("parameter", Query { parameter: None, ..right() }),
            ("step", Query { step: text("year"), ..right() }),
            ("step", Query { step: text(""), ..right() }),
            ("from", Query { from: text("today"), ..right() }),
            ("to", Query { to: text("today"), ..right() }),
        ] {
            let refused = answer(&site, &BlockingJobs::readings(), query).await.unwrap_err();
            assert_eq!(refused.0, StatusCode::BAD_REQUEST);
            assert!(refused.1.starts_with(&format!("`{name}` ")), "{name}: {}", refused.1);
        }
    }

    #[tokio::test]
    async fn readings_have_all_their_digits() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path());
        let mut shown = Vec::new();
        for step in [Resolution::Reading, Resolution::Hour, Resolution::Day] {
            let json =
                answer(&site, &BlockingJobs::readings(), wanted(3, "energy", step)).await.unwrap();
            assert_eq!(faults("History", &json), [""; 0], "{json}");
            shown.push(json.replace("},", "},\n"));
        }
        let some = Query {
            from: Some("2026-11-24T09:10:00+01:00".to_owned()),
            to: Some("2026-11-24T08:15:00Z".to_owned()),
            ..wanted(3, "temp1", Resolution::Reading)
        };
        let json = answer(&site, &BlockingJobs::readings(), some).await.unwrap();
        assert_eq!(faults("History", &json), [""; 0], "{json}");
        shown.push(json);
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[tokio::test]
    async fn what_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path());
        let status = async |site: &PageState, wanted| {
            answer(site, &BlockingJobs::readings(), wanted)
                .await
                .map_or_else(|refusal| refusal.0.as_u16(), |_| 200)
        };
        assert_eq!(status(&site, wanted(3, "temp1", Resolution::Reading)).await, 200);
        assert_eq!(status(&site, wanted(3, "temp2", Resolution::Reading)).await, 404);
        assert_eq!(status(&site, wanted(4, "temp1", Resolution::Reading)).await, 404);
        assert_eq!(status(&site, wanted(5, "temp1", Resolution::Reading)).await, 404);
        let odd = Query { from: Some("today".to_owned()), ..wanted(3, "temp1", Resolution::Hour) };
        assert_eq!(status(&site, odd).await, 400);
        let none = PageState { history: None, ..site };
        assert_eq!(status(&none, wanted(3, "temp1", Resolution::Reading)).await, 404);
    }

    /// A query may contain any time.
    #[tokio::test]
    async fn any_time_can_be_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path());
        let times = [Timestamp::MIN, Timestamp::MAX].map(|time| time.to_string());
        for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for step in [Resolution::Reading, Resolution::Hour, Resolution::Day] {
                let (from, to) = (Some(times[from].clone()), Some(times[to].clone()));
                let all = Query { from, to: to.clone(), ..wanted(3, "energy", step) };
                answer(&site, &BlockingJobs::readings(), all).await.unwrap();
                let day = Query { to, ..wanted(3, "energy", step) };
                answer(&site, &BlockingJobs::readings(), day).await.unwrap();
            }
        }
    }
}
