//! The actions of the buttons. All of them go through the task that polls the meter, because only
//! that task uses the meter's port.

use std::borrow::Cow;

use axum::http::StatusCode;
use kmp::register::RegisterId;
use serde::Deserialize;

use super::response::HttpRefusal;
use super::state::PageState;
use crate::name::Parameter;
use crate::status::{Board, Found, MeterState, Placement, ScanState};
use crate::units::{self, UnitSystem};
use meter::poll::{Attempt, Job, MeterHandle, PLACEMENT, Scanned, Step};
use meter::reading::Reading;

/// The last register that a search asks for, as `kamstrup2mqtt scan` does.
const LAST_REGISTER: u16 = 1400;

/// The form of each button.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Form {
    pub(super) meter: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Read,
    Place,
    StopPlacing,
    Scan,
    StopScanning,
}

const NO_METER: HttpRefusal = HttpRefusal(
    StatusCode::NOT_FOUND,
    Cow::Borrowed("This meter does not exist or no longer exists. Reload the page.\n"),
);

const BUSY: HttpRefusal = HttpRefusal(
    StatusCode::CONFLICT,
    Cow::Borrowed(
        "The meter is busy with the placement aid or a search. Stop that first, or wait.\n",
    ),
);

/// Starts or stops an action.
pub(super) fn act(page: &PageState, action: Action, number: usize) -> Result<(), HttpRefusal> {
    let board = &page.board;
    let handle = board.handle(number).ok_or(NO_METER)?;
    let state = || board.one_meter(number).ok_or(NO_METER);
    match action {
        Action::Read => handle.request_poll(),
        Action::Place => place(board, &handle, number)?,
        Action::Scan => {
            let search = Search { number, system: state()?.units, list: page.parameters_list };
            scan(board, &handle, search)?;
        }
        // It may have ended meanwhile, and something else may have started.
        Action::StopPlacing if is_placing(&state()?) => handle.cancel(),
        Action::StopScanning if is_scanning(&state()?) => handle.cancel(),
        Action::StopPlacing | Action::StopScanning => {}
    }
    Ok(())
}

fn is_placing(meter: &MeterState) -> bool {
    meter.placement.as_ref().is_some_and(|placement| placement.running)
}

fn is_scanning(meter: &MeterState) -> bool {
    meter.scan.as_ref().is_some_and(|scan| scan.running)
}

fn place(board: &Board, handle: &MeterHandle, number: usize) -> Result<(), HttpRefusal> {
    let board = board.clone();
    let tell = move |step: Step<'_>| match step {
        Step::Taken => board.meter(number, |meter| {
            let placement = Placement { running: true, left: PLACEMENT, ..Placement::default() };
            meter.placement = Some(placement);
        }),
        Step::Asked(attempt) => {
            let note = |meter: &mut MeterState| placed(&mut meter.placement, attempt);
            board.progress(number, note);
        }
        Step::Ended => board.meter(number, |meter| {
            if let Some(placement) = &mut meter.placement {
                placement.running = false;
            }
        }),
        Step::Scanning(_) | Step::Scanned(_) | Step::Logging(_) | Step::Logged(_) => {}
    };
    handle.send(Job::placement(tell)).map_err(|_| BUSY)
}

fn placed(placement: &mut Option<Placement>, attempt: Attempt) {
    let Some(placement) = placement else { return };
    let Attempt { hit, heard, trouble, left } = attempt;
    placement.asked += 1;
    placement.hits += u32::from(hit);
    placement.hit = Some(hit);
    (placement.heard, placement.trouble, placement.left) = (heard, trouble, left);
}

/// A search of one meter.
#[derive(Clone, Copy)]
struct Search {
    number: usize,
    system: UnitSystem,
    /// Writes the registers found as the setting `parameters`.
    list: fn(&[RegisterId]) -> String,
}

fn scan(board: &Board, handle: &MeterHandle, search: Search) -> Result<(), HttpRefusal> {
    let Search { number, system, .. } = search;
    let board = board.clone();
    let registers: Vec<RegisterId> = (1..=LAST_REGISTER).map(RegisterId::new).collect();
    let of = registers.len();
    let tell = move |step: Step<'_>| match step {
        Step::Taken => board.meter(number, |meter| {
            meter.scan = Some(ScanState { running: true, of, ..ScanState::default() });
        }),
        Step::Scanning(progress) => board.progress(number, |meter| {
            if let Some(scan) = &mut meter.scan {
                scan.asked = progress.asked.min(of);
                scan.found.extend(progress.found.iter().map(|reading| found(reading, system)));
            }
        }),
        Step::Scanned(scanned) => board.meter(number, |meter| {
            if let Some(scan) = &mut meter.scan {
                ended(scan, &scanned, search);
            }
        }),
        Step::Ended => board.scan_ended(number),
        Step::Asked(_) | Step::Logging(_) | Step::Logged(_) => {}
    };
    handle.send(Job::scan(registers, tell)).map_err(|_| BUSY)
}

fn found(reading: &Reading, system: UnitSystem) -> Found {
    let published = units::publish(reading, system).ok();
    let unit = published.as_ref().and_then(|published| published.measure.unit);
    Found { text: published.map(|published| published.text), unit, ..named(reading.register) }
}

/// A register whose value is not yet known.
fn named(register: RegisterId) -> Found {
    let name = Parameter::of(register).name().to_owned();
    let label = register.info().map(|info| info.label);
    Found { register, name, label, text: None, unit: None }
}

fn ended(scan: &mut ScanState, scanned: &Scanned, search: Search) {
    let present = scanned.present();
    let read = |register: &RegisterId| {
        let reading = scanned.readings.iter().find(|reading| reading.register == *register);
        reading.map_or_else(|| named(*register), |reading| found(reading, search.system))
    };
    scan.found = present.iter().map(read).collect();
    scan.complete = scanned.complete;
    scan.parameters = (!present.is_empty()).then(|| (search.list)(&present));
    scan.trouble.clone_from(&scanned.trouble);
}
