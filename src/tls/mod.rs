//! TLS to the broker: from files with certificates and keys to the configuration of the client.
//!
//! This module knows neither MQTT nor the names of settings. Errors are data ([`FileError`]). They
//! contain neither the content of a file nor a password.

mod verify;

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::file;

use self::verify::{Anything, Trusted};

/// The lowest accepted version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.2, from 2008.
    V1_2,
    /// 1.3, from 2018.
    V1_3,
}

static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];

impl Version {
    fn and_higher(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::V1_2 => ALL_VERSIONS,
            Self::V1_3 => &ONLY_1_3,
        }
    }
}

/// The files and settings of a connection, before the files are read.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The CAs that may sign the certificate of the broker; without it, those that the system
    /// trusts.
    pub ca: Option<&'a Path>,
    /// Our own certificate, if the broker requires one.
    pub client: Option<ClientFiles<'a>>,
    /// Whether any certificate of the broker is accepted.
    pub insecure: bool,
    /// The lowest accepted version of TLS.
    pub lowest: Version,
}

/// Our own certificate with its key.
#[derive(Clone, Copy)]
pub struct ClientFiles<'a> {
    /// Our certificate, followed by the intermediate ones.
    pub certificate: &'a Path,
    /// The key of our certificate.
    pub key: &'a Path,
    /// The password of the key.
    pub key_password: Option<&'a str>,
}

/// Hides the password.
impl fmt::Debug for ClientFiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { certificate, key, .. } = self;
        f.debug_struct("ClientFiles")
            .field("certificate", certificate)
            .field("key", key)
            .finish_non_exhaustive()
    }
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Certificates of CAs.
    Ca,
    /// Our certificate.
    Certificate,
    /// The key of our certificate.
    Key,
    /// The password of the key.
    KeyPassword,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// What it is for.
    pub role: Role,
    /// The file; `None` if no file is set.
    pub path: Option<PathBuf>,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a file, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// It is neither PEM nor DER.
    NeitherPemNorDer,
    /// It has the first and last lines of PEM, but invalid text between them.
    Damaged,
    /// It contains no certificate, or no key.
    Lacking,
    /// It is an unusable certificate.
    BadCertificate,
    /// It is a key of an unsupported kind, or too short.
    BadKey,
    /// It is encrypted in the format that OpenSSL used before PKCS#8.
    OldEncryption,
    /// Its encryption is not supported.
    UnknownEncryption,
    /// It is encrypted, and there is no password.
    NoPassword,
    /// The password is wrong.
    WrongPassword,
    /// The key does not belong to the certificate.
    Misfit,
    /// The system has no list of trusted CAs.
    NoSystemRoots,
}

impl FileError {
    /// Whether the error can disappear without a change of the files.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.fault, Fault::Unreadable(_) | Fault::NoSystemRoots)
    }
}

/// The configuration of the client for a connection.
#[derive(Clone)]
pub struct Ready {
    config: Arc<ClientConfig>,
    stamps: Stamps,
}

impl Ready {
    /// The configuration of the client.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The state of its files.
    #[must_use]
    pub fn stamps(&self) -> &Stamps {
        &self.stamps
    }
}

/// Hides the key.
impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("stamps", &self.stamps).finish_non_exhaustive()
    }
}

/// Equal if both were read from the same files, so that a reload does not count as a change.
impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        self.stamps == other.stamps
    }
}

impl Eq for Ready {}

/// The state of each file, which shows whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

/// Device, inode, size, and the times of change of content and metadata.
type Stamp = [i128; 7];

impl Files<'_> {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let client = self.client.into_iter().flat_map(|it| [it.certificate, it.key]);
        self.ca.into_iter().chain(client)
    }

    /// The state of the files, without reading them.
    #[must_use]
    pub fn stamps(&self) -> Stamps {
        let stamp = |it: Metadata| {
            let changed = [it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()];
            let [a, b, c, d] = changed.map(i128::from);
            [it.dev().into(), it.ino().into(), it.size().into(), a, b, c, d]
        };
        Stamps(self.paths().map(|path| std::fs::metadata(path).ok().map(stamp)).collect())
    }

    /// Reads the files, and checks everything that can be checked without the broker.
    pub fn read(&self) -> Result<Ready, FileError> {
        // This comes first, so that a change in the meantime is noticed.
        let stamps = self.stamps();
        let provider = Arc::new(ring::default_provider());
        let client = self.client.map(|client| client.read(&provider)).transpose()?;
        let unusable = || self.error(Fault::BadCertificate);
        let verifier: Arc<dyn rustls::client::danger::ServerCertVerifier> = if self.insecure {
            Arc::new(Anything::new(&provider))
        } else {
            let (roots, given) = self.roots()?;
            let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            Arc::new(Trusted::new(builder.build().map_err(|_| unusable())?, given))
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.lowest.and_higher())
            .map_err(|_| unusable())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        };
        Ok(Ready { config: Arc::new(config), stamps })
    }

    fn error(&self, fault: Fault) -> FileError {
        FileError { role: Role::Ca, path: self.ca.map(Path::to_owned), fault }
    }

    /// The trusted CAs, and the certificates in the file.
    fn roots(&self) -> Result<(Arc<RootCertStore>, Vec<CertificateDer<'static>>), FileError> {
        let mut roots = RootCertStore::empty();
        let given = match self.ca {
            Some(path) => certificates(Role::Ca, path)?,
            None => Vec::new(),
        };
        let (added, _) = match self.ca {
            Some(_) => roots.add_parsable_certificates(given.iter().cloned()),
            None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        };
        if added == 0 {
            let fault =
                if self.ca.is_some() { Fault::BadCertificate } else { Fault::NoSystemRoots };
            return Err(self.error(fault));
        }
        Ok((Arc::new(roots), given))
    }
}

impl ClientFiles<'_> {
    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, FileError> {
        let chain = certificates(Role::Certificate, self.certificate)?;
        let key = self.key()?;
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|_| self.error(Role::Key, Fault::BadKey))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(self.error(Role::Key, Fault::Misfit))
            }
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding)) => {
                Err(self.error(Role::Certificate, Fault::BadCertificate))
            }
            // Certificates of version 1 cannot be parsed, but brokers accept them.
            _ => Ok(certified),
        }
    }

    fn error(&self, role: Role, fault: Fault) -> FileError {
        let path = if role == Role::Certificate { self.certificate } else { self.key };
        FileError { role, path: Some(path.to_owned()), fault }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, FileError> {
        const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY-----";
        let fault = |fault| self.error(Role::Key, fault);
        let bytes = read(self.key).map_err(|reason| fault(Fault::Unreadable(reason)))?;
        if !is_pem(&bytes) {
            if EncryptedPrivateKeyInfoRef::try_from(bytes.as_slice()).is_ok() {
                return self.decrypted(&bytes);
            }
            return PrivateKeyDer::try_from(bytes).map_err(|_| fault(Fault::NeitherPemNorDer));
        }
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(fault(Fault::OldEncryption));
        }
        if text.contains(ENCRYPTED) {
            // The PEM reader does not support this label, but it can read the content.
            let text = text.replace(ENCRYPTED, "PRIVATE KEY-----");
            let sealed = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes());
            let sealed = sealed.map_err(|_| fault(Fault::Damaged))?;
            return self.decrypted(sealed.secret_pkcs8_der());
        }
        PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| fault(pem_fault(&error)))
    }

    fn decrypted(&self, sealed: &[u8]) -> Result<PrivateKeyDer<'static>, FileError> {
        let fault = |role, fault| self.error(role, fault);
        let unknown = || fault(Role::Key, Fault::UnknownEncryption);
        let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed).map_err(|_| unknown())?;
        let Some(password) = self.key_password else {
            return Err(fault(Role::KeyPassword, Fault::NoPassword));
        };
        let opened = sealed.decrypt(password).map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(
                pkcs8::pkcs5::Error::NoPbes1CryptSupport
                | pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }
                | pkcs8::pkcs5::Error::AlgorithmParametersInvalid { .. },
            ) => unknown(),
            // About one wrong password in a few hundred decrypts the key to nonsense.
            _ => fault(Role::KeyPassword, Fault::WrongPassword),
        })?;
        Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
    }
}

/// Whether a certificate can be issued for this host name or address.
#[must_use]
pub(crate) fn can_be_certified(host: &str) -> bool {
    ServerName::try_from(without_brackets(host)).is_ok()
}

/// The host without the brackets of an IPv6 address, as certificates have it.
#[must_use]
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The size limit of a file. No list of certificates is longer.
const LONGEST: u64 = 4 * 1024 * 1024;

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let too_long = || "it is longer than 4 MiB, too long for a certificate or key".to_owned();
    file::bytes(path, LONGEST)?.ok_or_else(too_long)
}

fn is_pem(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ";
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// The first byte of a DER file: a sequence.
const SEQUENCE: u8 = 0x30;

fn certificates(role: Role, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let error = |fault| FileError { role, path: Some(path.to_owned()), fault };
    let bytes = read(path).map_err(|reason| error(Fault::Unreadable(reason)))?;
    if !is_pem(&bytes) {
        if bytes.first() != Some(&SEQUENCE) {
            return Err(error(Fault::NeitherPemNorDer));
        }
        return Ok(vec![CertificateDer::from(bytes)]);
    }
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|reason| error(pem_fault(&reason)))?;
    if all.is_empty() { Err(error(Fault::Lacking)) } else { Ok(all) }
}

fn pem_fault(error: &rustls::pki_types::pem::Error) -> Fault {
    match error {
        rustls::pki_types::pem::Error::NoItemsFound => Fault::Lacking,
        _ => Fault::Damaged,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use self::tests::{certificates, opened};
