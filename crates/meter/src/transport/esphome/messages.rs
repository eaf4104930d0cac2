//! The messages of ESPHome's API that a serial port needs.
//!
//! Names, numbers and fields are those of `api.proto` in ESPHome 2026.6. Fields that are not used
//! are left out, because a parser of protobuf skips unknown ones.

use prost::Message;

/// A message with its number.
pub(super) trait Api: Message + Default {
    const NUMBER: u32;
}

macro_rules! numbered {
    ($($message:ident = $number:literal),+ $(,)?) => {
        $(impl Api for $message { const NUMBER: u32 = $number; })+
    };
}

numbered! {
    HelloRequest = 1,
    HelloResponse = 2,
    DisconnectRequest = 5,
    DisconnectResponse = 6,
    PingRequest = 7,
    PingResponse = 8,
    DeviceInfoRequest = 9,
    DeviceInfoResponse = 10,
    SerialProxyConfigureRequest = 138,
    SerialProxyDataReceived = 139,
    SerialProxyWriteRequest = 140,
    SerialProxySetModemPinsRequest = 141,
    SerialProxyGetModemPinsRequest = 142,
    SerialProxyGetModemPinsResponse = 143,
    SerialProxyRequest = 144,
    SerialProxyRequestResponse = 147,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HelloRequest {
    #[prost(string, tag = "1")]
    pub(super) client_info: String,
    #[prost(uint32, tag = "2")]
    pub(super) api_version_major: u32,
    #[prost(uint32, tag = "3")]
    pub(super) api_version_minor: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HelloResponse {
    #[prost(uint32, tag = "1")]
    pub(super) api_version_major: u32,
    #[prost(uint32, tag = "2")]
    pub(super) api_version_minor: u32,
    /// Like `head (esphome v2026.6.5)`.
    #[prost(string, tag = "3")]
    pub(super) server_info: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct DisconnectRequest {}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct DisconnectResponse {}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct PingRequest {}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct PingResponse {}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct DeviceInfoRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeviceInfoResponse {
    /// The version of ESPHome, like `2026.6.5`.
    #[prost(string, tag = "4")]
    pub(super) esphome_version: String,
    #[prost(message, repeated, tag = "25")]
    pub(super) serial_proxies: Vec<SerialProxyInfo>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SerialProxyInfo {}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SerialProxyConfigureRequest {
    #[prost(uint32, tag = "1")]
    pub(super) instance: u32,
    #[prost(uint32, tag = "2")]
    pub(super) baudrate: u32,
    /// 0: none, 1: even, 2: odd.
    #[prost(uint32, tag = "4")]
    pub(super) parity: u32,
    #[prost(uint32, tag = "5")]
    pub(super) stop_bits: u32,
    #[prost(uint32, tag = "6")]
    pub(super) data_size: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SerialProxyDataReceived {
    #[prost(uint32, tag = "1")]
    pub(super) instance: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SerialProxyWriteRequest {
    #[prost(uint32, tag = "1")]
    pub(super) instance: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) data: Vec<u8>,
}

/// The bit of a modem line in `line_states`.
pub(super) const RTS: u32 = 1;
/// The same.
pub(super) const DTR: u32 = 2;

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SerialProxySetModemPinsRequest {
    #[prost(uint32, tag = "1")]
    pub(super) instance: u32,
    #[prost(uint32, tag = "2")]
    pub(super) line_states: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SerialProxyGetModemPinsRequest {
    #[prost(uint32, tag = "1")]
    pub(super) instance: u32,
}

/// The states of the pins that the node has. Pins that it does not have are never raised.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SerialProxyGetModemPinsResponse {
    #[prost(uint32, tag = "1")]
    pub(super) instance: u32,
    #[prost(uint32, tag = "2")]
    pub(super) line_states: u32,
}

/// The types of a [`SerialProxyRequest`].
pub(super) const SUBSCRIBE: u32 = 0;
/// The same.
pub(super) const UNSUBSCRIBE: u32 = 1;

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SerialProxyRequest {
    #[prost(uint32, tag = "1")]
    pub(super) instance: u32,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
}

/// The status of a request that succeeded.
pub(super) const OK: u32 = 0;
/// The same, as far as the node knows.
pub(super) const ASSUMED_SUCCESS: u32 = 1;
/// Another client has the port (ESPHome 2026.9).
pub(super) const PORT_IN_USE: u32 = 5;

#[derive(Clone, PartialEq, Message)]
pub(super) struct SerialProxyRequestResponse {
    #[prost(uint32, tag = "1")]
    pub(super) instance: u32,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
    #[prost(uint32, tag = "3")]
    pub(super) status: u32,
    #[prost(string, tag = "4")]
    pub(super) error_message: String,
}
