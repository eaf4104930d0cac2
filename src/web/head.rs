//! The buttons that find the optical head, and those that take what was found into the options.

use std::borrow::Cow;
use std::path::Path;

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kmp::register::RegisterId;
use tokio::sync::oneshot;

use super::ports::Ports;
use super::response::{HttpRefusal, later, to_page};
use super::state::PageState;
use crate::finder::{Finder, NotStarted};
use crate::name::Parameter;
use crate::options_change::{ChangeRequest, Changed, OptionsChange};
use meter::find::Found;
use meter::poll::Explanation;

const NO_FIELD: HttpRefusal = HttpRefusal(
    StatusCode::BAD_REQUEST,
    Cow::Borrowed("A field of the form is missing or invalid.\n"),
);

const NO_RESULT: HttpRefusal = HttpRefusal(
    StatusCode::NOT_FOUND,
    Cow::Borrowed("This result does not exist or no longer exists. Reload the page.\n"),
);

const NOTHING_CHOSEN: HttpRefusal =
    HttpRefusal(StatusCode::CONFLICT, Cow::Borrowed("Tick at least one value.\n"));

const NO_APP: HttpRefusal = HttpRefusal(
    StatusCode::CONFLICT,
    Cow::Borrowed(
        "Only Home Assistant's app can change its own options. Write the port into the \
         configuration file.\n",
    ),
);

const GONE: HttpRefusal = HttpRefusal(
    StatusCode::CONFLICT,
    Cow::Borrowed("The options cannot be changed now. Try again later.\n"),
);

/// Lists the ports, and says which will be asked.
pub(super) async fn list(
    State(page): State<PageState>,
    Extension(ports): Extension<Ports>,
) -> Response {
    match ports.candidates(&page).await {
        Ok(listed) => {
            Finder::show(&page.board, listed);
            to_page("./")
        }
        Err(busy) => later(&busy, page.visitors.runs_as()),
    }
}

/// Asks the ports that were listed.
pub(super) async fn start(
    State(page): State<PageState>,
    Extension(ports): Extension<Ports>,
) -> Response {
    let listed = match ports.candidates(&page).await {
        Ok(listed) => listed,
        Err(busy) => return later(&busy, page.visitors.runs_as()),
    };
    let words = match page.finder.start(&page.board, &listed) {
        Ok(()) => return to_page("../"),
        Err(NotStarted::NotListed) => "Press \"Find my meter\" first. It lists the ports.\n",
        Err(NotStarted::Running) => "A search is under way. Stop it, or wait.\n",
        Err(NotStarted::NoPort) => "No port can be asked. List the ports again.\n",
    };
    HttpRefusal(StatusCode::CONFLICT, Cow::Borrowed(words)).into_response()
}

/// Stops the search.
pub(super) async fn stop(State(page): State<PageState>) -> Response {
    page.finder.stop();
    to_page("../")
}

/// The fields of a form. A name may occur several times.
type Fields = Result<Form<Vec<(String, String)>>, FormRejection>;

/// Takes a port that was found into the app's options.
pub(super) async fn use_port(State(page): State<PageState>, fields: Fields) -> Response {
    let fields = fields.map(|Form(fields)| fields).unwrap_or_default();
    let port = fields.into_iter().find(|(name, _)| name == "port").map(|(_, value)| value);
    let result = match port {
        None => Err(NO_FIELD),
        Some(port) if !is_found(&page, &port) => Err(NO_RESULT),
        Some(port) => change(&page, OptionsChange::Port(port)).await,
    };
    answer(result)
}

/// Whether a meter was found at a port, at the speed that the app uses.
fn is_found(page: &PageState, port: &str) -> bool {
    let search = page.board.head();
    let mut found = search.iter().flat_map(|search| &search.found);
    found.any(|searched| {
        matches!(searched.found, Found::Meter { .. })
            && searched.port.best_name() == Path::new(port)
    })
}

/// Takes the values that were ticked into the app's options, or shows them as lines for the file.
pub(super) async fn use_values(State(page): State<PageState>, fields: Fields) -> Response {
    answer(take_values(&page, fields).await)
}

async fn take_values(page: &PageState, fields: Fields) -> Result<(), HttpRefusal> {
    let (mut number, mut chosen) = (None, Vec::new());
    for (name, value) in fields.map(|Form(fields)| fields).unwrap_or_default() {
        match name.as_str() {
            "meter" => number = Some(value.parse::<usize>().map_err(|_| NO_FIELD)?),
            // Short, because there may be a hundred of them.
            "r" => chosen.push(value.parse::<RegisterId>().map_err(|_| NO_FIELD)?),
            _ => {}
        }
    }
    let number = number.ok_or(NO_FIELD)?;
    let meter = page.board.one_meter(number).ok_or(NO_RESULT)?;
    let scan = meter.scan.filter(|scan| !scan.running).ok_or(NO_RESULT)?;
    // In the order of the table, and nothing that the meter does not have.
    let found = scan.found.iter().map(|found| found.register);
    let chosen: Vec<_> = found.filter(|register| chosen.contains(register)).collect();
    if chosen.is_empty() {
        return Err(NOTHING_CHOSEN);
    }
    if page.changes.is_none() {
        let list = (page.parameters_list)(&chosen);
        page.board.meter(number, |meter| {
            if let Some(scan) = &mut meter.scan {
                (scan.parameters, scan.chosen) = (Some(list), Some(chosen));
            }
        });
        return Ok(());
    }
    let names = chosen.iter().map(|register| Parameter::of(*register).name().to_owned()).collect();
    change(page, OptionsChange::Values { meter: meter.name, names }).await
}

/// Has the app change its options.
async fn change(page: &PageState, change: OptionsChange) -> Result<(), HttpRefusal> {
    let sender = page.changes.as_ref().ok_or(NO_APP)?;
    let (done, result) = oneshot::channel();
    sender.try_send(ChangeRequest { change: change.clone(), done }).map_err(|_| GONE)?;
    let board = page.board.clone();
    // In a task, because the Supervisor may take longer than the visitor's connection lasts.
    let noted = tokio::spawn(async move {
        let trouble = result.await.ok()?.err();
        board.set_changed(Changed { change, trouble: trouble.clone() });
        Some(trouble)
    });
    match noted.await.ok().flatten().ok_or(GONE)? {
        None => Ok(()),
        Some(Explanation { words, hint }) => {
            let words = format!("{}. {hint}\n", words.trim_end_matches('.'));
            Err(HttpRefusal(StatusCode::CONFLICT, words.into()))
        }
    }
}

fn answer(result: Result<(), HttpRefusal>) -> Response {
    match result {
        Ok(()) => to_page("../"),
        Err(refusal) => refusal.into_response(),
    }
}
