//! The buttons that fill gaps in Home Assistant's statistics, and take that back.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::response::{HttpRefusal, to_page};
use super::state::PageState;
use crate::filling::Work;
use crate::gaps::NotStarted;

/// Shows what would be written.
pub(super) async fn look(State(page): State<PageState>) -> Response {
    start(&page, Work::Look)
}

/// Fills the gaps that were shown.
pub(super) async fn fill(State(page): State<PageState>) -> Response {
    start(&page, Work::Fill)
}

/// Takes back everything that was filled.
pub(super) async fn undo(State(page): State<PageState>) -> Response {
    start(&page, Work::Undo)
}

/// Stops what is under way.
pub(super) async fn stop(State(page): State<PageState>) -> Response {
    page.desk.stop();
    to_page("../")
}

fn start(page: &PageState, work: Work) -> Response {
    let words = match page.desk.start(&page.board, work) {
        Ok(()) => return to_page("../"),
        Err(NotStarted::NotOffered) => {
            "The address of Home Assistant or a token for it is missing, or readings are not \
             stored.\n"
        }
        Err(NotStarted::Running) => "Something is being done already. Stop it, or wait.\n",
        Err(NotStarted::NotSeen) => {
            "Press \"Look for gaps\" first. It shows what would be written.\n"
        }
    };
    HttpRefusal(StatusCode::CONFLICT, Cow::Borrowed(words)).into_response()
}
