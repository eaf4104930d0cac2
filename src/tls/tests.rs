//! Valid and invalid files. Errors of a connection are in the tests of `mqtt`.

use rcgen::KeyPair;
use tempfile::TempDir;

use super::*;

#[path = "../../tests/whole_program/certificates.rs"]
pub(crate) mod certificates;

use self::certificates::{Authority, Certified};

/// The password of all keys in `tests/data/tls`.
const PASSWORD: &str = "hunter2-key";

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

/// The key that is in every file of `tests/data/tls`.
pub(crate) fn opened() -> KeyPair {
    let text = std::fs::read_to_string(kept("aes-256.key")).unwrap();
    let text = text.replace("ENCRYPTED ", "");
    let sealed = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).unwrap();
    let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.secret_pkcs8_der()).unwrap();
    let opened = sealed.decrypt(PASSWORD).unwrap();
    KeyPair::try_from(opened.as_bytes()).unwrap()
}

struct Folder {
    root: TempDir,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let authority = Authority::new("CA");
        let Certified { certificate, key } = authority.sign(&["kamstrup"]);
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ca = write("ca.crt", &authority.pem);
        let certificate = write("client.crt", &certificate);
        let key = write("client.key", &key);
        Self { root, ca, certificate, key }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn files(&self) -> Files<'_> {
        let client =
            ClientFiles { certificate: &self.certificate, key: &self.key, key_password: None };
        let (insecure, lowest) = (false, Version::V1_2);
        Files { ca: Some(&self.ca), client: Some(client), insecure, lowest }
    }

    fn with_ca(&self, ca: &Path) -> Result<Ready, FileError> {
        Files { ca: Some(ca), client: None, ..self.files() }.read()
    }

    fn with_certificate(&self, certificate: &Path) -> Result<Ready, FileError> {
        let client = ClientFiles { certificate, key: &self.key, key_password: None };
        Files { client: Some(client), ..self.files() }.read()
    }

    fn with_key(&self, key: &Path, key_password: Option<&str>) -> Result<Ready, FileError> {
        let client = ClientFiles { certificate: &self.certificate, key, key_password };
        Files { client: Some(client), ..self.files() }.read()
    }
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[test]
fn files_in_all_common_forms_are_accepted() {
    let folder = Folder::new();
    folder.files().read().unwrap();
    Files { client: None, ..folder.files() }.read().unwrap();
    Files { client: None, lowest: Version::V1_3, ..folder.files() }.read().unwrap();
    let [ca, certificate, key] = [&folder.ca, &folder.certificate, &folder.key]
        .map(|path| std::fs::read_to_string(path).unwrap());
    // With text around it, as `openssl x509 -text` writes it, and with Windows line endings.
    let text = format!("Certificate:\n    Version: 3 (0x2)\n{ca}").replace('\n', "\r\n");
    folder.with_ca(&folder.write("text.crt", text)).unwrap();
    // Several certificates, one of them unusable.
    let junk = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    folder.with_ca(&folder.write("several.crt", format!("{junk}{ca}"))).unwrap();
    // All in one file.
    let all = folder.write("all.pem", format!("{key}{certificate}{ca}"));
    let client = ClientFiles { certificate: &all, key: &all, key_password: Some("not needed") };
    Files { client: Some(client), ..folder.files() }.read().unwrap();
    // DER.
    folder.with_ca(&folder.write("ca.der", der(&ca))).unwrap();
    folder.with_certificate(&folder.write("client.der", der(&certificate))).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    folder.with_key(&folder.write("key.der", key.secret_der()), None).unwrap();
}

#[test]
fn encrypted_keys_are_decrypted() {
    let mut folder = Folder::new();
    let certificate = Authority::new("CA").sign_key(&opened(), &["kamstrup"], |_| {});
    folder.certificate = folder.write("theirs.crt", certificate);
    for name in ["aes-256.key", "3des-sha1.key", "scrypt.key"] {
        folder.with_key(&kept(name), Some(PASSWORD)).unwrap();
    }
    let text = std::fs::read_to_string(kept("aes-256.key")).unwrap().replace("ENCRYPTED ", "");
    let sealed = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).unwrap();
    let path = folder.write("sealed.der", sealed.secret_pkcs8_der());
    folder.with_key(&path, Some(PASSWORD)).unwrap();
    // A key after the certificate in the same file.
    let text = std::fs::read_to_string(kept("scrypt.key")).unwrap();
    let all = std::fs::read_to_string(&folder.certificate).unwrap() + &text;
    folder.with_key(&folder.write("all.pem", all), Some(PASSWORD)).unwrap();
}

/// Many clients have one, made with the commands in Mosquitto's documentation.
#[test]
fn a_client_certificate_of_version_1_is_accepted() {
    let mut folder = Folder::new();
    folder.certificate = kept("version-1.crt");
    folder.with_key(&kept("aes-256.key"), Some(PASSWORD)).unwrap();
}

#[test]
fn every_kind_of_invalid_file_has_its_own_error() {
    let folder = Folder::new();
    let [certificate, key] =
        [&folder.certificate, &folder.key].map(|path| std::fs::read_to_string(path).unwrap());
    let other = Authority::new("CA").sign(&["kamstrup"]);
    let cut = |pem: &str| pem.lines().take(3).collect::<Vec<_>>().join("\n");
    let missing = folder.root.path().join("missing");
    let junk = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let short = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    let mut broken = vec![
        folder.with_ca(&missing),
        folder.with_ca(folder.root.path()),
        folder.with_ca(&folder.write("text", "a text")),
        folder.with_ca(&folder.write("empty", "")),
        folder.with_ca(&folder.write("key.pem", &key)),
        folder.with_ca(&folder.write("cut.crt", cut(&certificate))),
        folder.with_ca(&folder.write("junk.crt", junk)),
        folder.with_ca(&folder.write("junk.der", [0x30, 0x00])),
        folder.with_certificate(&missing),
        folder.with_certificate(&folder.write("text", "a text")),
        folder.with_certificate(&folder.write("key.pem", &key)),
        folder.with_certificate(&folder.write("cut.crt", cut(&certificate))),
        folder.with_certificate(&folder.write("junk.crt", junk)),
        folder.with_key(&missing, None),
        folder.with_key(&folder.write("text", "a text"), None),
        folder.with_key(&folder.write("client.crt2", &certificate), None),
        folder.with_key(&folder.write("cut.key", cut(&key)), None),
        folder.with_key(&folder.write("short.key", short), None),
        folder.with_key(&folder.write("other.key", other.key), None),
        folder.with_key(&kept("aes-256.key"), None),
        folder.with_key(&kept("aes-256.key"), Some("hunter2-wrong")),
        folder.with_key(&kept("scrypt.key"), Some("")),
        folder.with_key(&kept("aes-256.key"), Some(PASSWORD)),
        folder.with_key(&kept("pbe-sha1-3des.key"), Some(PASSWORD)),
        folder.with_key(&kept("traditional.key"), Some(PASSWORD)),
    ];
    let fault = Fault::NoSystemRoots;
    broken.push(Err(FileError { role: Role::Ca, path: None, fault }));
    let paths = [folder.root.path().to_str().unwrap(), env!("CARGO_MANIFEST_DIR")];
    let texts: Vec<_> = broken
        .into_iter()
        .map(|it| {
            let words = format!("{:?}", it.unwrap_err());
            assert!(!words.contains("hunter2"), "{words}");
            paths.iter().fold(words, |words, path| words.replace(path, "…"))
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_replaced_or_removed_file_has_another_stamp() {
    let folder = Folder::new();
    let before = folder.files().read().unwrap();
    assert_eq!(before.stamps(), &folder.files().stamps());
    for path in [&folder.ca, &folder.certificate, &folder.key] {
        let stamps = folder.files().stamps();
        let text = std::fs::read(path).unwrap();
        let new = folder.write("new", text);
        std::fs::rename(new, path).unwrap();
        assert_ne!(folder.files().stamps(), stamps, "{}", path.display());
    }
    let stamps = folder.files().stamps();
    std::fs::remove_file(&folder.key).unwrap();
    assert_ne!(folder.files().stamps(), stamps);
}

#[test]
fn the_password_and_the_key_are_not_shown() {
    let folder = Folder::new();
    let client = ClientFiles {
        certificate: &folder.certificate,
        key: &folder.key,
        key_password: Some(PASSWORD),
    };
    let files = Files { client: Some(client), ..folder.files() };
    let shown = format!("{files:?} {client:?} {:?}", files.read().unwrap());
    assert!(shown.contains("client.key") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn only_names_and_addresses_can_be_certified() {
    for host in ["broker.lan", "broker", "my_broker", "10.0.0.2", "::1", "[fd00::2]"] {
        assert!(can_be_certified(host), "{host}");
    }
    for host in ["fe80::1%eth0", "-broker", "1:2"] {
        assert!(!can_be_certified(host), "{host}");
    }
}
