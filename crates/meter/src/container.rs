//! Whether the program runs in a container. There, `localhost` is the container itself, and names
//! that end in `.local` usually have no address.

use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

use crate::RunsAs;

/// Overrides what is found. Our images set it, because containerd leaves no other trace.
pub const VARIABLE: &str = "KAMSTRUP2MQTT_CONTAINER";

/// Whether the program runs in a container. This is looked up once.
#[must_use]
pub fn is_container() -> bool {
    static IS_CONTAINER: OnceLock<bool> = OnceLock::new();
    *IS_CONTAINER.get_or_init(|| detect(Path::new("/"), |name| std::env::var_os(name)))
}

/// The same for a program that runs like this. An app always runs in a container.
#[must_use]
pub fn is_in(runs_as: RunsAs) -> bool {
    runs_as == RunsAs::AddOn || is_container()
}

/// Docker and Podman each leave a file. Podman and systemd set `container`, Kubernetes sets the
/// address of its API.
fn detect(root: &Path, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    if let Some(value) = variable(VARIABLE).filter(|value| !value.is_empty()) {
        return value != "false";
    }
    [".dockerenv", "run/.containerenv"].iter().any(|file| root.join(file).exists())
        || ["container", "KUBERNETES_SERVICE_HOST"].into_iter().any(is_set)
}

/// Whether a host is this machine, or this container.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    let name = host.to_ascii_lowercase();
    let is_name = name == "localhost"
        || name.ends_with(".localhost")
        || matches!(&*name, "localhost.localdomain" | "ip6-localhost" | "ip6-loopback");
    // A connection to `0.0.0.0` or `::` leads to this machine.
    let leads_back = |ip: std::net::IpAddr| ip.is_loopback() || ip.is_unspecified();
    is_name || host.parse().is_ok_and(|ip: std::net::IpAddr| leads_back(ip.to_canonical()))
}

/// Whether a name is one that only multicast DNS knows, which most containers lack.
#[must_use]
pub fn is_multicast_name(host: &str) -> bool {
    host.trim_end_matches('.').to_ascii_lowercase().ends_with(".local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_container_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let with = |name: &'static str, value: &'static str| {
            detect(folder.path(), move |asked| (asked == name).then(|| value.into()))
        };
        assert!(!with("HOME", "/root"));
        assert!(with("container", "podman") && with("KUBERNETES_SERVICE_HOST", "10.0.0.1"));
        assert!(with(VARIABLE, "true") && !with(VARIABLE, "false") && !with("container", ""));
        std::fs::write(folder.path().join(".dockerenv"), "").unwrap();
        assert!(with("HOME", "/root") && !with(VARIABLE, "false"));
    }

    #[test]
    fn hosts_that_lead_back_are_recognized() {
        for host in [
            "localhost",
            "LocalHost",
            "localhost.",
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
            "[::]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["mosquitto", "192.168.1.10", "localhost.example.org", "10.127.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
        assert!(
            is_multicast_name("homeassistant.local") && !is_multicast_name("local.example.org")
        );
    }
}
