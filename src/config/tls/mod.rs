//! The checks of the settings for TLS. They also read the files, so that the program reports a
//! broken file when it starts.

#[cfg(test)]
mod tests;

use super::check::Checker;
use super::encryption::{ClientKey, Tls, TlsFiles};
use super::keys;
use super::origin::{Origin, Place};
use super::problem::{About, Accepted, Actual, Problem, Though, Warning};
use super::setting::Key;
use super::words::setting_of;
use crate::tls;

/// Settings that are used only with TLS, and that have no default.
static FILES: [&Key; 4] =
    [&keys::TLS_CA_CERT.key, &keys::TLS_CERT.key, &keys::TLS_KEY.key, &keys::TLS_KEY_PASSWORD.key];

impl Checker<'_> {
    /// `None` if the connection is not encrypted, or if something is wrong and noted.
    pub(super) fn tls(&mut self, host: &str) -> Option<Tls> {
        if !self.value(&keys::TLS_ENABLED)? {
            self.unused();
            return None;
        }
        let insecure = self.value(&keys::TLS_INSECURE)?;
        let lowest = self.value(&keys::TLS_VERSION)?;
        let ca = self.value(&keys::TLS_CA_CERT);
        let client = self.client();
        if ca.is_none() && self.given(&keys::TLS_CA_CERT).is_some() {
            // It is invalid and noted. The system's list must not replace it.
            return None;
        }
        if !tls::can_be_certified(host) {
            let (found, accepted) = (Actual::Uncertifiable(host.to_owned()), Accepted::Certifiable);
            self.problem(Problem { about: self.about(&keys::HOST), found, accepted });
        }
        if insecure {
            self.warn(Warning::Insecure);
        }
        let settings = TlsFiles { ca, client, insecure, lowest };
        match settings.files().read() {
            // Invalid settings are noted, so the program does not run without them.
            Ok(at_start) => Some(Tls { settings, at_start }),
            Err(error) => {
                let about = self.about(setting_of(error.role));
                let accepted = Accepted::InsteadOf(error.clone());
                self.problem(Problem { about, found: Actual::File(error), accepted });
                None
            }
        }
    }

    /// Warns about settings without TLS. The older program's example has files next to
    /// `tls_enabled: false`.
    fn unused(&mut self) {
        let set = FILES.into_iter().filter(|key| self.given(key).is_some());
        let set: Vec<&Key> = set.collect();
        if !set.is_empty() {
            self.warn(Warning::TlsOff(set));
        }
    }

    /// The certificate and its key, which need each other.
    fn client(&mut self) -> Option<ClientKey> {
        let (certificate, key) = (self.value(&keys::TLS_CERT), self.value(&keys::TLS_KEY));
        let key_password = self.value(&keys::TLS_KEY_PASSWORD);
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                return Some(ClientKey { certificate, key, key_password });
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

    /// Notes that a setting is missing that another one needs.
    fn alone(&mut self, there: &'static Key, missing: &'static Key) {
        // An invalid setting is noted already.
        if self.given(missing).is_some() {
            return;
        }
        self.problem(Problem {
            about: self.about(missing),
            found: Actual::NothingThough(Though::Set(there)),
            accepted: Accepted::This("both of them or neither"),
        });
    }

    /// A setting by its place, even if nobody set it.
    fn about(&self, key: &'static Key) -> About {
        let place = self.given(key).map(|given| given.place.clone());
        About::Setting(key, place.unwrap_or_else(|| Place::shared(Origin::Default)))
    }
}
