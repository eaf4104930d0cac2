//! What a polling task is to do.

use std::time::Duration;

use kmp::line::Line;
use kmp::model::Model;
use kmp::register::RegisterId;

use super::explanation::HintContext;
use crate::RunsAs;
use crate::identity::Version;
use crate::transport::{Port, PortQueues, SharedPort};

/// What a polling task needs to know.
#[derive(Debug)]
pub struct Plan<O> {
    /// Opens the connection to the meter.
    pub port: O,
    /// What log lines call the port.
    pub port_name: String,
    /// The line behind the port.
    pub line: Line,
    /// The registers to read, each once.
    pub registers: Vec<RegisterId>,
    /// The model that the user has configured.
    pub version: Version,
    /// From the start of one poll to the start of the next. Polls are at the multiples of the
    /// interval by the wall clock.
    pub interval: Duration,
    /// Whether advice is for the user of a program or of an add-on.
    pub runs_as: RunsAs,
}

impl Plan<Port> {
    /// The same plan with a port that waits while others use it.
    #[must_use]
    pub fn sharing_ports(self, queues: &PortQueues) -> Plan<SharedPort> {
        let Self { port, port_name, line, registers, version, interval, runs_as } = self;
        let port = queues.share(port);
        Plan { port, port_name, line, registers, version, interval, runs_as }
    }
}

impl<O> Plan<O> {
    /// What advice depends on, for a meter that may be one of these models.
    pub(super) fn hint_context<'a>(&'a self, models: &'a [Model]) -> HintContext<'a> {
        let Self { port_name: port, interval, runs_as, .. } = self;
        HintContext { port, interval: *interval, models, runs_as: *runs_as }
    }
}
