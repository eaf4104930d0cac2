//! Reads a log of the meter over the plan's port. It can pause between two requests, while the port
//! is used for something else.

use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::explanation::Explanation;
use super::memory::Memory;
use super::outcome::PollError;
use super::plan::Plan;
use crate::client::RequestError;
use crate::logger::{LogEnd, LogOutcome, LogReading, LogStep};
use crate::transport::Open;

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
    /// Those since the last answer.
    attempts: Attempts,
    answers: u32,
    end: Option<LogEnd>,
    trouble: Option<PollError>,
}

impl LogWork {
    pub(super) fn new(reading: LogReading) -> Self {
        Self { reading, attempts: Attempts::default(), answers: 0, end: None, trouble: None }
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
        while !self.attempts.are_spent() {
            self.trouble = None;
            let stream = match self.attempts.open(plan, stop).await {
                Ok(stream) => stream,
                Err(trouble) => {
                    self.trouble = trouble;
                    return true;
                }
            };
            let mut client = memory.line.client(stream, plan.line);
            let reading = self.reading.read(&mut client, plan.line, stop, &must_pause, &mut report);
            let result = reading.await;
            let is_other = matches!(result, Ok(LogOutcome::Ended(LogEnd::OtherMeter(_))));
            if client.take_silence() || is_other {
                memory.recognition.lost();
            }
            memory.line.keep(&client);
            drop(client);
            if self.reading.answers() > self.answers {
                self.answers = self.reading.answers();
                self.attempts.note_answer();
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
                    self.attempts.note_broken();
                    if must_pause() {
                        return false;
                    }
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
