//! What the system has scheduled for a process, from its threads.

use std::time::Duration;

use anyhow::Context;

/// What the system has scheduled for a process so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scheduled {
    /// The processor time of all its threads.
    pub(crate) processor: Duration,
    /// How often a thread waited, and was then woken.
    pub(crate) wake_ups: u64,
}

impl Scheduled {
    /// Of all threads of a process.
    pub(crate) fn of(process: u32) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let task = task?.path();
            // The first number is in nanoseconds.
            let times = std::fs::read_to_string(task.join("schedstat"))?;
            let ran = times.split_whitespace().next().context("the time that a thread ran")?;
            all.processor += Duration::from_nanos(ran.parse()?);
            let status = std::fs::read_to_string(task.join("status"))?;
            let switches =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            all.wake_ups += switches.context("the switches of a thread")?.trim().parse::<u64>()?;
        }
        Ok(all)
    }

    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            processor: self.processor.saturating_sub(before.processor),
            wake_ups: self.wake_ups.saturating_sub(before.wake_ups),
        }
    }
}
