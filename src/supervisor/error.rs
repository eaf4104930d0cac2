//! Why the Supervisor does not name the broker, and what to do about it.

use std::time::Duration;

use thiserror::Error;

/// Why the Supervisor does not name the broker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SupervisorError {
    /// No broker has registered with the Supervisor yet.
    #[error("Home Assistant has no MQTT broker yet")]
    NoBroker,
    /// The Supervisor is starting or stopping.
    #[error("Home Assistant is still starting")]
    Starting,
    /// The Supervisor cannot be reached for this reason, for example while it is being updated.
    #[error("Home Assistant's Supervisor cannot be reached: {0}")]
    Unreachable(String),
    /// The Supervisor did not answer within this time.
    #[error("Home Assistant's Supervisor does not answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// The add-on has no permission to ask.
    #[error("Home Assistant does not let this app ask for the MQTT broker")]
    NotGranted,
    /// The Supervisor rejected the app's token.
    #[error("Home Assistant rejected this app's token")]
    UnknownToken,
    /// The Supervisor has no MQTT service.
    #[error("Home Assistant has no MQTT service")]
    NoService,
    /// The Supervisor refused with these words.
    #[error("Home Assistant did not name its MQTT broker: {0}")]
    Refused(String),
    /// The answer is invalid for this reason.
    #[error("Home Assistant's answer about its MQTT broker is invalid: {0}")]
    Invalid(String),
}

impl SupervisorError {
    /// What to do about it.
    #[must_use]
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoBroker => {
                "This is normal after a restart: the app \"Mosquitto broker\" takes a while to \
                 start. If this lasts, install and start that app. Or enter your own broker under \
                 \"Own MQTT broker\" in this app's options."
            }
            Self::Starting => "Please wait until it has started.",
            Self::Unreachable(_) => {
                "This is normal while the Supervisor is being updated, for a minute at most. If \
                 this lasts, restart the machine."
            }
            Self::Slow(_) => "If this lasts, restart the machine.",
            Self::NotGranted => {
                "This is a bug in the app; please report it. Until it is fixed, enter the broker \
                 under \"Own MQTT broker\" in the options."
            }
            Self::UnknownToken => {
                "Restart this app: it gets a new token at every start. If that does not help, \
                 restart the machine."
            }
            Self::NoService => {
                "Update Home Assistant, or enter the broker under \"Own MQTT broker\" in this \
                 app's options."
            }
            Self::Refused(_) | Self::Invalid(_) => {
                "Check the Supervisor's log (Settings > System > Logs). If this lasts, enter the \
                 broker under \"Own MQTT broker\" in this app's options."
            }
        }
    }

    /// Whether this error is normal while the machine starts.
    pub(super) fn is_usual(&self) -> bool {
        matches!(self, Self::NoBroker | Self::Starting)
    }
}
