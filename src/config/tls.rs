//! What is said of TLS. The files are read here for the first time, so that a broken one is told at
//! the start.

use std::path::PathBuf;

use super::{Checker, Problem, Secret, boolean, keys, text_of};
use crate::tls::{self, ClientFiles, FileError, Files, Ready, Role, Version};

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
const FILES: [Role; 4] = [Role::Ca, Role::Certificate, Role::Key, Role::KeyPassword];

/// The longest path that Linux takes.
const LONGEST_PATH: usize = 4096;

impl Checker<'_> {
    /// `None` where the connection is not encrypted, or something is wrong and noted.
    pub(super) fn tls(&mut self, host: &str) -> Option<Tls> {
        if !self.value("mqtt.tls_enabled", boolean)? {
            self.unused();
            return None;
        }
        let insecure = self.value("mqtt.tls_insecure", boolean)?;
        let lowest = self.value("mqtt.tls_version", version)?;
        let ca = self.path(Role::Ca);
        let client = self.client();
        if ca.is_none() && self.setting(Role::Ca.setting()).is_some() {
            // It is wrong and noted; the system's list is no stand-in for it.
            return None;
        }
        if !tls::can_be_certified(host) {
            self.problems.push(Problem {
                what: self.named("mqtt.host"),
                found: format!("`{host}`, which no certificate can be for"),
                accepted:
                    "where `mqtt.tls_enabled` is on, the name or the address in the broker's \
                           certificate"
                        .to_owned(),
            });
        }
        if insecure {
            self.warnings.push(
                "`mqtt.tls_insecure` is on: the broker's certificate is not looked at, so anybody \
                 in the network can pass for the broker and learn the password; set \
                 `mqtt.tls_ca_cert` instead"
                    .to_owned(),
            );
        }
        let settings = Settings { ca, client, insecure, lowest };
        match settings.files().read() {
            // Wrong settings are noted, and nothing that is left out for them is missed.
            Ok(at_start) => Some(Tls { settings, at_start }),
            Err(error) => {
                self.broken(&error);
                None
            }
        }
    }

    /// The older program's own example has files beside `tls_enabled: false`.
    fn unused(&mut self) {
        let set: Vec<String> = FILES
            .into_iter()
            .filter(|role| self.setting(role.setting()).is_some())
            .map(|role| format!("`{}`", role.setting()))
            .collect();
        if !set.is_empty() {
            self.warnings.push(format!(
                "nothing is made of {} while `mqtt.tls_enabled` is off: the connection to the \
                 broker is not encrypted",
                set.join(", ")
            ));
        }
    }

    /// The certificate goes with its key.
    fn client(&mut self) -> Option<Client> {
        let (certificate, key) = (self.path(Role::Certificate), self.path(Role::Key));
        let key_password = self.value(Role::KeyPassword.setting(), |text| text_of(text, 65535));
        let (certificate, key) = match (certificate, key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                self.alone(Role::Certificate, Role::Key);
                return None;
            }
            (None, Some(_)) => {
                self.alone(Role::Key, Role::Certificate);
                return None;
            }
            (None, None) => {
                if key_password.is_some() {
                    self.alone(Role::KeyPassword, Role::Key);
                }
                return None;
            }
        };
        Some(Client { certificate, key, key_password: key_password.map(Secret::new) })
    }

    /// One of two settings that go together stands without the other.
    fn alone(&mut self, there: Role, missing: Role) {
        // A wrong one is noted already.
        if self.setting(missing.setting()).is_some() {
            return;
        }
        self.problems.push(Problem {
            what: self.named(missing.setting()),
            found: format!("nothing, though `{}` is set", there.setting()),
            accepted: "both of them or neither".to_owned(),
        });
    }

    fn path(&mut self, role: Role) -> Option<PathBuf> {
        self.value(role.setting(), |text| text_of(text.trim(), LONGEST_PATH)).map(PathBuf::from)
    }

    fn broken(&mut self, error: &FileError) {
        let what = self.named(error.role.setting());
        let (found, accepted) = (error.found(), error.accepted().to_owned());
        self.problems.push(Problem { what, found, accepted });
    }

    /// A setting by its place; where nobody made it, by how it can be made.
    fn named(&self, path: &str) -> String {
        match (self.setting(path), keys::find(path).and_then(|key| key.variable)) {
            (Some(setting), _) => Self::place(path, setting),
            (None, Some(variable)) => format!("`{path}` (or the variable `{variable}`)"),
            (None, None) => format!("`{path}`"),
        }
    }
}

/// The older program has the names of Python's `ssl`, which means exactly or at most what it says;
/// for us it is the least.
fn version(text: &str) -> Option<Version> {
    let text = text.trim().to_ascii_lowercase().replace('_', ".");
    let text = text.strip_prefix("ssl.").unwrap_or(&text);
    let text = text.strip_prefix("protocol.").unwrap_or(text);
    match text.strip_prefix("tlsv").unwrap_or(text) {
        "1.2" | "tls" | "tls.client" | "sslv23" => Some(Version::V1_2),
        "1.3" => Some(Version::V1_3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Loaded, Variables, check};
    use super::*;
    use crate::tls::certificates::{Authority, Certified};

    /// A folder with a CA, and a certificate of ours and its key.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::TempDir::new().unwrap();
        let authority = Authority::new("CA");
        let Certified { certificate, key } = authority.sign(&["kamstrup"]);
        for (name, text) in
            [("ca.crt", authority.pem), ("client.crt", certificate), ("client.key", key)]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn from_yaml(folder: &Path, mqtt: &str) -> Result<Loaded, String> {
        let mqtt = mqtt.replace("FOLDER", folder.to_str().unwrap());
        let yaml = format!("mqtt:\n{mqtt}serial_device: {{com_port: /dev/ttyUSB0}}\n");
        let loaded = check(Some((Path::new("config.yaml"), &yaml)), &Variables::new());
        loaded.map_err(|error| error.to_string().replace(folder.to_str().unwrap(), "…"))
    }

    const ALL: &str = "  tls_enabled: True\n  tls_ca_cert: FOLDER/ca.crt\n  \
                       tls_cert: FOLDER/client.crt\n  tls_key: FOLDER/client.key\n";

    #[test]
    fn all_of_it() {
        let folder = folder();
        let Loaded { config, warnings, .. } = from_yaml(folder.path(), ALL).unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(config.broker.port.get(), 8883);
        let tls = config.broker.tls.unwrap();
        let files = tls.files();
        assert_eq!(files.ca, Some(folder.path().join("ca.crt").as_path()));
        assert!(files.client.is_some() && !files.insecure);
        assert_eq!(files.lowest, Version::V1_2);
        assert_eq!(tls.at_start().stamps(), &files.stamps());

        // A reload ends the connection for other settings, not for renewed files.
        let again = || from_yaml(folder.path(), ALL).unwrap().config.broker.tls;
        assert_eq!(again().as_ref(), Some(&tls));
        let insecure = from_yaml(folder.path(), &format!("{ALL}  tls_insecure: on\n"));
        assert_ne!(insecure.unwrap().config.broker.tls.as_ref(), Some(&tls));
        std::fs::write(folder.path().join("ca.crt"), Authority::new("another CA").pem).unwrap();
        assert_eq!(again().as_ref(), Some(&tls));

        let given = from_yaml(folder.path(), &format!("{ALL}  port: 1884\n")).unwrap();
        assert_eq!(given.config.broker.port.get(), 1884);
    }

    #[test]
    fn variables_do_the_same() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let variables: Variables = [
            ("SERIAL_COM_PORT", "/dev/ttyUSB0".to_owned()),
            ("MQTT_TLS_ENABLED", "yes".to_owned()),
            ("MQTT_TLS_CA_CERT", path("ca.crt")),
            ("MQTT_TLS_CERT", path("client.crt")),
            ("MQTT_TLS_KEY", path("client.key")),
            ("MQTT_TLS_KEY_PASSWORD", "not needed".to_owned()),
            ("MQTT_TLS_INSECURE", "on".to_owned()),
            ("MQTT_TLS_VERSION", "1.3".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into();
        let Loaded { config, warnings, .. } = check(None, &variables).unwrap();
        insta::assert_snapshot!(warnings.join("\n"));
        let tls = config.broker.tls.unwrap();
        assert!(tls.files().insecure);
        assert_eq!(tls.files().lowest, Version::V1_3);
        let client = tls.files().client.unwrap();
        assert_eq!(client.key_password, Some("not needed"));
        assert!(!format!("{tls:?}").contains("not needed"));
    }

    /// As the older program's users have it: nothing is read, nothing is an error.
    #[test]
    fn what_is_set_without_tls_is_a_warning() {
        let folder = folder();
        let off = "  tls_enabled: False\n  tls_ca_cert: /no/such/file\n  tls_cert: /no/such/file\n  \
                   tls_key: ''\n  tls_insecure: False\n  tls_version: ssl.PROTOCOL_TLSv1\n";
        let Loaded { config, warnings, .. } = from_yaml(folder.path(), off).unwrap();
        assert_eq!((config.broker.tls, config.broker.port.get()), (None, 1883));
        insta::assert_snapshot!(warnings.join("\n"));
    }

    #[test]
    fn every_version_that_the_older_program_knows() {
        for (texts, expected) in [
            (
                &["1.2", "TLSv1.2", "PROTOCOL_TLSv1_2", "ssl.PROTOCOL_TLSv1_2", "PROTOCOL_TLS"][..],
                Some(Version::V1_2),
            ),
            (&["ssl.PROTOCOL_TLS", "PROTOCOL_TLS_CLIENT", "PROTOCOL_SSLv23"], Some(Version::V1_2)),
            (&["1.3", " tlsv1.3 "], Some(Version::V1_3)),
            (&["1.1", "1.0", "1", "PROTOCOL_TLSv1", "ssl.PROTOCOL_TLSv1_1", "SSLv3", ""], None),
        ] {
            for text in texts {
                assert_eq!(version(text), expected, "{text}");
            }
        }
    }

    #[test]
    fn errors() {
        let folder = folder();
        let without = |line: &str| {
            let kept: Vec<_> = ALL.lines().filter(|it| !it.contains(line)).collect();
            kept.join("\n") + "\n"
        };
        let secret = "  tls_key_password: hunter2\n";
        let files = [
            ("no key", without("tls_key")),
            ("no certificate", without("tls_cert:")),
            ("a password alone", "  tls_enabled: true\n  tls_insecure: true\n".to_owned() + secret),
            ("1.1", format!("{ALL}  tls_version: ssl.PROTOCOL_TLSv1_1\n")),
            ("a list", without("tls_ca_cert") + "  tls_ca_cert: [FOLDER/ca.crt]\n"),
            ("no file", without("tls_ca_cert") + "  tls_ca_cert: FOLDER/no.crt\n"),
            ("mixed up", without("tls_key") + "  tls_key: FOLDER/client.crt\n"),
            ("not sure", format!("{ALL}  tls_insecure: perhaps\n")),
            ("a scope", format!("{ALL}  host: fe80::1%eth0\n")),
            (
                "several",
                "  port: 0\n  tls_enabled: on\n  tls_ca_cert: FOLDER/client.key\n  \
                 tls_cert: FOLDER/client.crt\n  tls_version: 1.0\n"
                    .to_owned(),
            ),
        ];
        let texts: Vec<String> = files
            .iter()
            .map(|(name, yaml)| format!("{name}: {}", from_yaml(folder.path(), yaml).unwrap_err()))
            .collect();
        let texts = texts.join("\n");
        assert!(!texts.contains("hunter2"), "{texts}");
        insta::assert_snapshot!(texts);
    }
}
