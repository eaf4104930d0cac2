//! The encryption of the connection to the broker.

use std::path::PathBuf;

use super::secret::Secret;
use crate::tls::{ClientFiles, Files, Ready, Version};

/// The encryption of the connection to the broker.
#[derive(Debug, Clone)]
pub struct Tls {
    pub(super) settings: TlsFiles,
    pub(super) at_start: Ready,
}

/// Renewed files do not change the settings: the client reads them for each new connection.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Tls {}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) ca: Option<PathBuf>,
    pub(super) client: Option<ClientKey>,
    pub(super) insecure: bool,
    pub(super) lowest: Version,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientKey {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) key_password: Option<Secret>,
}

impl TlsFiles {
    pub(super) fn files(&self) -> Files<'_> {
        let client = self.client.as_ref().map(|client| ClientFiles {
            certificate: &client.certificate,
            key: &client.key,
            key_password: client.key_password.as_ref().map(Secret::reveal),
        });
        Files { ca: self.ca.as_deref(), client, insecure: self.insecure, lowest: self.lowest }
    }
}

impl Tls {
    /// The files. Their content may differ from that at the start.
    #[must_use]
    pub fn files(&self) -> Files<'_> {
        self.settings.files()
    }

    /// The content of the files at the start, ready to use.
    #[must_use]
    pub fn at_start(&self) -> &Ready {
        &self.at_start
    }
}
