//! The status page for a program that is not the command line: `examples/demo.rs`.

use std::net::SocketAddr;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::Services;
use crate::config::{self, Loaded};
use crate::finder::Finder;
use crate::machine;
use crate::status::SettingLine;
use crate::web::{self, PageState, Token, Visitors};
use history::History;
use logging::LocalTime;

/// Serves the page at an address until `stop` is cancelled, with the state and the readings of
/// `services`.
pub async fn serve_page(
    address: SocketAddr,
    loaded: &Loaded,
    services: &Services,
    stop: CancellationToken,
) {
    services.board.set_up(|setup| {
        setup.settings = loaded.settings.lines().map(SettingLine::from).collect();
    });
    let page_state = PageState {
        board: services.board.clone(),
        history: services.history.as_deref().map(History::reader),
        visitors: Visitors::Anybody,
        token: Token::default(),
        clock: LocalTime::now,
        setup: None,
        parameters_list: config::parameters_list,
        port_lines: config::serial_port_lines,
        finder: Finder::new(machine::root(), services.queues.clone()),
        changes: None,
        desk: services.desk.clone(),
    };
    web::run(watch::channel(Some(address)).1, page_state, stop).await;
}
