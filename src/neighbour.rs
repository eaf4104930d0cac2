//! Notices another kamstrup2mqtt on this machine that publishes under the same topic. Two programs
//! for two meters need settings of their own.
//!
//! The broker shows when two programs have the same client id (`mqtt::endings`), or the same ids
//! under different topics (`discovery::ownership`). It does not show when two programs publish
//! under the same topic, because neither can distinguish the other's messages from its own.
//!
//! So each program binds a socket whose name is made of the broker and the topic. If the name is in
//! use, another program publishes there. The name is abstract (`unix(7)`): it is no file, needs no
//! permission, and ends with the process.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::{debug, warn};

/// What to do if two programs are in each other's way, without the last full stop.
macro_rules! advice {
    () => {
        "If both read the same meter, stop one of the two. To read another meter, add it to `meters` of \
         the first program. Or give the second one its own `mqtt.client`, `mqtt.topic`, \
         `mqtt.device_id`, `homeassistant.id_prefix` and `web.listen`, and the variable \
         `STATE_DIRECTORY` with its own folder for readings"
    };
}
pub(crate) use advice;

/// This program's use of a topic. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    _socket: Option<UnixDatagram>,
}

/// Claims a topic at a broker (`host:port`). Logs it if another program on this machine uses it.
pub(crate) fn claim(broker: &str, topic: &str) -> Claim {
    let socket = bind(broker, topic);
    if let Err(error) = &socket {
        if error.kind() == io::ErrorKind::AddrInUse {
            warn!(
                "Another kamstrup2mqtt on this machine publishes to the broker {broker} under \
                 `mqtt.topic` `{topic}` too. Each overwrites the values of the other. {}.",
                advice!()
            );
        } else {
            debug!("Cannot find out whether another program uses the same topic: {error}.");
        }
    }
    Claim { _socket: socket.ok() }
}

fn bind(broker: &str, topic: &str) -> io::Result<UnixDatagram> {
    // A topic may be longer than the name of a socket.
    let mut hasher = DefaultHasher::new();
    (broker, topic).hash(&mut hasher);
    let name = format!("kamstrup2mqtt/{:016x}", hasher.finish());
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use logging::capture;

    #[test]
    fn a_topic_that_is_used_twice_is_reported() {
        let (log, _logging) = capture::lines();
        let broker = format!("broker-{}:1883", std::process::id());
        let first = claim(&broker, "kamstrup");
        let _another = claim(&broker, "heat");
        let _elsewhere = claim("broker:1884", "kamstrup");
        assert_eq!(log.take(), Vec::<String>::new());
        let _second = claim(&broker, "kamstrup");
        let said = log.take().join("\n");
        for words in ["WARN", &broker, "`mqtt.topic` `kamstrup`", "`web.listen`", "STATE_DIRECTORY"]
        {
            assert!(said.contains(words), "{said}");
        }
        drop(first);
        drop(claim(&broker, "kamstrup"));
        assert_eq!(log.take(), Vec::<String>::new());
    }
}
