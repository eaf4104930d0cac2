//! The messages that a node with serial ports understands and sends (`api.proto`).

use std::io;

use prost::Message;

/// A message with its number.
pub(super) trait Api: Message + Default {
    const NUMBER: u32;
}

pub(super) fn decode<M: Api>(body: &[u8]) -> io::Result<M> {
    M::decode(body).map_err(io::Error::other)
}

macro_rules! messages {
    ($(
        $name:ident = $number:literal { $($(#[$kind:meta])+ $field:ident: $type:ty),* $(,)? }
    )+) => {
        $(
            #[derive(Clone, PartialEq, Message)]
            pub(super) struct $name { $($(#[$kind])+ pub(super) $field: $type),* }

            impl Api for $name {
                const NUMBER: u32 = $number;
            }
        )+
    };
}

messages! {
    HelloRequest = 1 {}
    HelloResponse = 2 {
        #[prost(uint32, tag = "1")] api_version_major: u32,
        #[prost(uint32, tag = "2")] api_version_minor: u32,
        #[prost(string, tag = "3")] server_info: String,
        #[prost(string, tag = "4")] name: String,
    }
    DisconnectRequest = 5 {}
    DisconnectResponse = 6 {}
    PingRequest = 7 {}
    PingResponse = 8 {}
    DeviceInfoRequest = 9 {}
    DeviceInfoResponse = 10 {
        #[prost(string, tag = "2")] name: String,
        #[prost(string, tag = "3")] mac_address: String,
        #[prost(string, tag = "4")] esphome_version: String,
        #[prost(message, repeated, tag = "25")] serial_proxies: Vec<SerialProxyInfo>,
    }
    SerialProxyConfigureRequest = 138 {
        #[prost(uint32, tag = "1")] instance: u32,
        #[prost(uint32, tag = "2")] baudrate: u32,
        #[prost(bool, tag = "3")] flow_control: bool,
        #[prost(uint32, tag = "4")] parity: u32,
        #[prost(uint32, tag = "5")] stop_bits: u32,
        #[prost(uint32, tag = "6")] data_size: u32,
    }
    SerialProxyDataReceived = 139 {
        #[prost(uint32, tag = "1")] instance: u32,
        #[prost(bytes = "vec", tag = "2")] data: Vec<u8>,
    }
    SerialProxyWriteRequest = 140 {
        #[prost(uint32, tag = "1")] instance: u32,
        #[prost(bytes = "vec", tag = "2")] data: Vec<u8>,
    }
    SerialProxySetModemPinsRequest = 141 {
        #[prost(uint32, tag = "1")] instance: u32,
        #[prost(uint32, tag = "2")] line_states: u32,
    }
    SerialProxyGetModemPinsRequest = 142 {
        #[prost(uint32, tag = "1")] instance: u32,
    }
    SerialProxyGetModemPinsResponse = 143 {
        #[prost(uint32, tag = "1")] instance: u32,
        #[prost(uint32, tag = "2")] line_states: u32,
    }
    SerialProxyRequest = 144 {
        #[prost(uint32, tag = "1")] instance: u32,
        #[prost(uint32, tag = "2")] kind: u32,
    }
    SerialProxyRequestResponse = 147 {
        #[prost(uint32, tag = "1")] instance: u32,
        #[prost(uint32, tag = "2")] kind: u32,
        #[prost(uint32, tag = "3")] status: u32,
    }
}

/// A serial port in the description of a node.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SerialProxyInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(uint32, tag = "2")]
    pub(super) port_type: u32,
}

/// The requests in a `SerialProxyRequest` and in the answers.
pub(super) const SUBSCRIBE: u32 = 0;
pub(super) const UNSUBSCRIBE: u32 = 1;
pub(super) const CONFIGURE: u32 = 3;
pub(super) const SET_MODEM_PINS: u32 = 4;

/// The status in an answer.
pub(super) const OK: u32 = 0;
pub(super) const PORT_IN_USE: u32 = 5;
