//! `kamstrup2mqtt read`: reads values of a meter once.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::ask::{
    MeterJson, MissingJson, Object, Shown, Target, ValueJson, complain, print, print_json,
    waiting_for,
};
use super::signals::with_signals;
use crate::config::Parameter;
use crate::similar::{self, question};
use meter::poll::Extent;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Values to read, by name (energy) or register number (60, 0x003C). Default: the parameters in
    /// the configuration. `kamstrup2mqtt registers` lists the names
    #[arg(value_name = "NAME|ID", value_parser = parameter)]
    parameters: Vec<Parameter>,
    #[command(flatten)]
    pub(super) target: Target,
}

fn parameter(text: &str) -> Result<Parameter, String> {
    text.parse().map_err(|_| {
        format!(
            "neither the name of a value nor a register number; `kamstrup2mqtt registers` lists the \
             names{}",
            question(similar::parameter(text))
        )
    })
}

#[derive(Serialize)]
struct Json {
    meter: MeterJson,
    values: Object<ValueJson>,
    missing: Object<MissingJson>,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let mut asking = args.target.resolve()?;
    if !args.parameters.is_empty() {
        let mut once: Vec<Parameter> = Vec::new();
        for parameter in &args.parameters {
            if !once.iter().any(|known| known.register() == parameter.register()) {
                once.push(parameter.clone());
            }
        }
        asking.plan.registers = once.iter().map(Parameter::register).collect();
        asking.meter.parameters = once;
    }
    let (meter, reader, waiting) = asking.reader();
    let extent = if args.target.json { Extent::SerialNumber } else { Extent::Values };
    let mut reader = reader.finding_out(extent);
    let mut code = ExitCode::SUCCESS;
    with_signals(async |stop| {
        let asked = waiting_for(&waiting, reader.read(&stop)).await;
        let shown = Shown::new(&meter.parameters, &asked, meter.units);
        let nothing = shown.values.is_empty();
        if args.target.json {
            print_json(&Json {
                meter: MeterJson::new(&asked.identity, &meter),
                values: shown.values_json()?,
                missing: shown.missing_json(),
            })?;
        } else if !nothing || asked.trouble.is_none() {
            print(&shown.text()).context("cannot write the values")?;
        }
        if let Some(condition) = asked.condition.as_ref().filter(|condition| condition.code != 0) {
            tracing::warn!("The meter reports {condition}.");
        }
        if let Some(trouble) = &asked.trouble {
            complain(trouble, &meter);
        }
        if nothing {
            code = ExitCode::FAILURE;
        }
        Ok(())
    })?;
    Ok(code)
}
