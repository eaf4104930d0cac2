//! Reads a log of the meter over the plan's port. It can pause between two requests, while the port
//! is used for something else.

use tokio_util::sync::CancellationToken;

use super::explanation::Explanation;
use super::memory::Memory;
use super::outcome::PollError;
use super::plan::Plan;
use crate::client::RequestError;
use crate::logger::{LogEnd, LogOutcome, LogReading, LogStep};
use crate::transport::Open;

/// How many connections in a row may break before an answer.
const CONNECTIONS: u32 = 10;

/// How the reading of a log ended.
#[derive(Debug)]
pub struct LogRead {
    /// Why it is over; `None` if it was stopped, or the meter could not be read.
    pub end: Option<LogEnd>,
    /// Why the meter could not be read.
    pub trouble: Option<Explanation>,
}

/// The reading of a log, over as many connections as it takes.
#[derive(Debug)]
pub(super) struct LogWork {
    reading: LogReading,
    /// How many connections broke, or were crowded out by those of other meters, since the last
    /// answer.
    broken: u32,
    answers: u32,
    end: Option<LogEnd>,
    trouble: Option<PollError>,
}

impl LogWork {
    pub(super) fn new(reading: LogReading) -> Self {
        Self { reading, broken: 0, answers: 0, end: None, trouble: None }
    }

    /// Continues until `must_pause`. Returns whether it is over.
    pub(super) async fn run<O: Open>(
        &mut self,
        plan: &Plan<O>,
        memory: &mut Memory,
        stop: &CancellationToken,
        must_pause: impl Fn() -> bool,
        mut report: impl FnMut(LogStep<'_>),
    ) -> bool {
        while self.broken < CONNECTIONS {
            self.trouble = None;
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => return true,
                opened = plan.port.open() => opened,
            };
            let stream = match opened {
                Ok(stream) => stream,
                Err(error) => {
                    self.trouble = Some(PollError::Port(error));
                    if plan.port.was_crowded_out() {
                        self.broken = self.broken.saturating_add(1);
                        continue;
                    }
                    return true;
                }
            };
            let mut client = memory.line.client(stream, plan.line);
            let reading = self.reading.read(&mut client, plan.line, stop, &must_pause, &mut report);
            let result = reading.await;
            memory.line.keep(&client);
            drop(client);
            if self.reading.answers() > self.answers {
                (self.answers, self.broken) = (self.reading.answers(), 0);
                memory.line.has_answered = true;
            }
            match result {
                Ok(LogOutcome::Paused) => return false,
                Ok(LogOutcome::Ended(end)) => {
                    self.end = Some(end);
                    return true;
                }
                Err(RequestError::NoAnswer(heard)) => {
                    self.trouble = Some(PollError::Meter(heard));
                    return true;
                }
                Err(RequestError::Stopping) => return true,
                Err(RequestError::Broken(error)) => {
                    self.trouble = Some(error.into());
                    self.broken = self.broken.saturating_add(1);
                }
            }
        }
        true
    }

    pub(super) fn finish<O>(self, plan: &Plan<O>, memory: &Memory) -> LogRead {
        let models = memory.identification.known_models();
        let context = plan.hint_context(&models, memory.line.has_answered);
        let trouble = self.trouble.map(|error| error.explain(&context));
        LogRead { end: self.end, trouble }
    }
}
