//! Certificates that are renewed while the program runs. The files are read with the configuration,
//! so that a broken one is reported at the start, and looked at before each later connection.

use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use tracing::{info, warn};

use crate::config::{Tls, file_words};
use crate::tls::{FileError, Stamps};
use meter::RunsAs;
use meter::news::News;

/// Uses renewed certificates when the next connection is made.
#[derive(Debug)]
pub(super) struct Renewal {
    tls: Option<Tls>,
    /// The files that were looked at last, good or not.
    seen: News<Stamps>,
    /// What was wrong with them.
    error: News<FileError>,
    runs_as: RunsAs,
}

impl Renewal {
    pub(super) fn new(tls: Option<Tls>, runs_as: RunsAs) -> Self {
        let seen = tls.as_ref().map(|tls| News::known(tls.at_start().stamps().clone()));
        let seen = seen.unwrap_or_default();
        Self { tls, seen, error: News::default(), runs_as }
    }

    /// Looks at the files before a connection. Broken or half-renewed files are reported once; the
    /// earlier ones are used until they change again.
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
                info!("The certificates for the broker were renewed: the new ones are used.");
                self.seen = News::known(ready.stamps().clone());
                self.error.forget();
                options.set_transport(transport(ready.config()));
            }
            Err(error) => {
                // The files may be good, and no handle is left to read them.
                if error.may_pass() {
                    self.seen.forget();
                }
                let words = file_words(&error, self.runs_as);
                if self.error.is_new(error) {
                    warn!(
                        "The certificates for the broker have changed, and the new ones cannot be \
                         used: {words}. The earlier ones are used until that is mended."
                    );
                }
            }
        }
    }
}

/// For the client.
pub(super) fn transport(config: std::sync::Arc<rustls::ClientConfig>) -> Transport {
    Transport::tls_with_config(TlsConfiguration::Rustls(config))
}
