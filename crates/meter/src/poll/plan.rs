//! The plan of a polling task.

use std::time::Duration;

use kmp::line::Line;
use kmp::model::Model;
use kmp::register::RegisterId;

use super::explanation::HintContext;
use crate::RunsAs;
use crate::identity::Version;
use crate::transport::{Port, PortQueues, SharedPort};

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
    /// The model that the user has configured.
    pub version: Version,
    /// The time from the start of one poll to the start of the next. Polls start at multiples of the
    /// interval by the wall clock.
    pub interval: Duration,
    /// Whether hints are for the user of a standalone program or of an app.
    pub runs_as: RunsAs,
}

impl Plan<Port> {
    /// The same plan with a port that is shared with other meters.
    #[must_use]
    pub fn sharing_ports(self, queues: &PortQueues) -> Plan<SharedPort> {
        let Self { port, port_name, line, registers, version, interval, runs_as } = self;
        let port = queues.share(port);
        Plan { port, port_name, line, registers, version, interval, runs_as }
    }
}

impl<O> Plan<O> {
    /// The facts that hints depend on, for a meter that may be one of these models.
    pub(super) fn hint_context<'a>(&'a self, models: &'a [Model]) -> HintContext<'a> {
        let Self { port_name: port, interval, runs_as, .. } = self;
        HintContext { port, interval: *interval, models, runs_as: *runs_as }
    }
}
