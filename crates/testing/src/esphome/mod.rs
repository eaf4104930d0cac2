//! An ESPHome node with serial ports, for tests.
//!
//! It behaves like ESPHome 2026.6.5 (`api_connection.cpp`, `serial_proxy.cpp`), or with a newer
//! [`Setup::api_minor`] like ESPHome 2026.9, which answers subscriptions. Its messages and frames are
//! written from `api.proto`, without the client of `kamstrup-meter`. `tests/python/esphome_node.py`
//! judges it with ESPHome's own client.

mod frames;
mod messages;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::frames::Frames;
use self::messages as api;
use self::messages::Api;

/// From this version of the API on, a node answers a subscription.
const ANSWERS_FROM: u32 = 16;

/// What a node is like.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The key of its API.
    pub key: Option<[u8; 32]>,
    /// The version of ESPHome.
    pub version: String,
    /// The major version of its API.
    pub api_major: u32,
    /// The minor version of its API.
    pub api_minor: u32,
    /// The modem lines for which it has a pin: 1 is RTS, 2 is DTR.
    pub pins: u32,
}

impl Default for Setup {
    /// ESPHome 2026.6.5, without encryption and pins.
    fn default() -> Self {
        Self { key: None, version: "2026.6.5".to_owned(), api_major: 1, api_minor: 14, pins: 0 }
    }
}

/// The settings of a line: baud, data bits, parity (0: none, 1: even, 2: odd), stop bits.
pub type LineSettings = (u32, u32, u32, u32);

/// What clients have done to a serial port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortState {
    /// The number of the connection that has subscribed.
    pub subscriber: Option<u64>,
    /// The settings of the line.
    pub settings: Option<LineSettings>,
    /// The modem lines that are raised.
    pub line_states: u32,
    /// How often the port was given back before the connection ended.
    pub given_back: u32,
}

/// A node. Clones are the same node.
#[derive(Debug, Clone)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    setup: Setup,
    /// Gets the far end of each serial port when a client subscribes to it.
    lines: Vec<mpsc::UnboundedSender<DuplexStream>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: u64,
    ports: Vec<PortState>,
}

impl Node {
    /// A node with one serial port for each of these lines.
    #[must_use]
    pub fn new(setup: Setup, lines: Vec<mpsc::UnboundedSender<DuplexStream>>) -> Self {
        let ports = vec![PortState::default(); lines.len()];
        let state = Mutex::new(State { connections: 0, ports });
        Self(Arc::new(Inner { setup, lines, state }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of each serial port.
    #[must_use]
    pub fn ports(&self) -> Vec<PortState> {
        self.state().ports.clone()
    }

    /// Serves all connections.
    pub async fn serve_tcp(&self, listener: TcpListener) -> io::Result<()> {
        let mut serving = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let node = self.clone();
            serving.spawn(async move { node.serve(stream).await });
        }
    }

    /// Serves one connection until it ends. It ends too if a line ends, as when a node restarts.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<()> {
        let number = {
            let state = &mut self.state();
            state.connections += 1;
            state.connections
        };
        let mut frames = Frames::new(stream);
        let served = match frames.handshake(self.0.setup.key.as_ref()).await {
            Ok(()) => {
                Client { node: self, number, line: None, is_over: false }.run(&mut frames).await
            }
            failed => failed,
        };
        for port in &mut self.state().ports {
            port.subscriber = port.subscriber.filter(|subscriber| *subscriber != number);
        }
        served
    }
}

/// A connection to a client.
struct Client<'a> {
    node: &'a Node,
    number: u64,
    /// The port to which it has subscribed, and its line.
    line: Option<(u32, DuplexStream)>,
    is_over: bool,
}

/// Reads a line, or waits forever if there is none.
async fn read(
    line: &mut Option<(u32, DuplexStream)>,
    buffer: &mut [u8],
) -> io::Result<(u32, usize)> {
    match line {
        Some((instance, line)) => Ok((*instance, line.read(buffer).await?)),
        None => std::future::pending().await,
    }
}

impl Client<'_> {
    async fn run<S>(mut self, frames: &mut Frames<S>) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // As much as ESPHome sends at once.
        let mut buffer = [0; 256];
        loop {
            while let Some((number, body)) = frames.take()? {
                self.handle(frames, number, &body).await?;
            }
            if self.is_over {
                return Ok(());
            }
            tokio::select! {
                biased;
                received = frames.fill() => received?,
                read = read(&mut self.line, &mut buffer) => {
                    let (instance, count) = read?;
                    if count == 0 {
                        return Ok(());
                    }
                    let data = buffer.get(..count).unwrap_or_default().to_vec();
                    frames.send(&api::SerialProxyDataReceived { instance, data }).await?;
                }
            }
        }
    }

    async fn handle<S>(
        &mut self,
        frames: &mut Frames<S>,
        number: u32,
        body: &[u8],
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let setup = &self.node.0.setup;
        match number {
            api::HelloRequest::NUMBER => {
                frames
                    .send(&api::HelloResponse {
                        api_version_major: setup.api_major,
                        api_version_minor: setup.api_minor,
                        server_info: format!("head (esphome v{})", setup.version),
                        name: "head".to_owned(),
                    })
                    .await
            }
            api::DeviceInfoRequest::NUMBER => {
                let info =
                    |number| api::SerialProxyInfo { name: format!("Port {number}"), port_type: 0 };
                frames
                    .send(&api::DeviceInfoResponse {
                        name: "head".to_owned(),
                        mac_address: "06:35:69:AB:F6:79".to_owned(),
                        esphome_version: setup.version.clone(),
                        serial_proxies: (0..self.node.0.lines.len()).map(info).collect(),
                    })
                    .await
            }
            api::PingRequest::NUMBER => frames.send(&api::PingResponse {}).await,
            api::DisconnectRequest::NUMBER => {
                self.is_over = true;
                frames.send(&api::DisconnectResponse {}).await
            }
            api::SerialProxyRequest::NUMBER => self.request(frames, &api::decode(body)?).await,
            api::SerialProxyWriteRequest::NUMBER => {
                let write: api::SerialProxyWriteRequest = api::decode(body)?;
                match &mut self.line {
                    Some((instance, line)) if *instance == write.instance => {
                        line.write_all(&write.data).await
                    }
                    _ => Ok(()),
                }
            }
            api::SerialProxyConfigureRequest::NUMBER => {
                let set: api::SerialProxyConfigureRequest = api::decode(body)?;
                self.with(set.instance, |port| {
                    port.settings = Some((set.baudrate, set.data_size, set.parity, set.stop_bits));
                });
                self.answer(frames, set.instance, api::CONFIGURE, api::OK).await
            }
            api::SerialProxySetModemPinsRequest::NUMBER => {
                let set: api::SerialProxySetModemPinsRequest = api::decode(body)?;
                let pins = setup.pins;
                self.with(set.instance, |port| port.line_states = set.line_states & pins);
                self.answer(frames, set.instance, api::SET_MODEM_PINS, api::OK).await
            }
            api::SerialProxyGetModemPinsRequest::NUMBER => {
                let get: api::SerialProxyGetModemPinsRequest = api::decode(body)?;
                let states = self.with(get.instance, |port| port.line_states);
                let Some(line_states) = states else { return Ok(()) };
                let instance = get.instance;
                frames.send(&api::SerialProxyGetModemPinsResponse { instance, line_states }).await
            }
            _ => Ok(()),
        }
    }

    /// Does something with a port, if there is one with this number.
    fn with<T>(&self, instance: u32, act: impl FnOnce(&mut PortState) -> T) -> Option<T> {
        let index = usize::try_from(instance).ok()?;
        self.node.state().ports.get_mut(index).map(act)
    }

    async fn request<S>(
        &mut self,
        frames: &mut Frames<S>,
        request: &api::SerialProxyRequest,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (instance, number) = (request.instance, self.number);
        match request.kind {
            api::SUBSCRIBE => {
                let is_free = self.with(instance, |port| {
                    let is_free = port.subscriber.is_none();
                    port.subscriber.get_or_insert(number);
                    is_free
                });
                let status = match is_free {
                    Some(true) => {
                        let (near, far) = duplex(4096);
                        let lines = usize::try_from(instance).ok();
                        let line = lines.and_then(|index| self.node.0.lines.get(index));
                        if let Some(line) = line {
                            line.send(far).map_err(io::Error::other)?;
                        }
                        self.line = Some((instance, near));
                        api::OK
                    }
                    Some(false) => api::PORT_IN_USE,
                    // As in ESPHome, only the log says so.
                    None => return Ok(()),
                };
                self.answer(frames, instance, api::SUBSCRIBE, status).await
            }
            api::UNSUBSCRIBE => {
                self.with(instance, |port| {
                    if port.subscriber == Some(number) {
                        port.subscriber = None;
                        port.given_back += 1;
                    }
                });
                self.line = None;
                self.answer(frames, instance, api::UNSUBSCRIBE, api::OK).await
            }
            kind => {
                let status = api::OK;
                frames.send(&api::SerialProxyRequestResponse { instance, kind, status }).await
            }
        }
    }

    /// Answers a request that older nodes do not answer.
    async fn answer<S>(
        &self,
        frames: &mut Frames<S>,
        instance: u32,
        kind: u32,
        status: u32,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.node.0.setup.api_minor < ANSWERS_FROM {
            return Ok(());
        }
        frames.send(&api::SerialProxyRequestResponse { instance, kind, status }).await
    }
}
