//! The loop that publishes. It compares the desired state with the messages sent in this connection
//! and sends the difference.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::AsyncClient;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::connection_loop::ACKNOWLEDGED_WITHIN;
use super::desired::Desired;
use super::diff::Sent;
use super::link::Link;
use super::subscriptions::Filters;
use crate::payload::Message;

/// For this time after a connect, no message that may be retained is replaced. Some brokers send
/// retained messages only after they have handled the next messages that they receive.
const HEARD: Duration = Duration::from_millis(500);

/// How long retained messages are examined after the first connect.
const SURVEY: Duration = Duration::from_secs(10);

/// Publishes the desired state: all of it after each connect, then each change. Ends when `stop` is
/// cancelled.
pub(super) async fn publish(
    link: &Link,
    client: AsyncClient,
    mut desired: watch::Receiver<Desired>,
    online: Message,
    stop: CancellationToken,
) {
    let mut connection = link.connection();
    let mut number = None;
    let mut sent = Sent::default();
    let mut filters = Filters::default();
    let mut survey_ends = None;
    // Topics whose removal was due and could not be sent.
    let mut not_cleared = BTreeSet::new();
    'connection: loop {
        let current = *connection.borrow_and_update();
        let mut next = None;
        if current.is_some() {
            if number != current {
                number = current;
                filters.forget();
                let surveys = filters.are_to_be_surveyed(&desired.borrow().subscriptions);
                not_cleared.extend(link.take_not_cleared());
                let not_before = surveys.then(|| Instant::now() + HEARD);
                sent.connected(not_before, std::mem::take(&mut not_cleared));
            }
            if survey_ends.is_some_and(|at| at <= Instant::now()) {
                filters.are_surveyed(&desired.borrow().subscriptions);
                survey_ends = None;
            }
            // This comes first, so that retained messages are seen before they are replaced.
            let subscriptions = Arc::clone(&desired.borrow().subscriptions);
            if filters.adjust(link, &client, subscriptions).await {
                survey_ends = Some(Instant::now() + SURVEY);
            }
            // What waits for a broker that does not acknowledge grows old. So no more is added: the
            // values of later polls replace each other in the desired state.
            let _ = timeout(ACKNOWLEDGED_WITHIN, link.has_sent_all()).await;
            if *connection.borrow() != current {
                continue;
            }
            let is_stopping = stop.is_cancelled();
            let due = sent.diff(&online, &desired.borrow_and_update(), is_stopping);
            for (index, message) in due.messages.iter().enumerate() {
                tokio::select! {
                    biased;
                    // The rest is sent after the next connect.
                    _ = connection.changed() => {
                        let rest = due.messages.iter().skip(index);
                        let empty = rest.filter(|message| message.payload.is_empty());
                        not_cleared.extend(empty.map(|message| message.topic.clone()));
                        continue 'connection;
                    }
                    () = link.send(&client, message) => {}
                }
            }
            if is_stopping {
                return;
            }
            next = due.next.into_iter().chain(survey_ends).min();
        }
        tokio::select! {
            biased;
            _ = connection.changed() => {}
            // This comes before `stop`, so that the values of the last poll are still published.
            Ok(()) = desired.changed(), if current.is_some() => {}
            () = stop.cancelled() => if current.is_none() { return },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}
