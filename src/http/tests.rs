use reqwest::header::AUTHORIZATION;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn url(listener: &TcpListener, path: &str) -> Url {
    format!("http://{}{path}", listener.local_addr().unwrap()).parse().unwrap()
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
    }
    String::from_utf8(asked).unwrap()
}

/// A server that gives this answer to the first client, and the request that it received.
async fn says(answer: &'static [u8]) -> (Url, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(&listener, "/services/mqtt");
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = read_request(&mut stream).await;
        // A client that has read enough has disconnected.
        let _ = stream.write_all(answer).await;
        asked
    });
    (url, asked)
}

#[tokio::test]
async fn a_request_has_the_token_and_the_answer_is_unchanged() {
    let (url, asked) =
        says(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}").await;
    let token = Secret::new("hunter2");
    let answer = get(url.clone(), Some(&token), PATIENCE).await.unwrap();
    assert_eq!(answer, Answer { status: 400, is_json: true, body: b"{}".to_vec() });
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("GET /services/mqtt HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer hunter2\r\n"), "{asked}");
    assert!(asked.contains("connection: close\r\n"), "{asked}");
    let host = format!("host: 127.0.0.1:{}\r\n", url.port().unwrap());
    assert!(asked.contains(&host), "{asked}");
}

#[test]
fn the_token_is_marked_as_secret() {
    let url: Url = "http://supervisor".parse().unwrap();
    let request = request(url.clone(), Some(&Secret::new("hunter2")), PATIENCE).unwrap();
    let request = request.build().unwrap();
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
    assert!(!format!("{request:?}").contains("hunter2"));
}

/// It may have been copied with its line break. Even then it must stay secret.
#[tokio::test]
async fn a_token_that_is_invalid_in_a_header_is_not_shown() {
    let url = "http://127.0.0.1".parse().unwrap();
    let error = get(url, Some(&Secret::new("hunter2\n")), PATIENCE).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let moved = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        url(&elsewhere, "/")
    );
    let (url, _asked) = says(moved.leak().as_bytes()).await;
    let answer = get(url, Some(&Secret::new("hunter2")), PATIENCE).await.unwrap();
    assert_eq!(answer.status, 307);
    let nobody = tokio::time::timeout(Duration::ZERO, elsewhere.accept()).await;
    assert!(nobody.is_err(), "the redirect was followed");
}

#[tokio::test]
async fn an_invalid_or_incomplete_answer_is_an_error() {
    let error = async |answer| {
        let (url, _asked) = says(answer).await;
        get(url, None, PATIENCE).await.unwrap_err()
    };
    assert!(matches!(error(b"SSH-2.0-OpenSSH_9.2\r\n").await, HttpError::Broken(_)));
    assert!(matches!(error(b"").await, HttpError::Broken(_)));
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}";
    assert!(matches!(error(half).await, HttpError::Broken(_)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = url(&listener, "/");
    drop(listener);
    let refused = get(nowhere, None, PATIENCE).await.unwrap_err();
    let HttpError::Connect(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

/// No name server is asked, because a part of a name has at most 63 letters.
#[tokio::test]
async fn a_name_without_an_address_is_reported() {
    let nowhere = format!("http://{}.invalid", "x".repeat(64)).parse().unwrap();
    let error = get(nowhere, None, PATIENCE).await.unwrap_err();
    let HttpError::Connect(error) = error else { panic!("{error}") };
    assert!(error.to_string().contains("lookup"), "{error}");
}

/// Whether or not it declares its length.
#[tokio::test]
async fn an_answer_is_bounded_in_size() {
    for (head, length, is_accepted) in [
        ("Content-Length: 65536\r\n", 65536, true),
        ("Content-Length: 65537\r\n", 65537, false),
        ("", 65536, true),
        ("", 1_000_000, false),
    ] {
        let mut answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
        answer.resize(answer.len() + length, b' ');
        let (url, _asked) = says(answer.leak()).await;
        let answer = get(url, None, PATIENCE).await;
        match answer {
            Ok(answer) => assert!(is_accepted && answer.body.len() == length, "{head}{length}"),
            Err(HttpError::TooLong(_)) => assert!(!is_accepted, "{head}{length}"),
            Err(error) => panic!("{head}{length}: {error}"),
        }
    }
}

/// Whether the server is silent or its answer never ends.
#[tokio::test]
async fn an_answer_is_bounded_in_time() {
    const SOON: Duration = Duration::from_millis(50);
    for head in ["", "HTTP/1.1 200 OK\r\n\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url(&listener, "/");
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if !head.is_empty() {
                    let _ = stream.write_all(b" ").await;
                }
            }
        };
        let slow = tokio::select! {
            answer = get(url, None, SOON) => answer.unwrap_err(),
            () = serving => unreachable!(),
        };
        assert!(matches!(slow, HttpError::Slow(SOON)), "{slow}");
    }
}

#[tokio::test]
async fn dropping_a_request_closes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(&listener, "/");
    let (stop, stopped) = oneshot::channel::<()>();
    let asking = tokio::spawn(async move {
        tokio::select! {
            answer = get(url, None, PATIENCE) => panic!("{answer:?}"),
            _ = stopped => {}
        }
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    read_request(&mut stream).await;
    stop.send(()).unwrap();
    asking.await.unwrap();
    let end = tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap();
    assert!(end.is_err(), "{end:?}");
}
