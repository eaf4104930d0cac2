//! How the program runs, which decides what a hint can suggest.

/// How the program runs that uses this crate.
///
/// A hint suggests only what its reader can do. A user of the command line can edit a configuration
/// file and run commands; a user of a Home Assistant add-on can only fill in its form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunsAs {
    /// As a program of its own, with a configuration file and a command line.
    #[default]
    Program,
    /// As a Home Assistant add-on, with a form for its options.
    AddOn,
}
