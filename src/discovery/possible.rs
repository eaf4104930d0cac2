//! All topics and ids that these settings allow, whether or not they are announced yet.

use std::collections::BTreeSet;

use super::entity::{Component, config_topic};
use crate::config::{Meter, Parameter, Publishing};
use crate::topic::{About, Diagnostic, Ids, READ};

/// Every topic on which [`super::meter`] may ever announce something with these settings, whether
/// or not it is certain yet. A message of ours on another topic is no longer configured.
#[must_use]
pub(crate) fn possible(meter: &Meter, publishing: &Publishing) -> Vec<String> {
    let topic = |(component, id): (Component, String)| config_topic(publishing, component, &id);
    possible_ids(meter, publishing).into_iter().map(topic).collect()
}

/// The topic on which [`super::meter`] announces a parameter.
#[must_use]
pub(crate) fn place(parameter: &Parameter, meter: &Meter, publishing: &Publishing) -> String {
    let ids = Ids::new(&publishing.id_prefix, meter.name.as_ref());
    config_topic(publishing, Component::Sensor, &ids.parameter(parameter))
}

/// Every topic on which something may be announced with these settings.
#[must_use]
pub(crate) fn all_possible(meters: &[Meter], publishing: &Publishing) -> BTreeSet<String> {
    let of_meters = meters.iter().flat_map(|meter| possible(meter, publishing));
    of_meters.chain(possible_of_program(publishing)).collect()
}

/// Topic filters that match every announcement that may be ours.
#[must_use]
pub(crate) fn filters(prefix: &str) -> Vec<String> {
    let components = [Component::Sensor, Component::BinarySensor, Component::Button];
    components.map(|component| format!("{prefix}/{}/+/config", component.key())).into()
}

/// Every topic on which [`super::program`] announces something.
#[must_use]
pub(crate) fn possible_of_program(publishing: &Publishing) -> Vec<String> {
    let topic = |(component, id): (Component, String)| config_topic(publishing, component, &id);
    possible_ids_of_program(publishing).into_iter().map(topic).collect()
}

pub(super) fn possible_ids(meter: &Meter, publishing: &Publishing) -> Vec<(Component, String)> {
    let ids = Ids::new(&publishing.id_prefix, meter.name.as_ref());
    let values = meter.parameters.iter().map(|it| (Component::Sensor, ids.parameter(it)));
    let diagnostics = Diagnostic::ALL.map(|it| (component(it), ids.with(it.key())));
    let means = meter.means().into_iter().map(|it| (Component::Sensor, ids.with(it.name())));
    values.chain(means).chain(diagnostics).chain([(Component::Button, ids.with(READ))]).collect()
}

pub(super) fn possible_ids_of_program(publishing: &Publishing) -> Vec<(Component, String)> {
    let ids = Ids::new(&publishing.id_prefix, None);
    About::ALL.map(|about| (Component::Sensor, ids.with(about.key()))).to_vec()
}

/// Whether the diagnostic is only ever on or off.
pub(super) fn is_binary(diagnostic: Diagnostic) -> bool {
    matches!(diagnostic, Diagnostic::Connection | Diagnostic::Problem)
}

pub(super) fn component(diagnostic: Diagnostic) -> Component {
    if is_binary(diagnostic) { Component::BinarySensor } else { Component::Sensor }
}
