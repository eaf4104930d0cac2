//! When polls are made.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_silent_meter_is_polled_with_a_back_off() {
    let openings = (0..7).map(|_| Opening::Silent).chain([meter(), meter()]).collect();
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let started = Instant::now();
    let task = tokio::spawn(run(
        plan("energy", openings),
        midnight(),
        sender,
        MeterHandle::default(),
        stop.clone(),
    ));
    let mut ends = Vec::new();
    for _ in 0..9 {
        results.recv().await.unwrap();
        ends.push(started.elapsed().as_secs());
    }
    stop.cancel();
    task.await.unwrap();
    // 15 s, 30 s, 60 s and 120 s after the previous poll, then every five minutes.
    let gaps: Vec<u64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[..4].is_sorted() && gaps[0] < 22 && gaps[3] > 60, "{gaps:?}");
    assert_eq!(ends[8] % 300, 0, "back on the schedule: {ends:?}");
    assert_eq!(ends[8] - ends[7], 300);
}

#[tokio::test(start_paused = true)]
async fn polls_keep_the_interval_and_stop_when_cancelled() {
    let openings = (0..4).map(|_| meter()).collect();
    let plan = Plan {
        port: Scripted { openings: Mutex::new(openings) },
        port_name: "port".to_owned(),
        line: Line::new(1200),
        registers: ids("energy energy volume"),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Generic,
        interval: Duration::from_secs(60),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let started = Instant::now();
    let task = tokio::spawn(run(plan, midnight(), sender, MeterHandle::default(), stop.clone()));
    for number in 0..3 {
        let result = results.recv().await.unwrap();
        assert_eq!(started.elapsed().as_secs(), number * 60);
        // Each register once.
        assert_eq!(result.readings.len() + result.missing.len(), 2);
    }
    stop.cancel();
    task.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 120);
}

/// When the polls end, in seconds since the start, which is `offset` seconds after midnight by the
/// wall clock. `set` lists when the clock is set, in seconds since the start, and by how much.
async fn ends_of_polls(
    offset: u64,
    interval: u64,
    openings: Vec<Opening>,
    set: Vec<(u64, i64)>,
) -> Vec<u64> {
    ends_of_polls_by(&MeterHandle::default(), offset, interval, openings, set).await
}

/// [`ends_of_polls`] with a handle that may request polls.
async fn ends_of_polls_by(
    handle: &MeterHandle,
    offset: u64,
    interval: u64,
    openings: Vec<Opening>,
    set: Vec<(u64, i64)>,
) -> Vec<u64> {
    ends_of_shifted_polls(handle, offset, interval, openings, set, 0).await
}

/// The same with an offset of the schedule in seconds.
async fn ends_of_shifted_polls(
    handle: &MeterHandle,
    offset: u64,
    interval: u64,
    openings: Vec<Opening>,
    set: Vec<(u64, i64)>,
    shift: i64,
) -> Vec<u64> {
    let count = openings.len();
    let midnight: jiff::Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let start = Instant::now();
    let clock = move || {
        let elapsed = start.elapsed();
        let is_set = |(at, _): &&(u64, i64)| elapsed >= Duration::from_secs(*at);
        let by: i64 = set.iter().filter(is_set).map(|(_, by)| by).sum();
        let time = midnight + elapsed + Duration::from_secs(offset);
        (time + jiff::SignedDuration::from_secs(by)).to_zoned_datetime(jiff::tz::TimeZone::UTC)
    };
    let plan = Plan { interval: Duration::from_secs(interval), ..plan("energy", openings) };
    let (sender, mut results) = mpsc::channel(1);
    let shift = jiff::SignedDuration::from_secs(shift);
    let schedule = Schedule::new(clock, Duration::ZERO, shift);
    let task = tokio::spawn(run(plan, schedule, sender, handle.clone(), CancellationToken::new()));
    let mut ends = Vec::new();
    for _ in 0..count {
        results.recv().await.unwrap();
        ends.push(start.elapsed().as_secs());
    }
    task.abort();
    ends
}

#[tokio::test(start_paused = true)]
async fn the_first_poll_is_made_at_once_and_the_others_on_the_schedule() {
    // At 00:02:03, every five minutes.
    assert_eq!(ends_of_polls(123, 300, meters(4), vec![]).await, [0, 177, 477, 777]);
    // For a day, every hour, from 00:59:59: no drift.
    let ends = ends_of_polls(3599, 3600, meters(25), vec![]).await;
    assert_eq!(ends, (0..25).map(|n: u64| (n * 3600).saturating_sub(3599)).collect::<Vec<_>>());
}

/// A computer without a hardware clock gets the time some seconds after its start. A wrong clock is
/// set back.
#[tokio::test(start_paused = true)]
async fn setting_the_clock_moves_the_schedule() {
    // From 00:00:10 to 00:58:10 after half a minute: the full hour is 110 s later.
    let forward = vec![(30, 58 * 60)];
    assert_eq!(ends_of_polls(10, 3600, meters(3), forward).await, [0, 110, 3710]);
    // From 00:50 to the day before, 23:20.
    let back = vec![(30, -90 * 60)];
    assert_eq!(ends_of_polls(3000, 3600, meters(3), back).await, [0, 2400, 6000]);
    // By a second back and forth, as clocks are: no poll is made twice, and none is left out.
    let jitter = (1..200).map(|n| (n * 7, if n % 2 == 0 { 1 } else { -1 })).collect();
    let ends = ends_of_polls(0, 60, meters(20), jitter).await;
    for (number, end) in ends.iter().enumerate() {
        assert!(end.abs_diff(u64::try_from(number).unwrap() * 60) <= 1, "{ends:?}");
    }
}

/// With an hour between them, polls are 20 s before the full hour, also after the clock was set.
#[tokio::test(start_paused = true)]
async fn an_offset_shifts_all_polls_but_the_first() {
    let ends = async |offset, set, shift| {
        let handle = MeterHandle::default();
        ends_of_shifted_polls(&handle, offset, 3600, meters(4), set, shift).await
    };
    // From 00:02:03.
    assert_eq!(ends(123, vec![], -20).await, [0, 3457, 7057, 10_657]);
    assert_eq!(ends(123, vec![], 120).await, [0, 3597, 7197, 10_797]);
    // From 00:59:41, which is a second too late for the last one.
    assert_eq!(ends(3581, vec![], -20).await, [0, 3599, 7199, 10_799]);
    // From 00:00:10 to 00:58:10 after half a minute: 00:59:40 is 90 s later.
    assert_eq!(ends(10, vec![(30, 58 * 60)], -20).await, [0, 90, 3690, 7290]);
    // A second poll is not made if the clock is set back by some seconds during one.
    assert_eq!(ends(0, vec![(3580, -5)], -20).await, [0, 3580, 7185, 10_785]);
}

/// Somebody presses a button on the page repeatedly.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_noticed_between_jobs() {
    let handle = MeterHandle::default();
    let presses = async {
        loop {
            tokio::time::sleep(Duration::from_secs(7)).await;
            let _ = handle.send(Job::placement(|_| {}));
            handle.cancel();
        }
    };
    let ends = ends_of_polls_by(&handle, 10, 3600, meters(3), vec![(30, 58 * 60)]);
    tokio::select! {
        () = presses => {}
        ends = ends => assert_eq!(ends, [0, 110, 3710]),
    }
}

#[tokio::test(start_paused = true)]
async fn endless_requests_cause_a_poll_every_ten_seconds() {
    let handle = MeterHandle::default();
    let pulls = async {
        loop {
            handle.request_poll();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = pulls => {}
        ends = ends_of_polls_by(&handle, 0, 300, meters(60), vec![]) => {
            let apart = ends.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(apart.into_iter().all(|apart| apart == 10), "{ends:?}");
        }
    }
}

/// The first poll takes longer than the interval, because the meter is silent.
#[tokio::test(start_paused = true)]
async fn a_poll_that_is_due_during_a_longer_one_is_skipped() {
    let openings = vec![Opening::Silent, meter(), meter(), meter()];
    let ends = ends_of_polls(1, 3, openings, vec![]).await;
    assert!(ends[0] > 3, "{ends:?}");
    let next = |end: u64| (end + 1) / 3 * 3 + 2;
    // The next one waits until the line is quiet.
    assert!(ends[1] - next(ends[0]) <= 1, "{ends:?}");
    assert_eq!(ends[2..], [next(ends[0]) + 3, next(ends[0]) + 6]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_on_request_is_made_at_once_but_not_too_often() {
    let openings = (0..9).map(|_| meter()).collect();
    let (sender, mut results) = mpsc::channel(1);
    let (handle, stop) = (MeterHandle::default(), CancellationToken::new());
    let started = Instant::now();
    let task = tokio::spawn(run(
        plan("energy", openings),
        midnight(),
        sender,
        handle.clone(),
        stop.clone(),
    ));
    let mut at = async || {
        results.recv().await.unwrap();
        started.elapsed().as_secs()
    };
    assert_eq!(at().await, 0);
    // Three requests that are too soon cause one poll, ten seconds after the previous one.
    (0..3).for_each(|_| handle.request_poll());
    assert_eq!(at().await, 10);
    tokio::time::sleep(Duration::from_secs(100)).await;
    handle.request_poll();
    assert_eq!(at().await, 110);
    // The schedule continues.
    assert_eq!(at().await, 300);
    assert_eq!(at().await, 600);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_task_logs_a_summary_each_hour() {
    let (captured, _logging) = logging::capture::lines();
    ends_of_polls(0, 300, meters(25), vec![]).await;
    let is_of_reading = |line: &String| line.starts_with("INFO Read");
    let lines: Vec<_> = captured.take().into_iter().filter(is_of_reading).collect();
    let summary = "INFO Read 12 of 12 times in the last hour, 1 value each.";
    assert_eq!(lines[1..], [summary; 2]);
    assert!(lines[0].ends_with("From now on, the log has one summary an hour."), "{lines:?}");
}

#[test]
fn meters_are_polled_at_different_times() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!(spread(0, 1, minutes(5)), Duration::ZERO);
    assert_eq!(spread(2, 3, minutes(5)), Duration::from_millis(200));
    assert_eq!(spread(499, 500, minutes(1)), Duration::from_millis(49_900));
    // Always within the interval.
    assert_eq!(spread(999, 1000, minutes(1)), Duration::from_millis(59_940));
    assert_eq!(spread(9, 10, Duration::from_millis(100)), Duration::from_millis(90));
}

/// A meter that does not answer is reported after a quarter of a minute. Until then the log must
/// not be silent.
#[tokio::test(start_paused = true)]
async fn the_log_says_within_a_second_what_the_first_poll_waits_for() {
    let (captured, _logging) = logging::capture::lines();
    let openings = vec![Opening::Silent, Opening::Silent];
    let (sender, mut results) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let handle = MeterHandle::default();
    let task =
        tokio::spawn(run(plan("energy", openings), midnight(), sender, handle, stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let waiting = || -> Vec<String> {
        captured.take().into_iter().filter(|line| line.contains("Waiting for")).collect()
    };
    assert_eq!(
        waiting(),
        ["INFO Waiting for the meter on /dev/ttyUSB0 to answer; this can take 18 s."]
    );
    // Only the first poll is news.
    for _ in 0..2 {
        results.recv().await.unwrap();
    }
    assert_eq!(waiting(), [""; 0]);
    stop.cancel();
    task.await.unwrap();
}
