//! What is said of TLS. The files are read here for the first time, so that a broken one is told at
//! the start.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use super::check::Checker;
use super::keys::{self, Key};
use super::problem::{About, Accepted, Found, Problem, Though, Warning};
use super::secret::Secret;
use super::settings::{Origin, Place};
use super::words::setting_of;
use crate::tls::{self, ClientFiles, Files, Ready, Version};

/// How the connection to the broker is encrypted.
#[derive(Debug, Clone)]
pub struct Tls {
    settings: Settings,
    at_start: Ready,
}

/// Renewed files are no other settings: the client takes them when it connects anew.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Tls {}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    ca: Option<PathBuf>,
    client: Option<Client>,
    insecure: bool,
    lowest: Version,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Client {
    certificate: PathBuf,
    key: PathBuf,
    key_password: Option<Secret>,
}

impl Settings {
    fn files(&self) -> Files<'_> {
        let client = self.client.as_ref().map(|client| ClientFiles {
            certificate: &client.certificate,
            key: &client.key,
            key_password: client.key_password.as_ref().map(Secret::reveal),
        });
        let (insecure, lowest) = (self.insecure, self.lowest);
        Files { ca: self.ca.as_deref(), client, insecure, lowest }
    }
}

impl Tls {
    /// The files, which may be other ones than at the start.
    #[must_use]
    pub fn files(&self) -> Files<'_> {
        self.settings.files()
    }

    /// What was made of them at the start.
    #[must_use]
    pub fn at_start(&self) -> &Ready {
        &self.at_start
    }
}

/// The settings that count only with TLS, and mean something by being there.
static FILES: [&Key; 4] =
    [&keys::TLS_CA_CERT.key, &keys::TLS_CERT.key, &keys::TLS_KEY.key, &keys::TLS_KEY_PASSWORD.key];

impl Checker<'_> {
    /// `None` where the connection is not encrypted, or something is wrong and noted.
    pub(super) fn tls(&mut self, host: &str) -> Option<Tls> {
        if !self.value(&keys::TLS_ENABLED)? {
            self.unused();
            return None;
        }
        let insecure = self.value(&keys::TLS_INSECURE)?;
        let lowest = self.value(&keys::TLS_VERSION)?;
        let ca = self.value(&keys::TLS_CA_CERT);
        let client = self.client();
        if ca.is_none() && self.made(&keys::TLS_CA_CERT).is_some() {
            // It is wrong and noted; the system's list is no stand-in for it.
            return None;
        }
        if !tls::can_be_certified(host) {
            let (found, accepted) = (Found::Uncertifiable(host.to_owned()), Accepted::Certifiable);
            self.problem(Problem { about: self.about(&keys::HOST), found, accepted });
        }
        if insecure {
            self.warn(Warning::Insecure);
        }
        let settings = Settings { ca, client, insecure, lowest };
        match settings.files().read() {
            // Wrong settings are noted, and nothing that is left out for them is missed.
            Ok(at_start) => Some(Tls { settings, at_start }),
            Err(error) => {
                let about = self.about(setting_of(error.role));
                let accepted = Accepted::InsteadOf(error.clone());
                self.problem(Problem { about, found: Found::File(error), accepted });
                None
            }
        }
    }

    /// The older program's own example has files beside `tls_enabled: false`.
    fn unused(&mut self) {
        let set = FILES.into_iter().filter(|key| self.made(key).is_some());
        let set: Vec<&Key> = set.collect();
        if !set.is_empty() {
            self.warn(Warning::TlsOff(set));
        }
    }

    /// The certificate goes with its key.
    fn client(&mut self) -> Option<Client> {
        let (certificate, key) = (self.value(&keys::TLS_CERT), self.value(&keys::TLS_KEY));
        let key_password = self.value(&keys::TLS_KEY_PASSWORD);
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                return Some(Client { certificate, key, key_password });
            }
            (Some(_), None) => self.alone(&keys::TLS_CERT, &keys::TLS_KEY),
            (None, Some(_)) => self.alone(&keys::TLS_KEY, &keys::TLS_CERT),
            (None, None) if key_password.is_some() => {
                self.alone(&keys::TLS_KEY_PASSWORD, &keys::TLS_KEY);
            }
            (None, None) => {}
        }
        None
    }

    /// One of two settings that go together stands without the other.
    fn alone(&mut self, there: &'static Key, missing: &'static Key) {
        // A wrong one is noted already.
        if self.made(missing).is_some() {
            return;
        }
        self.problem(Problem {
            about: self.about(missing),
            found: Found::NothingThough(Though::Set(there)),
            accepted: Accepted::This("both of them or neither"),
        });
    }

    /// A setting by its place, also where nobody made it.
    fn about(&self, key: &'static Key) -> About {
        let place = self.made(key).map(|made| made.place.clone());
        About::Setting(key, place.unwrap_or_else(|| Place::shared(Origin::Default)))
    }
}
