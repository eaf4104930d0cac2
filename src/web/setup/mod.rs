//! The setup page: it is served instead of the status page while there is no configuration.
//!
//! `crate::setup` has the draft and does the work. Here is who may see and change it (`session`),
//! its paths (`routes`) and its screens (`screen`). Everybody on the network could reach it, and it
//! tries logins and writes a file. So it shows nothing to a visitor who is not on this machine and
//! has no code, and only one browser at a time can use it.

mod announce;
mod fields;
mod paths;
mod routes;
mod screen;
mod session;
#[cfg(test)]
mod tests;

pub(super) use self::paths::way_back;
pub(super) use self::routes::router;
pub(crate) use self::session::SetupPage;
