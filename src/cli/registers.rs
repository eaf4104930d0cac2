//! `kamstrup2mqtt registers`: lists the known registers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kmp::model::{Model, Presence};
use kmp::register::{Kind, REGISTERS, Register};
use kmp::unit::Quantity;
use serde::Serialize;

use super::ask::{print, print_json};
use super::table::Table;
use crate::similar::{self, question};
use meter::identity::{Version, model_meant};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only registers that this model may have: 21, 302, 303, 402, 403, 601, 602, 603, 801 or 803
    #[arg(long, visible_alias = "model", value_name = "MODEL", value_parser = model)]
    version: Option<Model>,
    /// List only the registers that the model set in this file may have
    #[arg(long, short, value_name = "FILE", conflicts_with = "version")]
    config: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// The option `--config`, and the option that is used and conflicts with it.
    pub(super) fn config(&mut self) -> (&mut Option<PathBuf>, Option<&'static str>) {
        (&mut self.config, self.version.map(|_| "`--version`"))
    }
}

fn model(text: &str) -> Result<Model, String> {
    model_meant(text).ok_or_else(|| {
        let numbers: Vec<String> = Model::ALL.map(|model| model.number().to_string()).into();
        let meant = question(similar::model(text));
        format!("unknown model; the known ones are {}{meant}", numbers.join(", "))
    })
}

#[derive(Serialize)]
struct Json {
    register: u16,
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    measures: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<&'static str>,
    source: &'static str,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let model = match &args.config {
        None => args.version,
        Some(file) => {
            let loaded = crate::config::load(Some(file), &super::environment::variables())?;
            match loaded.config.meters.first().map(|meter| meter.version) {
                Some(Version::Model(model)) => Some(model),
                _ => None,
            }
        }
    };
    let offered = REGISTERS.iter().filter_map(|register| {
        let presence = model.map(|model| model.presence(register.id));
        (presence != Some(Presence::NotListed)).then_some((register, presence))
    });
    if args.json {
        let rows: Vec<Json> =
            offered.map(|(register, presence)| json(register, presence)).collect();
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let known = model.map_or(String::new(), |model| format!("in a {}?", model.number()));
    let head = ["register", "hex", "name", "what it is", "kind", "measures", known.as_str()];
    let mut table = Table::new(head).right([0]);
    for (register, presence) in offered {
        table.row([
            register.id.to_string(),
            format!("{:#06x}", register.id.get()),
            register.key.to_owned(),
            register.label.to_owned(),
            kind(register.kind).to_owned(),
            measures(register.quantity).to_owned(),
            presence.map_or("", known_words).to_owned(),
        ]);
    }
    print(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn json(register: &Register, presence: Option<Presence>) -> Json {
    Json {
        register: register.id.get(),
        name: register.key,
        label: register.label,
        kind: kind(register.kind),
        measures: measures(register.quantity),
        known: presence.map(known_words),
        source: register.source,
    }
}

fn known_words(presence: Presence) -> &'static str {
    match presence {
        Presence::Seen => "seen",
        Presence::Listed => "in its list",
        Presence::NotListed => "no",
        Presence::Unknown => "not known",
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::WrappingCounter => "counter that wraps",
        Kind::Gauge => "gauge",
        Kind::Date => "date",
        Kind::Clock => "clock",
        Kind::Code => "code",
        Kind::Identity => "identity",
        Kind::Setting => "setting",
    }
}

fn measures(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Energy => "energy",
        Quantity::Power => "power",
        Quantity::Temperature => "temperature",
        Quantity::TemperatureDifference => "temperature difference",
        Quantity::Volume => "volume",
        Quantity::Flow => "flow",
        Quantity::Mass => "mass",
        Quantity::Pressure => "pressure",
        Quantity::Duration => "time",
        Quantity::Date => "date",
        Quantity::MonthDay => "day of the year",
        Quantity::TimeOfDay => "time of day",
        Quantity::DateTime => "date and time",
        Quantity::Text => "text",
        Quantity::Number => "number",
        Quantity::BitField => "bits",
        Quantity::VolumeTemperature => "volume times temperature",
        _ => "something else",
    }
}
