use std::path::PathBuf;
use std::time::Duration;

use super::super::origin::Spot;
use super::super::problem::{Login, ShownKey};
use super::*;
use meter::transport::ParseEndpointError;

fn spot() -> Spot {
    Spot { path: "config.yaml".into(), line: 12, column: 5 }
}

fn whose(name: Option<&str>) -> Whose {
    Whose { number: 2, name: name.map(|name| name.parse().unwrap()) }
}

/// The words for users of a file, and those for users of the form if they differ.
fn lines(words: impl Fn(RunsAs) -> String) -> String {
    let (of_file, of_form) = (words(RunsAs::Program), words(RunsAs::AddOn));
    if of_file == of_form { of_file } else { format!("{of_file}\n  form: {of_form}") }
}

/// A setting is called by the place where it was set.
#[test]
fn subjects_in_words() {
    let mut texts = Vec::new();
    for key in [&keys::HOST.key, &keys::CLIENT.key, &keys::VERSION.key, &keys::COM_PORT.key] {
        let secret = Origin::SecretFile { variable: "X_FILE".to_owned(), path: "/run/x".into() };
        for origin in [
            Origin::Default,
            Origin::Option("--port"),
            Origin::Form(None),
            Origin::HomeAssistant,
            Origin::Variable("X"),
            secret,
            Origin::File(spot()),
        ] {
            let about = About::Setting(key, Place::shared(origin));
            texts.push(lines(|runs_as| about.words(runs_as)));
        }
    }
    for name in [None, Some("garage")] {
        let whose = Some(whose(name));
        for origin in
            [Origin::File(spot()), Origin::Form(None), Origin::Form(Some(SERIAL_PORT.name))]
        {
            let place = Place { origin, whose: whose.clone() };
            let about = About::Setting(&keys::COM_PORT, place);
            texts.push(lines(|runs_as| about.words(runs_as)));
        }
    }
    for about in [
        About::Section("mqtt", Origin::File(spot())),
        About::Section("mqtt", Origin::Form(None)),
        About::Meter(whose(None), Origin::File(spot())),
        About::Variables("X", "X_FILE".to_owned()),
    ] {
        texts.push(lines(|runs_as| about.words(runs_as)));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn wrong_values_in_words() {
    let endpoint = ParseEndpointError::Meant("/dev/ttyUSB0".to_owned());
    let remarks = [
        Remark::Meant("energy".to_owned()),
        Remark::MeantHost { host: "broker".to_owned(), port: None },
        Remark::MeantHost { host: "broker".to_owned(), port: std::num::NonZeroU16::new(1884) },
        Remark::MeantFile { name: "heat.log".to_owned(), folder: "/var/log".to_owned() },
        Remark::TooHigh,
        Remark::Endpoint(endpoint),
        Remark::Home("/logs".to_owned()),
    ];
    let shapes = [
        Shape::List,
        Shape::MixedList,
        Shape::Text,
        Shape::NoSpace,
        Shape::Keys,
        Shape::KeysUnder,
        Shape::NoKeys,
        Shape::Options,
        Shape::Else,
    ];
    let remarks = remarks.map(|remark| Actual::Text(Quoted::new("x"), Some(remark)));
    let values = [Actual::Text(Quoted::new("x"), None), Actual::Hidden, Actual::NotUtf8];
    let values = remarks.into_iter().chain(shapes.map(Actual::Shape)).chain(values);
    let texts = values.map(|found| {
        let about = About::Setting(&keys::RETAIN, Place::shared(Origin::File(spot())));
        let problem = Problem { about, found, accepted: Accepted::Usual };
        lines(|runs_as| problem.words(runs_as))
    });
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"));
}

#[test]
fn other_problems_in_words() {
    let text = || "x".to_owned();
    let at = |key, origin| About::Setting(key, Place::shared(origin));
    let in_form = |key| at(key, Origin::Form(None));
    let of_garage = |key| {
        let place = Place { origin: Origin::File(spot()), whose: Some(whose(Some("garage"))) };
        About::Setting(key, place)
    };
    let secret = || Origin::SecretFile { variable: "X_FILE".to_owned(), path: "/run/x".into() };
    let usual = || Accepted::Usual;
    let pair = || Accepted::This("both of them or neither");
    let different = || Accepted::This("a different one for each meter");
    let on = Actual::NothingThough(Though::On(&keys::AUTHENTICATION));
    let problems = [
        (at(&keys::QOS, Origin::Default), Actual::Nothing, usual()),
        (of_garage(&keys::COM_PORT), Actual::Nothing, usual()),
        (in_form(&keys::COM_PORT), Actual::NothingBut("mqtt.hosst".to_owned()), usual()),
        (of_garage(&keys::NAME), Actual::NothingThough(Though::Several), usual()),
        (in_form(&keys::TLS_KEY), Actual::NothingThough(Though::Set(&keys::TLS_CERT)), pair()),
        (at(&keys::USERNAME, Origin::Default), on, Accepted::UserName),
        (
            of_garage(&keys::NAME),
            Actual::Taken { text: text(), by: whose(Some("garage")), line: Some(3) },
            different(),
        ),
        (
            in_form(&keys::NAME),
            Actual::Taken { text: text(), by: whose(None), line: None },
            different(),
        ),
        (
            of_garage(&keys::NAME),
            Actual::SameId {
                name: "a_diff".parse().unwrap(),
                key: "energy".to_owned(),
                other_key: "diff_energy".to_owned(),
                other: whose(Some("a")),
            },
            Accepted::This("another name"),
        ),
        (
            of_garage(&keys::POLL_OFFSET),
            Actual::Text(Quoted::new("-5m"), None),
            Accepted::ShorterThan(&keys::POLL_INTERVAL, None, Duration::from_secs(300)),
        ),
        (
            of_garage(&keys::POLL_OFFSET),
            Actual::Text(Quoted::new("-5m"), None),
            Accepted::ShorterThan(
                &keys::POLL_INTERVAL,
                Some(whose(Some("garage"))),
                Duration::from_secs(150),
            ),
        ),
        (
            in_form(&keys::HOST),
            Actual::Uncertifiable("fe80::1%eth0".to_owned()),
            Accepted::Certifiable,
        ),
        (About::Variables("X", "X_FILE".to_owned()), Actual::Both, Accepted::This("one of them")),
        (
            at(&keys::PASSWORD, secret()),
            Actual::Unusable("it is empty".to_owned()),
            Accepted::This("a file that contains only the secret, in one line"),
        ),
        (
            About::Meter(whose(None), Origin::File(spot())),
            Actual::Nothing,
            Accepted::This("settings"),
        ),
    ];
    let texts = problems.map(|(about, found, accepted)| {
        let problem = Problem { about, found, accepted };
        lines(|runs_as| problem.words(runs_as))
    });
    insta::assert_snapshot!(texts.join("\n"));
}

/// What the table accepts is on the reference page, which a test compares.
#[test]
fn what_is_accepted() {
    let about = |key| About::Setting(key, Place::shared(Origin::Default));
    let all = [
        (&keys::PARAMETERS.key, Accepted::Usual),
        (&keys::QOS.key, Accepted::UsualBut("it is 3".to_owned())),
    ];
    let texts = all.map(|(key, accepted)| lines(|runs_as| accepted.words(&about(key), runs_as)));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn files_for_tls_in_words() {
    let error = |role, fault| FileError { role, path: Some(PathBuf::from("/x")), fault };
    let both = [Role::Certificate, Role::Key];
    let all = both
        .into_iter()
        .chain([Role::Ca])
        .flat_map(|role| [Fault::NeitherPemNorDer, Fault::Lacking].map(|fault| error(role, fault)));
    let others = [
        (Role::Ca, Fault::NoSystemRoots),
        (Role::Ca, Fault::Unreadable("there is no such file".to_owned())),
        (Role::Ca, Fault::Damaged),
        (Role::Certificate, Fault::BadCertificate),
        (Role::Key, Fault::BadKey),
        (Role::Key, Fault::OldEncryption),
        (Role::Key, Fault::UnknownEncryption),
        (Role::Key, Fault::Misfit),
        (Role::KeyPassword, Fault::NoPassword),
        (Role::KeyPassword, Fault::WrongPassword),
    ];
    let all = all.chain(others.map(|(role, fault)| error(role, fault)));
    let texts = all.map(|error| lines(|runs_as| file_words(&error, runs_as)));
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"));
}

#[test]
fn warnings_in_words() {
    let key = || ShownKey::new("x");
    let unknown = |whose, meant| Warning::UnknownKey { key: key(), whose, spot: spot(), meant };
    let twice = |whose| Warning::Twice { key: key(), whose, spot: spot() };
    let garage = || Some(whose(Some("garage")));
    let port = || "socket://10.0.0.3:2003".parse().unwrap();
    let all = [
        unknown(None, Meant::Nobody),
        unknown(None, Meant::Key("mqtt.host".to_owned())),
        unknown(garage(), Meant::Section),
        twice(None),
        twice(garage()),
        Warning::UnknownVariable("MQTT_HOSTT".to_owned(), "MQTT_HOST".to_owned()),
        Warning::VariableOfLinks("MQTT_PORT"),
        Warning::UnknownOption("x".to_owned(), OptionOwner::Form, Meant::Nobody),
        Warning::UnknownOption("hots".to_owned(), OptionOwner::Mqtt, Meant::Key("host".to_owned())),
        Warning::UnknownOption("x".to_owned(), OptionOwner::Meter(whose(None)), Meant::Nobody),
        Warning::BothPortOptions(OptionOwner::Form),
        Warning::BothPortOptions(OptionOwner::Head),
        Warning::EarlierPortOption,
        Warning::NoBrokerFor(vec![&keys::USERNAME, &keys::PASSWORD]),
        Warning::BothPortKeys { url: None, com_port: None },
        Warning::BothPortKeys { url: garage(), com_port: garage() },
        Warning::SamePort(whose(None), whose(Some("garage")), port()),
        Warning::BrokersPort(port()),
        Warning::ShortTimeout(None),
        Warning::ShortTimeout(garage()),
        Warning::Login(Login::Off),
        Warning::Login(Login::PasswordAlone),
        Warning::Login(Login::NoPassword),
        Warning::Insecure,
        Warning::TlsOff(vec![&keys::TLS_CA_CERT, &keys::TLS_KEY_PASSWORD]),
    ];
    let texts = all.map(|warning| lines(|runs_as| warning.words(runs_as)));
    insta::assert_snapshot!(texts.join("\n"));
}
