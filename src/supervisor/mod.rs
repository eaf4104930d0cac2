//! Asks Home Assistant's Supervisor for the broker and the login, and changes the app's options.
//!
//! The Supervisor may not know the broker yet: when the machine starts, the program asks before the
//! broker has registered. Its answer may also be outdated after the broker was set up again. So the
//! program asks until the Supervisor knows the broker. It asks again whenever the status board
//! ([`Board`]) reports that the connection to the broker is down.

mod answer;
mod error;
mod log;
mod options;
#[cfg(test)]
mod tests;

use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use self::answer::{page, supplied};
pub(crate) use self::error::SupervisorError;
use self::log::SupervisorLog;
use crate::config::addon_options::{Options, Supplied};
use crate::config::{Access, ApiAddress, Broker, Secret};
use crate::http::{self, Answer, HttpError};
use crate::status::{Board, BrokerState, SettingLine, SupervisorState};
use meter::back_off::BackOff;
use meter::cause;

/// The Supervisor's address inside the app.
pub(crate) const ADDRESS: &str = "http://supervisor";

/// The variable that sets another address, for tests.
pub(crate) const ADDRESS_VARIABLE: &str = "KAMSTRUP2MQTT_SUPERVISOR";

/// Unless it hangs, the Supervisor answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pauses between two requests.
const PAUSES: BackOff = BackOff::new(Duration::from_secs(1), Duration::from_secs(60));

/// A broker that was connected this long could be used.
const USED: Duration = Duration::from_secs(60);

/// The address of a Supervisor: `http://` with a host and an optional port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server(Url);

impl FromStr for Server {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, NoServer> {
        let url: Url = text.parse().map_err(|_| NoServer)?;
        let is_server = url.scheme() == "http"
            && url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if is_server { Ok(Self(url)) } else { Err(NoServer) }
    }
}

/// The text is not an address like `http://host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("accepted: `http://` with a host and an optional port")]
pub(crate) struct NoServer;

/// The Supervisor, and the token for it.
#[derive(Debug, Clone)]
pub(crate) struct Supervisor {
    server: Server,
    token: Secret,
}

impl Supervisor {
    /// With the token that the app received.
    #[must_use]
    pub(crate) fn new(server: Server, token: Secret) -> Self {
        Self { server, token }
    }

    /// Home Assistant behind the Supervisor, which accepts the same token.
    #[must_use]
    pub(crate) fn home_assistant(&self) -> Option<Access> {
        let address = ApiAddress::behind(&self.server.0)?;
        Some(Access { address, token: self.token.clone() })
    }

    async fn get(&self, path: &str) -> Result<Answer, HttpError> {
        let mut url = self.server.0.clone();
        url.set_path(path);
        http::get(url, Some(&self.token), PATIENCE).await
    }

    /// Asks for what the Supervisor knows about the app, or for its options. The first has the
    /// texts of the form in all languages.
    async fn get_info(&self, path: &str) -> Result<Answer, HttpError> {
        const LONGEST: usize = 1024 * 1024;
        let mut url = self.server.0.clone();
        url.set_path(path);
        http::get_up_to(url, Some(&self.token), PATIENCE, LONGEST).await
    }

    /// The address of the app's page within Home Assistant, which begins with
    /// `homeassistant://`. Asks until it is known. Errors are only logged at DEBUG: the request for
    /// the broker reports them too, and the page's address matters less.
    pub(crate) async fn page(&self) -> String {
        let mut pauses = PAUSES;
        loop {
            match self.get_info("/addons/self/info").await {
                Ok(answer) => {
                    if let Some(page) = page(&answer) {
                        return page;
                    }
                    debug!("The Supervisor's answer does not contain this app's name.");
                }
                Err(error) => debug!("Cannot ask the Supervisor for this app's name: {error}."),
            }
            sleep(pauses.pause()).await;
        }
    }
}

/// Something that can be asked for the broker.
pub(crate) trait Ask: Send + Sync {
    /// Asks once.
    fn ask(&self) -> impl Future<Output = Result<Supplied, SupervisorError>> + Send;
}

impl Ask for Supervisor {
    async fn ask(&self) -> Result<Supplied, SupervisorError> {
        match self.get("/services/mqtt").await {
            Ok(answer) => supplied(&answer),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Why a request got no answer.
fn failed(error: HttpError) -> SupervisorError {
    match error {
        HttpError::Connect(error) => SupervisorError::Unreachable(cause::of_connection(&error)),
        HttpError::Slow(patience) => SupervisorError::Slow(patience),
        HttpError::Broken(_) => SupervisorError::Invalid("the connection ended early".into()),
        error @ HttpError::TooLong(_) => SupervisorError::Invalid(error.to_string()),
    }
}

/// Asks for the broker, and again whenever the connection to it is down, until `stop` is cancelled.
pub(crate) async fn run(
    supervisor: impl Ask,
    options: &Options,
    brokers: watch::Sender<Option<Broker>>,
    board: &Board,
    stop: CancellationToken,
) {
    let mut broker = board.broker();
    let mut log = SupervisorLog::new(board);
    board.set_up(|setup| setup.supervisor = SupervisorState::Asked);
    let asking = async {
        let mut known = None;
        // If each answer is another broker that cannot be used, the next request waits.
        let mut pauses = PAUSES;
        loop {
            let mut is_another = false;
            let other = find(&supervisor, options, known.as_ref(), &mut log, &mut broker).await;
            if let Some((supplied, found, lines)) = other {
                board.set_up(|setup| {
                    setup.settings = lines.into_iter().map(SettingLine::from).collect();
                });
                let name = found.name();
                is_another = known.replace(supplied).is_some();
                if is_another {
                    info!("Home Assistant reports new settings for its MQTT broker {name}.");
                } else {
                    info!("Home Assistant's MQTT broker is {name}.");
                }
                // The new broker is tried before the next request. Any change of its state counts:
                // it may have rejected the login before this code sees it.
                broker.mark_unchanged();
                brokers.send_replace(Some(found));
                if broker.changed().await.is_err() {
                    return;
                }
            }
            let begun = Instant::now();
            if broker.wait_for(is_down).await.is_err() {
                return;
            }
            if begun.elapsed() >= USED {
                pauses.reset();
            } else if is_another {
                sleep(pauses.pause()).await;
                if broker.wait_for(is_down).await.is_err() {
                    return;
                }
            }
            debug!("Asking Home Assistant whether its MQTT broker has changed.");
        }
    };
    stop.run_until_cancelled(asking).await;
}

fn is_down(state: &BrokerState) -> bool {
    matches!(state, BrokerState::Down { .. })
}

/// Asks until there is another broker than before. Returns `None` when the previous one is back.
async fn find(
    supervisor: &impl Ask,
    options: &Options,
    known: Option<&Supplied>,
    log: &mut SupervisorLog,
    broker: &mut watch::Receiver<BrokerState>,
) -> Option<(Supplied, Broker, Vec<[String; 3]>)> {
    let mut pauses = PAUSES;
    loop {
        let checked =
            supervisor.ask().await.and_then(|supplied| match options.with_broker(&supplied) {
                Ok((config, lines)) => Ok((supplied, config.broker, lines)),
                Err(error) => Err(SupervisorError::Invalid(error.problems().join("; "))),
            });
        match checked {
            Ok((supplied, found, lines)) => {
                log.answered();
                if known != Some(&supplied) {
                    return Some((supplied, found, lines));
                }
            }
            Err(error) => log.failed(&error),
        }
        tokio::select! {
            () = sleep(pauses.pause()) => {}
            // This cannot fail, because the board outlives it.
            Ok(_) = broker.wait_for(|state| !is_down(state)), if known.is_some() => {
                log.answered();
                return None;
            }
        }
    }
}
