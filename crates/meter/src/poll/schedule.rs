//! Schedules polls at multiples of the interval by the wall clock, shifted by an offset. A
//! five-minute poll is made at :00, :05 and so on, and an hourly one with an offset of -20 s at
//! :59:40. It does not matter when the program was started, or whether the clock has been changed
//! since.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use tokio::time::Instant;

/// The times of a meter's polls.
pub struct Schedule {
    clock: Box<dyn Fn() -> ZonedDateTime + Send + Sync>,
    delay: Duration,
    shift: SignedDuration,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock: _, delay, shift } = self;
        f.debug_struct("Schedule")
            .field("delay", delay)
            .field("shift", shift)
            .finish_non_exhaustive()
    }
}

/// How far the wall clock and the monotonic clock may drift apart between two polls.
pub(super) const CLOCK_SKEW: Duration = Duration::from_millis(250);

/// How much later than that of the first of several meters the poll of another one starts, so that
/// their polls do not all start at the same moment. On different ports, polls may overlap.
#[must_use]
pub fn spread(index: usize, count: usize, interval: Duration) -> Duration {
    let [index, count] = [index, count].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let step = interval.checked_div(count).unwrap_or_default().min(STEP);
    step.saturating_mul(index)
}

/// How much later than at the multiples of the interval one of several meters is polled. The offset
/// is that of the first meter. With a negative offset, the others are polled before it, so that no
/// poll begins later.
#[must_use]
pub fn shift(
    index: usize,
    count: usize,
    interval: Duration,
    offset: SignedDuration,
) -> SignedDuration {
    let apart = signed(spread(index, count, interval));
    if offset.is_negative() { offset.saturating_sub(apart) } else { offset.saturating_add(apart) }
}

/// The time between the polls of two meters. It is hardly noticeable, and no request is shorter.
const STEP: Duration = Duration::from_millis(100);

impl Schedule {
    /// A schedule by this clock. The first poll is made after `delay`, and the others are later
    /// than the multiples of the interval by `shift`, so that each meter can have its own.
    #[must_use]
    pub fn new(
        clock: impl Fn() -> ZonedDateTime + Send + Sync + 'static,
        delay: Duration,
        shift: SignedDuration,
    ) -> Self {
        Self { clock: Box::new(clock), delay, shift }
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
        Self::new(clock, Duration::ZERO, SignedDuration::ZERO)
    }

    /// The number of the step of this length, by the local clock, that it will be after this time.
    /// The offset of polls does not change the steps.
    pub(super) fn step_after(&self, ahead: Duration, interval: Duration) -> i128 {
        let wall = (self.clock)();
        let time = wall.timestamp();
        let time = time.saturating_add(ahead).unwrap_or(time);
        let times = PollTimes { interval, shift: SignedDuration::ZERO };
        times.step(time, offset_at(wall.time_zone(), time))
    }

    pub(super) fn delay(&self) -> Duration {
        self.delay
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
        let wait =
            rest.saturating_add(until_next(&rested, PollTimes { interval, shift: self.shift }));
        now.checked_add(wait).unwrap_or(now)
    }
}

/// The local times of polls: the multiples of the interval, plus the shift. Multiples are counted
/// from [`MONDAY`] without a break, so that 7 minutes stay 7 minutes over midnight. An interval that
/// divides a day has its multiples at the same times each day.
#[derive(Clone, Copy)]
struct PollTimes {
    interval: Duration,
    shift: SignedDuration,
}

/// The first Monday of 1970, from 1970-01-01 on. So `7d` means midnight before Monday.
const MONDAY: SignedDuration = SignedDuration::from_hours(4 * 24);

/// The time until the next poll by the local clock.
fn until_next(now: &ZonedDateTime, times: PollTimes) -> Duration {
    let zone = now.time_zone();
    let now = now.timestamp();
    let at = |time: Timestamp| times.since_last(time, offset_at(zone, time));
    let until = |time: Timestamp| Duration::try_from(time.duration_since(now)).ok();
    let wait = times.interval.saturating_sub(at(now));
    let change = zone.following(now).next().map(|change| change.timestamp());
    // If summer time begins or ends before that, the multiple is counted from the change.
    let counted = match change.and_then(|change| Some((change, until(change)?))) {
        Some((change, until)) if until <= wait => match at(change) {
            Duration::ZERO => until,
            since => until.saturating_add(times.interval.saturating_sub(since)),
        },
        _ => wait,
    };
    // A change right now is none that follows.
    let past = now.checked_add(Duration::from_nanos(1)).ok();
    let past = past.and_then(|past| zone.preceding(past).next()).map(|change| change.timestamp());
    let left_out = [past, change].into_iter().flatten().filter_map(|change| {
        times.left_out(zone, change).and_then(until).filter(|until| !until.is_zero())
    });
    left_out.fold(counted, Duration::min)
}

impl PollTimes {
    /// The time since the last poll.
    fn since_last(self, time: Timestamp, offset: SignedDuration) -> Duration {
        let since = self.local(time, offset).checked_rem_euclid(self.length()).unwrap_or_default();
        Duration::from_nanos(u64::try_from(since).unwrap_or_default())
    }

    /// How many poll times there were before.
    fn step(self, time: Timestamp, offset: SignedDuration) -> i128 {
        self.local(time, offset).checked_div_euclid(self.length()).unwrap_or_default()
    }

    /// The local time, in nanoseconds since [`MONDAY`].
    fn local(self, time: Timestamp, offset: SignedDuration) -> i128 {
        time.as_nanosecond()
            .saturating_add(offset.as_nanos())
            .saturating_sub(MONDAY.as_nanos())
            .saturating_sub(self.shift.as_nanos())
    }

    fn length(self) -> i128 {
        i128::try_from(self.interval.as_nanos()).unwrap_or(i128::MAX)
    }

    /// The poll at a local time that does not exist, because the clock is put forward. It is made
    /// as if the clock were put forward later: 02:30 becomes 03:30.
    ///
    /// Shorter intervals have no such poll: their next one follows soon.
    fn left_out(self, zone: &TimeZone, change: Timestamp) -> Option<Timestamp> {
        let before = offset_at(zone, change.checked_sub(Duration::from_nanos(1)).ok()?);
        let left_out = offset_at(zone, change).saturating_sub(before);
        let left_out = Duration::try_from(left_out).ok()?;
        let wait = match self.since_last(change, before) {
            Duration::ZERO => Duration::ZERO,
            since => self.interval.saturating_sub(since),
        };
        let is_left_out = wait < left_out && left_out < self.interval;
        is_left_out.then(|| change.checked_add(wait).ok()).flatten()
    }
}

fn offset_at(zone: &TimeZone, time: Timestamp) -> SignedDuration {
    SignedDuration::from_secs(zone.to_offset(time).seconds().into())
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    /// The local times of the next polls after a start like
    /// `2026-10-25T01:58+02:00[Europe/Berlin]`.
    fn polls<const N: usize>(start: &str, interval: Duration) -> [String; N] {
        shifted_polls(start, interval, SignedDuration::ZERO)
    }

    /// The same with an offset. They are the same whenever the wall clock is checked in between.
    fn shifted_polls<const N: usize>(
        start: &str,
        interval: Duration,
        shift: SignedDuration,
    ) -> [String; N] {
        let mut now: ZonedDateTime = start.parse().unwrap();
        let times = PollTimes { interval, shift };
        std::array::from_fn(|_| {
            let wait = until_next(&now, times);
            let next = now.checked_add(wait).unwrap();
            for part in 1..50 {
                let check = now.checked_add(wait * part / 50).unwrap();
                let due = check.checked_add(until_next(&check, times)).unwrap();
                assert_eq!(due, next, "checked at {check}");
            }
            now = next;
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
        assert_eq!(minutes, ["23:57", "00:04", "00:11", "00:18"]);
    }

    #[test]
    fn a_week_begins_on_monday() {
        let week = polls("2026-11-24T10:02:03+01:00[Europe/Berlin]", 7 * 24 * HOUR);
        assert_eq!(week, ["30. 00:00:00 +0100", "07. 00:00:00 +0100"]);
        // Also if it has an hour less or more.
        let week = polls("2026-03-28T10:02:03+01:00[Europe/Berlin]", 7 * 24 * HOUR);
        assert_eq!(week, ["30. 00:00:00 +0200", "06. 00:00:00 +0200"]);
        let week = polls("2026-10-20T10:02:03+02:00[Europe/Berlin]", 7 * 24 * HOUR);
        assert_eq!(week, ["26. 00:00:00 +0100", "02. 00:00:00 +0100"]);
    }

    #[test]
    fn polls_before_and_after_the_multiples() {
        let polls = |interval, shift| {
            shifted_polls("2026-11-24T10:59:39+01:00[Europe/Berlin]", interval, shift)
        };
        let early = SignedDuration::from_secs(-20);
        assert_eq!(polls(HOUR, early), ["24. 10:59:40 +0100", "24. 11:59:40 +0100"]);
        assert_eq!(polls(15 * MINUTE, early), ["24. 10:59:40 +0100", "24. 11:14:40 +0100"]);
        assert_eq!(polls(24 * HOUR, early), ["24. 23:59:40 +0100", "25. 23:59:40 +0100"]);
        assert_eq!(polls(7 * 24 * HOUR, early), ["29. 23:59:40 +0100", "06. 23:59:40 +0100"]);
        let late = SignedDuration::from_mins(2);
        assert_eq!(polls(HOUR, late), ["24. 11:02:00 +0100", "24. 12:02:00 +0100"]);
        let six = SignedDuration::from_hours(6);
        assert_eq!(polls(24 * HOUR, six), ["25. 06:00:00 +0100", "26. 06:00:00 +0100"]);
    }

    /// Each full hour has its reading, 20 s before.
    #[test]
    fn early_polls_when_summer_time_begins_or_ends() {
        fn early<const N: usize>(start: &str, interval: Duration) -> [String; N] {
            shifted_polls(start, interval, SignedDuration::from_secs(-20))
        }
        let spring = "2026-03-29T00:59:40+01:00[Europe/Berlin]";
        assert_eq!(early(spring, HOUR), ["29. 01:59:40 +0100", "29. 03:59:40 +0200"]);
        let quarters = [
            "29. 01:14:40 +0100",
            "29. 01:29:40 +0100",
            "29. 01:44:40 +0100",
            "29. 01:59:40 +0100",
            "29. 03:14:40 +0200",
        ];
        assert_eq!(early(spring, 15 * MINUTE), quarters);
        assert_eq!(early(spring, 24 * HOUR), ["29. 23:59:40 +0200", "30. 23:59:40 +0200"]);
        let autumn = "2026-10-25T01:59:40+02:00[Europe/Berlin]";
        let hours = ["25. 02:59:40 +0200", "25. 02:59:40 +0100", "25. 03:59:40 +0100"];
        assert_eq!(early(autumn, HOUR), hours);
        assert_eq!(early(autumn, 24 * HOUR), ["25. 23:59:40 +0100", "26. 23:59:40 +0100"]);
    }

    /// A day must not be left out because its 02:30 does not exist.
    #[test]
    fn a_daily_poll_at_a_time_that_does_not_exist_is_made_later() {
        let half_past_two = SignedDuration::from_mins(150);
        let spring =
            shifted_polls("2026-03-28T01:00:00+01:00[Europe/Berlin]", 24 * HOUR, half_past_two);
        let expected = ["28. 02:30:00 +0100", "29. 03:30:00 +0200", "30. 02:30:00 +0200"];
        assert_eq!(spring, expected);
        // In Cairo there is no midnight on that day.
        let cairo = polls("2026-04-23T12:00:00+02:00[Africa/Cairo]", 24 * HOUR);
        assert_eq!(cairo, ["24. 01:00:00 +0300", "25. 00:00:00 +0300"]);
        // On Lord Howe Island the clock is put forward by half an hour.
        let island = polls("2026-10-04T00:30:00+10:30[Australia/Lord_Howe]", HOUR);
        assert_eq!(island, ["04. 01:00:00 +1030", "04. 02:30:00 +1100", "04. 03:00:00 +1100"]);
    }

    #[test]
    fn several_meters_are_polled_before_the_full_hour_too() {
        let of_500 = |index, secs| shift(index, 500, HOUR, SignedDuration::from_secs(secs));
        assert_eq!(of_500(0, -20), SignedDuration::from_secs(-20));
        assert_eq!(of_500(499, -20), SignedDuration::from_millis(-69_900));
        // A meter that is added by a reload has a moment of its own.
        let [alone, added] = [(0, 1), (1, 2)]
            .map(|(index, count)| shift(index, count, HOUR, SignedDuration::from_secs(-20)));
        assert_eq!(alone.saturating_sub(added), SignedDuration::from_millis(100));
        assert_eq!(of_500(0, 0), SignedDuration::ZERO);
        assert_eq!(of_500(499, 20), SignedDuration::from_millis(69_900));
        assert_eq!(
            shift(0, 1, HOUR, SignedDuration::from_secs(-20)),
            SignedDuration::from_secs(-20)
        );
    }

    #[test]
    fn polls_when_summer_time_begins() {
        let polls = |interval| polls("2026-03-29T01:50:00+01:00[Europe/Berlin]", interval);
        let five = ["29. 01:55:00 +0100", "29. 03:00:00 +0200", "29. 03:05:00 +0200"];
        assert_eq!(polls(5 * MINUTE), five);
        let hour = ["29. 03:00:00 +0200", "29. 04:00:00 +0200", "29. 05:00:00 +0200"];
        assert_eq!(polls(HOUR), hour);
        // There is no two o'clock.
        let two = ["29. 03:00:00 +0200", "29. 04:00:00 +0200", "29. 06:00:00 +0200"];
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
        let times = PollTimes { interval: MINUTE, shift: SignedDuration::from_secs(7) };
        let wait = |time: &str| until_next(&time.parse().unwrap(), times);
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
            let mut schedule = Schedule::from(&time);
            schedule.shift = SignedDuration::from_secs(-20);
            for interval in [Duration::from_millis(1200), 5 * MINUTE, 24 * HOUR, 168 * HOUR] {
                let now = Instant::now();
                let next = schedule.after(now, MINUTE, interval);
                assert!(next > now && next - now <= MINUTE + 2 * interval, "{time} {interval:?}");
            }
        }
    }
}
