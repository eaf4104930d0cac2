//! Schedules polls at multiples of the interval by the wall clock. A five-minute poll is made at
//! :00, :05 and so on, and an hourly one on the hour. It does not matter when the program was
//! started or whether the clock has been changed since.

use std::fmt;
use std::time::Duration;

use jiff::{Timestamp, ZonedDateTime};
use tokio::time::Instant;

/// The times of a meter's polls.
pub struct Schedule {
    clock: Box<dyn Fn() -> ZonedDateTime + Send + Sync>,
    offset: Duration,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule").field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// How far the wall clock and the monotonic clock may drift apart between two polls.
pub(super) const CLOCK_SKEW: Duration = Duration::from_millis(250);

/// How much later than scheduled a meter is polled, so that several meters are not polled at the
/// same time. The first meter is polled on schedule.
#[must_use]
pub fn spread(index: usize, count: usize, interval: Duration) -> Duration {
    let [index, count] = [index, count].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let step = interval.checked_div(count).unwrap_or_default().min(STEP);
    step.saturating_mul(index)
}

/// The time between the polls of two meters. It is hardly noticeable, and no request is shorter.
const STEP: Duration = Duration::from_millis(100);

impl Schedule {
    /// A schedule by this clock. All its polls are later by the offset, so that each meter can have
    /// its own.
    #[must_use]
    pub fn new(
        clock: impl Fn() -> ZonedDateTime + Send + Sync + 'static,
        offset: Duration,
    ) -> Self {
        Self { clock: Box::new(clock), offset }
    }

    /// A schedule for tests, by a clock that starts at this time and is never set.
    #[must_use]
    pub fn from(time: &ZonedDateTime) -> Self {
        let start = Instant::now();
        let zone = time.time_zone().clone();
        let timestamp = time.timestamp();
        let clock = move || {
            let now = timestamp.saturating_add(start.elapsed()).unwrap_or(timestamp);
            now.to_zoned_datetime(zone.clone())
        };
        Self::new(clock, Duration::ZERO)
    }

    pub(super) fn offset(&self) -> Duration {
        self.offset
    }

    /// When the next poll is due.
    pub(super) fn next(&self, interval: Duration) -> Instant {
        self.after(Instant::now(), Duration::ZERO, interval)
    }

    /// When the next poll is due, at least `rest` after the last one. The rest is at most a quarter
    /// of the interval.
    pub(super) fn after(&self, last: Instant, rest: Duration, interval: Duration) -> Instant {
        let now = Instant::now();
        let rest = rest.min(interval.checked_div(4).unwrap_or_default());
        let rest = rest.saturating_sub(now.saturating_duration_since(last));
        let wall = (self.clock)();
        let rested = wall.timestamp().saturating_add(rest).unwrap_or(wall.timestamp());
        let rested = rested.to_zoned_datetime(wall.time_zone().clone());
        let wait = rest.saturating_add(until_next(&rested, interval, self.offset));
        now.checked_add(wait).unwrap_or(now)
    }
}

/// The time until the next multiple of the interval by the local clock, plus `offset`.
///
/// Multiples are counted without a break, so that 7 minutes stay 7 minutes over midnight. An
/// interval that divides a day has its multiples at the same times each day.
fn until_next(now: &ZonedDateTime, interval: Duration, offset: Duration) -> Duration {
    let zone = now.time_zone();
    let at = |time: Timestamp| into(time, zone.to_offset(time).seconds(), interval, offset);
    let now = now.timestamp();
    let wait = interval.saturating_sub(at(now));
    let changes = zone.following(now).next().map(|change| change.timestamp());
    // If summer time begins or ends before that, the multiple is counted from the change.
    let until_change = changes.and_then(|change| {
        Duration::try_from(change.duration_since(now)).ok().filter(|until| *until <= wait)
    });
    match (until_change, changes) {
        (Some(until), Some(change)) => match at(change) {
            Duration::ZERO => until,
            into => until.saturating_add(interval.saturating_sub(into)),
        },
        _ => wait,
    }
}

/// The time since the last multiple.
fn into(time: Timestamp, offset_secs: i32, interval: Duration, offset: Duration) -> Duration {
    const SECOND: i128 = 1_000_000_000;
    let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    let local = time
        .as_nanosecond()
        .saturating_add(i128::from(offset_secs).saturating_mul(SECOND))
        .saturating_sub(nanos(offset));
    let into = local.checked_rem_euclid(nanos(interval)).unwrap_or_default();
    Duration::from_nanos(u64::try_from(into).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    /// The local times of the next polls after a start like
    /// `2026-10-25T01:58+02:00[Europe/Berlin]`.
    fn polls<const N: usize>(start: &str, interval: Duration) -> [String; N] {
        let mut now: ZonedDateTime = start.parse().unwrap();
        std::array::from_fn(|_| {
            now = now.checked_add(until_next(&now, interval, Duration::ZERO)).unwrap();
            now.strftime("%d. %H:%M:%S %z").to_string()
        })
    }

    #[test]
    fn polls_are_at_the_multiples_of_the_interval() {
        let polls = |interval| polls("2026-11-24T10:02:03.5+01:00[Europe/Berlin]", interval);
        assert_eq!(polls(5 * MINUTE), ["24. 10:05:00 +0100", "24. 10:10:00 +0100"]);
        assert_eq!(polls(HOUR), ["24. 11:00:00 +0100", "24. 12:00:00 +0100"]);
        assert_eq!(polls(2 * HOUR), ["24. 12:00:00 +0100", "24. 14:00:00 +0100"]);
        assert_eq!(polls(24 * HOUR), ["25. 00:00:00 +0100", "26. 00:00:00 +0100"]);
        let ninety = Duration::from_secs(90);
        assert_eq!(polls(ninety), ["24. 10:03:00 +0100", "24. 10:04:30 +0100"]);
    }

    /// Even if the offset of the zone is not in whole hours.
    #[test]
    fn hourly_polls_follow_the_local_hour() {
        let nepal = polls("2026-11-24T10:02:03+05:45[Asia/Kathmandu]", HOUR);
        assert_eq!(nepal, ["24. 11:00:00 +0545"]);
    }

    #[test]
    fn an_interval_that_does_not_divide_a_day_continues_over_midnight() {
        let polls: [String; 4] = polls("2026-11-24T23:50:00+01:00[Europe/Berlin]", 7 * MINUTE);
        let minutes: Vec<_> = polls.iter().map(|poll| &poll[4..9]).collect();
        assert_eq!(minutes, ["23:51", "23:58", "00:05", "00:12"]);
    }

    #[test]
    fn polls_when_summer_time_begins() {
        let polls = |interval| polls("2026-03-29T01:50:00+01:00[Europe/Berlin]", interval);
        let five = ["29. 01:55:00 +0100", "29. 03:00:00 +0200", "29. 03:05:00 +0200"];
        assert_eq!(polls(5 * MINUTE), five);
        let hour = ["29. 03:00:00 +0200", "29. 04:00:00 +0200", "29. 05:00:00 +0200"];
        assert_eq!(polls(HOUR), hour);
        // There is no two o'clock.
        let two = ["29. 04:00:00 +0200", "29. 06:00:00 +0200", "29. 08:00:00 +0200"];
        assert_eq!(polls(2 * HOUR), two);
        let day = ["30. 00:00:00 +0200", "31. 00:00:00 +0200", "01. 00:00:00 +0200"];
        assert_eq!(polls(24 * HOUR), day);
    }

    #[test]
    fn polls_when_summer_time_ends() {
        let polls = |interval| polls("2026-10-25T02:50:00+02:00[Europe/Berlin]", interval);
        let five = ["25. 02:55:00 +0200", "25. 02:00:00 +0100", "25. 02:05:00 +0100"];
        assert_eq!(polls(5 * MINUTE), five);
        let hour = ["25. 02:00:00 +0100", "25. 03:00:00 +0100", "25. 04:00:00 +0100"];
        assert_eq!(polls(HOUR), hour);
        // There are two two o'clocks.
        let two = ["25. 02:00:00 +0100", "25. 04:00:00 +0100", "25. 06:00:00 +0100"];
        assert_eq!(polls(2 * HOUR), two);
        let day = ["26. 00:00:00 +0100", "27. 00:00:00 +0100", "28. 00:00:00 +0100"];
        assert_eq!(polls(24 * HOUR), day);
    }

    #[test]
    fn each_meter_has_its_offset() {
        let wait = |time: &str| until_next(&time.parse().unwrap(), MINUTE, Duration::from_secs(7));
        assert_eq!(wait("2026-11-24T10:02:00+01:00[Europe/Berlin]").as_secs(), 7);
        assert_eq!(wait("2026-11-24T10:02:07+01:00[Europe/Berlin]").as_secs(), 60);
        assert_eq!(wait("2026-11-24T10:02:08+01:00[Europe/Berlin]").as_secs(), 59);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_too_soon_after_the_last_one_is_skipped() {
        let schedule =
            Schedule::from(&"2026-11-24T09:59:59.99+01:00[Europe/Berlin]".parse().unwrap());
        let wait = |at: Instant| at - Instant::now();
        assert_eq!(wait(schedule.next(MINUTE)), Duration::from_millis(10));
        let rest = Duration::from_millis;
        let after = |millis| wait(schedule.after(Instant::now(), rest(millis), MINUTE));
        assert_eq!(after(9), Duration::from_millis(10));
        assert_eq!(after(10), Duration::from_millis(60_010));
        assert_eq!(after(90_000), Duration::from_millis(60_010));
        // The rest counts from the schedule, however long the poll took or waited for its turn.
        let last = Instant::now();
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(schedule.after(last, rest(90_000), MINUTE) - last, rest(60_010));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_poll_at_the_end_of_the_calendar() {
        for time in testing::times() {
            let schedule = Schedule::from(&time);
            for interval in [Duration::from_millis(1200), 5 * MINUTE, 24 * HOUR, 168 * HOUR] {
                let now = Instant::now();
                let next = schedule.after(now, MINUTE, interval);
                assert!(next > now && next - now <= MINUTE + 2 * interval, "{time} {interval:?}");
            }
        }
    }
}
