use std::path::Path;

use super::super::tests::data_of;
use super::super::{Loaded, Variables, check};
use super::*;
use crate::tls::Version;
use crate::tls::certificates::{Authority, Certified};

/// A folder with a CA, and with the program's own certificate and its key.
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
    loaded.map_err(|error| data_of(&error).replace(folder.to_str().unwrap(), "…"))
}

const ALL: &str = "  tls_enabled: True\n  tls_ca_cert: FOLDER/ca.crt\n  \
                   tls_cert: FOLDER/client.crt\n  tls_key: FOLDER/client.key\n";

#[test]
fn all_settings_are_used() {
    let folder = folder();
    let Loaded { config, warnings, .. } = from_yaml(folder.path(), ALL).unwrap();
    assert_eq!(warnings, []);
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
fn variables_set_tls_too() {
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
    assert_eq!(warnings, [Warning::Insecure]);
    let tls = config.broker.tls.unwrap();
    assert!(tls.files().insecure);
    assert_eq!(tls.files().lowest, Version::V1_3);
    let client = tls.files().client.unwrap();
    assert_eq!(client.key_password, Some("not needed"));
    assert!(!format!("{tls:?}").contains("not needed"));
}

/// Users of the older program have such files. The certificates are not read.
#[test]
fn settings_without_tls_are_a_warning() {
    let folder = folder();
    let off = "  tls_enabled: False\n  tls_ca_cert: /no/such/file\n  tls_cert: /no/such/file\n  \
               tls_key: ''\n  tls_insecure: False\n  tls_version: ssl.PROTOCOL_TLSv1\n";
    let Loaded { config, warnings, .. } = from_yaml(folder.path(), off).unwrap();
    assert_eq!((config.broker.tls, config.broker.port.get()), (None, 1883));
    let idle = vec![&keys::TLS_CA_CERT.key, &keys::TLS_CERT.key];
    assert_eq!(warnings, [Warning::TlsOff(idle)]);
}

#[test]
fn errors_quote_no_secret() {
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
