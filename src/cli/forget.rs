//! `kamstrup2mqtt forget`: removes what the broker keeps from this program.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tracing::{Level, warn};

use super::ask::print;
use super::health;
use super::signals::with_signals;
use crate::advice::{Advice, MadeBy};
use crate::config::{self, Broker, Config};
use crate::discovery::{self, Claims, Ownership};
use crate::topic::{About, Diagnostic, Topics};
use crate::{PROGRAM, mqtt};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file, which names the broker and the topics. Default: the same as when the
    /// program runs
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let loaded = config::load(args.config.as_deref(), &super::environment::variables())?;
    let Config { broker, publishing, meters, logging: log, page, .. } = loaded.config;
    // A command logs only warnings, unless the level is DEBUG.
    logging::start_beside(
        PROGRAM,
        if log.level == Level::DEBUG { Level::DEBUG } else { Level::WARN },
    )?;
    let topics = Topics::new(&publishing.topic);
    let claims = Claims::new(&meters, &publishing, &topics);
    let mut states: BTreeSet<String> = About::ALL.map(|about| topics.about(about)).into();
    states.insert(topics.status());
    let mut filters = discovery::filters(&publishing.discovery_prefix);
    // The topics of meters with a name have one more level.
    filters.extend([format!("{}/+", publishing.topic), format!("{}/+/+", publishing.topic)]);
    for meter in &meters {
        let of_meter = topics.meter(meter.name.as_ref());
        states.insert(of_meter.reading());
        states.extend(Diagnostic::ALL.map(|diagnostic| of_meter.diagnostic(diagnostic)));
        states.extend(meter.parameters.iter().map(|parameter| of_meter.value(parameter)));
    }
    let of_program = topics.status();
    let runs = Cell::new(false);
    let is_ours = |topic: &str, payload: &[u8]| {
        if topic == of_program && payload == b"online" {
            runs.set(true);
        }
        states.contains(topic) || discovery::classify(topic, payload, &claims) == Ownership::Ours
    };
    let mut code = ExitCode::SUCCESS;
    with_signals(async |stop| {
        let forgotten = tokio::select! {
            forgotten = forget(&broker, page, &filters, is_ours) => forgotten,
            () = stop.cancelled() => anyhow::bail!("stopped before everything was removed"),
        };
        match forgotten {
            Ok(topics) => {
                print(&text(&topics))?;
                if runs.get() {
                    warn!(
                        "The program is still running: its status is `online`. Stop it, then run \
                         `kamstrup2mqtt forget` again."
                    );
                }
                Ok(())
            }
            Err(advice) => {
                code = ExitCode::FAILURE;
                anyhow::bail!("the broker {}: {}", broker.name(), advice.words(MadeBy::File))
            }
        }
    })?;
    Ok(code)
}

/// The program may be running: then its client id is in use.
async fn forget(
    broker: &Broker,
    page: Option<SocketAddr>,
    filters: &[String],
    is_ours: impl Fn(&str, &[u8]) -> bool,
) -> Result<BTreeSet<String>, Advice> {
    let is_running = match page {
        Some(page) => health::is_running(page).await,
        None => false,
    };
    mqtt::forget(broker, is_running, filters, is_ours).await
}

fn text(topics: &BTreeSet<String>) -> String {
    match topics.len() {
        0 => "The broker keeps nothing from this program.\n".to_owned(),
        1 => removed("1 topic", topics),
        count => removed(&format!("{count} topics"), topics),
    }
}

fn removed(count: &str, topics: &BTreeSet<String>) -> String {
    let list: Vec<&str> = topics.iter().map(String::as_str).collect();
    format!(
        "Removed {count} from the broker:\n  {}\nA program that is still running publishes them again \
         when it restarts.\n",
        list.join("\n  ")
    )
}
