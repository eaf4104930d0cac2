//! Errors in certificates that are found before a connection to a broker.

use crate::certificates::{Authority, Certified};
use crate::program::Program;

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

#[tokio::test]
async fn an_unusable_file_ends_the_program_with_an_explanation() {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let authority = Authority::new("CA");
    let Certified { certificate, key } = authority.sign(&["kamstrup"]);
    let other = authority.sign_changed(&["other"], |_| {});
    let (ca, certificate, key) = (
        write("ca.crt", &authority.pem),
        write("client.crt", &certificate),
        write("client.key", &key),
    );
    let other = write("other.key", &other.key);
    let missing = folder.path().join("missing.crt").to_str().unwrap().to_owned();
    let sealed = format!("{KEPT}/aes-256.key");
    let old = format!("{KEPT}/traditional.key");
    let (trusting, known, with) = ("MQTT_TLS_CA_CERT", "MQTT_TLS_CERT", "MQTT_TLS_KEY");
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("nobody is trusted", &[("SSL_CERT_FILE", &missing)]),
        ("no file", &[(trusting, &missing)]),
        ("a key for a CA", &[(trusting, &key)]),
        ("half of two", &[(trusting, &ca), (known, &certificate)]),
        ("another key", &[(trusting, &ca), (known, &certificate), (with, &other)]),
        ("no password", &[(trusting, &ca), (known, &certificate), (with, &sealed)]),
        (
            "another password",
            &[
                (trusting, &ca),
                (known, &certificate),
                (with, &sealed),
                ("MQTT_TLS_KEY_PASSWORD", "hunter2-wrong"),
            ],
        ),
        ("an old key", &[(trusting, &ca), (known, &certificate), (with, &old)]),
    ];
    let mut lines = Vec::new();
    for (case, variables) in cases {
        let mut all = vec![
            ("SERIAL_COM_PORT", "/dev/ttyUSB0"),
            ("MQTT_TLS_ENABLED", "true"),
            ("LOG_LEVEL", "DEBUG"),
        ];
        all.extend(variables);
        let mut program = Program::start_with(&[], &all);
        assert_eq!(program.ended().await.code(), Some(2), "{case}");
        program.says("hint: ").await;
        let said = program.log().join("\n");
        assert!(!said.contains("hunter2"), "{said}");
        let said = said.replace(folder.path().to_str().unwrap(), "…").replace(KEPT, "…");
        lines.push(format!("{case}: {said}"));
    }
    insta::assert_snapshot!("broken_files", lines.join("\n"));
}
