//! Everything that has a name gets a suggestion if the name is misspelled.

use std::path::Path;

use super::keys::KEYS;
use super::kind::Kind;
use super::remark::Why;
use super::*;
use meter::RunsAs;

/// A text with its second and third character exchanged.
fn misspelled(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    characters.swap(1, 2);
    characters.into_iter().collect()
}

#[test]
fn every_misspelled_name_gets_a_suggestion() {
    let long = |name: &str| name.len() >= 4 && misspelled(name) != name;
    for key in KEYS.iter().filter(|key| long(key.name())) {
        let typo = format!("{}.{}", key.section(), misspelled(key.name()));
        assert_eq!(suggest::nearest(&typo).as_deref(), Some(key.path), "{typo}");
        if let Some(variable) = key.variable {
            let typo = misspelled(variable);
            assert_eq!(suggest::nearest_variable(&typo).as_deref(), Some(variable), "{typo}");
            let lower = variable.to_ascii_lowercase();
            assert_eq!(suggest::nearest_variable(&lower).as_deref(), Some(variable), "{lower}");
        }
        let (known, other): (&[&str], _) = match key.kind {
            Kind::Words(known, _) => (known, None),
            Kind::Switch(other) => (&["true", "false"], other),
            Kind::Model => (&["auto", "generic"], None),
            _ => continue,
        };
        for word in known.iter().copied().chain(other).filter(|word| long(word)) {
            let typo = misspelled(word);
            let why = match (key.why)(&typo) {
                Why::Unsaid => value::why_no(key.kind, &typo),
                why => why,
            };
            assert_eq!(why, Why::Remark(Remark::Meant(word.to_owned())), "{}: {typo}", key.path);
        }
    }
    for register in kmp::register::REGISTERS.iter().filter(|register| long(register.key)) {
        let meant = crate::similar::parameter(&misspelled(register.key));
        assert_eq!(meant, Some(register.key));
    }
}

#[test]
fn words_of_other_programs_get_a_suggestion() {
    for (yaml, meant) in [
        ("logging: {level: trace}", "DEBUG"),
        ("logging: {level: WARNIGN}", "WARNING"),
        ("logging: {destinations: [console]}", "stdout"),
        ("logging: {rotate_when: daily}", "midnight"),
        ("logging: {rotate_when: Sunday}", "w6"),
        ("logging: {syslog_facility: lokal0}", "local0"),
        ("logging: {format: '%(massage)s'}", "message"),
        ("mqtt: {qos: one}", "1"),
        ("mqtt: {retain: ture}", "true"),
        ("mqtt: {tls_enabled: on, tls_version: '1.2.'}", "1.2"),
        ("web: {listen: 'localhost:8099'}", "127.0.0.1:8099"),
        ("web: {listen: 8100}", "127.0.0.1:8100"),
        ("kamstrup: {units: metric}", "standard"),
        ("kamstrup: {version: flowIQ 2200}", "21"),
        ("kamstrup: {version: 4O3}", "403"),
        ("kamstrup: {version: atuo}", "auto"),
        ("kamstrup: {parameters: supply temperature}", "temp1"),
        ("kamstrup: {parameters: energi}", "energy"),
        ("serial_device: {com_port: dev/ttyUSB0}", "/dev/ttyUSB0"),
        ("serial_device: {parity: evne}", "EVEN"),
        ("serial_device: {dtr: laeve}", "leave"),
    ] {
        let words = check(Some((Path::new("config.yaml"), yaml)), &Variables::new())
            .unwrap_err()
            .to_string();
        assert!(words.contains(&format!("did you mean `{meant}`?")), "{yaml}: {words}");
    }
    let form = r#"{"port": "/dev/ttyUSB0", "poll_intervall": "5", "mqtt": {"hots": "x"},
                  "meters": [{"nmae": "a"}], "logg_level": "INFO"}"#;
    let path = Path::new("options.json");
    let options = addon_options::check(path, form.as_bytes());
    let warnings = match &options {
        Ok(options) => &options.warnings,
        Err(error) => error.warnings(),
    };
    let words = warning_words(warnings, RunsAs::AddOn).join("\n");
    for meant in ["poll_interval", "host", "name", "log_level"] {
        assert!(words.contains(&format!("did you mean `{meant}`?")), "{meant}: {words}");
    }
}
