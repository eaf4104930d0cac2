//! How the program runs, on which hints to the user depend.

/// How the program that uses this crate runs.
///
/// A hint suggests only what its reader can do. A user of the command line can edit a configuration
/// file and run commands. A user of a Home Assistant app (add-on) can only fill in its form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunsAs {
    /// As a standalone program, with a configuration file and a command line.
    #[default]
    Program,
    /// As a Home Assistant app, with a form for its options.
    AddOn,
}
