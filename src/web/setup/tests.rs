use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use tokio::time::advance;

use super::routes::SetupState;
use super::screen::{Code, Screen, no_ports, whole};
use super::session::{HELD, Right};
use super::*;
use crate::language::Language;
use crate::setup::{Setup, Step, Target, WriteError};
use crate::status::Board;
use meter::find::{Candidate, Plan};
use meter::transport::LocalPort;

const HERE: &str = "127.0.0.1";
const FAR: &str = "192.168.1.9";

fn page() -> SetupPage {
    let target = Target::choose(Some("/nowhere/config.yaml".as_ref()), None);
    SetupPage::new(Setup::new(target, None), None)
}

fn right(page: &SetupPage, peer: &str, headers: &HeaderMap) -> Right {
    page.right(peer.parse::<IpAddr>().unwrap(), headers)
}

fn with(cookie: &HeaderValue) -> HeaderMap {
    let pair = cookie.to_str().unwrap().split(';').next().unwrap();
    HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(pair).unwrap())])
}

#[tokio::test(start_paused = true)]
async fn one_browser_at_a_time_sets_up() {
    let (page, none) = (page(), HeaderMap::new());
    assert_eq!(right(&page, FAR, &none), Right::Stranger);
    let proxied: HeaderMap = [("x-forwarded-for", FAR)]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect();
    assert_eq!(right(&page, HERE, &proxied), Right::Stranger);
    assert_eq!(right(&page, HERE, &none), Right::Free);
    let first = with(&page.begin().unwrap());
    assert_eq!(right(&page, HERE, &first), Right::Owner);
    assert_eq!(right(&page, HERE, &none), Right::Taken);
    // The cookie alone is no right on another machine.
    assert_eq!(right(&page, FAR, &first), Right::Stranger);
    page.setup.continue_anyway();
    page.setup.choose_values("auto", &["energy".to_owned()]);
    assert_eq!(page.setup.view().step, Step::File);
    // Each request keeps others out for longer.
    advance(HELD / 2).await;
    assert_eq!(right(&page, HERE, &first), Right::Owner);
    advance(HELD / 2).await;
    assert_eq!(right(&page, HERE, &none), Right::Taken);
    advance(HELD / 2).await;
    assert_eq!(right(&page, HERE, &none), Right::Free);
    // Until another one has begun, the first one can continue.
    assert_eq!(right(&page, HERE, &first), Right::Owner);
    advance(HELD).await;
    let second = with(&page.begin().unwrap());
    assert_eq!(right(&page, HERE, &second), Right::Owner);
    assert_eq!(right(&page, HERE, &first), Right::Taken);
    // What the first one has typed is not for the second one.
    assert_eq!(page.setup.view().step, Step::Head);
}

/// Each request for the first screen wrote a file to the disk, and removed it.
#[tokio::test(start_paused = true)]
async fn visitors_who_only_look_do_not_write_to_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state/config.yaml");
    let state = file.parent().unwrap();
    std::fs::create_dir(state).unwrap();
    let setup = Setup::new(Target::choose(Some(&file), None), None);
    let looking = SetupState::new(SetupPage::new(setup, None), Board::default());
    assert_eq!(looking.trouble().await, Ok(None));
    std::fs::remove_dir(state).unwrap();
    for _ in 0..9 {
        assert_eq!(looking.trouble().await, Ok(None));
        advance(Duration::from_secs(1)).await;
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(looking.trouble().await, Ok(Some(WriteError::NoFolder(state.to_owned()))));
}

#[tokio::test]
async fn a_configured_token_replaces_the_code_and_is_for_this_machine_too() {
    let page = SetupPage::new(page().setup, Some("hunter22"));
    assert_eq!(right(&page, HERE, &HeaderMap::new()), Right::Stranger);
    page.code.check(FAR.parse().unwrap(), b"hunter22").unwrap();
    let known = with(&page.code.brief_cookie().unwrap());
    assert_eq!(right(&page, FAR, &known), Right::Free);
    assert!(!format!("{page:?}").contains("hunter22"));
}

/// Neither in the field nor in what is written below it.
#[tokio::test]
async fn a_key_that_was_typed_is_not_shown_again() {
    const KEY: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LWtleTE=";
    let page = page();
    let shown = || {
        let view = Box::new(page.setup.view());
        let screen = Screen::Step { step: Step::Head, view, ports: Vec::new(), path: "/x".into() };
        whole(Language::English, "./", &screen).unwrap()
    };
    for more in ["", "&port=none", "&key=c2hvcnQtc2VjcmV0"] {
        page.setup.choose_head(&format!("esphome://127.0.0.1:1/?key={KEY}{more}"));
        page.setup.stop();
        let shown = shown();
        assert!(shown.contains("esphome://127.0.0.1:1/?key=***"), "{shown}");
        assert!(!shown.contains(KEY) && !shown.contains("c2hvcnQ"), "{shown}");
        assert_eq!(shown.contains("aria-invalid"), !more.is_empty(), "{shown}");
    }
    // What the field shows stands for what was typed.
    page.setup.choose_head(&format!("esphome://127.0.0.1:1/?key={KEY}"));
    page.setup.choose_head("esphome://127.0.0.1:2/?key=***");
    page.setup.stop();
    let view = page.setup.view();
    assert_eq!(view.draft.port, format!("esphome://127.0.0.1:2/?key={KEY}"));
    assert!(view.invalid.is_empty());
}

/// A port with another name than those of adapters is not in the list.
#[tokio::test]
async fn the_list_of_ports_says_what_to_do_if_one_is_missing() {
    let page = page();
    let usb = LocalPort { path: "/dev/ttyUSB0".into(), by_id: None, is_held: false };
    let usb = Candidate { port: usb, usb: None, plan: Plan::Ask };
    for language in Language::ALL {
        let words = language.setup_words();
        assert!(words.not_listed.contains(words.by_address), "{}", words.not_listed);
        for ports in [vec![usb.clone()], Vec::new()] {
            let is_listed = !ports.is_empty();
            let view = Box::new(page.setup.view());
            let screen = Screen::Step { step: Step::Head, view, ports, path: "/x".into() };
            let shown = whole(language, "./", &screen).unwrap();
            assert_eq!(shown.contains("/dev/ttyAMA0"), is_listed, "{shown}");
        }
    }
}

#[test]
fn a_container_without_a_port_needs_an_option() {
    for language in Language::ALL {
        let words = language.setup_words();
        assert!(no_ports(words, true).contains("--device"));
        assert!(!no_ports(words, false).contains("--device"));
        assert!(
            words.address_words.contains("esphome://") && words.address_words.contains("?key=")
        );
    }
}

#[tokio::test]
async fn every_screen_is_made_in_every_language() {
    let page = page();
    let path = PathBuf::from("/nowhere/config.yaml");
    for language in Language::ALL {
        let made = |screen: &Screen| whole(language, "./", screen).unwrap();
        let code = made(&Screen::Code(Code { denied: None, is_configured: false }));
        assert!(code.contains("id=\"token\"") && !code.contains("nowhere"), "{code}");
        assert!(!made(&Screen::Taken).contains("<form"));
        let trouble = Some(WriteError::NoFolder("/nowhere".into()));
        let welcome = made(&Screen::Welcome { path: path.clone(), trouble });
        assert!(welcome.contains("mkdir -p /nowhere"), "{welcome}");
        for step in Step::ALL {
            let view = Box::new(page.setup.view());
            let screen = Screen::Step { step, view, ports: Vec::new(), path: path.clone() };
            let shown = made(&screen);
            assert!(shown.contains("aria-current=\"step\""), "{shown}");
            assert!(!shown.contains('{') && !shown.contains('}'), "{shown}");
        }
    }
}
