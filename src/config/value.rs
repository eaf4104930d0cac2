//! Parsers of the settings' texts, and reasons why a text is not accepted.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use tracing::Level;

use super::kind::Kind;
use super::model::{HistoryUse, Qos};
use super::remark::{Remark, Why};
use super::secret::Secret;
use crate::language::Language;
use crate::similar::{self, most_like, question};
use crate::tls;
use crate::units::UnitSystem;
use logging::{Facility, Format, FormatError};
use meter::identity::{Version, model_meant};
use meter::transport::{DataBits, Endpoint, ModemLine, Parity, StopBits};
use tariff::Row;

/// The longest path that Linux accepts.
const LONGEST_PATH: usize = 4096;

/// The longest text that MQTT can send.
const LONGEST_LOGIN: usize = 65_535;

pub(super) fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// Parses a text with the spaces around it.
pub(super) fn exact<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn text_of(text: &str, longest: usize) -> Option<String> {
    (!text.is_empty() && text.len() <= longest && !text.contains('\0')).then(|| text.to_owned())
}

pub(super) fn text(text: &str) -> Option<String> {
    text_of(text, 256)
}

pub(super) fn long_text(text: &str) -> Option<String> {
    text_of(text, LONGEST_LOGIN)
}

pub(super) fn secret(text: &str) -> Option<Secret> {
    long_text(text).map(Secret::new)
}

/// A text that fits into a header of HTTP.
pub(super) fn token(text: &str) -> Option<Secret> {
    let text = text.trim();
    let fits = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    ((8..=256).contains(&text.len()) && text.bytes().all(fits)).then(|| Secret::new(text))
}

pub(super) fn path(text: &str) -> Option<PathBuf> {
    text_of(text.trim(), LONGEST_PATH).map(PathBuf::from)
}

pub(super) fn host(text: &str) -> Option<String> {
    let text = text.trim();
    // One colon separates a port, several belong to an IPv6 address.
    let fits = !text.is_empty()
        && text.len() <= 253
        && text.matches(':').count() != 1
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]%".contains(c));
    fits.then(|| text.to_owned())
}

/// A topic that can be published to (MQTT 3.1.1, 4.7.1). Those that begin with `$` belong to the
/// broker (4.7.2): `$SYS` are its own values, and a subscription to `$share` is shared with others.
pub(super) fn topic(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=256).contains(&text.len())
        && !text.starts_with('$')
        && !text.contains(|c: char| matches!(c, '+' | '#') || c.is_control());
    fits.then(|| text.to_owned())
}

/// The truth values of YAML 1.1 and of the older program.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn qos(text: &str) -> Option<Qos> {
    match text.trim() {
        "0" => Some(Qos::AtMostOnce),
        "1" => Some(Qos::AtLeastOnce),
        "2" => Some(Qos::ExactlyOnce),
        _ => None,
    }
}

/// From the slowest to the fastest speed that today's serial ports offer.
pub(super) fn baud(text: &str) -> Option<NonZeroU32> {
    parse(text).filter(|baud: &NonZeroU32| (300..=115_200).contains(&baud.get()))
}

pub(super) fn data_bits(text: &str) -> Option<DataBits> {
    match text.trim() {
        "7" => Some(DataBits::Seven),
        "8" => Some(DataBits::Eight),
        _ => None,
    }
}

pub(super) fn parity(text: &str) -> Option<Parity> {
    match text.trim().to_ascii_uppercase().as_str() {
        "NONE" | "N" => Some(Parity::None),
        "EVEN" | "E" => Some(Parity::Even),
        "ODD" | "O" => Some(Parity::Odd),
        _ => None,
    }
}

pub(super) fn stop_bits(text: &str) -> Option<StopBits> {
    match text.trim() {
        "1" => Some(StopBits::One),
        "2" => Some(StopBits::Two),
        _ => None,
    }
}

pub(super) fn modem_line(text: &str) -> Option<ModemLine> {
    if text.trim().eq_ignore_ascii_case("leave") {
        return Some(ModemLine::Leave);
    }
    boolean(text).map(|on| if on { ModemLine::Raise } else { ModemLine::Lower })
}

/// Python's names of levels. Python has one more level; the two highest are the same here.
pub(super) fn level(text: &str) -> Option<Level> {
    match text.trim().to_ascii_uppercase().as_str() {
        "DEBUG" => Some(Level::DEBUG),
        "INFO" => Some(Level::INFO),
        "WARNING" | "WARN" => Some(Level::WARN),
        "ERROR" | "CRITICAL" | "FATAL" => Some(Level::ERROR),
        _ => None,
    }
}

/// A destination of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    Stdout,
    File,
    Syslog,
}

pub(super) fn destination(text: &str) -> Option<Destination> {
    match text.to_ascii_lowercase().as_str() {
        "stdout" => Some(Destination::Stdout),
        "file" => Some(Destination::File),
        "syslog" => Some(Destination::Syslog),
        _ => None,
    }
}

pub(super) fn directory(text: &str) -> Option<PathBuf> {
    let fits = !text.is_empty() && text.len() < LONGEST_PATH && !text.contains('\0');
    (fits && in_home(text).is_none()).then(|| text.into())
}

/// A file name with room for the date after it.
pub(super) fn filename(text: &str) -> Option<String> {
    let fits = !matches!(text, "" | "." | "..") && text.len() <= 200 && !text.contains(['/', '\0']);
    fits.then(|| text.to_owned())
}

pub(super) fn count(text: &str) -> Option<usize> {
    parse::<u32>(text).and_then(|count| usize::try_from(count).ok())
}

/// Minutes as a plain number, as in the older program, or a time with units.
pub(super) fn interval(text: &str) -> Option<Duration> {
    let allowed = Duration::from_millis(1200)..=Duration::from_secs(7 * 24 * 60 * 60);
    let interval = match parse::<Decimal>(text) {
        Some(minutes) => {
            let milliseconds = minutes.checked_mul(Decimal::from(60_000))?;
            Duration::from_millis(milliseconds.trunc().to_u64()?)
        }
        None => Duration::try_from(time(text)?).ok()?,
    };
    allowed.contains(&interval).then_some(interval)
}

/// How often slow registers are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SlowInterval {
    EachPoll,
    Every(Duration),
}

impl SlowInterval {
    /// The interval; `None` if it is that of polls.
    pub(super) fn time(self) -> Option<Duration> {
        match self {
            Self::EachPoll => None,
            Self::Every(time) => Some(time),
        }
    }
}

pub(super) fn slow_interval(text: &str) -> Option<SlowInterval> {
    if text.trim().eq_ignore_ascii_case("poll") {
        return Some(SlowInterval::EachPoll);
    }
    interval(text).map(SlowInterval::Every)
}

/// The highest temperature of a limit, in °C: that of the hottest district heating.
const HOTTEST: Decimal = Decimal::from_parts(200, 0, 0, false, 0);

/// `40`, or `60=30`: at a supply temperature of 60 °C, a return temperature of 30 °C is expected.
pub(super) fn limit_row(text: &str) -> Option<Row> {
    let temperature = |text: &str| {
        let is_plain = text.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let parsed = parse::<Decimal>(text).filter(|_| is_plain);
        parsed.filter(|it| (Decimal::ZERO..=HOTTEST).contains(it) && it.scale() <= 3)
    };
    let (supply, expected) = match text.split_once('=') {
        Some((supply, expected)) => (Some(temperature(supply)?), expected),
        None => (None, text),
    };
    Some(Row { supply, expected: temperature(expected)? })
}

/// A time with units. A day has 24 hours.
fn time(text: &str) -> Option<SignedDuration> {
    let days = || parse::<Span>(text)?.to_duration(SpanRelativeTo::days_are_24_hours()).ok();
    parse(text).or_else(days)
}

/// The intervals from which on a meter is polled a little early, so that the reading at the end of
/// an hour is not counted in the next one.
const EARLY_FROM: Duration = Duration::from_secs(15 * 60);

/// How much earlier. A poll with all registers and some retries takes less.
const EARLY: SignedDuration = SignedDuration::from_secs(-20);

/// The offset of polls if nobody sets it.
pub(super) fn usual_offset(interval: Duration) -> SignedDuration {
    if interval >= EARLY_FROM { EARLY } else { SignedDuration::ZERO }
}

/// A time with units and perhaps a sign. A number without a unit would be minutes here, as for the
/// interval, but many users would mean seconds: only 0 is accepted.
pub(super) fn offset(text: &str) -> Option<SignedDuration> {
    match parse::<Decimal>(text) {
        Some(number) => number.is_zero().then_some(SignedDuration::ZERO),
        None => time(text),
    }
}

/// A number without a unit.
pub(super) fn why_no_offset(text: &str) -> Why {
    let number: Option<Decimal> = parse(text);
    number.map_or(Why::Unsaid, |_| Why::Reason("a number needs a unit".to_owned()))
}

/// `-20s`, `2m`, `0`
pub(super) fn offset_text(offset: SignedDuration) -> String {
    let sign = if offset.is_negative() { "-" } else { "" };
    match offset.abs() {
        SignedDuration::ZERO => "0".to_owned(),
        length => format!("{sign}{length:#}").replace(' ', ""),
    }
}

pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds: Decimal = parse(text)?;
    let nanoseconds = seconds.checked_mul(Decimal::from(1_000_000_000))?.to_u64()?;
    let allowed = Decimal::ZERO..=Decimal::from(60);
    allowed.contains(&seconds).then_some(Duration::from_nanos(nanoseconds))
}

pub(super) fn version(text: &str) -> Option<Version> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "auto" => Some(Version::Auto),
        "generic" => Some(Version::Generic),
        other => model_meant(other).map(Version::Model),
    }
}

pub(super) fn unit_system(text: &str) -> Option<UnitSystem> {
    match text.trim().to_ascii_lowercase().as_str() {
        "standard" => Some(UnitSystem::Standard),
        "meter" => Some(UnitSystem::Meter),
        _ => None,
    }
}

pub(super) fn history_use(text: &str) -> Option<HistoryUse> {
    match text.trim().to_ascii_lowercase().as_str() {
        // Some editors write `false` for `off`.
        "off" | "false" => Some(HistoryUse::Off),
        "gaps" => Some(HistoryUse::Gaps),
        "full" => Some(HistoryUse::Full),
        _ => None,
    }
}

pub(super) fn language(text: &str) -> Option<Language> {
    Language::by_tag(text.trim())
}

pub(super) fn why_no_language(text: &str) -> Why {
    let others: [(&str, &[&str]); 5] = [
        ("en", &["english", "en-gb", "en-us", "en_gb", "en_us"]),
        ("da", &["danish", "dansk", "dk", "da-dk", "da_dk"]),
        ("de", &["german", "deutsch", "at", "de-de", "de_de", "de-at", "de-ch"]),
        ("nl", &["dutch", "nederlands", "be", "nl-nl", "nl_nl", "nl-be"]),
        ("sv", &["swedish", "svenska", "se", "sv-se", "sv_se"]),
    ];
    why_not_word(text, Kind::Words(&[], ""), &others)
}

/// The older program used the names of Python's `ssl`, which mean exactly or at most that version.
/// Here they mean the lowest version.
pub(super) fn tls_version(text: &str) -> Option<tls::Version> {
    let text = text.trim().to_ascii_lowercase().replace('_', ".");
    let text = text.strip_prefix("ssl.").unwrap_or(&text);
    let text = text.strip_prefix("protocol.").unwrap_or(text);
    match text.strip_prefix("tlsv").unwrap_or(text) {
        "1.2" | "tls" | "tls.client" | "sslv23" => Some(tls::Version::V1_2),
        "1.3" => Some(tls::Version::V1_3),
        _ => None,
    }
}

/// The words of the type's own error.
pub(super) fn why_not<T: FromStr<Err: fmt::Display>>(text: &str) -> Why {
    text.parse::<T>().err().map_or(Why::Unsaid, |error| Why::Reason(error.to_string()))
}

fn remark(remark: Option<Remark>) -> Why {
    remark.map_or(Why::Unsaid, Why::Remark)
}

/// An address with a port or a scheme. There is no remark on an address that contains a login.
pub(super) fn why_no_host(text: &str) -> Why {
    let meant = || {
        let text = text.trim();
        let address = text.split_once("://").map_or(text, |(_, address)| address);
        let address = address.strip_suffix('/').unwrap_or(address);
        let (name, port) = match address.rsplit_once(':') {
            Some((name, port)) if name.matches(':').count() == 0 || name.ends_with(']') => {
                (name, Some(port.parse::<NonZeroU16>().ok()?))
            }
            _ => (address, None),
        };
        Some(Remark::MeantHost { host: host(name)?, port })
    };
    remark(meant())
}

pub(super) fn why_no_endpoint(text: &str) -> Why {
    remark(text.parse::<Endpoint>().err().map(Remark::Endpoint))
}

pub(super) fn why_no_parameter(text: &str) -> Why {
    let meant = similar::parameter(text).map(|key| Remark::Meant(key.to_owned()));
    remark(meant.or_else(|| text.parse::<u64>().ok().map(|_| Remark::TooHigh)))
}

/// The word of this form that was most likely meant.
pub(super) fn why_no(kind: Kind, text: &str) -> Why {
    let words = |words: &[&'static str]| most_like(text, words.iter().copied());
    let meant = match kind {
        Kind::Words(known, _) => words(known).map(str::to_owned),
        Kind::Switch(other) => {
            let known = ["true", "false", "yes", "no", "on", "off"].into_iter().chain(other);
            most_like(text, known).map(str::to_owned)
        }
        Kind::Model => {
            let number = similar::model(text).map(|number| number.to_string());
            number.or_else(|| words(&["auto", "generic"]).map(str::to_owned))
        }
        _ => None,
    };
    remark(meant.map(Remark::Meant))
}

/// The word that was most likely meant: one of the form, or a word of other programs.
fn why_not_word(text: &str, kind: Kind, others: &[(&str, &[&str])]) -> Why {
    let is_it = |names: &&[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(text.trim()));
    let meant = others.iter().find(|(_, names)| is_it(names));
    match meant {
        Some((word, _)) => remark(Some(Remark::Meant((*word).to_owned()))),
        None => why_no(kind, text),
    }
}

pub(super) fn why_no_level(text: &str) -> Why {
    let others: [(&str, &[&str]); 3] = [
        ("DEBUG", &["trace", "verbose", "all", "5", "10"]),
        ("INFO", &["notice", "information", "default", "normal", "20"]),
        ("ERROR", &["alert", "emergency", "severe", "40"]),
    ];
    why_not_word(text, Kind::Words(&["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], ""), &others)
}

pub(super) fn why_no_destination(text: &str) -> Why {
    let others: [(&str, &[&str]); 2] = [
        ("stdout", &["console", "terminal", "screen", "stderr", "journal", "journald", "stream"]),
        ("file", &["logfile", "log_file", "disk"]),
    ];
    why_not_word(text, Kind::Words(&["stdout", "file", "syslog"], ""), &others)
}

pub(super) fn why_no_rotation(text: &str) -> Why {
    let others: [(&str, &[&str]); 11] = [
        ("midnight", &["daily", "day", "days", "night"]),
        ("h", &["hour", "hourly", "hours"]),
        ("m", &["minute", "minutes"]),
        ("s", &["second", "seconds"]),
        ("w0", &["monday", "mon", "weekly", "week", "w"]),
        ("w1", &["tuesday", "tue"]),
        ("w2", &["wednesday", "wed"]),
        ("w3", &["thursday", "thu"]),
        ("w4", &["friday", "fri"]),
        ("w5", &["saturday", "sat"]),
        ("w6", &["sunday", "sun", "w7"]),
    ];
    why_not_word(text, Kind::Words(&["midnight"], ""), &others)
}

pub(super) fn why_no_unit_system(text: &str) -> Why {
    let others: [(&str, &[&str]); 2] =
        [("standard", &["metric", "default", "normal", "si"]), ("meter", &["raw", "native"])];
    why_not_word(text, Kind::Words(&["standard", "meter"], ""), &others)
}

pub(super) fn why_no_qos(text: &str) -> Why {
    let others: [(&str, &[&str]); 3] = [
        ("0", &["zero", "at most once"]),
        ("1", &["one", "at least once"]),
        ("2", &["two", "exactly once"]),
    ];
    why_not_word(text, Kind::Words(&[], ""), &others)
}

pub(super) fn why_no_facility(text: &str) -> Why {
    match most_like(text, Facility::names()) {
        Some(name) => remark(Some(Remark::Meant(name.to_owned()))),
        None => why_not::<Facility>(text),
    }
}

pub(super) fn why_no_format(text: &str) -> Why {
    let Err(FormatError::Unknown { name }) = text.parse::<Format>() else {
        return why_not::<Format>(text);
    };
    let meant = question(most_like(&name, Format::fields()));
    Why::Reason(format!("{}{meant}", FormatError::Unknown { name }))
}

/// The port is that of the page.
pub(super) fn why_no_address(text: &str) -> Why {
    remark(similar::address(text, 8099).map(|meant| Remark::Meant(meant.to_string())))
}

/// A path that begins with `~`, which only a shell expands.
pub(super) fn why_no_directory(text: &str) -> Why {
    remark(in_home(text).map(|rest| Remark::Home(rest.to_owned())))
}

/// A path whose folder belongs in another setting.
pub(super) fn why_no_filename(text: &str) -> Why {
    let meant = || {
        let (folder, name) = text.rsplit_once('/').filter(|(_, name)| !name.is_empty())?;
        let folder = match in_home(folder) {
            Some(rest) => format!("/home/NAME{rest}"),
            None if folder.is_empty() => "/".to_owned(),
            None => folder.to_owned(),
        };
        Some(Remark::MeantFile { name: name.to_owned(), folder })
    };
    remark(meant())
}

/// The rest of a path that begins with `~`. A folder that is called `~` is `./~`.
fn in_home(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('~')?;
    rest.find('/').map_or(Some(""), |end| rest.get(end..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_a_scheme_or_a_port_gets_a_suggestion() {
        let meant = |host: &str, port| {
            Why::Remark(Remark::MeantHost { host: host.to_owned(), port: NonZeroU16::new(port) })
        };
        for (text, expected) in [
            ("192.168.1.100:1883", meant("192.168.1.100", 1883)),
            ("mqtt://broker/", meant("broker", 0)),
            ("mqtt://user:hunter2@broker:1883", Why::Unsaid),
            ("user:hunter2@broker", Why::Unsaid),
        ] {
            assert_eq!(why_no_host(text), expected, "{text}");
        }
    }

    #[test]
    fn an_offset_is_written_as_it_is_read() {
        for text in ["0", "-20s", "2m", "-1h30m", "-1s500ms", "26h"] {
            assert_eq!(offset_text(offset(text).unwrap()), text);
        }
        assert_eq!(offset_text(offset("-0").unwrap()), "0");
        assert_eq!(offset_text(offset("+1d 2h").unwrap()), "26h");
    }

    #[test]
    fn the_older_programs_tls_versions_are_accepted() {
        use tls::Version;

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
                assert_eq!(tls_version(text), expected, "{text}");
            }
        }
    }
}
