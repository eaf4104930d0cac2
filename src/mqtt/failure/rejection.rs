//! The words for rejections: a closed connection or a missing acknowledgement, with its possible
//! causes.

use std::time::Duration;

use rumqttc::ConnectionError;

use crate::advice::{Advice, Sentence, sentence};
use crate::config::{Qos, keys};
use crate::mqtt::client::LONGEST;
use crate::mqtt::endings::Pattern;
use crate::mqtt::trail::{Accepted, Publication, Stall, Step};
use crate::payload::Message;
use meter::duration;

/// No broker limits messages to fewer bytes than this.
const SHORT: usize = 64;

/// The broker has closed the connection at this step. The previous connection ended differently.
pub(in crate::mqtt) fn closed_at(step: &Step) -> Advice {
    Advice::new(format!("it closed the connection when it received {step}.")).then(broker_log())
}

/// The broker has closed the connection soon after this step, which it does not acknowledge. It may
/// have done so for another reason.
pub(in crate::mqtt) fn closed_after(step: &Step) -> Advice {
    Advice::new(format!(
        "it closed the connection shortly after {step}. That message may not be the reason."
    ))
    .then(broker_log())
}

/// The broker has closed the last connections, which have this in common.
pub(in crate::mqtt) fn closed_again(pattern: Pattern<'_>, accepted: &Accepted) -> Option<Advice> {
    match pattern {
        Pattern::Single => None,
        Pattern::SameStep(step @ Step::Ping) => Some(
            Advice::new(format!("it closes the connection every time it receives {step}."))
                .then(sentence![
                    "The broker probably ends idle connections, or a proxy between kamstrup2mqtt and \
                     the broker does so."
                ])
                .then(broker_log()),
        ),
        Pattern::SameStep(step) => {
            let what = format!("it closes the connection every time it receives {step}.");
            Some(with_causes(&what, step, accepted))
        }
        Pattern::Idle => Some(
            Advice::new(
                "it closes each connection after a short time, while nothing is sent, and gives no \
                 reason. Possible causes: another program uses the same client id; a proxy between \
                 kamstrup2mqtt and the broker ends idle connections; or the broker was restarted \
                 several times.",
            )
            .then(sentence![
                "If it is another program, stop it, or set ",
                &keys::CLIENT,
                " to another client id."
            ])
            .then(broker_log()),
        ),
        Pattern::Various => Some(
            Advice::new(
                "it closes each connection after a short time, and gives no reason. Possible \
                 causes: another program uses the same client id; the broker limits how much a \
                 client is allowed to send; or the broker was restarted several times.",
            )
            .then(sentence![
                "If it is another program, stop it, or set ",
                &keys::CLIENT,
                " to another client id."
            ])
            .then(broker_log()),
        ),
    }
}

/// The broker rejects the connection, and accepts it without this last will.
pub(in crate::mqtt) fn will(will: &Message) -> Advice {
    let Message { topic, .. } = will;
    let what = format!(
        "it rejects the connection because of the program's last will (the retained message on `{topic}` that \
         the broker publishes when the program disappears). Without the last will, it accepts the \
         connection."
    );
    with_causes(&what, &Step::from(will), &Accepted::default())
}

/// The broker rejects this last will, and accepts the same message when it is published.
pub(in crate::mqtt) fn only_the_will(will: &Message) -> Advice {
    Advice::new(format!(
        "it rejects the connection because of the program's last will (the retained message on `{}` that the \
         broker publishes when the program disappears). The broker accepts the same message when the \
         program publishes it.",
        will.topic
    ))
    .then(sentence!["Allow this user a last will in the broker's settings."])
    .then(broker_log())
}

/// The broker has not acknowledged this step for so long.
pub(in crate::mqtt) fn unacknowledged(step: &Step, after: Duration) -> Advice {
    let after = duration::words(after);
    Advice::new(format!("it has not acknowledged {step} for {after}.")).then(sentence![
        "The broker may have lost this message, and may lose later ones. Check the broker's log, \
         then restart the broker."
    ])
}

/// The connection was ended because the broker has not acknowledged messages, so that no others can
/// be sent.
pub(in crate::mqtt) fn stalled(Stall { messages, waited }: Stall) -> Advice {
    let them = match messages {
        1 => "1 message".to_owned(),
        messages => format!("{messages} messages"),
    };
    let waited = duration::words(waited);
    Advice::new(format!(
        "it has not acknowledged {them} for {waited}, so no more can be sent in this connection."
    ))
    .then(sentence![
        "The broker is overloaded or does not work correctly. Check the broker's log, then restart \
         the broker."
    ])
}

/// Messages wait for so long before they can be sent, because the broker acknowledges those before
/// them slowly.
pub(in crate::mqtt) fn slow(waited: Duration) -> Advice {
    let waited = duration::words(waited);
    Advice::new(format!(
        "it acknowledges messages so slowly that others wait {waited} before they are sent. A value \
         that waits is replaced by the next one, so some are never published."
    ))
    .then(sentence!["Check the broker's load and the network, or poll the meters less often."])
}

/// The broker has sent a message of so many bytes.
pub(in crate::mqtt) fn too_long(bytes: usize) -> Advice {
    Advice::new(format!(
        "it has sent a message of {bytes} bytes, which is too long (more than {LONGEST} bytes)."
    ))
    .then(sentence!["Another program publishes this message."])
}

/// The broker sends a message that is too long to all who subscribe to one of these filters.
pub(in crate::mqtt) fn too_long_under(filters: &[String]) -> Advice {
    let filters: Vec<_> = filters.iter().map(|filter| format!("`{filter}`")).collect();
    let filters = filters.join(", ");
    Advice::new(format!(
        "it sends a message that is too long (more than {LONGEST} bytes) under {filters}. So \
         kamstrup2mqtt no longer subscribes there. Messages there go unnoticed: commands, restarts \
         of Home Assistant, or entities that are no longer configured."
    ))
    .then(sentence![
        "Find the program that publishes this message, remove the message from the broker, then \
         restart kamstrup2mqtt."
    ])
}

/// The broker has not answered the subscription to a topic that was to be read back.
pub(in crate::mqtt) fn not_read_back(topic: &str) -> Advice {
    Advice::new(format!(
        "it has not acknowledged the subscription to `{topic}`, so kamstrup2mqtt cannot check \
         whether the broker keeps retained messages."
    ))
    .then(sentence!["Check the broker's log, then restart the broker."])
}

/// Of the messages that should be retained, the broker has sent back only those that are `there`.
/// It has sent nothing for those that are `missing`, and an earlier or foreign message for those
/// that are `replaced`. Each entry is a topic and the length of its message.
pub(in crate::mqtt) fn not_retained(
    missing: &[(&str, usize)],
    replaced: &[(&str, usize)],
    there: &[(&str, usize)],
) -> Option<Advice> {
    if missing.is_empty() {
        return not_replaced(replaced, there);
    }
    let missing = [missing, replaced].concat();
    let (topic, bytes) = missing.first()?;
    let (them, these_topics, are_too_long) = match missing.len() {
        1 => ("it", "this topic", "the message is too long"),
        _ => ("them", "these topics", "the messages are too long"),
    };
    let advice = Advice::new(match missing.len() {
        1 => format!(
            "it has not returned the retained message on `{topic}` ({bytes} bytes), which the program \
             has published."
        ),
        count => format!(
            "it has not returned {count} messages that it was to keep (retained messages). The first \
             one is on `{topic}` ({bytes} bytes)."
        ),
    });
    let longest_there = there.iter().map(|(_, bytes)| *bytes).max();
    let shortest = missing.iter().map(|(_, bytes)| *bytes).min().unwrap_or(*bytes);
    let access = format!("this user is not allowed to publish to {these_topics} or to read {them}");
    let cause = match longest_there {
        None => format!("Possible causes: {access}; or the broker retains no messages."),
        Some(longest) if shortest > longest => format!(
            "Possible causes: {access}; or {are_too_long}. The broker has returned only messages of \
             up to {longest} bytes."
        ),
        Some(_) => format!(
            "This user is probably not allowed to publish to {these_topics} or to read {them}."
        ),
    };
    Some(
        advice
            .then(sentence![cause])
            .then(sentence!["Until this is fixed, entities may be missing in Home Assistant."])
            .then(broker_log()),
    )
}

/// The broker has sent back other messages than those that were sent.
fn not_replaced(others: &[(&str, usize)], there: &[(&str, usize)]) -> Option<Advice> {
    let (topic, bytes) = others.first()?;
    let more = match others.len() - 1 {
        0 => String::new(),
        1 => ". The same is true of another topic".to_owned(),
        more => format!(". The same is true of {more} other topics"),
    };
    let longest_there = there.iter().map(|(_, bytes)| *bytes).max();
    let is_long = longest_there.is_none_or(|longest| *bytes > longest) && *bytes > SHORT;
    let size = if is_long {
        format!("; or a message of {bytes} bytes is too long for the broker")
    } else {
        String::new()
    };
    let advice = Advice::new(format!(
        "on `{topic}`, it keeps another retained message than the one that kamstrup2mqtt has sent{more}."
    ));
    Some(
        advice
            .then(sentence![format!(
                "Possible causes: this user is not allowed to publish there; or another program \
                 publishes there too{size}."
            )])
            .then(broker_log()),
    )
}

fn broker_log() -> Sentence {
    sentence!["The broker's log may say why."]
}

/// Which property of a message the broker rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Cause {
    Topic,
    Retained,
    Qos(Qos),
    /// Bytes of the payload.
    Size(usize),
}

impl Cause {
    fn words(self) -> String {
        match self {
            Self::Topic => "this user is not allowed to publish to this topic".to_owned(),
            Self::Retained => "the broker accepts no retained messages".to_owned(),
            Self::Qos(qos) => format!("the broker does not support QoS {}", number(qos)),
            Self::Size(bytes) => format!("a message of {bytes} bytes is too long for the broker"),
        }
    }

    fn remedy(self) -> Sentence {
        match self {
            Self::Topic => {
                sentence!["Allow this topic for this user in the broker's access rules."]
            }
            Self::Retained => sentence!["Allow retained messages in the broker's settings."],
            // Only values are sent with the QoS of the settings.
            Self::Qos(Qos::ExactlyOnce) => sentence!["Set ", &keys::QOS, " to 1 or 0."],
            Self::Qos(qos) => sentence![format!(
                "The program needs QoS {qos} for its status and for discovery. Allow QoS {qos} in \
                 the broker's settings.",
                qos = number(qos)
            )],
            Self::Size(_) => sentence!["Raise the limit in the broker's settings."],
        }
    }
}

/// The broker rejects this step. It accepted variants that each lacked one of the `causes`.
pub(in crate::mqtt) fn rejected(step: &Step, causes: &[Cause]) -> Advice {
    let what = format!("it closes the connection when it receives {step}");
    match causes {
        [] => not_allowed(Advice::new(format!("{what}."))),
        [only] => Advice::new(format!("{what}, because {}.", only.words())).then(only.remedy()),
        several => {
            let several: Vec<_> = several.iter().map(|cause| cause.words()).collect();
            Advice::new(format!("{what}. Possible causes: {}.", listed(&several)))
                .then(broker_log())
        }
    }
}

/// The broker rejects this last will, and the same message when it is published. It accepted
/// variants of the message that each lacked one of the `causes`.
pub(in crate::mqtt) fn will_rejected(will: &Message, causes: &[Cause]) -> Advice {
    let causes = if causes.is_empty() { &[Cause::Topic] } else { causes };
    let words: Vec<_> = causes.iter().map(|cause| cause.words()).collect();
    let label = if causes.len() == 1 { "Cause" } else { "Possible causes" };
    let advice = Advice::new(format!(
        "it rejects the connection because of the program's last will (the retained message on `{}` that the \
         broker publishes when the program disappears). {label}: {}.",
        will.topic,
        listed(&words)
    ));
    match causes {
        [only] => advice.then(only.remedy()),
        _ => advice.then(broker_log()),
    }
}

/// The broker has refused a subscription.
pub(in crate::mqtt) fn may_not_subscribe(filter: &str) -> Advice {
    Advice::new(format!("it does not let this user subscribe to `{filter}`."))
        .then(sentence!["Allow the subscription in the broker's access rules."])
}

/// The connection ended during the rehearsal, while no step was unacknowledged.
pub(in crate::mqtt) fn closed_in_rehearsal(error: &ConnectionError) -> Advice {
    if !super::is_hang_up(error) {
        return super::advice(error, super::Stage::Connected, super::Facts::default());
    }
    Advice::new(
        "it closed the connection while nothing was sent. Either another program has connected with \
         the same client id, or the broker was stopped.",
    )
    .then(sentence!["Run the check again."])
    .then(broker_log())
}

/// The connection ended during the rehearsal at this step, and the broker accepted the step in the
/// next connection.
pub(in crate::mqtt) fn closed_once(step: &Step) -> Advice {
    Advice::new(format!(
        "it closed the connection when it received {step}, but accepted the same message when \
         kamstrup2mqtt had connected again. Either another program has connected with the same \
         client id, or the broker was restarted."
    ))
    .then(sentence!["Run the check again."])
    .then(broker_log())
}

/// The running program has taken over the connection of a command with the same client id.
pub(in crate::mqtt) fn taken_over() -> Advice {
    Advice::new(
        "it closed the connection. kamstrup2mqtt is probably running, and the broker accepts only one \
         of the two: the running program or this command.",
    )
    .then(sentence!["Stop the running program, then run this command again."])
}

/// Adds the causes that are not excluded by what the broker has already accepted. They belong to
/// what happened, so that readers without these settings see them too.
fn with_causes(what: &str, step: &Step, accepted: &Accepted) -> Advice {
    let Step::Publish(Publication { qos, retain, bytes, .. }) = step else {
        return Advice::new(what.to_owned()).then(sentence![
            "This user is probably not allowed to subscribe to this topic. Allow the subscription in \
             the broker's access rules."
        ]);
    };
    let mut causes = vec![Cause::Topic];
    if *retain && !accepted.retained {
        causes.push(Cause::Retained);
    }
    if *qos > Qos::AtMostOnce && Some(*qos) > accepted.qos {
        causes.push(Cause::Qos(*qos));
    }
    if *bytes > accepted.bytes && *bytes > SHORT {
        causes.push(Cause::Size(*bytes));
    }
    if causes.len() == 1 {
        return not_allowed(Advice::new(what.to_owned()));
    }
    let words: Vec<_> = causes.iter().map(|cause| cause.words()).collect();
    let advice = Advice::new(format!("{what} Possible causes: {}.", listed(&words)));
    let advice = match qos {
        Qos::ExactlyOnce => advice.then(Cause::Qos(*qos).remedy()),
        _ => advice.then(sentence!["In the broker's settings, allow this user such messages."]),
    };
    advice.then(broker_log())
}

fn not_allowed(advice: Advice) -> Advice {
    advice.then(sentence![
        "This user is probably not allowed to publish to this topic. Allow this topic for this user in \
         the broker's access rules."
    ])
}

fn number(qos: Qos) -> u8 {
    match qos {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce => 1,
        Qos::ExactlyOnce => 2,
    }
}

/// `a`, `a; or b`, `a; b; or c`.
fn listed(causes: &[String]) -> String {
    match causes.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{}; or {last}", others.join("; ")),
        _ => causes.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::MadeBy;

    fn publication(topic: &str, qos: Qos, retain: bool, bytes: usize) -> Step {
        Step::Publish(Publication { topic: topic.to_owned(), qos, retain, bytes })
    }

    fn words(advice: &Advice) -> String {
        let of = [MadeBy::File, MadeBy::Form, MadeBy::HomeAssistant];
        of.map(|made_by| advice.words(made_by)).join("\n  ")
    }

    #[test]
    fn each_rejection_names_the_causes_that_are_left() {
        let config =
            publication("homeassistant/sensor/kamstrup_energy/config", Qos::AtLeastOnce, true, 612);
        let value = publication("kamstrup/energy", Qos::AtMostOnce, false, 8);
        let exact = publication("kamstrup/energy", Qos::ExactlyOnce, false, 8);
        let filter = Step::Subscribe { filter: "kamstrup/command/+".to_owned() };
        let status = Accepted { retained: true, qos: Some(Qos::AtLeastOnce), bytes: 6 };
        let all = Accepted { bytes: 700, ..status.clone() };
        let none = Accepted::default();
        let again = |step: &Step, accepted: &Accepted| {
            words(&closed_again(Pattern::SameStep(step), accepted).unwrap())
        };
        let last_will = Message {
            topic: "kamstrup/status".to_owned(),
            payload: "offline".to_owned(),
            qos: Qos::AtLeastOnce,
            retain: true,
        };
        let texts = [
            words(&closed_at(&config)),
            words(&closed_after(&value)),
            again(&config, &none),
            again(&config, &status),
            again(&config, &all),
            again(&value, &all),
            again(&exact, &all),
            again(&filter, &all),
            again(&Step::Ping, &all),
            words(&closed_again(Pattern::Idle, &all).unwrap()),
            words(&closed_again(Pattern::Various, &all).unwrap()),
            words(&will(&last_will)),
            words(&only_the_will(&last_will)),
            words(&closed_once(&config)),
            words(&taken_over()),
            words(&unacknowledged(&config, Duration::from_secs(30))),
            words(&stalled(Stall { messages: 10, waited: Duration::from_secs(45) })),
            words(&stalled(Stall { messages: 1, waited: Duration::from_secs(59) })),
            words(&will_rejected(&last_will, &[])),
            words(&will_rejected(&last_will, &[Cause::Retained])),
            words(&rejected(&config, &[])),
            words(&rejected(&config, &[Cause::Retained])),
            words(&rejected(&config, &[Cause::Size(612)])),
            words(&rejected(&config, &[Cause::Qos(Qos::AtLeastOnce)])),
            words(&rejected(&exact, &[Cause::Qos(Qos::ExactlyOnce)])),
            words(&rejected(&config, &[Cause::Retained, Cause::Qos(Qos::AtLeastOnce)])),
            words(&may_not_subscribe("kamstrup/command/+")),
            words(&closed_in_rehearsal(&ConnectionError::MqttState(
                rumqttc::StateError::ConnectionAborted,
            ))),
            words(
                &not_retained(&[("a/config", 612), ("b/config", 610)], &[], &[("s", 6)]).unwrap(),
            ),
            words(&not_retained(&[("a/config", 612)], &[], &[("b/config", 620)]).unwrap()),
            words(&not_retained(&[("a", 612), ("b", 3)], &[("c", 2)], &[]).unwrap()),
            words(&not_retained(&[], &[("a", 612)], &[("s", 6)]).unwrap()),
            words(&not_retained(&[], &[("a", 12), ("b", 3), ("c", 2)], &[]).unwrap()),
            words(&not_read_back("kamstrup/status")),
        ];
        assert_eq!(not_retained(&[], &[], &[("a", 6)]), None);
        assert_eq!(closed_again(Pattern::Single, &all), None);
        insta::assert_snapshot!(texts.join("\n"));
    }
}
