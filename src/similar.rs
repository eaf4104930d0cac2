//! What a user most likely meant with a misspelled name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kmp::model::Model;
use kmp::register::REGISTERS;
use kmp::unit::Unit;
use meter::transport::LocalPort;

/// The known text that is most similar to a misspelled one; `None` if all differ by more than
/// one or two typing errors. Upper and lower case, `_`, `-` and spaces make no difference.
pub(crate) fn most_like<'a>(
    text: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let slips = |known: &str| if known.len() < 6 { 1 } else { 2 };
    nearest(text, known, slips)
}

/// The same for a text that may well be something else: at most one typing error.
pub(crate) fn very_like<'a>(
    text: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    nearest(text, known, |_| 1)
}

fn nearest<'a>(
    text: &str,
    known: impl IntoIterator<Item = &'a str>,
    slips: impl Fn(&str) -> usize,
) -> Option<&'a str> {
    let text = plain(text);
    if text.is_empty() {
        return None;
    }
    let distance = |known: &str| strsim::damerau_levenshtein(&text, &plain(known));
    let near = known.into_iter().map(|known| (distance(known), known));
    let near: Vec<_> = near.filter(|(distance, known)| *distance <= slips(known)).collect();
    let (least, first) = *near.iter().min_by_key(|(distance, _)| *distance)?;
    // A wrong digit says nothing about the right one.
    let is_digit_wrong = without_digits(&text) == without_digits(&plain(first));
    let others = near.iter().filter(|(distance, _)| *distance == least).count();
    (!is_digit_wrong || others == 1 || least == 0).then_some(first)
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn plain(text: &str) -> String {
    text.trim().to_ascii_lowercase().replace(['_', '-', ' '], "")
}

/// Names that other programs and other countries give to values.
#[rustfmt::skip]
const OTHER_PARAMETERS: &[(&str, &[&str])] = &[
    ("energy", &["e1", "heat", "heatenergy", "thermalenergy", "kwh", "mwh", "consumption", "energie", "waerme", "warmte", "warme"]),
    ("volume", &["v1", "m3", "volume1", "water"]),
    ("power", &["effect", "effekt", "leistung", "vermogen", "puissance", "currentpower"]),
    ("flow", &["flow1", "flowrate", "durchfluss", "debit"]),
    ("temp1", &["t1", "flowtemp", "flowtemperature", "supply", "supplytemp", "inlettemp", "forwardtemp", "vorlauf", "aanvoer", "fremlob"]),
    ("temp2", &["t2", "return", "returntemp", "outlettemp", "ruecklauf", "retour", "returlob"]),
    ("tempdiff", &["dt", "deltat", "t1t2", "diff", "difftemp", "spread", "cooling"]),
    ("infocode", &["info", "error", "errorcode", "alarm", "status"]),
];

/// The value that a user most likely meant: by its name, by what it is, or by another name.
pub(crate) fn parameter(text: &str) -> Option<&'static str> {
    let keys = || REGISTERS.iter().map(|register| register.key);
    let text = plain(text);
    let exact = OTHER_PARAMETERS.iter().find(|(_, others)| others.contains(&text.as_str()));
    let by_label = || {
        let label = most_like(&text, REGISTERS.iter().map(|register| register.label))?;
        REGISTERS.iter().find(|register| register.label == label).map(|register| register.key)
    };
    let by_other_name = || {
        let others = OTHER_PARAMETERS.iter().flat_map(|(_, others)| others.iter().copied());
        let other = most_like(&text, others.filter(|other| other.len() >= 5))?;
        let known = OTHER_PARAMETERS.iter().find(|(_, others)| others.contains(&other));
        known.map(|(key, _)| *key)
    };
    let exact = exact.map(|(key, _)| *key);
    exact.or_else(|| most_like(&text, keys())).or_else(by_label).or_else(by_other_name)
}

/// The model that a user most likely meant, with its number: `403` for `MC4O3`.
pub(crate) fn model(text: &str) -> Option<u16> {
    let text = plain(text);
    // Their owners choose this model.
    if text.contains("flowiq") {
        return Some(Model::Multical21.number());
    }
    let text = text.strip_prefix("kamstrup").unwrap_or(&text);
    let numbers = Model::ALL.map(|model| model.number().to_string());
    let number = ["multical", "mc"].iter().find_map(|word| text.strip_prefix(word)).unwrap_or(text);
    // A letter that looks like a digit.
    let digits = number.replace('o', "0").replace(['l', 'i'], "1").replace('z', "2");
    let whole = numbers.iter().find(|known| **known == digits).map(String::as_str);
    let named = || {
        let names: Vec<_> = numbers.iter().map(|number| format!("multical{number}")).collect();
        let name = most_like(text, names.iter().map(String::as_str))?.to_owned();
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        // The word may be misspelled, but not the number.
        numbers.iter().find(|number| **number == digits(&name) && **number == digits(text))
    };
    let near = || most_like(number, numbers.iter().map(String::as_str));
    whole.or_else(|| named().map(String::as_str)).or_else(near)?.parse().ok()
}

/// The unit that a user most likely meant.
pub(crate) fn unit(text: &str) -> Option<&'static str> {
    let units = (0..=u8::MAX).map(Unit::from_code);
    most_like(&text.replace('3', "³"), units.filter_map(Unit::symbol))
}

/// The address that a user most likely meant, with this port if there is none.
pub(crate) fn address(text: &str, port: u16) -> Option<SocketAddr> {
    let text = text.trim();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(port) = text.parse::<u16>() {
        return Some(([127, 0, 0, 1], port).into());
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
        return Some(SocketAddr::new(ip, port));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, port),
    };
    let ip = match host.trim_matches(['[', ']']) {
        "" | "*" => [0, 0, 0, 0].into(),
        host => match host.parse() {
            Ok(ip) => ip,
            Err(_) => most_like(host, ["localhost"]).map(|_| [127, 0, 0, 1].into())?,
        },
    };
    Some(SocketAddr::new(ip, port))
}

/// The other file in the same folder whose name is most similar. A link to nowhere is none.
pub(crate) fn file(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let others = entries.filter_map(Result::ok);
    let others = others.filter(|entry| Some(&*entry.file_name()) != path.file_name());
    let others = others.filter(|entry| entry.path().exists());
    let names: Vec<_> = others.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let meant = most_like(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(path.with_file_name(meant))
}

/// The serial port that a user most likely meant, or the ones that this machine has.
pub(crate) fn port(path: &Path, ports: &[LocalPort]) -> Option<String> {
    let names = ports.iter().flat_map(|port| [Some(&port.path), port.by_id.as_ref()]).flatten();
    let names: Vec<_> = names.filter_map(|name| name.to_str()).collect();
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let lasts: Vec<_> = names.iter().map(|name| last(name)).collect();
    let meant = most_like(&last(path.to_str()?), lasts.iter().map(String::as_str));
    let meant = names.iter().find(|name| Some(last(name).as_str()) == meant);
    match (meant, names.as_slice()) {
        (Some(meant), _) => Some(format!("Did you mean `{meant}`?")),
        (None, []) => None,
        (None, [only]) => Some(format!("The only serial port of this machine is `{only}`.")),
        (None, several) => {
            Some(format!("The serial ports of this machine are {}.", several.join(", ")))
        }
    }
}

/// `; did you mean `energy`?`
pub(crate) fn question(meant: Option<impl std::fmt::Display>) -> String {
    meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_values_get_a_suggestion() {
        for (text, meant) in [
            ("energi", "energy"),
            ("enregy", "energy"),
            ("energie", "energy"),
            ("Enery", "energy"),
            ("poewr", "power"),
            ("temp_1", "temp1"),
            ("temp-diff", "tempdiff"),
            ("max_flow_y", "maxflow_y"),
            ("supply_temperature", "temp1"),
            ("Return temprature", "temp2"),
            ("tarif2", "tariff2"),
            ("tarrif3", "tariff3"),
            ("tariflimit2", "tarifflimit2"),
            ("tariff register TA4", "tariff4"),
            ("effekt", "power"),
            ("vorlauff", "temp1"),
            ("heat_energy", "energy"),
            ("info_code", "infocode"),
            ("tariff9", ""),
            ("something", ""),
            ("x", ""),
            ("", ""),
            ("70000", ""),
        ] {
            assert_eq!(parameter(text).unwrap_or_default(), meant, "{text}");
        }
    }

    #[test]
    fn a_model_is_guessed_only_if_one_fits() {
        for (text, meant) in [
            ("4O3", Some(403)),
            ("6o2", Some(602)),
            ("multcal 403", Some(403)),
            ("Multical403x1", None),
            ("flowIQ 2200", Some(21)),
            ("MC 2l", Some(21)),
            ("404", None),
            ("66C", None),
            ("III", None),
        ] {
            assert_eq!(model(text), meant, "{text}");
        }
    }

    #[test]
    fn units_and_addresses_get_a_suggestion() {
        for (text, meant) in [("kwh", "kWh"), ("Mwh", "MWh"), ("m3/hh", "m³/h"), ("apples", "")] {
            assert_eq!(unit(text).unwrap_or_default(), meant, "{text}");
        }
        for (text, meant) in [
            ("localhost:8100", "127.0.0.1:8100"),
            ("localhots:8100", "127.0.0.1:8100"),
            ("localhost", "127.0.0.1:8099"),
            ("8100", "127.0.0.1:8100"),
            (":8100", "0.0.0.0:8100"),
            ("*:8100", "0.0.0.0:8100"),
            ("0.0.0.0", "0.0.0.0:8099"),
            ("http://192.168.1.5:80/", "192.168.1.5:80"),
            ("::", "[::]:8099"),
        ] {
            assert_eq!(address(text, 8099).unwrap().to_string(), meant, "{text}");
        }
        assert_eq!(address("kitchen:8099", 8099), None);
    }

    #[test]
    fn a_missing_port_or_file_gets_a_suggestion() {
        let port = |path: &str, by_id: Option<&str>| LocalPort {
            path: path.into(),
            by_id: by_id.map(PathBuf::from),
            is_held: false,
        };
        let one = [port("/dev/ttyUSB0", None)];
        let head = "/dev/serial/by-id/usb-FTDI_Cable_1234-if00-port0";
        let two = [port("/dev/ttyUSB0", Some(head)), port("/dev/ttyACM0", None)];
        for (ports, path, expected) in [
            (&one[..], "/dev/ttyUSBO", "Did you mean `/dev/ttyUSB0`?"),
            (&one, "/dev/ttyusb0", "Did you mean `/dev/ttyUSB0`?"),
            (
                &two,
                "/dev/serial/by-id/usb-FTDI_Cable_1243-if00-port0",
                &*format!("Did you mean `{head}`?"),
            ),
            (&one, "/dev/heat", "The only serial port of this machine is `/dev/ttyUSB0`."),
            (
                &two,
                "/dev/heat",
                &format!(
                    "The serial ports of this machine are /dev/ttyUSB0, {head}, /dev/ttyACM0."
                ),
            ),
            (&[], "/dev/ttyUSB0", ""),
        ] {
            assert_eq!(super::port(Path::new(path), ports).unwrap_or_default(), expected, "{path}");
        }
        let folder = tempfile::TempDir::new().unwrap();
        let there = folder.path().join("config.yaml");
        std::fs::write(&there, "").unwrap();
        assert_eq!(file(&folder.path().join("settings.yaml")), None);
        assert_eq!(file(&folder.path().join("confg.yaml")), Some(there));
    }
}
