//! What all paths of the setup page's buttons have in common.

/// The path of the button that begins.
pub(super) const BEGIN: &str = "/setup";

/// The way from the path of a button to the page; `None` if it is the path of no button. A browser
/// that still shows the setup page may send a request when the status page has taken its place, for
/// example at a second click.
pub(in crate::web) fn way_back(path: &str) -> Option<&'static str> {
    match path.strip_prefix(BEGIN)? {
        "" => Some("./"),
        button => button.starts_with('/').then_some("../"),
    }
}
