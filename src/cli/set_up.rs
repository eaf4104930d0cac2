//! The service without a configuration: whether it offers the setup page, and waiting until a file
//! is there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tokio::task::JoinError;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::reload::{self, Hangup};
use crate::config::{self, Beginning, ConfigError, Loaded, PageSettings, Secret, Variables};
use crate::history_file;
use crate::machine;
use crate::recovery;
use crate::setup::{Setup, Target};
use crate::similar;
use crate::systemd;
use crate::web::SetupPage;
use crate::words::{capital, sentence};
use meter::container;

/// The setup page of this start.
pub(super) struct Offer {
    setup: Setup,
    /// Where the page listens.
    listen: SocketAddr,
    /// What the variables say about the page and the log.
    pub(super) beginning: Beginning,
    /// The file that the user has named, and that does not exist.
    missing: Option<PathBuf>,
}

/// The setup page, if nothing is configured and the page is on. Variables about the page and the log
/// may be set. An error in them is one even then: without its token, the setup page would be open.
pub(super) fn offered(
    file: Option<&Path>,
    listen: Option<SocketAddr>,
    variables: &Variables,
) -> Result<Option<Offer>, ConfigError> {
    if !config::is_unconfigured(file, variables) {
        return Ok(None);
    }
    let beginning = config::beginning(variables)?;
    let Some(usual) = listen.or(beginning.listen) else { return Ok(None) };
    let is_said = listen.is_some() || is_set(variables, "WEB_LISTEN");
    // Nobody but the container itself could open the usual address. In the machine's network, all
    // addresses would be the machine's own.
    let is_apart = container::is_container() && container::has_own_network(&machine::root());
    let in_container = (is_apart && !is_said)
        .then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), usual.port()));
    // `STATE_DIRECTORY` says that this is a service. The folders of users are for other things.
    let of_service =
        |name: &str| variables.get(name).filter(|_| name == "STATE_DIRECTORY").cloned();
    let state = history_file::folder(of_service);
    let target = Target::choose(file, state.as_deref());
    Ok(Some(Offer {
        setup: Setup::new(target, in_container),
        listen: in_container.unwrap_or(usual),
        beginning,
        missing: file.map(Path::to_owned),
    }))
}

/// The errors because of which there is no setup page.
pub(super) fn refused(file: Option<&Path>, variables: &Variables) -> Option<ConfigError> {
    let is_unconfigured = config::is_unconfigured(file, variables);
    is_unconfigured.then(|| config::beginning(variables).err()).flatten()
}

fn is_set(variables: &Variables, name: &str) -> bool {
    variables.get(name).is_some_and(|value| !value.is_empty())
}

impl Offer {
    /// The page.
    pub(super) fn page(&self) -> SetupPage {
        let token = self.beginning.token.as_ref().map(Secret::reveal);
        SetupPage::new(self.setup.clone(), token)
    }

    /// Its address and token.
    pub(super) fn page_settings(&self) -> PageSettings {
        PageSettings { listen: Some(self.listen), token: self.beginning.token.clone().into() }
    }

    /// Waits until there is a file: written by the page, or by somebody else. Returns what it says.
    pub(super) async fn wait(
        &self,
        file: Option<&Path>,
        variables: &Variables,
        hangup: &mut Hangup,
    ) -> Result<Loaded, ConfigError> {
        let read = async || {
            if self.is_over(file, variables) {
                Some(reload::read(file, variables).await)
            } else {
                None
            }
        };
        self.wait_by(read, hangup).await
    }

    /// The same with a function that reads the file once setting up is over.
    async fn wait_by(
        &self,
        mut read: impl AsyncFnMut() -> Option<Result<Result<Loaded, ConfigError>, JoinError>>,
        hangup: &mut Hangup,
    ) -> Result<Loaded, ConfigError> {
        self.report();
        systemd::ready();
        systemd::status("There is no configuration yet. The log says where the setup page is.");
        let mut has_failed = false;
        loop {
            let is_asked = tokio::select! {
                // Reading again at once would fail again.
                () = self.setup.closed(), if !has_failed => false,
                () = sleep(recovery::LOOK_AT_FILE) => false,
                () = hangup.come() => true,
            };
            if is_asked {
                systemd::reloading();
            }
            let loaded = read().await;
            if is_asked {
                systemd::ready();
            }
            match loaded {
                None => {}
                Some(Ok(loaded)) => {
                    self.setup.close();
                    systemd::status("");
                    return loaded;
                }
                Some(Err(failed)) => {
                    has_failed = true;
                    error!("Cannot read the configuration: {failed}.");
                }
            }
        }
    }

    fn is_over(&self, file: Option<&Path>, variables: &Variables) -> bool {
        !self.setup.is_open() || !config::is_unconfigured(file, variables)
    }

    /// Logs which file is missing, and whether it can be written. The page logs its address.
    fn report(&self) {
        recovery::log_warnings::<ConfigError>(&self.beginning.warnings);
        let path = self.setup.path().display();
        if let Some(missing) = &self.missing {
            let meant = similar::file(missing).map(|meant| meant.display().to_string());
            let meant = meant.map(|meant| format!(" (did you mean `{meant}`?)"));
            let meant = meant.unwrap_or_default();
            let missing = missing.display();
            info!("There is no file {missing}{meant}. The setup page will write {path}.");
        }
        if let Err(trouble) = self.setup.probe() {
            warn!(
                "The setup page cannot write its file: {} {}",
                sentence(&trouble.to_string()),
                capital(&trouble.hint())
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, timeout};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Setting up is over, and the file cannot be read.
    #[tokio::test(start_paused = true)]
    async fn a_failed_attempt_to_read_is_repeated_only_after_a_pause() {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::new(Target::choose(None, Some(folder.path())), None);
        let listen = "127.0.0.1:8099".parse().unwrap();
        let beginning = config::beginning(&Variables::new()).unwrap();
        let offer = Offer { setup: setup.clone(), listen, beginning, missing: None };
        setup.close();
        let mut attempts = Vec::new();
        let failing = async || {
            attempts.push(Instant::now());
            let task = tokio::spawn(std::future::pending());
            task.abort();
            Some(task.await)
        };
        let mut hangup = Hangup::new(CancellationToken::new()).unwrap();
        let waiting = offer.wait_by(failing, &mut hangup);
        let time = recovery::LOOK_AT_FILE.saturating_mul(3) + Duration::from_secs(1);
        assert!(timeout(time, waiting).await.is_err());
        assert_eq!(attempts.len(), 4);
        let pauses = attempts.windows(2).map(|pair| pair[1].duration_since(pair[0]));
        assert!(pauses.into_iter().all(|pause| pause >= recovery::LOOK_AT_FILE));
    }
}
