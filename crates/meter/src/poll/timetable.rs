//! Decides when a polling task polls next.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::Step;
use super::schedule::{CLOCK_SKEW, Schedule};
use crate::back_off::BackOff;

/// The shortest time from the start of one poll to a poll on request, because each poll uses the
/// meter's battery.
pub const RECOVERY: Duration = Duration::from_secs(10);

/// How often the wall clock is checked.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// The time from the end of a poll that read nothing to the next poll. It doubles up to the interval.
const FIRST_BACK_OFF: Duration = Duration::from_secs(15);

/// The next poll of a meter: on the schedule, sooner on request, or after a back-off if the last one
/// read nothing.
#[derive(Debug)]
pub(super) struct Timetable {
    schedule: Schedule,
    interval: Duration,
    /// When the next poll is due.
    due: Instant,
    /// When the next poll of the schedule is due.
    on_schedule: Instant,
    /// When the last poll began.
    begun: Option<Instant>,
    /// Whether the current or last poll was on the schedule.
    was_on_schedule: bool,
    /// When the wall clock was last checked. A request for a poll does not delay the next check.
    checked: Instant,
    /// Whether a poll was requested since the last one.
    is_hurried: bool,
    back_off: BackOff,
}

impl Timetable {
    pub(super) fn new(schedule: Schedule, interval: Duration) -> Self {
        let start = Instant::now();
        let due = start.checked_add(schedule.delay()).unwrap_or(start);
        Self {
            schedule,
            interval,
            due,
            on_schedule: due,
            begun: None,
            was_on_schedule: false,
            checked: start,
            is_hurried: false,
            back_off: BackOff::new(FIRST_BACK_OFF, Duration::MAX),
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn is_hurried(&self) -> bool {
        self.is_hurried
    }

    /// When to check the wall clock before the next poll, if at all. It may be set, as on a computer
    /// without a hardware clock after its start.
    pub(super) fn next_clock_check(&self) -> Option<Instant> {
        let check = self.checked.checked_add(CLOCK_CHECK)?.max(Instant::now());
        // Just before a poll the two clocks might disagree about which poll is next.
        let is_long_before = self.on_schedule.saturating_duration_since(check) > RECOVERY;
        let is_waiting = self.due == self.on_schedule && self.begun.is_some();
        (is_long_before && is_waiting).then_some(check)
    }

    /// Follows the wall clock, which may have been set.
    pub(super) fn check_clock(&mut self) {
        self.checked = Instant::now();
        self.on_schedule = self.schedule.next(self.interval);
        self.due = self.on_schedule;
    }

    /// Notes that a poll is requested.
    pub(super) fn hurry(&mut self) {
        let soon = self.begun.and_then(|at| at.checked_add(RECOVERY));
        self.due = self.due.min(soon.unwrap_or(self.due)).max(Instant::now());
        self.is_hurried = true;
    }

    /// Makes the next poll due now, because the meter answers again.
    pub(super) fn poll_now(&mut self) {
        self.due = Instant::now();
    }

    /// Notes that a poll is due. It may still have to wait for the port.
    pub(super) fn poll_is_due(&mut self) {
        self.is_hurried = false;
        self.was_on_schedule = self.due == self.on_schedule && self.begun.is_some();
    }

    /// The step of the slow interval that a poll opens or belongs to that begins now: that of the
    /// next poll, so that the last poll before the clock reaches a step opens it. It tolerates a
    /// clock that is set back a little.
    pub(super) fn step(&self, slow_interval: Duration) -> Step {
        let early = RECOVERY.min(self.interval.checked_div(4).unwrap_or_default());
        Step(self.schedule.step_after(self.interval.saturating_add(early), slow_interval))
    }

    /// Notes that a poll begins.
    pub(super) fn begin_poll(&mut self, now: Instant) {
        self.begun = Some(now);
    }

    /// Notes that a poll has ended, and works out when the next one is due.
    pub(super) fn end_poll(&mut self, has_failed: bool, is_port_shared: bool) {
        let now = Instant::now();
        // If the clock is set back a little, the same poll is not made twice.
        let rest = if self.was_on_schedule { RECOVERY } else { CLOCK_SKEW };
        self.on_schedule = self.schedule.after(self.due, rest, self.interval);
        self.checked = now;
        self.due = self.on_schedule;
        if has_failed {
            let soon = now.checked_add(self.back_off.pause());
            self.due = soon.map_or(self.on_schedule, |soon| soon.min(self.on_schedule));
            if is_port_shared {
                self.due = self.due.max(now.checked_add(FIRST_BACK_OFF).unwrap_or(self.due));
            }
        } else {
            self.back_off.reset();
        }
    }
}
