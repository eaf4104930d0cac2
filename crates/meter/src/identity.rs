//! Identifies the meter from its answers to the first polls, and again when another meter may have
//! taken its place.
//!
//! With `version: auto`, eight more registers are requested to distinguish models
//! ([`Model::guess`]). The result is the most likely model. A register that the meter has is
//! stronger evidence than one that it lacks.
//!
//! The meter also sends a type code. Type codes are documented only for the 601. Other codes may
//! contain the number of a model, like 0x0603, but that does not prove the model. If the code and
//! the registers suggest different models, an info code is explained only if it means the same on
//! all of them (`kmp::info::InfoCodes::shared`).

use std::collections::BTreeMap;
use std::fmt;

use kmp::message::{MeterType, SerialNumber};
use kmp::model::{Model, ModelGuess, WATER_TEMPERATURE};
use kmp::register::RegisterId;
use kmp::value::Value;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::RunsAs;
use crate::news::News;
use crate::reading::Reading;

/// The model that the user has configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The model is found out from the meter's answers.
    Auto,
    /// This one.
    Model(Model),
    /// No model is configured, and this one is assumed.
    Assumed(Model),
    /// A Kamstrup meter of another kind.
    Generic,
}

/// The model that a text clearly means: `403`, `MC403`, `Multical 403`, `403W`.
#[must_use]
pub fn model_meant(text: &str) -> Option<Model> {
    let text = text.to_ascii_lowercase().replace(['®', ' ', '-', '_'], "");
    let name = text.strip_prefix("kamstrup").unwrap_or(&text);
    let name =
        ["multical", "mc"].into_iter().find_map(|word| name.strip_prefix(word)).unwrap_or(name);
    let end = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    let (number, variant) = name.split_at_checked(end)?;
    // Such as the `W` of a 403-W, which is not part of the model.
    let is_variant = variant.len() <= 1 && variant.chars().all(|c| c.is_ascii_lowercase());
    number.parse().ok().and_then(Model::from_number).filter(|_| is_variant)
}

/// What is known about a meter so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The models that it may be. A configured model takes precedence over the meter's answers.
    pub models: Vec<Model>,
    /// How certain it is that it is one of them.
    pub certainty: Certainty,
    /// Whether it is a water meter: it is configured, or it has a register that no other meter has.
    pub is_water_meter: bool,
    /// Its type code and software revision.
    pub meter_type: Option<MeterType>,
    /// Its serial number.
    pub serial: Option<SerialNumber>,
    /// The number that the utility assigned, with up to 16 digits.
    pub customer: Option<Decimal>,
    /// Register 1005, named "meter type". Its meaning is not documented.
    pub edition: Option<Decimal>,
}

/// How certain a model is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Certainty {
    /// It is configured, or the type code is documented.
    #[default]
    Certain,
    /// The registers that the meter has and lacks suggest it.
    Likely,
    /// Nothing is configured, and the meter was not asked.
    Assumed,
}

impl Identity {
    /// The name of an unknown meter.
    const UNKNOWN: &'static str = "Kamstrup meter";

    /// `Multical 402`, `Multical 403 (most likely)`, `Multical 603, 803 or 303 (most likely)`,
    /// `Kamstrup meter`, in the older program's spelling.
    #[must_use]
    pub fn model_words(&self) -> String {
        match self.doubt() {
            Some(doubt) => format!("{} ({doubt})", self.model_name()),
            None => self.model_name(),
        }
    }

    /// The model without its certainty.
    #[must_use]
    pub fn model_name(&self) -> String {
        if self.models.is_empty() { Self::UNKNOWN.to_owned() } else { names(&self.models) }
    }

    /// `most likely` or `assumed`; `None` if the model is certain or unknown.
    #[must_use]
    pub fn doubt(&self) -> Option<&'static str> {
        match self.certainty {
            _ if self.models.is_empty() => None,
            Certainty::Certain => None,
            Certainty::Likely => Some("most likely"),
            Certainty::Assumed => Some("assumed"),
        }
    }
}

/// `Multical 403`, `Multical 603, 803 or 303`
fn names(models: &[Model]) -> String {
    let numbers: Vec<String> = models.iter().map(|model| model.number().to_string()).collect();
    match numbers.split_last() {
        None => String::new(),
        Some((only, [])) => format!("Multical {only}"),
        Some((last, others)) => format!("Multical {} or {last}", others.join(", ")),
    }
}

/// `register 266`, `registers 266 and 141`
fn register_words(registers: &[RegisterId]) -> String {
    let numbers: Vec<String> = registers.iter().map(ToString::to_string).collect();
    match numbers.split_last() {
        None => String::new(),
        Some((only, [])) => format!("register {only}"),
        Some((last, others)) => format!("registers {} and {last}", others.join(", ")),
    }
}

/// The serial number. Every meter has this register, and also sends the number for `GetSerialNo`.
pub const SERIAL: RegisterId = RegisterId::new(1001);
const EDITION: RegisterId = RegisterId::new(1005);
const CUSTOMER_HIGH: RegisterId = RegisterId::new(112);
const CUSTOMER_LOW: RegisterId = RegisterId::new(1010);

/// Each of the two registers of the customer number has eight of its digits (5512-447 M1 p.11).
const CUSTOMER_LOW_DIGITS: i64 = 100_000_000;

/// The serial numbers that a meter sent. They should be equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Serials {
    /// Register 1001.
    pub by_register: Option<SerialNumber>,
    /// The answer to `GetSerialNo`.
    pub by_command: Option<SerialNumber>,
}

impl Serials {
    /// The number that the register should hold, if one is known.
    #[must_use]
    pub fn register(self) -> Option<SerialNumber> {
        self.by_register.or(self.by_command)
    }

    /// The number that should answer `GetSerialNo`, if one is known.
    #[must_use]
    pub fn command(self) -> Option<SerialNumber> {
        self.by_command.or(self.by_register)
    }
}

/// The serial number in a register's value.
#[must_use]
pub fn serial_number(value: &Value) -> Option<SerialNumber> {
    match value {
        Value::Number(number) if number.is_integer() => number.to_u32().map(SerialNumber::new),
        _ => None,
    }
}

/// A meter has taken the place of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The earlier meter.
    pub from: SerialNumber,
    /// The last counters of the earlier meter.
    pub last: Vec<Reading>,
    /// The new meter.
    pub to: SerialNumber,
}

/// What is known about a register.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Value(Value),
    /// The meter has it, but its value is invalid.
    Unreadable,
    /// The meter left it out of an answer, so it does not have it.
    LeftOut,
    /// The meter did not answer, which proves nothing.
    Silent,
}

/// The answers to commands; `None` if the meter does not answer one.
#[derive(Debug, Clone, Copy)]
struct Commands {
    meter_type: Option<MeterType>,
    serial: Option<SerialNumber>,
}

/// Collects the answers that show the meter's identity.
#[derive(Debug)]
pub struct Identification {
    version: Version,
    found: BTreeMap<RegisterId, Found>,
    /// The answers to `GetType` and `GetSerialNo`, if the meter was asked.
    commands: Option<Commands>,
    /// The identity is reported once for each configured model.
    reported: News<Version>,
}

impl Identification {
    /// Starts with a meter that has not answered yet.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self { version, found: BTreeMap::new(), commands: None, reported: News::default() }
    }

    /// Keeps what is known of the meter after its configuration has changed.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        if version != self.version {
            self.reported.forget();
        }
        Self { version, ..self }
    }

    /// The model that the user has configured.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The serial numbers that it sent, by register and by command.
    #[must_use]
    pub fn serials(&self) -> Serials {
        let by_register = match self.found.get(&SERIAL) {
            Some(Found::Value(value)) => serial_number(value),
            _ => None,
        };
        Serials { by_register, by_command: self.commands.and_then(|answers| answers.serial) }
    }

    /// Whether the serial number is known, or that the meter does not send one.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let was_asked = self.commands.is_some() && self.found.contains_key(&SERIAL);
        self.identity().serial.is_some() || was_asked
    }

    /// The registers that are still to be requested.
    pub fn registers(&self) -> impl Iterator<Item = RegisterId> {
        let identity = [SERIAL, EDITION, CUSTOMER_HIGH, CUSTOMER_LOW];
        let distinguishing =
            if self.version == Version::Auto { &Model::DISTINGUISHING[..] } else { &[] };
        let all = identity.into_iter().chain(distinguishing.iter().copied());
        all.filter(|register| !self.found.contains_key(register))
    }

    /// Whether type and serial number are still to be requested by their own commands.
    #[must_use]
    pub fn wants_commands(&self) -> bool {
        self.commands.is_none()
    }

    /// Notes a register's value.
    pub fn read(&mut self, reading: &Reading) {
        self.note(reading.register, Found::Value(reading.value.clone()));
    }

    /// Notes that the meter has a register, but that its value is invalid.
    pub fn unreadable(&mut self, register: RegisterId) {
        self.note(register, Found::Unreadable);
    }

    /// Notes that the meter left a register out of its answer, so it does not have it.
    pub fn left_out(&mut self, register: RegisterId) {
        self.note(register, Found::LeftOut);
    }

    /// Notes that the meter does not answer a request for a register, which proves nothing.
    pub fn silent(&mut self, register: RegisterId) {
        self.note(register, Found::Silent);
    }

    fn note(&mut self, register: RegisterId, found: Found) {
        if self.registers().any(|wanted| wanted == register) {
            self.found.insert(register, found);
        }
    }

    /// Notes the answers to `GetType` and `GetSerialNo`; `None` if the meter does not answer them.
    pub fn commands(&mut self, meter_type: Option<MeterType>, serial: Option<SerialNumber>) {
        self.commands = Some(Commands { meter_type, serial });
    }

    /// What is known so far.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let number = |register| match self.found.get(&register) {
            Some(Found::Value(Value::Number(number))) => Some(*number),
            _ => None,
        };
        let Serials { by_register, by_command } = self.serials();
        let serial = match (by_command, by_register) {
            // One of the two is wrong, but which one is unknown.
            (Some(one), Some(other)) if one != other => None,
            (one, other) => one.or(other),
        };
        let customer = number(CUSTOMER_LOW).and_then(|low| {
            let high = match self.found.get(&CUSTOMER_HIGH) {
                Some(Found::LeftOut) => Decimal::ZERO,
                _ => number(CUSTOMER_HIGH)?,
            };
            high.checked_mul(CUSTOMER_LOW_DIGITS.into())?.checked_add(low)
        });
        let (models, certainty) = self.models();
        let has_water = self.has(WATER_TEMPERATURE) == Some(true);
        let is_water_meter =
            models == [Model::Multical21] && (certainty == Certainty::Certain || has_water);
        Identity {
            models,
            certainty,
            is_water_meter,
            meter_type: self.meter_type(),
            serial,
            customer,
            edition: number(EDITION),
        }
    }

    /// The models that it may be, and how certain that is.
    fn models(&self) -> (Vec<Model>, Certainty) {
        let by_type = self.by_type();
        match self.version {
            Version::Model(model) => (vec![model], Certainty::Certain),
            Version::Generic => (Vec::new(), Certainty::Certain),
            Version::Assumed(assumed) => match by_type {
                Some(model) => (vec![model], Certainty::Certain),
                None => (vec![assumed], Certainty::Assumed),
            },
            Version::Auto => match (self.contradiction(), by_type, self.likely()) {
                // The meanings that all of them share are still right: see `InfoCodes::shared`.
                (Some(contradiction), ..) => {
                    let Contradiction { likely, named, .. } = contradiction;
                    ([likely.models, &[named]].concat(), Certainty::Likely)
                }
                (None, Some(model), _) => (vec![model], Certainty::Certain),
                (None, None, Some(likely)) => (likely.models.to_vec(), Certainty::Likely),
                (None, None, None) => (Vec::new(), Certainty::Certain),
            },
        }
    }

    /// The models that it may be by configuration or by its answers, without an assumed one.
    #[must_use]
    pub fn known_models(&self) -> Vec<Model> {
        match self.models() {
            (_, Certainty::Assumed) => Vec::new(),
            (models, Certainty::Certain | Certainty::Likely) => models,
        }
    }

    /// The models that its registers suggest.
    fn likely(&self) -> Option<ModelGuess> {
        Model::guess(|register| self.has(register))
    }

    /// The contradiction if registers and type code suggest different models. Then neither is used
    /// alone.
    fn contradiction(&self) -> Option<Contradiction> {
        let likely = self.likely()?;
        let meter_type = self.meter_type()?;
        let by_type = Model::by_type(meter_type);
        let named = by_type.or_else(|| Model::spelled_by(meter_type))?;
        let is_contradiction = !likely.models.contains(&named);
        is_contradiction.then_some(Contradiction {
            likely,
            code: meter_type.code,
            named,
            is_documented: by_type.is_some(),
        })
    }

    /// `it has register 266 and lacks register 141`
    fn reasons(&self, likely: &ModelGuess) -> String {
        let those = |registers: &[RegisterId], there| {
            let those = registers.iter().filter(|register| self.has(**register) == Some(there));
            those.copied().collect::<Vec<_>>()
        };
        let present = those(likely.present, true);
        let absent = those(likely.absent, false);
        match (present.is_empty(), absent.is_empty()) {
            (_, true) => format!("it has {}", register_words(&present)),
            (true, false) => format!("it lacks {}", register_words(&absent)),
            (false, false) => {
                format!("it has {} and lacks {}", register_words(&present), register_words(&absent))
            }
        }
    }

    fn has(&self, register: RegisterId) -> Option<bool> {
        match self.found.get(&register)? {
            Found::Value(_) | Found::Unreadable => Some(true),
            Found::LeftOut => Some(false),
            Found::Silent => None,
        }
    }

    fn by_type(&self) -> Option<Model> {
        self.meter_type().and_then(Model::by_type)
    }

    fn meter_type(&self) -> Option<MeterType> {
        self.commands.and_then(|answers| answers.meter_type)
    }

    /// The report, as soon as everything is known. It is returned only once.
    pub fn report(&mut self) -> Option<IdentityReport> {
        let complete = !self.wants_commands() && self.registers().next().is_none();
        if !complete || !self.reported.is_new(self.version) {
            return None;
        }
        let identity = self.identity();
        let by_type = self.by_type();
        if let (Version::Model(set), Some(says)) = (self.version, by_type)
            && set != says
        {
            return Some(IdentityReport::OtherModel { set, says });
        }
        let details = Details { identity: &identity, type_code: true };
        if self.version == Version::Auto
            && let Some(contradiction) = self.contradiction()
        {
            let details = Details { type_code: false, ..details }.to_string();
            return Some(IdentityReport::Contradiction { contradiction, details });
        }
        let model = identity.model_name();
        let text = match (self.version, identity.certainty, by_type) {
            (Version::Assumed(_), Certainty::Assumed, _) => {
                return Some(IdentityReport::Assumed { model, details: details.to_string() });
            }
            (Version::Auto, _, None) => match self.likely() {
                None => return Some(IdentityReport::NoModel { details: details.to_string() }),
                Some(likely) => format!(
                    "The meter is most likely a {model}: {} ({details}).",
                    self.reasons(&likely)
                ),
            },
            (Version::Auto | Version::Assumed(_), ..) => {
                format!("The meter is a {model} ({details}).")
            }
            (Version::Model(_) | Version::Generic, ..) => {
                format!("The meter has identified itself: {details}.")
            }
        };
        Some(IdentityReport::Info(text))
    }
}

/// The registers suggest one model, and the type code another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contradiction {
    likely: ModelGuess,
    code: u16,
    named: Model,
    /// Whether the type code is documented. Otherwise its digits are only the model's number.
    is_documented: bool,
}

/// What to report about a meter's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityReport {
    /// Nothing contradicts the configuration.
    Info(String),
    /// It is not the configured model.
    OtherModel {
        /// The configured model.
        set: Model,
        /// The model that the meter reports.
        says: Model,
    },
    /// Its registers and its type code contradict each other.
    Contradiction {
        /// The models that they suggest.
        contradiction: Contradiction,
        /// Serial number, type and software.
        details: String,
    },
    /// No model is configured.
    Assumed {
        /// The model that it is assumed to be.
        model: String,
        /// Serial number, type and software.
        details: String,
    },
    /// Its answers do not show its model.
    NoModel {
        /// Serial number, type and software.
        details: String,
    },
}

impl IdentityReport {
    /// Whether the user should act.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        match self {
            Self::OtherModel { .. } | Self::Contradiction { .. } | Self::Assumed { .. } => true,
            Self::Info(_) | Self::NoModel { .. } => false,
        }
    }

    /// The report as a sentence.
    #[must_use]
    pub fn describe(&self, runs_as: RunsAs) -> String {
        let setting = match runs_as {
            RunsAs::Program => "`kamstrup.version`",
            RunsAs::AddOn => "\"Meter\" in the options",
        };
        match self {
            Self::Info(text) => text.clone(),
            Self::OtherModel { set, says } => format!(
                "The meter reports that it is a Multical {says}, but a {set} is configured. Its values \
                 are correct, but its info code may be explained wrongly. Set {setting} to `{says}` \
                 or `auto`.",
                set = set.number(),
                says = says.number(),
            ),
            Self::Contradiction { contradiction, details } => {
                let Contradiction { likely, code, named, is_documented } = contradiction;
                format!(
                    "The meter's registers look like a {}, but its type code {code:#06x} {} a \
                     Multical {} ({details}). Set {setting} to the number on the meter's front. \
                     Until then, the meter's info code may be shown only as a number, because one \
                     code can mean different faults on these models.",
                    names(likely.models),
                    if *is_documented { "is that of" } else { "suggests" },
                    named.number(),
                )
            }
            Self::Assumed { model, details } => format!(
                "{setting} is not set, so the meter is assumed to be a {model} ({details}). Set it \
                 to the number on the meter's front, or to `auto`. Until then, its info code is \
                 shown only as a number."
            ),
            Self::NoModel { details } => format!(
                "The meter's answers do not show its model ({details}), so its info code is shown \
                 only as a number. To see what it means, set {setting} to the number on the meter's \
                 front."
            ),
        }
    }
}

/// `serial number 12345678, type 0x0217, software A2`
struct Details<'a> {
    identity: &'a Identity,
    /// Whether to include the type code.
    type_code: bool,
}

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity.serial {
            Some(serial) => write!(f, "serial number {serial}")?,
            None => f.write_str("no serial number")?,
        }
        if let Some(MeterType { code, revision }) = self.identity.meter_type {
            if self.type_code {
                write!(f, ", type {code:#06x}")?;
            }
            write!(f, ", software {revision}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kmp::message::SoftwareRevision;
    use kmp::number::SignExponent;
    use kmp::unit::Unit;
    use kmp::value::RegisterValue;

    use super::*;

    fn reading(register: RegisterId, number: u32) -> Reading {
        let exponent = SignExponent::new(false, 0).unwrap();
        let mantissa = number.to_be_bytes().to_vec();
        let value = RegisterValue::new(register, Unit::NUMBER, exponent, mantissa).unwrap();
        Reading::try_from(&value).unwrap()
    }

    /// A meter that has only these of the requested registers.
    fn identified(version: Version, has: &[u16], code: u16) -> Identification {
        let mut identification = Identification::new(version);
        for register in identification.registers().collect::<Vec<_>>() {
            if has.contains(&register.get()) {
                identification.read(&reading(register, 12_345_678));
            } else {
                identification.left_out(register);
            }
        }
        assert_eq!(identification.report(), None, "before everything is known");
        let revision = SoftwareRevision { letter: 1, number: 2 };
        identification
            .commands(Some(MeterType { code, revision }), Some(SerialNumber::new(12_345_678)));
        identification
    }

    #[test]
    fn models_as_people_write_them() {
        for text in [
            "403",
            "MC403",
            "mc 403",
            "Multical 403",
            "MULTICAL® 403",
            "multical403",
            "403W",
            "403-W",
            "Kamstrup Multical 403",
            "kamstrup 403",
            "MULTICAL-403",
        ] {
            assert_eq!(model_meant(text), Some(Model::Multical403), "{text}");
        }
        assert_eq!(model_meant("MC21"), Some(Model::Multical21));
        for text in
            ["", "404", "MC", "Multical", "+403", "403 or 603", "402/403", "4033", "403.0", "66"]
        {
            assert_eq!(model_meant(text), None, "{text}");
        }
    }

    #[test]
    fn the_identity_is_reported_once() {
        let mut reported = Vec::new();
        for (version, has, code) in [
            (Version::Auto, &[60, 68, 141, 266, 1001][..], 0x0217),
            (Version::Auto, &[60, 68, 141, 266, 1001], 0x0403),
            (Version::Auto, &[60, 68, 348, 369, 1001], 0x0217),
            (Version::Auto, &[60, 68, 348, 1001], 0x0603),
            (Version::Auto, &[60, 68, 266, 1001], 0x0217),
            (Version::Auto, &[68, 1001], 0x0217),
            (Version::Auto, &[68, 292, 1001], 0x0021),
            (Version::Auto, &[60, 68, 1001], 0x0001),
            (Version::Auto, &[60, 68, 141, 266, 1001], 0x0603),
            (Version::Auto, &[60, 68, 348, 369, 1001], 0x0001),
            (Version::Auto, &[60, 68, 1001], 0x0403),
            (Version::Auto, &[1001], 0x0217),
            (Version::Auto, &[1001], 0x0603),
            (Version::Auto, &[60, 68], 0x0217),
            (Version::Model(Model::Multical402), &[1001], 0x0217),
            (Version::Model(Model::Multical402), &[1001], 0x0004),
            (Version::Generic, &[1001], 0x0217),
            (Version::Assumed(Model::Multical402), &[1001], 0x0217),
            (Version::Assumed(Model::Multical402), &[1001], 0x0004),
        ] {
            let mut identification = identified(version, has, code);
            let report = identification.report().unwrap();
            let level = if report.is_warning() { "WARN" } else { "INFO" };
            reported.push(format!("{level} {}", report.describe(RunsAs::Program)));
            let in_add_on = report.describe(RunsAs::AddOn);
            if in_add_on != report.describe(RunsAs::Program) {
                reported.push(format!("{level} {in_add_on}"));
            }
            assert_eq!(identification.report(), None);
        }
        insta::assert_snapshot!(reported.join("\n"));
    }

    /// The name on the page and in Home Assistant, and the models whose info codes are used.
    #[test]
    fn no_model_is_claimed_with_more_certainty_than_it_has() {
        let shown = |version, has, code| {
            let identity = identified(version, has, code).identity();
            let numbers: Vec<_> = identity.models.iter().map(|model| model.number()).collect();
            let water = if identity.is_water_meter { " water" } else { "" };
            format!("{} {numbers:?}{water}", identity.model_words())
        };
        let auto = |has, code| shown(Version::Auto, has, code);
        assert_eq!(auto(&[60, 141, 266], 0x0217), "Multical 403 (most likely) [403]");
        // A type code that agrees makes it no more certain.
        assert_eq!(auto(&[60, 141, 266], 0x0403), "Multical 403 (most likely) [403]");
        let newer = "Multical 603, 803 or 303 (most likely) [603, 803, 303]";
        assert_eq!(auto(&[60, 348], 0x0603), newer);
        assert_eq!(auto(&[60], 0x0004), "Multical 601 [601]");
        // The type code suggests another model: both are possible.
        let either = "Multical 403 or 603 (most likely) [403, 603]";
        assert_eq!(auto(&[60, 141, 266], 0x0603), either);
        let older = "Multical 402, 602, 601, 801 or 403 (most likely) [402, 602, 601, 801, 403]";
        assert_eq!(auto(&[60], 0x0403), older);
        let newer = "Multical 603, 803, 303 or 601 (most likely) [603, 803, 303, 601]";
        assert_eq!(auto(&[60, 348], 0x0001), newer);
        // The type code alone proves nothing.
        assert_eq!(auto(&[], 0x0603), "Kamstrup meter []");
        assert_eq!(auto(&[68, 292], 0x0021), "Multical 21 (most likely) [21] water");
        assert_eq!(auto(&[68], 0x0217), "Multical 21 (most likely) [21]");
        assert_eq!(auto(&[68, 292], 0x0403), "Multical 21 or 403 (most likely) [21, 403]");
        let set = Version::Model(Model::Multical21);
        assert_eq!(shown(set, &[], 0x0403), "Multical 21 [21] water");
        let assumed = Version::Assumed(Model::Multical402);
        assert_eq!(shown(assumed, &[], 0x0403), "Multical 402 (assumed) [402]");
        assert_eq!(shown(assumed, &[], 0x0001), "Multical 601 [601]");
        assert_eq!(shown(Version::Generic, &[60], 0x0403), "Kamstrup meter []");
    }

    #[test]
    fn two_different_serial_numbers_count_as_none() {
        let mut identification = identified(Version::Generic, &[1001], 0x0217);
        assert_eq!(identification.identity().serial, Some(SerialNumber::new(12_345_678)));
        identification.commands(None, Some(SerialNumber::new(1)));
        assert_eq!(identification.identity().serial, None);
        identification.commands(None, None);
        assert_eq!(identification.identity().serial, Some(SerialNumber::new(12_345_678)));
    }

    #[test]
    fn the_customer_number_is_in_two_registers() {
        let mut identification = Identification::new(Version::Generic);
        identification.read(&reading(CUSTOMER_LOW, 87_654_321));
        assert_eq!(identification.identity().customer, None, "the other half is not known yet");
        identification.read(&reading(CUSTOMER_HIGH, 12));
        assert_eq!(identification.identity().customer, Some(Decimal::from(1_287_654_321_i64)));
        let mut identification = Identification::new(Version::Generic);
        identification.read(&reading(CUSTOMER_LOW, 87_654_321));
        identification.left_out(CUSTOMER_HIGH);
        assert_eq!(identification.identity().customer, Some(Decimal::from(87_654_321)));
    }

    #[test]
    fn only_auto_requests_the_registers_that_distinguish_models() {
        assert_eq!(Identification::new(Version::Auto).registers().count(), 12);
        assert_eq!(Identification::new(Version::Generic).registers().count(), 4);
    }
}
