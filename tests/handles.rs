//! A port is opened and closed for every poll, for years. It must not leak file descriptors.
//!
//! This test binary has one test, because it counts the open files of its process.

#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]

use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;

use kmp::frame::START_FROM_METER;
use meter::transport::{Open, Port, SerialSettings, Stream};
use simulator::Simulator;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CYCLES: usize = 1_000;

fn handles() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn port(text: &str) -> Port {
    let endpoint = text.parse().unwrap();
    Port { endpoint, settings: SerialSettings::default(), answer_start: START_FROM_METER }
}

/// Repeats this, and counts the open files before and after.
async fn repeat(what: &str, cycle: impl AsyncFn()) {
    // The first cycle opens what stays open.
    cycle().await;
    let before = handles();
    for _ in 0..CYCLES {
        cycle().await;
    }
    assert_eq!(handles(), before, "{what}, {CYCLES} times");
}

/// Sends one byte each way.
async fn use_it(near: &mut dyn Stream, far: &mut (impl Stream + ?Sized)) {
    near.write_all(&[0x80]).await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), 0x80);
    far.write_all(&[0x40]).await.unwrap();
    assert_eq!(near.read_u8().await.unwrap(), 0x40);
}

/// Reads until the other end is closed.
async fn until_gone(near: &mut dyn Stream) {
    let mut rest = Vec::new();
    // A pseudo-terminal ends with an error, a connection with an end of file.
    let _ = near.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn a_thousand_openings_of_each_kind_leak_no_handle() {
    let (path, pty) = Simulator::open_pty().unwrap();
    let head = port(path.to_str().unwrap());
    let pty = tokio::sync::Mutex::new(pty);
    repeat("a port is opened and closed", async || {
        let mut near = head.open().await.unwrap();
        use_it(&mut near, &mut *pty.lock().await).await;
    })
    .await;

    let folder = TempDir::new().unwrap();
    let link = folder.path().join("head");
    repeat("a head is plugged in and unplugged while it is open", async || {
        let (path, mut pty) = Simulator::open_pty().unwrap();
        let _ = std::fs::remove_file(&link);
        symlink(path, &link).unwrap();
        let mut near = port(link.to_str().unwrap()).open().await.unwrap();
        use_it(&mut near, &mut pty).await;
        drop(pty);
        until_gone(&mut near).await;
        let gone = port(link.to_str().unwrap()).open().await;
        assert!(gone.is_err(), "the link leads nowhere");
    })
    .await;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = port(&format!("socket://{address}"));
    let connect = async || {
        let (near, far) = tokio::join!(server.open(), listener.accept());
        (near.unwrap(), far.unwrap().0)
    };
    repeat("a connection is made and closed", async || {
        let (mut near, mut far) = connect().await;
        use_it(&mut near, &mut far).await;
        drop(near);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
    repeat("a serial server goes away while it is read", async || {
        let (mut near, mut far) = connect().await;
        use_it(&mut near, &mut far).await;
        far.set_zero_linger().unwrap();
        drop(far);
        until_gone(&mut near).await;
    })
    .await;
    repeat("a serial server does not want the connection", async || {
        let (mut near, far) = connect().await;
        drop(far);
        until_gone(&mut near).await;
    })
    .await;

    drop(listener);
    for text in ["/dev/no-such-port", "/dev/null", &format!("socket://{address}")] {
        let port = port(text);
        repeat(&format!("{text} cannot be opened"), async || {
            let Err(error) = port.open().await else { panic!("{text} opened") };
            assert!(!error.to_string().is_empty());
        })
        .await;
    }
}
