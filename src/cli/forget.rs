//! `kamstrup2mqtt forget`: removes what the broker keeps from this program.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tracing::{Level, warn};

use super::ask::{print, waiting_for};
use super::signals::with_signals;
use crate::PROGRAM;
use crate::advice::MadeBy;
use crate::config::{self, Config, Meter};
use crate::discovery::{self, Claims, Ownership};
use crate::mqtt::{self, FOUND_AT_MOST, Forgotten, Owner, Rest};
use crate::payload::{self, OFFLINE, ONLINE};
use crate::topic::{self, About, Diagnostic, Topics};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file, which names the broker and the topics. Default: the one that the
    /// program uses
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Remove only entities of the older Python program, and of those only the ones that are not in
    /// the configuration. You need not stop kamstrup2mqtt for this
    #[arg(long)]
    pub(super) older_program: bool,
    /// List what would be removed, and remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let loaded = config::load(args.config.as_deref(), &super::environment::variables())?;
    let Config { broker, publishing, meters, logging: log, .. } = loaded.config;
    // A command logs only warnings, unless the level is DEBUG.
    logging::start_beside(
        PROGRAM,
        if log.level == Level::DEBUG { Level::DEBUG } else { Level::WARN },
    )?;
    let topics = Topics::new(&publishing.topic);
    let claims = Claims::new(&meters, &publishing, &topics);
    let states = states(&meters, &topics);
    let of_program = topics.status();
    let bases: BTreeSet<String> =
        meters.iter().map(|it| topics.meter(it.name.as_ref()).reading()).collect();
    let mut filters = discovery::filters(&publishing.discovery_prefix);
    if !args.older_program {
        // The topics of meters with a name have one more level.
        filters.extend([format!("{}/+", publishing.topic), format!("{}/+/+", publishing.topic)]);
    }
    let runs = Cell::new(false);
    let owner = |topic: &str, payload: &[u8]| {
        if topic == of_program && payload == b"online" {
            runs.set(true);
        }
        if args.older_program {
            return discovery::is_left_over(topic, payload, &claims).into();
        }
        if states.contains(topic) {
            return true.into();
        }
        if let Some(below) = base_of_other_program(topic, payload, &publishing.topic, &bases) {
            return Owner::AnotherProgram { below };
        }
        if discovery::classify(topic, payload, &claims) == Ownership::Ours {
            return Owner::Ours { others: discovery::states_of(payload, &claims) };
        }
        of_earlier_meter(topic, payload, &publishing.topic)
    };
    let waiting = format!("Asking the broker {} what it keeps.", broker.name());
    let forgetting = mqtt::forget(&broker, &filters, owner, !args.dry_run);
    let mut code = ExitCode::SUCCESS;
    with_signals(async |stop| {
        let forgotten = tokio::select! {
            forgotten = waiting_for(&waiting, forgetting) => forgotten,
            () = stop.cancelled() => anyhow::bail!("stopped before everything was removed"),
        };
        match forgotten {
            Ok(found) if args.dry_run => print(&would_remove(&found, args)),
            Ok(found) => {
                print(&removed(&found, args))?;
                if !found.kept.is_empty() {
                    code = ExitCode::FAILURE;
                    anyhow::bail!("{}", kept(&found.kept));
                }
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

/// The first part of the topics of another program, if this is its status. It may be nested below
/// our own. `ours` are the topics of our meters' whole polls.
fn base_of_other_program(
    topic: &str,
    payload: &[u8],
    base: &str,
    ours: &BTreeSet<String>,
) -> Option<String> {
    let below = topic.strip_suffix("/status")?;
    let is_nested = below.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
    let is_status = [ONLINE, OFFLINE].iter().any(|status| status.as_bytes() == payload);
    let is_of_meter = ours.contains(&format!("{below}/reading"));
    (is_nested && is_status && !is_of_meter).then(|| below.to_owned())
}

/// Whether a message may be a state of a meter that is no longer configured. Only whole polls are
/// certainly ours. They name the others.
fn of_earlier_meter(topic: &str, payload: &[u8], base: &str) -> Owner {
    if !topic::is_state_below(base, topic) {
        return Owner::Other;
    }
    let names = payload::names_in_reading(payload);
    let others =
        names.and_then(|names| topic::states_beside(topic, names.iter().map(String::as_str)));
    others.map_or(Owner::PerhapsOurs, |others| Owner::Earlier { others })
}

/// The topics of all states with these settings.
fn states(meters: &[Meter], topics: &Topics) -> BTreeSet<String> {
    let mut states: BTreeSet<String> = About::ALL.map(|about| topics.about(about)).into();
    states.insert(topics.status());
    for meter in meters {
        let of_meter = topics.meter(meter.name.as_ref());
        states.insert(of_meter.reading());
        states.extend(Diagnostic::ALL.map(|diagnostic| of_meter.diagnostic(diagnostic)));
        states.extend(meter.parameters.iter().map(|parameter| of_meter.value(parameter)));
    }
    states
}

fn removed(found: &Forgotten, args: &Arguments) -> String {
    let Forgotten { topics, rest, kept } = found;
    if topics.is_empty() {
        return nothing(*rest, args);
    }
    let topics: BTreeSet<String> = topics.difference(kept).cloned().collect();
    if topics.is_empty() {
        return String::new();
    }
    let more = match rest {
        Rest::Nothing => String::new(),
        Rest::TooMany => format!(
            "The broker keeps more than {FOUND_AT_MOST}, or very long ones. Run the command again \
             to remove the rest.\n"
        ),
        Rest::Unknown => {
            format!("{} Run the command again to remove the rest.\n", still_sending())
        }
    };
    let note = if args.older_program {
        "Their entities disappear from Home Assistant.\n"
    } else {
        "A program that is still running publishes them again when it restarts.\n"
    };
    format!("Removed {} from the broker:\n{}{note}{more}", count(&topics), list(&topics))
}

/// The broker has not removed messages on these topics.
fn kept(topics: &BTreeSet<String>) -> String {
    format!(
        "the broker has acknowledged the removal, but still keeps {}:\n{}\
         Possible causes: this user is not allowed to publish there; or a program that is running \
         publishes there. Stop that program, or allow this user to publish there in the broker's \
         settings, then run the command again.",
        count(topics),
        list(topics)
    )
}

fn would_remove(found: &Forgotten, args: &Arguments) -> String {
    let Forgotten { topics, rest, .. } = found;
    if topics.is_empty() {
        return nothing(*rest, args);
    }
    let more = match rest {
        Rest::Nothing => String::new(),
        Rest::TooMany => "The broker keeps more. These are the first.\n".to_owned(),
        Rest::Unknown => format!("{}\n", still_sending()),
    };
    format!(
        "Would remove {} from the broker:\n{}{more}Without `--dry-run`, they are removed.\n",
        count(topics),
        list(topics)
    )
}

fn nothing(rest: Rest, args: &Arguments) -> String {
    let what = if args.older_program {
        "no entity of the older program that the configuration does not list"
    } else {
        "nothing from this program"
    };
    match rest {
        Rest::Unknown => format!("Found {what}.\n{}\n", still_sending()),
        Rest::Nothing | Rest::TooMany => format!("The broker keeps {what}.\n"),
    }
}

/// The broker may keep more than was found.
fn still_sending() -> String {
    let seconds = mqtt::FORGET_WITHIN.as_secs();
    format!("The broker was still sending messages after {seconds} s, so it may keep more.")
}

fn count(topics: &BTreeSet<String>) -> String {
    match topics.len() {
        1 => "1 topic".to_owned(),
        count => format!("{count} topics"),
    }
}

fn list(topics: &BTreeSet<String>) -> String {
    let mut list = String::new();
    for topic in topics {
        list.push_str("  ");
        // Anybody can publish on any topic, also one with control characters of a terminal.
        list.extend(topic.escape_debug());
        list.push('\n');
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_below_our_topic_is_recognized_by_its_status() {
        let ours = BTreeSet::from(["heat/house/reading".to_owned()]);
        let base =
            |topic, payload: &str| base_of_other_program(topic, payload.as_bytes(), "heat", &ours);
        assert_eq!(base("heat/cellar/status", "online").as_deref(), Some("heat/cellar"));
        assert_eq!(base("heat/cellar/status", "offline").as_deref(), Some("heat/cellar"));
        for (topic, payload) in [
            ("heat/cellar/status", "5"),
            ("heat/house/status", "online"),
            ("heat/status", "online"),
            ("heating/cellar/status", "online"),
            ("heat/cellar/reading", "online"),
        ] {
            assert_eq!(base(topic, payload), None, "{topic} {payload}");
        }
    }
}
