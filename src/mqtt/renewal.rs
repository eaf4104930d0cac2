//! Uses certificates that are renewed while the program is running. The files are read with the
//! configuration, so that invalid files are reported at the start. Before each later connection,
//! the program checks whether the files have changed.

use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use tracing::{info, warn};

use crate::config::{Tls, file_words};
use crate::tls::{FileError, Stamps};
use meter::RunsAs;
use meter::news::News;

/// Uses renewed certificates for the next connection.
#[derive(Debug)]
pub(super) struct Renewal {
    tls: Option<Tls>,
    /// The state of the files at the last check, whether valid or not.
    seen: News<Stamps>,
    /// The last reported error.
    error: News<FileError>,
    runs_as: RunsAs,
}

impl Renewal {
    pub(super) fn new(tls: Option<Tls>, runs_as: RunsAs) -> Self {
        let seen = tls.as_ref().map(|tls| News::known(tls.at_start().stamps().clone()));
        let seen = seen.unwrap_or_default();
        Self { tls, seen, error: News::default(), runs_as }
    }

    /// Checks the files before a connection. Invalid or half-renewed files are reported once. The
    /// previous ones stay in use until the files change again.
    pub(super) async fn look(&mut self, options: &mut MqttOptions) {
        let Some(tls) = &self.tls else { return };
        if !self.seen.is_new(tls.files().stamps()) {
            return;
        }
        let tls = tls.clone();
        // Decrypting a key takes time.
        let Ok(read) = tokio::task::spawn_blocking(move || tls.files().read()).await else {
            return;
        };
        match read {
            Ok(ready) => {
                info!("Using the renewed certificate files for the broker.");
                self.seen = News::known(ready.stamps().clone());
                self.error.forget();
                options.set_transport(transport(ready.config()));
            }
            Err(error) => {
                // The files may be valid, but unreadable for now, for example without free handles.
                if error.may_pass() {
                    self.seen.forget();
                }
                let words = file_words(&error, self.runs_as);
                if self.error.is_new(error) {
                    warn!(
                        "The certificate files for the broker have changed and are invalid: \
                         {words}. The previous ones stay in use until this is fixed."
                    );
                }
            }
        }
    }
}

/// The client's TLS transport with this configuration.
pub(super) fn transport(config: std::sync::Arc<rustls::ClientConfig>) -> Transport {
    Transport::tls_with_config(TlsConfiguration::Rustls(config))
}
