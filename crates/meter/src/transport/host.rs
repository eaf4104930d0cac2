//! Hosts in addresses.

/// The host and the port of `host:port`, `host` or `[::1]:port`; the host without brackets.
pub(super) fn host_and_port(server: &str) -> Option<(String, Option<&str>)> {
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (server, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    // An IPv6 address may have a zone: `fe80::1%eth0`.
    let is_address = |c: char| is_host(c) || ":%".contains(c);
    let is_valid = match bracketed {
        Some(inner) => !inner.is_empty() && inner.chars().all(is_address),
        None => !host.is_empty() && host.chars().all(is_host),
    };
    is_valid.then(|| (bracketed.unwrap_or(host).to_owned(), port))
}
