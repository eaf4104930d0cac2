//! From a YAML file and environment variables, or the app's form, to a checked [`Config`].
//!
//! All checks are here: the program can run with any [`Config`]. All problems are reported
//! together, each with its place, what was found and what is accepted.
//!
//! `keys` is the table of settings. `yaml`, `variables` and `addon_options` read texts with their
//! places (`settings`), and `check` turns these into values. Problems and warnings are data
//! (`problem`). Only `words` turns them into sentences, for a file or for the form. No other module
//! edits the sentences.
//!
//! Texts are taken as they are in the file, so `0123` and `1e5` stay as written. A message quotes
//! only the invalid value or key, and never a secret.

pub mod addon_options;
mod address;
mod check;
mod effective;
mod encryption;
mod error;
mod findings;
pub(crate) mod keys;
mod kind;
mod list;
mod load;
mod loaded;
mod logging;
pub mod manual;
mod model;
mod origin;
mod page;
mod problem;
mod read;
mod remark;
mod secret;
mod setting;
mod settings;
mod snippet;
mod suggest;
#[cfg(test)]
mod suggest_tests;
#[cfg(test)]
mod tests;
mod tls;
mod topics;
mod value;
mod variables;
mod words;
mod yaml;

pub use self::address::ApiAddress;
pub use self::effective::{Effect, Effective, Entry, Label};
pub use self::encryption::Tls;
pub use self::error::ConfigError;
pub use self::load::{check, for_port, load};
pub(crate) use self::load::{check_text, default_parameters};
pub use self::loaded::Loaded;
pub use self::model::{
    Access, Broker, Config, Credentials, FirstMonth, HistoryUse, Meter, Publishing, Qos, Tariff,
};
pub use self::origin::{Origin, Place, Spot, Whose};
pub use self::page::{
    Beginning, PageSettings, PageToken, beginning, is_unconfigured, page, page_settings,
};
pub(crate) use self::problem::without_secrets;
pub use self::problem::{
    About, Accepted, Actual, HomeAssistants, Login, Meant, OptionOwner, Ours, Problem, Quoted,
    Shape, ShownKey, Though, Warning,
};
pub use self::remark::Remark;
pub use self::secret::Secret;
pub use self::setting::Key;
pub(crate) use self::setting::Setting;
pub(crate) use self::snippet::is_worth_following;
pub use self::snippet::{parameters_list, serial_port_lines};
pub use self::variables::Variables;
pub use self::words::{file_words, warning_words};
pub use crate::name::{MeterName, Parameter};
