//! An open connection to a meter, with the meter's answers so far, the remaining requests, and what
//! is known about the meter.
//!
//! Other modules implement its steps: they read registers ([`super::read`]), read doubtful
//! registers again ([`super::confirm`]), identify the meter ([`super::identify`]) and check its
//! faults ([`super::diagnose`]).

use kmp::register::RegisterId;
use tokio_util::sync::CancellationToken;

use super::extent::Extent;
use super::memory::Memory;
use super::outcome::{PollError, Polled};
use super::ownership::Ownership;
use super::requests::{self, Requests};
use crate::client::{Meter, RequestError};
use crate::plausibility::ReadingQuality;
use crate::transport::Stream;

/// An open connection to a meter.
pub(super) struct Session<'a> {
    pub(super) client: Meter<Box<dyn Stream>>,
    /// The outcome of the poll so far, including an earlier connection.
    pub(super) polled: &'a mut Polled,
    /// The remaining requests.
    pub(super) requests: &'a mut Requests,
    pub(super) memory: &'a mut Memory,
    pub(super) stop: &'a CancellationToken,
}

impl Session<'_> {
    /// Makes a poll's requests. If the connection breaks and is not the last one, the rest is left
    /// to the next one. `due` are the registers that this poll reads, of all the configured ones.
    pub(super) async fn run(
        mut self,
        due: &[RegisterId],
        configured: &[RegisterId],
        is_last: bool,
    ) {
        self.read(configured, is_last).await;
        if self.memory.extent == Extent::Identity {
            self.diagnose().await;
            self.ask_identity(due).await;
            self.ask_type_and_serial().await;
        } else {
            // The registers of the info code depend on the model.
            self.identify_in_part(due).await;
            self.diagnose().await;
        }
        self.rehearse(configured).await;
        self.close();
    }

    /// Reads the registers of the known meter, or all those of the one that has taken its place.
    async fn read(&mut self, configured: &[RegisterId], is_last: bool) {
        // Up to three times: again for another meter, and again for requests that a doubt
        // interrupted.
        for _ in 0..3 {
            self.read_all().await;
            self.doubt_upper_digits();
            self.confirm().await;
            self.reconcile().await;
            self.polled.is_owner_open = true;
            if self.polled.is_broken_off() && !is_last {
                self.note_silence();
                return;
            }
            let ownership = self.recognize().await;
            if self.polled.is_broken_off() && !is_last {
                return;
            }
            self.polled.is_owner_open = false;
            match ownership {
                Ownership::Known => {
                    let is_done = self.requests.is_empty() || self.polled.trouble.is_some();
                    if is_done || !self.polled.suspect {
                        return;
                    }
                    self.polled.suspect = false;
                }
                Ownership::Other(exchange) if self.polled.exchange.is_none() => {
                    self.memory.begin_anew();
                    self.client.forget_order();
                    self.client.expect_cut(None);
                    *self.polled = Polled { exchange: Some(exchange), ..Polled::default() };
                    *self.requests = requests::of_poll(configured, self.polled, self.memory);
                }
                Ownership::Other(_) | Ownership::Unknown => {
                    self.polled.withhold_foreign(self.memory);
                    return;
                }
            }
        }
    }

    /// Keeps what the next connection must know.
    pub(super) fn close(mut self) {
        // Late answers may still arrive over the next connection.
        if self.polled.is_broken_off() && !self.polled.doubtful.is_empty() {
            self.client.mark_suspect();
        }
        if self.client.take_silence() {
            self.memory.recognition.lost();
        }
        self.note_whole();
        // Of a scan, which pauses, only what is new says something about the present.
        let lateness = self.client.take_lateness();
        self.polled.line.lateness.add(lateness);
        let is_telling = self.polled.is_late() || self.polled.readings.is_empty();
        if lateness.answers > 0 && is_telling {
            self.memory.line.note_lateness(self.polled.line.lateness);
        }
        // The trouble of a poll is that of its last connection.
        self.polled.line.is_telnet = self.client.is_telnet();
        self.memory.line.keep(&self.client);
    }

    /// Notes whether the meter fell silent. Must be called before later answers are added.
    pub(super) fn note_silence(&mut self) {
        if self.client.take_silence() {
            self.polled.note_silence();
        }
    }

    /// Notes why a request failed. A stop of the program is not a failure.
    pub(super) fn note_failure(&mut self, error: RequestError) {
        match error {
            RequestError::NoAnswer(heard) => self.polled.trouble = Some(PollError::Meter(heard)),
            RequestError::Broken(error) => self.polled.trouble = Some(error.into()),
            RequestError::Stopping => {}
        }
    }

    /// How far the last answer can be trusted: see [`Memory::quality`].
    pub(super) fn quality(&self, answered: usize, requested: usize) -> ReadingQuality {
        self.memory.quality(&self.client, answered, requested)
    }
}
