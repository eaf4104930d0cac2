//! The connection to Home Assistant.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use home_assistant::Server;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::ApiAddress;
use crate::tls;
use meter::{cause, hosts};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum Unreachable {
    #[error("{0}")]
    Host(#[from] hosts::HostError),
    #[error("{}", cause::of_connection(.0))]
    Refused(#[from] io::Error),
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
    #[error("this system has no list of trusted certificates")]
    NoRoots,
    #[error("`{0}` is no name that a certificate can have")]
    Name(String),
}

/// What the request asks for.
#[must_use]
pub(super) fn server(address: &ApiAddress) -> Server {
    let host = format!("{}:{}", address.host(), address.port());
    Server { host, path: address.path().to_owned() }
}

/// Opens a connection.
pub(super) async fn open(address: &ApiAddress) -> Result<Stream, Unreachable> {
    timeout(PATIENCE, connect(address)).await.unwrap_or(Err(Unreachable::Slow(PATIENCE)))
}

async fn connect(address: &ApiAddress) -> Result<Stream, Unreachable> {
    let host = tls::without_brackets(address.host());
    let addresses = hosts::look_up(host, address.port()).await?;
    let stream = TcpStream::connect(addresses.as_slice()).await?;
    stream.set_nodelay(true)?;
    if !address.is_encrypted() {
        return Ok(Stream::Plain(stream));
    }
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| Unreachable::Name(host.to_owned()))?;
    let files = || {
        let lowest = tls::Version::V1_2;
        tls::Files { ca: None, client: None, insecure: false, lowest }.read()
    };
    let ready = tokio::task::spawn_blocking(files).await.map_err(io::Error::other)?;
    let config = ready.map_err(|_| Unreachable::NoRoots)?.config();
    let encrypted = TlsConnector::from(Arc::clone(&config)).connect(name, stream).await?;
    Ok(Stream::Encrypted(Box::new(encrypted)))
}

/// A connection, encrypted or not.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
