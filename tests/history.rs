//! The history when something goes wrong: the process is killed while it writes, or the disk is
//! full or read-only.
//!
//! The process that is killed runs this same binary ([`writer`]). It prints what is certainly
//! stored. `cargo test` kills it a hundred times, `cargo test --test history -- --ignored killed` a
//! thousand times.

#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]
#![expect(clippy::print_stdout, reason = "how the process that writes tells what it did")]
#![expect(clippy::panic, reason = "a test ends with a panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use history::{History, HistoryError, MeterKey, Reader, Sample};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use libtest_mimic::{Arguments, Trial};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use tempfile::TempDir;

/// The variables with the role of the process that writes, and with its file.
const ROLE: &str = "KAMSTRUP2MQTT_TEST_ROLE";
const FILE: &str = "KAMSTRUP2MQTT_TEST_FILE";

/// The time of the first reading; one more follows every five minutes.
const START: i64 = 1_767_225_600_000;
const STEP: i64 = 300_000;
/// The number of readings in an hour.
const IN_AN_HOUR: u32 = 12;
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if let Some(role) = std::env::var_os(ROLE) {
        let file = PathBuf::from(std::env::var_os(FILE).unwrap());
        writer(role.to_str().unwrap(), &file);
        return ExitCode::SUCCESS;
    }
    let can_mount = in_own_mounts(Path::new("/"), "true").output();
    let can_mount = can_mount.is_ok_and(|output| output.status.success());
    let trials = vec![
        Trial::test("killed 100 times", || {
            killed(100, 1);
            Ok(())
        }),
        Trial::test("killed 1000 times", || {
            killed(1_000, 2);
            Ok(())
        })
        .with_ignored_flag(true),
        Trial::test("a file that may not grow is reported", || {
            a_file_that_may_not_grow_is_reported();
            Ok(())
        }),
        Trial::test("a full disk is reported", || {
            a_full_disk_is_reported();
            Ok(())
        })
        .with_ignored_flag(!can_mount),
        Trial::test("a read-only disk is reported", || {
            a_read_only_disk_is_reported();
            Ok(())
        })
        .with_ignored_flag(!can_mount),
    ];
    // One after the other: a process that another test is just starting briefly holds this one's
    // files, and the lock of one that was killed.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn now() -> ZonedDateTime {
    Timestamp::from_millisecond(START).unwrap().to_zoned_datetime(TimeZone::UTC)
}

fn meter() -> MeterKey {
    MeterKey::new("", None)
}

fn time(number: i64) -> Timestamp {
    Timestamp::from_millisecond(START + number * STEP).unwrap()
}

/// Reading `number` of the counter has the value `number`.
fn note(history: &History, number: i64) {
    let energy = Sample {
        parameter: "energy".to_owned(),
        value: Decimal::from(number),
        unit: Some("kWh".to_owned()),
        is_counter: true,
    };
    let power = Sample { parameter: "power".to_owned(), is_counter: false, ..energy.clone() };
    history.note(&meter(), time(number), &[energy, power]);
}

/// The numbers of the stored readings, which follow each other without a gap.
fn kept(reader: &Reader) -> Vec<i64> {
    let of = |parameter| {
        let all = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        reader.snapshot().unwrap().readings(&meter(), parameter, all).unwrap()
    };
    let points = of("energy");
    assert_eq!(points, of("power"), "a poll is kept as a whole");
    let numbers: Vec<i64> = points
        .iter()
        .map(|point| {
            let number = point.value.to_i64().unwrap();
            assert_eq!(point.time, time(number));
            number
        })
        .collect();
    let all: Vec<i64> = (numbers.first().copied().unwrap_or(0)..).take(numbers.len()).collect();
    assert_eq!(numbers, all, "without a gap");
    numbers
}

/// Notes a reading, and waits until it is stored or an error occurs.
fn keep(history: &History, number: i64) -> Result<(), HistoryError> {
    let (reader, trouble) = (history.reader(), history.error());
    note(history, number);
    loop {
        if let Some(trouble) = &*trouble.borrow() {
            return Err(trouble.clone());
        }
        let range = (time(number), time(number + 1));
        let points = reader.snapshot().and_then(|all| all.readings(&meter(), "energy", range));
        if points.is_ok_and(|points| points.len() == 1) {
            return Ok(());
        }
        thread::yield_now();
    }
}

fn say(text: &str) {
    println!("{text}");
    std::io::stdout().flush().unwrap();
}

/// What the process that writes does.
fn writer(role: &str, file: &Path) {
    let history = History::start(Some(file.to_owned()), &now());
    let mut trouble = history.error();
    let reader = history.reader();
    if let Ok(number) = role.parse() {
        let kept = keep(&history, number);
        history.close();
        say(&format!(
            "{:?}, read: {:?}",
            kept.err(),
            reader.snapshot().and_then(|all| all.series(&meter())).map(|kept| kept.len())
        ));
        return;
    }
    let first = kept(&reader).last().map_or(0, |last| last + 1);
    match role {
        "count" => {
            say(&format!("from {first}"));
            for number in first.. {
                keep(&history, number).unwrap();
                say(&number.to_string());
            }
        }
        "until trouble" => {
            let found = (first..100_000).find_map(|number| keep(&history, number).err());
            say(&format!("{:?}", found.unwrap()));
        }
        "full disk" => {
            let ballast = file.with_file_name("ballast");
            std::fs::write(&ballast, vec![1; 600_000]).unwrap();
            let (number, found) = (first..100_000)
                .find_map(|number| Some((number, keep(&history, number).err()?)))
                .unwrap();
            // Readings in the meantime are not lost.
            let last = number + 50;
            for number in number + 1..last {
                note(&history, number);
            }
            std::fs::remove_file(ballast).unwrap();
            note(&history, last);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(trouble.wait_for(Option::is_none)).unwrap();
            history.close();
            assert_eq!(kept(&reader).last(), Some(&last));
            say(&format!("{found:?}"));
        }
        role => panic!("{role}"),
    }
}

fn command(program: &Path, role: &str, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(ROLE, role).env(FILE, file);
    command
}

fn ourselves() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// A shell with its own mounts, so that a disk can be made that disappears with it.
fn in_own_mounts(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=1m none \"$1\" && cd \"$1\" && {{ {script}; }}");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    // A folder without anything to lose.
    let folder = if folder == Path::new("/") { Path::new("/mnt") } else { folder };
    command.arg(folder).arg(ourselves());
    command
}

struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(file: &Path) -> Self {
        let mut child =
            command(&ourselves(), "count", file).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines() {
                // When a test fails, the receiver is already gone.
                let _ = sender.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    /// Kills it, and returns its remaining output.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), None, "it ended before it was killed");
        self.lines.iter().collect()
    }
}

/// Each time at another moment: while the file is opened, while it is created, while a reading is
/// written, while an hour is folded.
fn killed(times: u32, seed: u64) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("history.db");
    let mut random = fastrand::Rng::with_seed(seed);
    // The last number that is certainly stored.
    let mut last = -1;
    let mut in_flight = 0;
    for round in 0..times {
        let running = Running::start(&file);
        let lines = random.u32(..20);
        let mut said = Vec::new();
        for _ in 0..lines {
            said.push(running.lines.recv_timeout(PATIENCE).unwrap());
        }
        let moment = Duration::from_micros(random.u64(..if lines == 0 { 30_000 } else { 3_000 }));
        match running.lines.recv_timeout(moment) {
            Ok(line) => said.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("round {round}: it ended by itself"),
        }
        said.extend(running.kill());
        for line in said {
            if let Some(first) = line.strip_prefix("from ") {
                let first: i64 = first.parse().unwrap();
                // The reading in progress at the kill may be stored or not.
                assert!([last + 1, last + 2].contains(&first), "round {round}: {first}, {last}");
                in_flight += i32::from(first == last + 2);
                last = first - 1;
            } else {
                let number: i64 = line.parse().unwrap();
                assert_eq!(number, last + 1, "round {round}");
                last = number;
            }
        }
    }
    let history = History::start(Some(file.clone()), &now());
    let (reader, trouble) = (history.reader(), history.error());
    history.close();
    assert_eq!(*trouble.borrow(), None);
    let end = *kept(&reader).last().unwrap();
    assert!(last <= end && end <= last + 1);
    // Each hour has all its readings, except the first, which begins with reading 0, and the last.
    let all = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
    let hours = reader.snapshot().unwrap().hours(&meter(), "energy", all).unwrap();
    assert!(hours.len() > usize::try_from(times).unwrap() / 4, "{} hours", hours.len());
    let [(_, first), inner @ .., (_, open)] = &hours[..] else { panic!("{} hours", hours.len()) };
    assert_eq!(first.count, 1);
    for (start, hour) in inner {
        assert_eq!(hour.count, IN_AN_HOUR, "{start}");
        assert_eq!(hour.high - hour.low, Decimal::from(IN_AN_HOUR - 1), "{start}");
    }
    assert_eq!(open.last.value, Decimal::from(end));
    assert!(
        !std::fs::read_dir(folder.path())
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().contains("damaged") })
    );
    println!("{times} kills, {end} readings, {in_flight} of those in flight were kept");
}

fn output(mut command: Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {text}", output.status);
    text
}

fn a_file_that_may_not_grow_is_reported() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("history.db");
    let mut limited = command(Path::new("sh"), "until trouble", &file);
    // The system sends a signal to a process that exceeds the limit. The process may ignore it.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\""]).arg(ourselves());
    let said = output(limited);
    assert!(said.starts_with("Other {") && said.contains("disk I/O error"), "{said}");
    // As soon as the file may grow again, everything continues.
    let running = Running::start(&file);
    let first = running.lines.recv_timeout(PATIENCE).unwrap();
    let first: i64 = first.strip_prefix("from ").unwrap().parse().unwrap();
    assert!(first > 10, "{first}");
    let next = running.lines.recv_timeout(PATIENCE).unwrap();
    assert_eq!(next, first.to_string());
    running.kill();
}

fn a_full_disk_is_reported() {
    let folder = TempDir::new().unwrap();
    let mut full = in_own_mounts(folder.path(), "exec \"$2\"");
    full.env(ROLE, "full disk").env(FILE, folder.path().join("history.db"));
    let said = output(full);
    assert!(said.starts_with("Full("), "{said}");
}

fn a_read_only_disk_is_reported() {
    let folder = TempDir::new().unwrap();
    let run = |number: u8| format!("{ROLE}={number} \"$2\"");
    let script = format!("{} && mount -o remount,ro \"$1\" && {}", run(0), run(1));
    let mut locked = in_own_mounts(folder.path(), &script);
    locked.env(FILE, folder.path().join("history.db"));
    let said = output(locked);
    let [first, second] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert_eq!(first, "None, read: Ok(2)");
    assert!(second.starts_with("Some(ReadOnly("), "{second}");
    // It can be read if an earlier process has left the files that readers share.
    let read = ["read: Ok(2)", "read: Err(ReadOnly("];
    assert!(read.iter().any(|read| second.contains(read)), "{second}");
}
