//! `kamstrup2mqtt scan`: finds out which registers a meter has.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use kmp::register::RegisterId;
use serde::Serialize;

use super::ask::{
    MeterJson, MissingJson, Object, Shown, Target, ValueJson, complain, print, print_json,
};
use super::signals::with_signals;
use crate::config::{self, Parameter};
use crate::units;
use meter::poll::PollResult;
use meter::waiting::saying;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The first register to ask for
    #[arg(long, value_name = "ID", default_value = "1")]
    from: RegisterId,
    /// The last register to ask for
    #[arg(long, value_name = "ID", default_value = "1400")]
    to: RegisterId,
    #[command(flatten)]
    pub(super) target: Target,
}

/// So many registers take longer than a meter that does not answer.
const MANY: u64 = 200;

#[derive(Serialize)]
struct Json {
    meter: MeterJson,
    from: u16,
    /// The last register that was asked for; null if it stopped before the first request.
    to: Option<u16>,
    complete: bool,
    values: Object<ValueJson>,
    missing: Object<MissingJson>,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let (from, to) = (args.from.get(), args.to.get());
    anyhow::ensure!(from <= to, super::error::Usage(format!("--from {from} is above --to {to}")));
    let mut asking = args.target.resolve()?;
    asking.plan.registers = (from..=to).map(RegisterId::new).collect();
    let count = asking.plan.registers.len();
    let (meter, mut reader, waiting) = asking.reader();
    let bar = progress_bar(count);
    let mut code = ExitCode::SUCCESS;
    with_signals(async |stop| {
        let scanning = reader.scan(&stop, |progress| {
            for reading in progress.found {
                let Ok(published) = units::publish(reading, meter.units) else { continue };
                let label = reading.register.info().map_or("unknown", |info| info.label);
                let unit = published.measure.unit.unwrap_or_default();
                bar.println(
                    format!("{:>5}  {label}: {} {unit}", reading.register, published.text)
                        .trim_end(),
                );
            }
            bar.set_position(progress.asked.try_into().unwrap_or(u64::MAX));
        });
        let say = || say_what_it_does(&bar, waiting, &meter);
        let scanned = saying(Some(say), scanning).await;
        bar.finish_and_clear();
        let (complete, last) = (scanned.complete, scanned.to.map(RegisterId::get));
        let found = |register: &RegisterId| Parameter::of(*register);
        let odd = scanned.odd.iter().map(|(register, _)| register);
        let registers = scanned.readings.iter().map(|reading| &reading.register).chain(odd);
        let mut parameters: Vec<Parameter> = registers.map(found).collect();
        parameters.sort_by_key(Parameter::register);
        let identity = reader.identity();
        let present = scanned.present();
        let result = PollResult {
            readings: scanned.readings,
            missing: scanned.odd,
            identity,
            ..PollResult::default()
        };
        let shown = Shown::new(&parameters, &result, meter.units);
        if args.target.json {
            print_json(&Json {
                meter: MeterJson::new(&result.identity, &meter),
                from,
                to: last,
                complete,
                values: shown.values_json()?,
                missing: shown.missing_json(),
            })?;
        } else if last.is_some() || scanned.trouble.is_none() {
            print(&text(&shown, &present, from, last, complete))?;
        }
        if let Some(trouble) = &scanned.trouble {
            complain(trouble, &meter);
            if let Some(next) = last.and_then(|last| last.checked_add(1)) {
                let _ = writeln!(
                    io::stderr(),
                    "hint: Use `--from {next}` to continue where it stopped."
                );
            }
        }
        if shown.values.is_empty() || scanned.trouble.is_some() {
            code = ExitCode::FAILURE;
        }
        Ok(())
    })?;
    Ok(code)
}

fn text(
    shown: &Shown,
    present: &[RegisterId],
    from: u16,
    last: Option<u16>,
    complete: bool,
) -> String {
    let mut text = shown.text();
    let Some(last) = last else {
        return "Stopped before the first request.\n".to_owned();
    };
    let early = if complete { "" } else { " (stopped early)" };
    let count = present.len();
    let _ = writeln!(
        text,
        "\nAsked for the registers {from} to {last}{early}. The meter has {count} of them."
    );
    if count > 0 {
        text.push_str("For the configuration:\n\n");
    }
    text.push_str(&config::parameters_list(present));
    text
}

/// On standard error, with the progress bar if there is one.
fn say_what_it_does(bar: &ProgressBar, waiting: String, meter: &config::Meter) {
    let count = bar.length().unwrap_or_default();
    let answers = format!("Asking the meter on {} for {count} registers.", meter.endpoint);
    let mut words = if bar.position() == 0 { waiting } else { answers };
    if count > MANY {
        words.push_str(" This many registers take a few minutes.");
    }
    // If even this cannot be written, there is nothing left to do.
    bar.suspend(|| drop(writeln!(io::stderr(), "{words}")));
}

/// On standard error, and only if that is a terminal.
fn progress_bar(count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} registers{left}");
    let bar = ProgressBar::new(count.try_into().unwrap_or(u64::MAX));
    // There is no estimate before the first answer.
    let left = |state: &ProgressState, text: &mut dyn fmt::Write| {
        if state.pos() > 0 {
            let _ = write!(text, ", {:#} left", HumanDuration(state.eta()));
        }
    };
    style.map_or(bar.clone(), |style| bar.with_style(style.with_key("left", left)))
}
