//! A stream of bytes to the meter and back.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes to the meter and back.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
