//! `kamstrup2mqtt history`: the meter's own logs of hours, days, months and years.

mod shown;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::SignedDuration;
use jiff::civil::Date;
use kmp::logger::{Log, LogEntry};
use kmp::register::RegisterId;
use tokio::time::Instant;

use self::shown::Shown;
use super::ask::{Target, complain, print, print_json, waiting_for};
use super::signals::with_signals;
use crate::config;
use crate::history_file;
use crate::meter_logs::{self, Kept, is_since, words};
use logging::LocalTime;
use meter::RunsAs;
use meter::duration;
use meter::identity::Identity;
use meter::logger::{
    Access, CLOCK, LogEnd, LogExtent, LogReading, LogStep, clock_ahead, poll_awake,
};
use meter::poll::{Explanation, Extent, LogRead};

/// What makes the command ask a meter that did not answer.
const AGAIN: &str = "--again";

/// A clock that is off by more falsifies hours: a meter's clock is off by 15 minutes a year at most
/// (TD 403 5512-1689 M1 p.13).
const SUSPICIOUS: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The log to read
    #[arg(long, value_enum, default_value = "month")]
    log: Which,
    /// The date of the oldest entry to read, like 2025-10-01. Default: all entries
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Print CSV, for spreadsheets
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Ask a meter that did not answer such a request before
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    pub(super) target: Target,
}

/// A log that can be read.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    Hour,
    Day,
    Month,
    Year,
}

impl Which {
    const fn log(self) -> Log {
        match self {
            Self::Hour => Log::Hour,
            Self::Day => Log::Day,
            Self::Month => Log::Month,
            Self::Year => Log::Year,
        }
    }
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let mut asking = args.target.resolve()?;
    // One request has room for the clock, too.
    let asked_for = std::iter::once(RegisterId::new(60)).chain(CLOCK).collect();
    let polled = std::mem::replace(&mut asking.plan.registers, asked_for);
    let line = asking.plan.line;
    let (meter, reader, waiting) = asking.reader();
    let mut reader = reader.finding_out(Extent::Identity);
    let mut code = ExitCode::FAILURE;
    with_signals(async |stop| {
        let begun = Instant::now();
        let asked = waiting_for(&waiting, reader.read(&stop)).await;
        let ahead = clock_ahead(&asked.readings, &LocalTime::now())
            .map(|ahead| at_least(ahead, begun.elapsed()));
        let identity = asked.identity;
        let Some(serial) = identity.serial else {
            match &asked.trouble {
                Some(trouble) => complain(trouble, &meter),
                None => say("error: The meter did not send its serial number."),
            }
            return Ok(());
        };
        let access = Access::of(&identity.models);
        if access == Access::NoWay {
            say(&shown("error", &words::no_way(&identity, RunsAs::Program)));
            return Ok(());
        }
        let folder = history_file::folder(std::env::var_os);
        let log = args.log.log();
        let mut kept = Kept::of(folder, serial, log);
        if kept.is_refused() && !args.again {
            say(&shown("error", &words::refused_before(serial, AGAIN)));
            return Ok(());
        }
        if let Some(words) = ahead.and_then(clock_words) {
            say(&words);
        }
        let reading = LogReading::new(log, meter_logs::registers(log), kept.entries());
        let reading =
            reading.of_meter(serial).with_given(access == Access::Known || kept.has_given());
        let mut entries: Vec<LogEntry> = Vec::new();
        let report = |step: LogStep<'_>| match step {
            LogStep::Begins(extent) => {
                if extent.is_restarted {
                    kept.set_aside();
                }
                say(&before(args.log, extent, poll_awake(line, polled.len())));
            }
            LogStep::Known(entry) => entries.push(entry.clone()),
            LogStep::Read(read) => {
                if let Err(warning) = kept.add(read) {
                    say(&warning);
                }
                entries.extend_from_slice(read);
            }
        };
        let read = reader.read_log(reading.with_from(args.from), &stop, report).await;
        if let Some(LogEnd::NotGiven) = read.end {
            kept.refuse();
        } else if !entries.is_empty() {
            kept.answer();
        }
        entries.retain(|entry| is_since(entry, args.from));
        let is_complete =
            matches!(read.end, Some(LogEnd::Complete | LogEnd::Reached | LogEnd::Empty));
        let table = Shown::new(&entries);
        if args.target.json {
            let ahead = ahead.map(|ahead| ahead.as_secs());
            print_json(&table.json((&identity, &meter), log, is_complete, ahead)?)?;
        } else if args.csv {
            print(&table.csv())?;
        } else if !entries.is_empty() {
            print(&table.table())?;
        }
        report_end(&read, &meter, &identity);
        let is_other = matches!(read.end, Some(LogEnd::OtherMeter(_)));
        if is_complete || !entries.is_empty() && read.trouble.is_none() && !is_other {
            code = ExitCode::SUCCESS;
        }
        Ok(())
    })?;
    Ok(code)
}

/// On standard error. If even this cannot be written, there is nothing left to do.
fn say(words: &str) {
    let _ = writeln!(io::stderr().lock(), "{words}");
}

/// By how much the clock is ahead at least, if it was read in this time before it was compared.
fn at_least(ahead: SignedDuration, took: Duration) -> SignedDuration {
    let took = SignedDuration::try_from(took).unwrap_or(SignedDuration::MAX);
    if ahead.is_negative() { ahead.saturating_add(took).min(SignedDuration::ZERO) } else { ahead }
}

/// What is said if the clock of the meter is off by a minute or more. Entries are made by this clock.
fn clock_words(ahead: SignedDuration) -> Option<String> {
    let by = ahead.unsigned_abs();
    if by < Duration::from_secs(60) {
        return None;
    }
    let (way, made) = if ahead.is_negative() { ("behind", "late") } else { ("ahead of", "early") };
    let by_words = duration::words(by);
    let mut words = format!(
        "The clock of the meter is {by_words} {way} the clock here, so it makes its entries {made}."
    );
    if by > SUSPICIOUS {
        words = format!("warning: {words} In the log of hours, each has a part of another hour.");
    }
    Some(words)
}

/// What the reading costs the meter, before it begins.
fn before(log: Which, extent: &LogExtent, poll: Duration) -> String {
    let log = log.log();
    let all = extent.newest.get().saturating_sub(extent.oldest.get()).saturating_add(1);
    let mut words = format!("The {log} log of the meter has {}.", count(all, "entry", "entries"));
    if extent.is_restarted {
        words.push_str(
            " The meter has begun it again, so entries that were read before are not used.",
        );
    }
    if extent.entries == 0 {
        let _ = write!(words, " All of them were read before.");
        return words;
    }
    if extent.entries < all {
        let _ = write!(words, " Read before: {}.", all.saturating_sub(extent.entries));
    }
    let polls = extent.awake.as_millis().div_ceil(poll.as_millis().max(1));
    let _ = write!(
        words,
        " Reading {} keeps the meter awake for {}, as long as {} of the configured values. Ctrl-C \
         stops it, and the next run continues where it stopped.",
        count(extent.entries, "entry", "entries"),
        duration::words(Duration::from_secs(extent.awake.as_secs().saturating_add(1))),
        count(u32::try_from(polls).unwrap_or(u32::MAX), "poll", "polls"),
    );
    words
}

fn count(number: u32, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Says why it ended, unless all was read.
fn report_end(read: &LogRead, meter: &config::Meter, identity: &Identity) {
    if let Some(trouble) = &read.trouble {
        complain(trouble, meter);
    }
    match &read.end {
        None if read.trouble.is_none() => {
            say("Stopped. The next run continues where this one stopped.");
        }
        None | Some(LogEnd::Complete | LogEnd::Reached) => {}
        Some(LogEnd::Empty) => say("The log is empty."),
        Some(end) => say(&ended(end, identity)),
    }
}

/// An error or, if a part was read, a warning.
fn shown(kind: &str, Explanation { words, hint }: &Explanation) -> String {
    if hint.is_empty() {
        format!("{kind}: {words}")
    } else {
        format!("{kind}: {words}\nhint: {hint}")
    }
}

fn ended(end: &LogEnd, identity: &Identity) -> String {
    let is_partly_read = matches!(end, LogEnd::Fault { id: Some(_), .. });
    let kind = if is_partly_read { "warning" } else { "error" };
    words::ended(end, identity, AGAIN).map_or_else(String::new, |why| shown(kind, &why))
}

#[cfg(test)]
mod tests {
    use kmp::logger::LogId;
    use kmp::message::SerialNumber;
    use kmp::model::Model;
    use meter::logger::LogFault;

    use super::*;

    #[test]
    fn what_it_says() {
        let identity = Identity {
            models: vec![Model::Multical402],
            serial: Some(SerialNumber::new(12_345_678)),
            ..Identity::default()
        };
        let extent = |oldest, newest, entries| LogExtent {
            depth: 460,
            registers: Vec::new(),
            oldest: LogId::new(oldest),
            newest: LogId::new(newest),
            entries,
            is_restarted: false,
            awake: Duration::from_millis(66_200),
        };
        let poll = Duration::from_millis(930);
        let fault = LogFault::Counter(RegisterId::new(60));
        let words = [
            clock_words(SignedDuration::from_secs(-192)).unwrap(),
            clock_words(SignedDuration::from_secs(601)).unwrap(),
            before(Which::Day, &extent(186, 645, 460), poll),
            before(Which::Day, &extent(186, 645, 1), poll),
            before(Which::Year, &extent(1, 1, 0), poll),
            shown("error", &words::no_way(&identity, RunsAs::Program)),
            shown("error", &words::refused_before(SerialNumber::new(12_345_678), AGAIN)),
            ended(&LogEnd::NotGiven, &identity),
            ended(&LogEnd::Silent, &identity),
            ended(&LogEnd::UnknownForm, &identity),
            ended(&LogEnd::OtherMeter(SerialNumber::new(1)), &identity),
            ended(&LogEnd::Fault { id: Some(LogId::new(612)), fault }, &identity),
            ended(&LogEnd::Fault { id: None, fault: LogFault::NoDate }, &identity),
        ];
        insta::assert_snapshot!(words.join("\n\n"));
        assert_eq!(clock_words(SignedDuration::from_secs(59)), None);
    }

    /// The first poll may take more than a minute.
    #[test]
    fn a_slow_poll_makes_no_clock_wrong() {
        let seconds = |ahead, took| {
            at_least(SignedDuration::from_secs(ahead), Duration::from_secs(took)).as_secs()
        };
        assert_eq!(seconds(-90, 100), 0);
        assert_eq!(seconds(-300, 100), -200);
        assert_eq!(seconds(300, 100), 300);
    }
}
