//! Where this machine's devices are described.

use std::path::PathBuf;

/// The variable that sets another root of `/sys`, `/dev` and `/proc` for the list of serial ports,
/// for tests.
const ROOT_VARIABLE: &str = "KAMSTRUP2MQTT_ROOT";

/// The root of `/sys`, `/dev` and `/proc`.
pub(crate) fn root() -> PathBuf {
    std::env::var_os(ROOT_VARIABLE).map_or_else(|| PathBuf::from("/"), PathBuf::from)
}
