//! The text of the file that setup writes: YAML with a few comments.

use std::fmt::Write;

use super::draft::{BrokerDraft, Draft};
use crate::config::{self, manual};

/// The secrets of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// They are written, for the file.
    Written,
    /// They are replaced by stars, for people.
    Hidden,
}

const STARS: &str = "********";

/// What [`config::without_secrets`] writes for a key.
const HIDDEN_KEY: &str = "***";

/// The text of the file.
pub(super) fn text(draft: &Draft, secrets: Secrets) -> String {
    let mut text = manual::schema_line();
    text.push_str(
        "# kamstrup2mqtt's setup page wrote this file. You can change it: restart or reload\n\
         # kamstrup2mqtt afterwards. docs/configuration.md describes every setting.\n",
    );
    broker(&mut text, &draft.broker, secrets);
    let port = match secrets {
        Secrets::Written => draft.port.clone(),
        Secrets::Hidden => config::without_secrets(&draft.port),
    };
    let _ = write!(
        text,
        "\nserial_device:\n  com_port: {}   # where the optical head is\n",
        scalar(&port)
    );
    if let Some(baud) = draft.baud {
        let _ = writeln!(text, "  baudrate: {baud}   # the speed at which the meter has answered");
    }
    let _ = write!(
        text,
        "\nkamstrup:\n  version: {}   # the meter's model; auto: found out from its answers\n  parameters:\n",
        scalar(&draft.version)
    );
    for parameter in &draft.parameters {
        let label = parameter.register().info().map(|info| format!("# {}", info.label));
        let line = format!("    - {:<20} {}", parameter.name(), label.unwrap_or_default());
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if let Some(listen) = draft.listen {
        let _ = write!(
            text,
            "\nweb:\n  listen: {}   # all addresses of the container; `-p` decides who reaches it\n",
            quoted(&listen.to_string())
        );
    }
    text
}

fn broker(text: &mut String, broker: &BrokerDraft, secrets: Secrets) {
    let BrokerDraft { host, port, tls, username, password } = broker;
    text.push_str("\nmqtt:\n");
    if !host.is_empty() {
        let _ = writeln!(text, "  host: {}   # the broker", scalar(host));
    }
    let _ = writeln!(text, "  port: {port}");
    if *tls {
        text.push_str("  tls_enabled: true\n");
    }
    if username.is_empty() {
        return;
    }
    let _ = writeln!(text, "  username: {}", quoted(username));
    let password = match secrets {
        Secrets::Written => password.reveal(),
        Secrets::Hidden if password.reveal().is_empty() => "",
        Secrets::Hidden => STARS,
    };
    if !password.is_empty() {
        let _ = writeln!(text, "  password: {}", quoted(password));
    }
}

/// An address of a head as it was typed, with the secrets of the address before: a field shows that
/// one without them.
pub(super) fn with_secrets(typed: &str, before: &str) -> String {
    if typed == config::without_secrets(before) {
        return before.to_owned();
    }
    // Another part was changed.
    let is_key = |part: &&str| part.split_once('=').is_some_and(|(name, _)| is_key(name));
    let query = |text: &str| text.split_once('?').map(|(_, query)| query.to_owned());
    let (Some(of_typed), Some(of_before)) = (query(typed), query(before)) else {
        return typed.to_owned();
    };
    let key = of_before.split('&').find(is_key).and_then(|part| part.split_once('='));
    let hidden =
        of_typed.split('&').filter(is_key).find(|part| part.ends_with(&format!("={HIDDEN_KEY}")));
    match (hidden, key) {
        (Some(hidden), Some((_, key))) => {
            typed.replacen(hidden, &hidden.replacen(HIDDEN_KEY, key, 1), 1)
        }
        _ => typed.to_owned(),
    }
}

/// Whether a parameter of an address is a secret.
fn is_key(name: &str) -> bool {
    name.eq_ignore_ascii_case("key")
}

/// A text in YAML: in quotes, unless it is one that every parser reads as this text.
fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Paths, `socket://host:port`, words and IPv4 addresses. YAML 1.1 reads `12:30` and `1_000` as
/// numbers, and `no` as a truth value.
fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._/:".contains(c);
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/';
    let is_address = text.parse::<std::net::Ipv4Addr>().is_ok();
    let is_word = text.starts_with(begins) && text.chars().all(fits) && !text.ends_with(':');
    is_address || (is_word && !RESERVED.contains(&text.to_ascii_lowercase().as_str()))
}

/// A text in double quotes. Whatever is not printable is escaped (YAML 1.2.2, chapter 5.7).
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' ' => out.push(' '),
            c if c.is_ascii_graphic() || c.is_alphanumeric() => out.push(c),
            c => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xFF => write!(out, "\\x{code:02X}"),
                    0x100..=0xFFFF => write!(out, "\\u{code:04X}"),
                    _ => write!(out, "\\U{code:08X}"),
                };
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::draft::default_parameters;
    use super::*;
    use crate::config::{self, Config, Secret, Variables};

    fn draft() -> Draft {
        Draft {
            port: "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0".to_owned(),
            baud: None,
            broker: BrokerDraft {
                host: "192.168.1.100".to_owned(),
                port: "1883".parse().unwrap(),
                tls: false,
                username: "meter".to_owned(),
                password: Secret::new("a \"secret\": #1"),
            },
            version: "auto".to_owned(),
            parameters: default_parameters(),
            listen: None,
        }
    }

    fn loaded(draft: &Draft) -> Config {
        let text = text(draft, Secrets::Written);
        let loaded = config::check(Some((Path::new("config.yaml"), &text)), &Variables::new());
        let loaded = loaded.unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(loaded.warnings, [], "{text}");
        loaded.config
    }

    #[test]
    fn the_file_is_short_and_says_what_is_what() {
        let mut all = draft();
        all.broker.tls = true;
        all.listen = Some("0.0.0.0:8099".parse().unwrap());
        all.parameters.push("1004".parse().unwrap());
        all.port = "socket://192.168.1.50:2003".to_owned();
        let fast = Draft { baud: Some(2400), ..draft() };
        let anonymous = Draft { broker: BrokerDraft::default(), ..draft() };
        let texts = [
            text(&draft(), Secrets::Written),
            text(&draft(), Secrets::Hidden),
            text(&all, Secrets::Written),
            text(&anonymous, Secrets::Written),
            text(&fast, Secrets::Written),
        ];
        insta::assert_snapshot!(texts.join("\n==========\n\n"));
        let hidden = text(&draft(), Secrets::Hidden);
        assert!(!hidden.contains("secret"), "{hidden}");
        let same = |text: String| text.lines().count();
        assert_eq!(same(hidden), same(text(&draft(), Secrets::Written)));
    }

    #[test]
    fn the_program_reads_what_was_chosen() {
        let config = loaded(&draft());
        assert_eq!(config.broker.host, "192.168.1.100");
        let login = config.broker.credentials.unwrap();
        assert_eq!((&*login.username, login.password.reveal()), ("meter", "a \"secret\": #1"));
        let meter = &config.meters[0];
        assert_eq!(meter.endpoint.to_string(), draft().port);
        assert_eq!(meter.parameters, default_parameters());
        assert_eq!(config.page, Some("127.0.0.1:8099".parse().unwrap()));
        let fast = loaded(&Draft { baud: Some(2400), ..draft() });
        assert_eq!(fast.meters[0].serial.baud.get(), 2400);
        let listen = Some("0.0.0.0:8099".parse().unwrap());
        assert_eq!(loaded(&Draft { listen, ..draft() }).page, listen);
    }

    #[test]
    fn secrets_that_a_field_does_not_show_are_kept() {
        const BEFORE: &str = "esphome://node:6053/?key=c2VjcmV0&port=0";
        for (typed, meant) in [
            ("esphome://node:6053/?key=***&port=0", BEFORE),
            ("esphome://other/?port=1&key=***", "esphome://other/?port=1&key=c2VjcmV0"),
            ("esphome://node/?key=bmV3", "esphome://node/?key=bmV3"),
            ("esphome://node", "esphome://node"),
            ("/dev/ttyUSB0", "/dev/ttyUSB0"),
        ] {
            assert_eq!(with_secrets(typed, BEFORE), meant);
            assert_eq!(with_secrets(typed, ""), typed);
        }
        let login = "socket://me:secret@host:1";
        assert_eq!(with_secrets(&config::without_secrets(login), login), login);
    }

    #[test]
    fn only_what_every_parser_reads_as_this_text_has_no_quotes() {
        let plain =
            ["/dev/ttyUSB0", "socket://10.0.0.1:2003", "10.0.0.1", "broker.local", "auto", "a-b"];
        let quoted = [
            "", "no", "NULL", "403", "12:30", "1e5", "0x1F", "a: b", "a #b", "[::1]", "host:", "~",
        ];
        assert!(plain.iter().all(|text| is_plain(text)));
        assert!(!quoted.iter().any(|text| is_plain(text)));
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[ -~]{1,40}",
            prop::collection::vec(prop::sample::select(HARD.to_vec()), 1..12)
                .prop_map(|parts| parts.concat()),
        ]
    }

    const HARD: [&str; 24] = [
        "\"",
        "'",
        "\\",
        ": ",
        " #",
        "\n",
        "\r",
        "\t",
        "\u{85}",
        "\u{2028}",
        "\u{FEFF}",
        "\u{7F}",
        "%",
        "&a",
        "*a",
        "!t",
        "- ",
        "{",
        "}",
        "null",
        "\u{1F525}",
        "\u{E000}",
        "\u{FFFF}",
        " ",
    ];

    proptest! {
        /// A login that was typed is the login that is used.
        #[test]
        fn any_login_survives(username in any_text(), password in any_text()) {
            prop_assume!(!username.is_empty() && !password.is_empty());
            prop_assume!(!username.contains('\0') && !password.contains('\0'));
            let password = Secret::new(password);
            let broker = BrokerDraft { username: username.clone(), password: password.clone(), ..draft().broker };
            let login = loaded(&Draft { broker, ..draft() }).broker.credentials.unwrap();
            prop_assert_eq!(login.username, username);
            prop_assert_eq!(login.password.reveal(), password.reveal());
        }

        /// Another parser would read the same.
        #[test]
        fn any_quoted_text_is_one_line_of_json_like_yaml(text in any_text()) {
            let yaml = quoted(&text);
            prop_assert!(yaml.chars().all(|c| !c.is_control()));
            let read: String = serde_saphyr::from_str(&yaml).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
