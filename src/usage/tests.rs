use jiff::ToSpan;
use kmp::register::{Register, RegisterId};
use meter::RunsAs;
use meter::client::Traffic;
use meter::identity::Version;
use meter::poll::{self, Explanation, MeterHandle, Plan, Schedule};
use meter::reading::Reading;
use meter::transport::{Open, OpenError, Stream};
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tokio::io::duplex;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;

const LINE: Line = Line::new(1200);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn settings(interval: Duration, slow_interval: Option<Duration>) -> Settings {
    Settings { slow_interval, plan: 7, ..Settings::at_interval(interval) }
}

impl Settings {
    /// With more values.
    pub(crate) fn reading_more(self) -> Self {
        Self { plan: self.plan + 1, ..self }
    }
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn usage(polls: u64, bytes: u64, awake: Duration) -> Usage {
    Usage { polls, sent: bytes / 4, received: bytes - bytes / 4, awake }
}

/// Four weeks of polls every five minutes, and some of today.
pub(crate) fn four_weeks(today: Date, settings: &Settings) -> Ledger {
    let mut ledger = Ledger { is_kept: true, ..Ledger::default() };
    let counts = [(28, 276, false), (28, 12, true), (1, 100, false), (1, 4, true)];
    for (days, polls, code) in counts {
        let dates = today.series((-1).days()).skip(usize::from(days > 1)).take(days);
        for date in dates {
            let at = date.at(0, 5, 0, 0).in_tz("Europe/Copenhagen").unwrap().timestamp();
            let class = Class { code, ..plain(settings.interval >= LONG_PAUSE) };
            let bytes = if code { 94 } else { 85 };
            let awake = Duration::from_millis(if code { 2_500 } else { 2_400 });
            let cost = usage(polls, bytes * polls, awake * u32::try_from(polls).unwrap());
            ledger.add(date, at, Kind::Poll(class), cost);
        }
    }
    ledger
}

/// A simulated meter that is always there.
struct MeterPort(Simulator);

impl Open for MeterPort {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(1024);
        let meter = self.0.clone();
        tokio::spawn(async move { meter.serve(far).await });
        Ok(Box::new(near))
    }
}

/// What a day of polls of a simulated meter costs, and the ledger of these polls. The day begins
/// after the first hour, in which the meter is identified.
async fn simulated(
    registers: &[RegisterId],
    interval: Duration,
    settings: &Settings,
) -> (Usage, Ledger) {
    let mut held = Registers::example(EnergyUnit::KilowattHour, 0);
    held.values.extend(Registers::from_yaml("infocode: 0").unwrap().values);
    let (_keep, values) = watch::channel(held);
    let behaviour =
        Behaviour { line: Some(LINE), turnaround: Duration::from_millis(50), echo: false };
    let plan = Plan {
        port: MeterPort(Simulator::new(values, behaviour)),
        port_name: "the simulated meter".to_owned(),
        line: LINE,
        registers: registers.to_vec(),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Generic,
        interval,
        slow_interval: settings.slow_interval,
        runs_as: RunsAs::Program,
    };
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let schedule = Schedule::from(&"2026-11-24T00:20:00+00:00[UTC]".parse().unwrap());
    let start = Instant::now();
    let handle = MeterHandle::default();
    let polling = tokio::spawn(poll::run(plan, schedule, sender, handle, stop.clone()));
    let (mut day, mut ledger) = (Usage::default(), Ledger::default());
    let mut previous: Option<(Instant, Instant)> = None;
    loop {
        let result = results.recv().await.unwrap();
        let (began, ended) = (Instant::now().checked_sub(result.took).unwrap(), Instant::now());
        let timing = previous.map_or_else(Timing::default, |(start, end)| Timing {
            pause: Some(began - start),
            rest: began - end,
        });
        previous = Some((began, ended));
        let at = start.elapsed();
        if at >= HOUR + DAY {
            break;
        }
        for (kind, usage) in costs(&result, timing, settings) {
            ledger.add(date("2026-11-24"), Timestamp::UNIX_EPOCH, kind, usage);
            if at >= HOUR {
                day = day.and(usage);
            }
        }
    }
    stop.cancel();
    drop(results);
    polling.await.unwrap();
    (day, ledger)
}

/// What is computed from polls every five minutes is what polls at other intervals cost: within 6 %
/// of the bytes, and 2 % of the time.
#[tokio::test(start_paused = true)]
async fn a_projection_agrees_with_a_day_at_that_interval() {
    let of = |names: &str| -> Vec<RegisterId> {
        names.split(' ').map(|name| Register::by_key(name).unwrap().id).collect()
    };
    let seven = of("energy volume power flow temp1 temp2 tempdiff");
    let some = [seven.clone(), of("e1highres hourcounter maxpower_y avgtemp1_y")].concat();
    let example = Registers::example(EnergyUnit::KilowattHour, 0);
    let all: Vec<RegisterId> = example.values.keys().copied().collect();
    for (registers, slow) in [(seven, None), (some, Some(HOUR)), (all, Some(HOUR))] {
        let settings = settings(5 * MINUTE, slow);
        let (own, ledger) = simulated(&registers, 5 * MINUTE, &settings).await;
        let days = projected(&ledger, &settings);
        assert_eq!(days.len(), 4, "{days:?}");
        for day in days {
            let what = format!("{} registers, {day:?}", registers.len());
            assert!(!day.is_at_most, "{what}");
            let is_own = day.interval == 5 * MINUTE;
            assert_eq!(day.is_own, is_own);
            let actual =
                if is_own { own } else { simulated(&registers, day.interval, &settings).await.0 };
            let bytes = (actual.sent + actual.received).abs_diff(day.bytes) * 1000
                / (actual.sent + actual.received);
            let awake =
                actual.awake.abs_diff(day.awake).as_millis() * 1000 / actual.awake.as_millis();
            assert!(bytes <= 60 && awake <= 20, "{bytes} and {awake} per mille: {what} {actual:?}");
        }
    }
}

fn plain(rare: bool) -> Class {
    Class { rare, ..Class::default() }
}

fn ledger(polls: &[(Class, Usage)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (class, usage) in polls {
        ledger.add(date("2026-11-24"), Timestamp::UNIX_EPOCH, Kind::Poll(*class), *usage);
    }
    ledger
}

fn shown(ledger: &Ledger, settings: &Settings) -> Vec<String> {
    let line = |day: Projected| {
        let Projected { interval, polls, bytes, awake, .. } = day;
        let most = if day.is_at_most { " at most" } else { "" };
        let own = if day.is_own { " own" } else { "" };
        format!("{} s: {polls} {bytes} {} s{most}{own}", interval.as_secs(), awake.as_secs())
    };
    projected(ledger, settings).into_iter().map(line).collect()
}

#[test]
fn what_was_not_measured_is_at_most_what_was() {
    let second = Duration::from_secs(1);
    let full = Class { slow: true, code: true, rare: true };
    let hourly = ledger(&[(full, usage(10, 2_000, 40 * second))]);
    assert_eq!(
        shown(&hourly, &settings(HOUR, Some(HOUR))),
        [
            "60 s: 1440 288000 5760 s at most",
            "300 s: 288 57600 1152 s at most",
            "900 s: 96 19200 384 s at most",
            "3600 s: 24 4800 96 s own",
        ]
    );
    // A day has the seconds that it has.
    let long = ledger(&[(full, usage(10, 2_000, 900 * second))]);
    assert!(shown(&long, &settings(HOUR, None))[0].contains(" 86400 s at most"));
    // One interval for each meter, and parts of a poll a day.
    let weekly = shown(&hourly, &settings(7 * DAY, Some(HOUR)));
    assert_eq!((weekly.len(), &*weekly[4]), (5, "604800 s: 0.14 29 1 s own"));
}

/// In the first two hours it is not known whether the meter has an info code. A slow register that
/// was not read has no known cost.
#[test]
fn nothing_is_computed_from_too_few_polls() {
    let second = Duration::from_secs(1);
    let settings = settings(5 * MINUTE, Some(HOUR));
    assert_eq!(shown(&Ledger::default(), &settings), [""; 0]);
    let few = |polls: u64| (plain(false), usage(polls, polls * 100, second));
    assert_eq!(shown(&ledger(&[few(23)]), &settings), [""; 0]);
    assert_eq!(shown(&ledger(&[few(24)]), &settings), [""; 0]);
    let slow = (Class { slow: true, ..plain(false) }, usage(1, 300, second));
    assert_eq!(shown(&ledger(&[few(22), slow]), &settings), [""; 0]);
    let known = shown(&ledger(&[few(23), slow]), &settings);
    assert_eq!(known[1].split(" s").next(), Some("300"));
    // 24 of 300 bytes, 264 of 100 bytes.
    assert!(known[1].contains(": 288 33600 "), "{known:?}");
    // With 16 bytes for the serial number.
    assert!(known[3].contains(": 24 7584 "), "{known:?}");
    // An info code has been read, so nothing else is to be expected.
    let code = (Class { code: true, ..plain(false) }, usage(1, 109, second));
    let early = shown(&ledger(&[few(1), slow, code]), &settings);
    assert!(early[1].contains(": 288 33816 "), "{early:?}");
    assert!(early[3].contains(": 24 7800 "), "{early:?}");
}

/// Both are read by the same polls if the program was started just before a full hour.
#[test]
fn slow_registers_and_info_code_may_be_read_together() {
    let second = Duration::from_secs(1);
    let both = (Class { slow: true, code: true, rare: false }, usage(2, 800, second));
    let polls = [(plain(false), usage(22, 2_200, second)), both];
    let days = shown(&ledger(&polls), &settings(5 * MINUTE, Some(HOUR)));
    // 24 of 400 bytes, 264 of 100 bytes.
    assert!(days[1].contains(": 288 36000 ") && !days[1].contains("most"), "{days:?}");
}

fn reading(text: &str) -> Reading {
    let registers = Registers::from_yaml(text).unwrap();
    Reading::try_from(registers.values.values().next().unwrap()).unwrap()
}

#[test]
fn only_polls_as_they_should_be_are_in_the_mean() {
    let settings = settings(5 * MINUTE, Some(HOUR));
    let mut traffic = Traffic::default();
    (traffic.sent, traffic.received, traffic.awake) = (15, 70, Duration::from_millis(2_400));
    let good = PollResult {
        readings: vec![reading("energy: 5 kWh")],
        is_recognized: true,
        traffic,
        ..PollResult::default()
    };
    let rest = Duration::from_secs(60);
    let timing = Timing { pause: Some(5 * MINUTE), rest };
    let kinds = |result: &PollResult, timing, settings| {
        costs(result, timing, settings).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    let class = |result: &PollResult, timing| kinds(result, timing, &settings);
    assert_eq!(class(&good, timing), [Kind::Poll(plain(false))]);
    let late = Timing { pause: Some(HOUR), ..timing };
    assert_eq!(class(&good, late), [Kind::Poll(plain(true))]);
    let slow = PollResult {
        readings: vec![reading("energy: 5 kWh"), reading("hourcounter: 7 h")],
        ..good.clone()
    };
    assert_eq!(class(&slow, timing), [Kind::Poll(Class { slow: true, ..plain(false) })]);
    // Each poll reads it.
    let each = Settings { slow_interval: None, ..settings };
    assert_eq!(kinds(&slow, timing, &each), [Kind::Poll(plain(false))]);
    // The first one identifies the meter. Another one begins while the meter is still awake.
    assert_eq!(class(&good, Timing { pause: None, ..timing }), [Kind::OtherPoll]);
    let soon = Timing { rest: Duration::from_millis(1_599), ..timing };
    assert_eq!(class(&good, soon), [Kind::OtherPoll]);
    let trouble = Some(Explanation { words: "x".to_owned(), hint: "x".to_owned() });
    let failed = PollResult { trouble, ..good.clone() };
    assert_eq!(class(&failed, timing), [Kind::OtherPoll]);
    // The placement aid was used before this poll. Its bytes are no part of the poll.
    let mut all = traffic;
    (all.sent, all.received, all.awake) = (735, 1_270, Duration::from_secs(123));
    let mut before = Traffic::default();
    (before.sent, before.received, before.awake) = (720, 1_200, Duration::from_secs(121));
    let found = costs(&PollResult { traffic: all, before, ..good }, timing, &settings);
    let job = Usage { polls: 0, sent: 720, received: 1_200, awake: Duration::from_secs(121) };
    let own = Usage { polls: 1, sent: 15, received: 70, awake: Duration::from_secs(2) };
    assert_eq!(found, [(Kind::Job, job), (Kind::OtherPoll, own)]);
}

#[test]
fn the_last_30_days_end_today() {
    let today = date("2026-11-24");
    let mut ledger = Ledger::default();
    let at = |date: Date| date.at(12, 0, 0, 0).in_tz("Europe/Copenhagen").unwrap().timestamp();
    let day = |ago: i32| today.saturating_sub(ago.days());
    let add = |ledger: &mut Ledger, ago| {
        let one = usage(1, 100, Duration::from_secs(2));
        ledger.add(day(ago), at(day(ago)), Kind::OtherPoll, one);
    };
    assert_eq!(ledger.month(today), Total::default());
    // The clock was wrong for a moment.
    ledger.add(date("1970-01-01"), Timestamp::UNIX_EPOCH, Kind::OtherPoll, Usage::default());
    add(&mut ledger, 0);
    let total = |polls, since: Option<Date>| Total {
        usage: usage(polls, polls * 100, Duration::from_secs(2 * polls)),
        since: since.map(at),
    };
    let totals = |ledger: &Ledger| {
        let month = ledger.month(today);
        assert_eq!(month.usage.sent + month.usage.received, month.usage.polls * 100);
        (ledger.today(today).usage.polls, month.usage.polls, month.since)
    };
    assert_eq!(ledger.today(today), total(1, Some(today)));
    assert_eq!(totals(&ledger), (1, 1, Some(at(today))));
    for ago in 1..=29 {
        add(&mut ledger, ago);
    }
    assert_eq!(ledger.today(today).since, None);
    assert_eq!(totals(&ledger), (1, 30, Some(at(day(29)))));
    add(&mut ledger, 30);
    assert_eq!(totals(&ledger), (1, 30, None));
    // After midnight, before the first poll of the day.
    let tomorrow = today.tomorrow().unwrap();
    assert_eq!(ledger.today(tomorrow), Total::default());
    assert_eq!(ledger.month(tomorrow).usage.polls, 29);
    for ago in 31..100 {
        add(&mut ledger, ago);
    }
    assert_eq!(ledger.days.len(), MOST_DAYS);
}

#[test]
fn only_polls_with_the_present_settings_are_in_the_mean() {
    let now = settings(5 * MINUTE, Some(HOUR));
    let earlier = Settings { plan: 8, ..now };
    let one = usage(1, 100, Duration::from_secs(2));
    let kinds = || Class::all().map(Kind::Poll).chain([Kind::OtherPoll, Kind::Job]);
    let codes: Vec<i64> = kinds().map(|kind| kind.code(&now)).collect();
    let days = codes.iter().copied().chain(kinds().map(|kind| kind.code(&earlier)));
    let since = Timestamp::UNIX_EPOCH;
    let days = days.map(|kind| DayUsage { date: date("2026-11-24"), kind, since, usage: one });
    let days: Vec<_> = days.collect();
    let record = UsageRecord { days, has_predecessor: true, is_kept: true };
    let ledger = Ledger::of(record, &now);
    assert!(ledger.has_predecessor && ledger.is_kept);
    assert_eq!(ledger.month(date("2026-11-24")).usage.polls, 20);
    for class in Class::all() {
        assert_eq!(ledger.class(class).polls, 1, "{class:?}");
    }
    // The settings are changed while the program runs.
    let mut changed = ledger.clone();
    changed.forget_means();
    assert_eq!(changed.month(date("2026-11-24")), ledger.month(date("2026-11-24")));
    assert_eq!(projected(&changed, &now), []);
    let mut distinct = codes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), codes.len());
}
