//! The plan of a polling task.

use std::time::Duration;

use kmp::line::{Line, RESPONSE_TIME};
use kmp::model::Model;
use kmp::register::RegisterId;

use super::explanation::HintContext;
use super::pace::Paces;
use crate::RunsAs;
use crate::client;
use crate::container;
use crate::duration;
use crate::identity::Version;
use crate::transport::{Open, Port, PortQueues, SharedPort};

/// Which meter a polling task reads, and how.
#[derive(Debug)]
pub struct Plan<O> {
    /// Opens the connection to the meter.
    pub port: O,
    /// The name of the port in log lines.
    pub port_name: String,
    /// The line behind the port.
    pub line: Line,
    /// The registers to read, each once.
    pub registers: Vec<RegisterId>,
    /// Of these registers, those that are read in one request if the line carries such an answer,
    /// because values are computed from them.
    pub together: Vec<RegisterId>,
    /// Of these registers, those that are not missed if the meter does not have them.
    pub optional: Vec<RegisterId>,
    /// The model that the user has configured.
    pub version: Version,
    /// The time from the start of one poll to the start of the next. Polls start at multiples of
    /// the interval by the wall clock.
    pub interval: Duration,
    /// How often registers that change slowly are read ([`Paces`]). `None`: in each poll.
    pub slow_interval: Option<Duration>,
    /// Whether hints are for the user of a standalone program or of an app.
    pub runs_as: RunsAs,
}

impl Plan<Port> {
    /// The same plan with a port that is shared with other meters.
    #[must_use]
    pub fn sharing_ports(self, queues: &PortQueues) -> Plan<SharedPort> {
        let Self { port, port_name, line, registers, version, interval, .. } = self;
        let Self { together, optional, slow_interval, runs_as, .. } = self;
        let port = queues.share(port);
        Plan {
            port,
            port_name,
            line,
            registers,
            together,
            optional,
            version,
            interval,
            slow_interval,
            runs_as,
        }
    }
}

impl<O> Plan<O> {
    /// How often each register is read.
    #[must_use]
    pub fn paces(&self) -> Paces {
        Paces::new(self.interval, self.slow_interval, &self.registers)
    }

    /// The facts that hints depend on, for a meter that may be one of these models.
    pub(super) fn hint_context<'a>(
        &'a self,
        models: &'a [Model],
        has_answered: bool,
    ) -> HintContext<'a> {
        let Self { port_name: port, interval, runs_as, line, .. } = self;
        HintContext {
            port,
            interval: *interval,
            models,
            has_answered,
            timeout: line.answer_timeout(),
            runs_as: *runs_as,
            in_container: container::is_in(*runs_as),
        }
    }
}

impl<O: Open> Plan<O> {
    /// How long it takes at most until a meter that does not answer is reported: opening the port,
    /// three requests for registers and two for the serial number, with rests between them
    /// (`read`). In whole seconds.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        const TRIES: u32 = 5;
        let request = client::longest_request(self.line);
        let requests = request.saturating_mul(TRIES);
        let rests = RESPONSE_TIME.saturating_mul(TRIES - 1);
        let sum = self.port.opens_within().saturating_add(requests).saturating_add(rests);
        Duration::from_secs(sum.as_secs().saturating_add(1))
    }

    /// What to say while the meter has not answered yet.
    #[must_use]
    pub fn waiting_words(&self) -> String {
        format!(
            "Waiting for the meter on {} to answer; this can take {}.",
            self.port_name,
            duration::words(self.longest_silence())
        )
    }
}
