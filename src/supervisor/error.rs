//! Why the Supervisor does not say which broker there is, and what to do about it.

use std::time::Duration;

use thiserror::Error;

/// Why the Supervisor does not say which broker there is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SupervisorError {
    /// No broker has registered with it, or not yet.
    #[error("Home Assistant has no MQTT broker, or none yet")]
    NoBroker,
    /// It is starting or stopping.
    #[error("Home Assistant is still starting")]
    Starting,
    /// It cannot be reached, as while it is updated: why.
    #[error("Home Assistant's Supervisor cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer in this time.
    #[error("Home Assistant's Supervisor does not answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// The add-on may not ask.
    #[error("Home Assistant does not let this add-on ask for the MQTT broker")]
    NotGranted,
    /// It does not know the add-on's token.
    #[error("Home Assistant does not know this add-on's token")]
    UnknownToken,
    /// It has no MQTT service.
    #[error("Home Assistant knows nothing of an MQTT service")]
    NoService,
    /// It refuses, in words of its own.
    #[error("Home Assistant does not say which MQTT broker it has: {0}")]
    Refused(String),
    /// Its answer is invalid: why.
    #[error("What Home Assistant says of the MQTT broker makes no sense: {0}")]
    Invalid(String),
}

impl SupervisorError {
    /// What to do about it.
    #[must_use]
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoBroker => {
                "After a restart that is normal: the Mosquitto broker add-on takes a while. If it \
                 stays so, install and start that add-on, or name a broker of your own as `host` of \
                 `mqtt` in this add-on's options."
            }
            Self::Starting => "There is nothing to do but to wait.",
            Self::Unreachable(_) => {
                "While the Supervisor is updated that is normal, and takes a minute at most. If it \
                 stays so, restart the machine."
            }
            Self::Slow(_) => "If it stays so, restart the machine.",
            Self::NotGranted => {
                "That is a fault of this add-on; please report it. Until it is mended, name the \
                 broker as `host` of `mqtt` in the options."
            }
            Self::UnknownToken => {
                "Restart this add-on; if that does not help, restart the machine: the token is new \
                 at every start."
            }
            Self::NoService => {
                "Update Home Assistant, or name the broker as `host` of `mqtt` in this add-on's \
                 options."
            }
            Self::Refused(_) | Self::Invalid(_) => {
                "Look at the Supervisor's log (Settings, System, Logs). If it stays so, name the \
                 broker as `host` of `mqtt` in this add-on's options."
            }
        }
    }

    /// Whether it is normal while the machine starts.
    pub(super) fn is_usual(&self) -> bool {
        matches!(self, Self::NoBroker | Self::Starting)
    }
}
