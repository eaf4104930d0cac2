//! The tasks beside those that read meters, with their names.

use std::collections::HashMap;

use tokio::task::{Id, JoinError, JoinSet};

/// Tasks that run until the program stops.
#[derive(Debug, Default)]
pub(super) struct Links {
    tasks: JoinSet<()>,
    parts: HashMap<Id, &'static str>,
}

impl Links {
    /// Starts a task. `part` names it in the error if it ends unexpectedly.
    pub(super) fn start(
        &mut self,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.parts.insert(self.tasks.spawn(task).id(), part);
    }

    /// Waits until a task ends, and returns its name; `None` if there is none.
    pub(super) async fn next_ended(&mut self) -> Option<(&'static str, Result<(), JoinError>)> {
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, ())) => (id, Ok(())),
            Err(error) => (error.id(), Err(error)),
        };
        Some((self.parts.remove(&id).unwrap_or_default(), ended))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// A panic while gaps were filled was blamed on the connection to the broker.
    #[tokio::test]
    async fn a_task_that_ends_has_its_own_name() {
        let mut links = Links::default();
        links.start("the connection to the broker", pending());
        links.start("the filling of gaps", async { panic!("a test") });
        links.start("the rest", async {});
        let mut ended = Vec::new();
        for _ in 0..2 {
            let (part, result) = links.next_ended().await.unwrap();
            ended.push((part, result.is_ok()));
        }
        ended.sort_unstable();
        assert_eq!(ended, [("the filling of gaps", false), ("the rest", true)]);
    }
}
