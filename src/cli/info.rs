//! `kamstrup2mqtt info`: the meter's identity and condition.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use jiff::civil::DateTime;
use kmp::model::Model;
use kmp::register::RegisterId;
use kmp::value::Value;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ask::{MeterJson, Target, complain, print, print_json, waiting_for};
use super::signals::with_signals;
use logging::LocalTime;
use meter::condition::{self, Condition};
use meter::identity::{Certainty, Identity, Version};
use meter::poll::PollResult;
use meter::reading::Reading;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) target: Target,
}

const CLOCK: RegisterId = RegisterId::new(1002);
const DATE: RegisterId = RegisterId::new(1003);
const HOURS: RegisterId = RegisterId::new(1004);
const EVENTS: RegisterId = RegisterId::new(113);
const CODE: RegisterId = RegisterId::new(99);

#[derive(Serialize)]
struct Json {
    meter: MeterJson,
    operating_hours: Option<Box<RawValue>>,
    clock: Option<String>,
    /// How far the meter's clock is ahead; negative if it is behind.
    clock_ahead_seconds: Option<i64>,
    info_code: Option<u32>,
    /// `None` if the model is not certain enough.
    info: Option<Vec<String>>,
    info_events: Option<Box<RawValue>>,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let mut asking = args.target.resolve()?;
    // The registers of the info code depend on the model, which may not be known yet.
    let mut registers = vec![EVENTS, HOURS, CODE];
    for register in Model::ALL.iter().flat_map(|model| condition::registers(&[*model])) {
        if !registers.contains(register) {
            registers.push(*register);
        }
    }
    asking.plan.registers = registers;
    // The meter itself reports its model. The configured one is only a remark.
    let configured = match std::mem::replace(&mut asking.plan.version, Version::Auto) {
        Version::Model(model) => Some(model),
        Version::Assumed(_) | Version::Auto | Version::Generic => None,
    };
    let (meter, mut reader, waiting) = asking.reader();
    let mut code = ExitCode::SUCCESS;
    with_signals(async |stop| {
        let mut result = waiting_for(&waiting, reader.read(&stop)).await;
        let said = !result.identity.models.is_empty();
        // The configured model explains the info code, unless the meter has reported its model.
        let as_configured = configured.map(|model| Identity {
            models: vec![model],
            certainty: Certainty::Certain,
            ..result.identity.clone()
        });
        let is_sure = said && result.identity.certainty == Certainty::Certain;
        let explaining = as_configured.filter(|_| !is_sure);
        if let Some(identity) = explaining.as_ref().filter(|_| !said) {
            result.identity = identity.clone();
        }
        // In a request of their own, so that the time at which the clock was read is known.
        let silent = result.readings.is_empty() && result.trouble.is_some();
        let clock = if silent {
            None
        } else {
            meter_clock(&reader.read_others(vec![DATE, CLOCK], &stop).await)
        };
        let now = LocalTime::now().datetime();
        let explaining = explaining.as_ref().unwrap_or(&result.identity);
        let condition = Condition::of(&result.readings, explaining);
        let ahead = clock.map(|clock| now.duration_until(clock).as_secs());
        let Identity { serial, meter_type, .. } = &result.identity;
        let is_unknown = result.readings.is_empty()
            && clock.is_none()
            && serial.is_none()
            && meter_type.is_none();
        if args.target.json {
            print_json(&Json {
                meter: MeterJson::new(&result.identity, &meter),
                operating_hours: number(&result, HOURS),
                clock: clock.map(|clock| clock.to_string()),
                clock_ahead_seconds: ahead,
                info_code: condition.as_ref().map(|condition| condition.code),
                info: condition.as_ref().and_then(|condition| {
                    let meanings = condition.meanings.as_ref()?;
                    Some(meanings.iter().map(ToString::to_string).collect())
                }),
                info_events: number(&result, EVENTS),
            })?;
        } else if !is_unknown {
            let remarks = remarks(configured, said, &result.identity);
            print(&words(&result, &remarks, condition.as_ref(), clock, ahead))?;
        }
        if let Some(trouble) = &result.trouble {
            complain(trouble, &meter);
        }
        if is_unknown {
            code = ExitCode::FAILURE;
        }
        Ok(())
    })?;
    Ok(code)
}

/// How certain the model is, and how it differs from the configured one: ` (most likely)`.
fn remarks(configured: Option<Model>, said: bool, identity: &Identity) -> String {
    let doubt = identity.doubt();
    let remark = match (configured, identity.models.as_slice()) {
        (Some(_), _) if !said => Some("as configured; the meter does not report it".to_owned()),
        (Some(configured), [only]) if *only == configured => return String::new(),
        (Some(configured), _) => Some(format!("the configuration says {}", configured.number())),
        (None, _) => doubt.map(|_| "set `version` to the number on its front".to_owned()),
    };
    let all: Vec<String> = doubt.map(str::to_owned).into_iter().chain(remark).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join("; ")) }
}

fn words(
    result: &PollResult,
    remarks: &str,
    condition: Option<&Condition>,
    clock: Option<DateTime>,
    ahead: Option<i64>,
) -> String {
    let Identity { meter_type, serial, customer, edition, .. } = &result.identity;
    let mut text_lines = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text_lines, "{name:<18}{value}");
        }
    };
    line("model", Some(format!("{}{remarks}", result.identity.model_name())));
    line("serial number", serial.map(|serial| serial.to_string()));
    line("customer number", customer.map(|number| number.to_string()));
    line("type", meter_type.map(|of| format!("{:#06x}", of.code)));
    line("software", meter_type.map(|of| of.revision.to_string()));
    line("meter type (1005)", edition.map(|edition| edition.to_string()));
    line("operating hours", text(result, HOURS));
    line("clock", clock.zip(ahead).map(|(clock, ahead)| clock_words(clock, ahead)));
    line("info code", condition.map(Condition::describe));
    line("info events", text(result, EVENTS));
    text_lines
}

fn number(result: &PollResult, register: RegisterId) -> Option<Box<RawValue>> {
    RawValue::from_string(text(result, register)?).ok()
}

fn find(result: &PollResult, register: RegisterId) -> Option<&Reading> {
    result.readings.iter().find(|reading| reading.register == register)
}

fn text(result: &PollResult, register: RegisterId) -> Option<String> {
    find(result, register).map(|reading| reading.value.to_string())
}

/// The meter's date and time, which have no time zone.
fn meter_clock(result: &PollResult) -> Option<DateTime> {
    let (Value::Date(date), Value::Time(time)) =
        (&find(result, DATE)?.value, &find(result, CLOCK)?.value)
    else {
        return None;
    };
    let [hour, minute, second] = [time.hour(), time.minute(), time.second()].map(i8::try_from);
    let year = i16::try_from(date.year()).ok()?;
    let (month, day) = (i8::try_from(date.month()).ok()?, i8::try_from(date.day()).ok()?);
    DateTime::new(year, month, day, hour.ok()?, minute.ok()?, second.ok()?, 0).ok()
}

/// Most meters keep winter time all year, so a difference of a whole hour is shown separately.
fn clock_words(clock: DateTime, ahead: i64) -> String {
    const HOUR: i64 = 3600;
    /// Seconds that reading the clock may take.
    const NOTHING: u64 = 2;
    let clock = clock.strftime("%Y-%m-%d %H:%M:%S");
    let direction = |seconds: i64| if seconds < 0 { "behind" } else { "ahead of" };
    let shown = |seconds: i64| {
        meter::duration::words(std::time::Duration::from_secs(seconds.unsigned_abs()))
    };
    let without_hour = ahead.checked_sub(HOUR.saturating_mul(ahead.signum())).unwrap_or(ahead);
    if ahead.unsigned_abs() <= NOTHING {
        format!("{clock}, the same as this computer's")
    } else if without_hour.unsigned_abs() < 600 {
        let rest = if without_hour.unsigned_abs() <= NOTHING {
            String::new()
        } else {
            let side = if without_hour < 0 { "behind" } else { "ahead" };
            format!("; apart from that, {} {side}", shown(without_hour))
        };
        format!("{clock}, 1 h {} this computer's (meters keep winter time){rest}", direction(ahead))
    } else {
        format!("{clock}, {} {} this computer's", shown(ahead), direction(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_model_is_a_remark() {
        let line = |configured: Option<Model>, said: &[Model], certainty| {
            let (models, certainty) = match configured {
                Some(model) if said.is_empty() => (vec![model], Certainty::Certain),
                _ => (said.to_vec(), certainty),
            };
            let identity = Identity { models, certainty, ..Identity::default() };
            let remarks = remarks(configured, !said.is_empty(), &identity);
            let result = PollResult { identity, ..PollResult::default() };
            let line = words(&result, &remarks, None, None, None);
            line.trim_end().strip_prefix("model             ").unwrap().to_owned()
        };
        let sure = |configured, said: &[Model]| line(configured, said, Certainty::Certain);
        let likely = |configured, said: &[Model]| line(configured, said, Certainty::Likely);
        let (this, other) = (Model::Multical403, Model::Multical302);
        assert_eq!(sure(None, &[this]), "Multical 403");
        assert_eq!(
            likely(None, &[this]),
            "Multical 403 (most likely; set `version` to the number on its front)"
        );
        assert_eq!(
            likely(None, &[this, other]),
            "Multical 403 or 302 (most likely; set `version` to the number on its front)"
        );
        assert_eq!(sure(None, &[]), "Kamstrup meter");
        assert_eq!(sure(Some(this), &[this]), "Multical 403");
        assert_eq!(likely(Some(this), &[this]), "Multical 403");
        assert_eq!(sure(Some(this), &[other]), "Multical 302 (the configuration says 403)");
        assert_eq!(
            likely(Some(this), &[this, other]),
            "Multical 403 or 302 (most likely; the configuration says 403)"
        );
        assert_eq!(
            sure(Some(this), &[]),
            "Multical 403 (as configured; the meter does not report it)"
        );
    }

    #[test]
    fn the_clocks_drift_in_words() {
        let clock = jiff::civil::date(2026, 11, 23).at(20, 2, 43, 0);
        let words = |ahead| clock_words(clock, ahead);
        assert_eq!(words(1), "2026-11-23 20:02:43, the same as this computer's");
        assert_eq!(words(-75), "2026-11-23 20:02:43, 75 s behind this computer's");
        assert_eq!(
            words(-3599),
            "2026-11-23 20:02:43, 1 h behind this computer's (meters keep winter time)"
        );
        assert_eq!(
            words(-3570),
            "2026-11-23 20:02:43, 1 h behind this computer's (meters keep winter time); apart from \
             that, 30 s ahead"
        );
        assert_eq!(words(90_000), "2026-11-23 20:02:43, 25 h ahead of this computer's");
    }
}
