//! The log of a process: its last lines before a crash, changes while it runs, and colours.
//!
//! A process has one log, so each test runs a test of this file in its own process.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends with a panic"
)]

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use kamstrup2mqtt::config::{self, Variables};
use logging::{self, Settings};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;
use tracing::{debug, error, info};

/// With its own target, this test's log would count as that of a library.
const OURS: &str = "kamstrup2mqtt::test";

/// The folder of the child's files.
const FOLDER: &str = "LOGGING_TEST_FOLDER";

fn folder() -> PathBuf {
    std::env::var_os(FOLDER).expect("only the other tests run this one").into()
}

/// Runs one of the ignored tests below. Returns its output and its exit status.
fn child(name: &str, folder: &Path) -> (String, ExitStatus) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    (said, child.wait().unwrap())
}

/// The checked settings of a section `logging`.
fn settings(section: &str) -> Settings {
    let yaml = format!("serial_device: {{ com_port: /dev/null }}\nlogging: {{ {section} }}\n");
    let file = Some((Path::new("test.yaml"), yaml.as_str()));
    config::check(file, &Variables::new()).unwrap().config.logging
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// A panic that nothing can catch, like every panic of the release build.
extern "C" fn crash() {
    panic!("out of\x1b heat");
}

#[test]
#[ignore = "ends its process"]
fn crashes() {
    let directory = folder();
    let section = format!(
        "destinations: [stdout, file], directory: '{}', file_format: '%(levelname)s %(message)s'",
        directory.display()
    );
    let _log = logging::start(kamstrup2mqtt::PROGRAM, &settings(&section)).unwrap();
    for number in 0..200 {
        info!(target: OURS, "line {number}");
    }
    crash();
}

#[test]
fn a_crash_loses_no_line() {
    let folder = TempDir::new().unwrap();
    let (said, status) = child("crashes", folder.path());
    assert_eq!(status.code(), None, "it was aborted");
    let written = lines(&folder.path().join("kamstrup2mqtt.log"));
    let expected = (0..200).map(|number| format!("INFO line {number}"));
    assert_eq!(written[..200], expected.collect::<Vec<_>>());
    // The second one is the panic of a function that cannot unwind.
    let [last, _] = &written[200..] else { panic!("{:?}", &written[200..]) };
    let begin = "CRITICAL The program crashed: out of\\u{1b} heat (tests/logging.rs:";
    assert!(last.starts_with(begin), "{last}");
    assert!(
        said.contains("INFO line 199\n") && said.contains(" CRIT The program crashed"),
        "{said}"
    );
}

#[test]
#[ignore = "has the log of its process"]
fn changes() {
    let folder = folder();
    let section = |name: &str, more: &str| {
        format!(
            "destinations: file, directory: '{}', filename: {name}, format: '%(levelname)s \
             %(message)s' {more}",
            folder.display()
        )
    };
    let log = logging::start(kamstrup2mqtt::PROGRAM, &settings(&section("one", ""))).unwrap();
    info!(target: OURS, "to one");
    debug!(target: OURS, "not at this level");
    log.apply(&settings(&section("two", ", level: DEBUG"))).unwrap();
    debug!(target: OURS, "to two, with a level more");
    log.apply(&settings(&section("two", ", level: ERROR, file_format: '%(message)s'"))).unwrap();
    info!(target: OURS, "not at this level");
    error!(target: OURS, "to two, another way");
    log.apply(&settings("destinations: stdout, stdout_format: 'out: %(message)s'")).unwrap();
    info!(target: OURS, "to standard output");
    log.apply(&settings(&section("two", ""))).unwrap();
    info!(target: OURS, "to two again");
    let other = log.clone();
    drop(log);
    info!(target: OURS, "there is still a handle");
    drop(other);
}

#[test]
fn level_and_destinations_change_at_run_time() {
    let folder = TempDir::new().unwrap();
    let (said, status) = child("changes", folder.path());
    assert!(status.success(), "{said}");
    assert_eq!(lines(&folder.path().join("one")), ["INFO to one"]);
    assert_eq!(
        lines(&folder.path().join("two")),
        [
            "DEBUG to two, with a level more",
            "to two, another way",
            "INFO to two again",
            "INFO there is still a handle"
        ]
    );
    let out: Vec<_> = said.lines().filter(|line| line.contains("to ")).collect();
    assert_eq!(out, ["out: to standard output"]);
}

#[test]
#[ignore = "has the log of its process"]
fn is_rotated_by_others() {
    let folder = folder();
    let settings = settings(&format!(
        "destinations: file, directory: '{}', filename: log, format: '%(message)s'",
        folder.display()
    ));
    let log = logging::start(kamstrup2mqtt::PROGRAM, &settings).unwrap();
    info!(target: OURS, "one");
    log.settle();
    std::fs::rename(folder.join("log"), folder.join("log.1")).unwrap();
    log.apply(&settings).unwrap();
    info!(target: OURS, "two");
}

#[test]
fn a_file_that_others_moved_is_opened_again() {
    let folder = TempDir::new().unwrap();
    let (said, status) = child("is_rotated_by_others", folder.path());
    assert!(status.success(), "{said}");
    assert_eq!(lines(&folder.path().join("log.1")), ["one"]);
    assert_eq!(lines(&folder.path().join("log")), ["two"]);
}

#[test]
#[ignore = "has the log of its process"]
fn is_flooded() {
    let section = format!(
        "destinations: file, directory: '{}', filename: log, format: '%(levelname)s %(message)s'",
        folder().display()
    );
    let _log = logging::start(kamstrup2mqtt::PROGRAM, &settings(&section)).unwrap();
    for number in 0..91_000 {
        if number == 50_000 {
            error!(target: OURS, "something else");
        }
        info!(target: OURS, "Home Assistant has started.");
    }
}

/// A flood of births wrote 91,000 lines, and those of other messages were missing between them.
#[test]
fn a_line_that_is_repeated_is_counted_and_hides_no_other() {
    let folder = TempDir::new().unwrap();
    let (said, status) = child("is_flooded", folder.path());
    assert!(status.success(), "{said}");
    let written = lines(&folder.path().join("log"));
    assert_eq!(written[..20], ["INFO Home Assistant has started."; 20]);
    assert_eq!(
        written[20..],
        ["ERROR something else", "INFO Home Assistant has started. (repeated 90,980 more times)",]
    );
}

/// What the program shows on a terminal.
fn shown_on_a_terminal(variables: &[(&str, &str)]) -> String {
    let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&pty).unwrap();
    unlockpt(&pty).unwrap();
    let path = ptsname(&pty, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kamstrup2mqtt"))
        .env_clear()
        .envs([("SERIAL_COM_PORT", "/dev/null"), ("MQTT_HOST", "127.0.0.1"), ("MQTT_PORT", "9")])
        .envs(variables.iter().copied())
        .current_dir("/")
        .stdout(OwnedFd::from(terminal))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut shown = Vec::new();
    let mut pty = File::from(pty);
    while !shown.contains(&b'\n') {
        let mut buffer = [0; 1024];
        let count = pty.read(&mut buffer).unwrap();
        shown.extend(buffer.into_iter().take(count));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    String::from_utf8(shown).unwrap()
}

#[test]
fn colours_are_used_on_terminals_unless_disabled() {
    let green = "\u{1b}[32m INFO\u{1b}[0m Using the configuration";
    let plain = "  INFO Using the configuration";
    for (variables, expected) in [
        (&[][..], green),
        (&[("NO_COLOR", ""), ("TERM", "xterm")], green),
        (&[("NO_COLOR", "1")], plain),
        (&[("TERM", "dumb")], plain),
    ] {
        let shown = shown_on_a_terminal(variables);
        assert!(shown.contains(expected), "{variables:?}: {shown:?}");
    }
}
