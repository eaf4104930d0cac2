//! Finds out whether the program runs in a container. In a container, `localhost` is the container
//! itself, and names that end in `.local` usually have no address.

use std::ffi::OsString;
use std::fs;
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

/// Whether the container certainly has a network of its own, behind the machine that runs it, so that
/// this machine decides who can reach it. `root` is `/`, except in tests.
///
/// The engine gives such a container one end of a pair of interfaces (`veth`), or a `tun` that a
/// process serves. In the machine's network (`--network host`), there is an interface with a device,
/// or a bridge. With `macvlan` and `ipvlan`, the container is in the network around the machine; their
/// interfaces have a type (Linux, `Documentation/ABI/testing/sysfs-class-net`; `DEVTYPE` in
/// `drivers/net/macvlan.c` and `drivers/net/ipvlan/ipvlan_main.c`). A machine that is itself a container,
/// such as one of LXC, may also have nothing but the end of a pair.
#[must_use]
pub fn has_own_network(root: &Path) -> bool {
    let Ok(interfaces) = fs::read_dir(root.join("sys/class/net")) else { return false };
    let mut own = false;
    for interface in interfaces {
        let Ok(interface) = interface.map(|entry| entry.path()) else { return false };
        // A plain file there belongs to no interface: `bonding_masters`.
        if interface.ends_with("lo") || !interface.is_dir() {
            continue;
        }
        if !is_behind_the_machine(&interface) {
            return false;
        }
        own = true;
    }
    own
}

/// Whether the other end of an interface is outside of this network.
fn is_behind_the_machine(interface: &Path) -> bool {
    let text = |file| fs::read_to_string(interface.join(file)).unwrap_or_default();
    let number = |file| text(file).trim().parse::<u32>().ok();
    let has_type = text("uevent").lines().any(|line| line.starts_with("DEVTYPE="));
    let is_pair = number("iflink").is_some() && number("iflink") != number("ifindex");
    let is_tun = interface.join("tun_flags").exists();
    !interface.join("device").exists() && !has_type && (is_pair || is_tun)
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
        fs::write(folder.path().join(".dockerenv"), "").unwrap();
        assert!(with("HOME", "/root") && !with(VARIABLE, "false"));
    }

    /// Interfaces as in Linux 6.1: in Docker, in rootless Podman, and on machines.
    #[test]
    fn only_a_network_behind_the_machine_is_the_containers_own() {
        type Interface = (&'static str, &'static [(&'static str, &'static str)]);
        const LO: Interface = ("lo", &[("ifindex", "1"), ("iflink", "1")]);
        const VETH: Interface =
            ("eth0", &[("ifindex", "2"), ("iflink", "14"), ("uevent", "IFINDEX=2")]);
        const TAP: Interface =
            ("tap0", &[("ifindex", "2"), ("iflink", "2"), ("tun_flags", "0x1002")]);
        const CARD: Interface = ("eth0", &[("ifindex", "2"), ("iflink", "2"), ("device", "")]);
        const BRIDGE: Interface =
            ("docker0", &[("ifindex", "3"), ("iflink", "3"), ("uevent", "DEVTYPE=bridge\n")]);
        const MACVLAN: Interface =
            ("eth0", &[("ifindex", "5"), ("iflink", "2"), ("uevent", "DEVTYPE=macvlan\n")]);
        // Each network gets one once the module is loaded.
        const TUNNEL: Interface = ("tunl0", &[("ifindex", "3"), ("iflink", "0")]);
        let is_own = |interfaces: &[Interface]| {
            let root = tempfile::tempdir().unwrap();
            let class = root.path().join("sys/class/net");
            for (name, files) in interfaces {
                fs::create_dir_all(class.join(name)).unwrap();
                for (file, text) in *files {
                    fs::write(class.join(name).join(file), text).unwrap();
                }
            }
            if !interfaces.is_empty() {
                fs::write(class.join("bonding_masters"), "").unwrap();
            }
            has_own_network(root.path())
        };
        for own in [&[LO, VETH][..], &[LO, TAP], &[LO, VETH, TUNNEL]] {
            assert!(is_own(own), "{own:?}");
        }
        for other in
            [&[][..], &[LO], &[LO, CARD], &[LO, CARD, BRIDGE], &[LO, VETH, BRIDGE], &[LO, MACVLAN]]
        {
            assert!(!is_own(other), "{other:?}");
        }
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
