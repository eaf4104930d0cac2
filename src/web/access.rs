//! Who is allowed to open the page and to press its buttons. The page shows how a house is heated, and
//! its buttons send requests to a meter.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Uri};

use super::response::HttpRefusal;
use meter::RunsAs;

/// Sends the requests of Home Assistant's users, who have logged in there.
const HOME_ASSISTANT: Ipv4Addr = Ipv4Addr::new(172, 30, 32, 2);

/// Who may open the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visitors {
    /// Home Assistant and this machine. All other apps (add-ons) can reach the page too.
    HomeAssistant,
    /// Anybody who can reach the address on which it listens.
    Anybody,
}

impl Visitors {
    /// Whether this address may send requests at all.
    pub(super) fn admit(self, peer: IpAddr) -> bool {
        match self {
            Self::HomeAssistant => peer.is_loopback() || peer == IpAddr::V4(HOME_ASSISTANT),
            Self::Anybody => true,
        }
    }

    /// Only the page of an app (add-on) is for Home Assistant alone.
    pub(super) fn runs_as(self) -> RunsAs {
        match self {
            Self::HomeAssistant => RunsAs::AddOn,
            Self::Anybody => RunsAs::Program,
        }
    }
}

const OTHER_NAME: HttpRefusal = HttpRefusal(
    StatusCode::MISDIRECTED_REQUEST,
    Cow::Borrowed(
        "This page is not available under that name. Use this machine's address (like \
         http://192.168.1.5:8099) or its name in your network.\n",
    ),
);

const OTHER_SITE: HttpRefusal = HttpRefusal(
    StatusCode::FORBIDDEN,
    Cow::Borrowed("Only the page itself may send this request.\n"),
);

/// Whether a request is answered, from an address that was admitted.
pub(super) fn check(
    visitors: Visitors,
    peer: IpAddr,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), HttpRefusal> {
    // Home Assistant sends its own name as the host, and has checked its users.
    let behind_home_assistant =
        visitors == Visitors::HomeAssistant && peer == IpAddr::V4(HOME_ASSISTANT);
    if !behind_home_assistant && !has_near_host(headers) {
        return Err(OTHER_NAME);
    }
    if matches!(*method, Method::GET | Method::HEAD) || is_same_site(headers) {
        Ok(())
    } else {
        Err(OTHER_SITE)
    }
}

/// Whether a page of this server sent the request.
///
/// Browsers send `Sec-Fetch-Site`, but only over TLS or on the same machine. Otherwise the `Origin` must
/// be the host. Behind Home Assistant, that is the name under which the user sees it.
fn is_same_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(headers, ORIGIN.as_str()).and_then(|origin| origin.parse::<Uri>().ok())
    else {
        return false;
    };
    let Some(origin) = origin.authority() else { return false };
    let here = [HOST.as_str(), "x-forwarded-host"];
    here.iter().any(|name| {
        text(headers, name).is_some_and(|host| origin.as_str().eq_ignore_ascii_case(host))
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the header `Host` is near. Programs that speak HTTP/1.0 may omit it; browsers never do.
fn has_near_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => true,
        (Some(host), None) => host.to_str().is_ok_and(is_near),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a host is an address, or a name that public name servers do not have. The owner of any
/// other name could point it here, whose pages could then read this one in the browser of somebody
/// in the house (DNS rebinding).
fn is_near(host: &str) -> bool {
    const NEAR: [&str; 6] = ["localhost", "local", "lan", "home", "internal", "home.arpa"];
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if !port.is_none_or(is_port) || !name.split('.').all(is_label) {
        return false;
    }
    if name.parse::<IpAddr>().is_ok() {
        return true;
    }
    let is_under = |near: &str| name.strip_suffix(near).is_some_and(|rest| rest.ends_with('.'));
    !name.contains('.') || NEAR.iter().any(|near| is_under(near))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Whether a text can be a part of a name. Containers may have `_` in theirs.
fn is_label(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const INGRESS: IpAddr = IpAddr::V4(HOME_ASSISTANT);

    fn asked(
        visitors: Visitors,
        peer: IpAddr,
        method: &Method,
        headers: &[(&'static str, &'static str)],
    ) -> u16 {
        let value = |(name, text): &(&'static str, &'static str)| {
            (name.parse().unwrap(), HeaderValue::from_static(text))
        };
        let headers = headers.iter().map(value).collect();
        check(visitors, peer, method, &headers).map_or_else(|refusal| refusal.0.as_u16(), |()| 200)
    }

    #[test]
    fn home_assistant_and_this_machine_are_admitted() {
        let allowed = ["172.30.32.2", "127.0.0.1", "127.3.2.1", "::1"];
        let others = ["172.30.32.1", "172.30.33.2", "192.168.1.2", "10.0.0.1", "fe80::1", "::"];
        let admit = |peer: &&str| Visitors::HomeAssistant.admit(peer.parse().unwrap());
        assert!(allowed.iter().all(admit));
        assert!(!others.iter().any(admit));
        assert!(Visitors::Anybody.admit("192.168.1.2".parse().unwrap()));
    }

    #[test]
    fn only_addresses_and_local_names_are_answered() {
        let near = [
            "127.0.0.1:8099",
            "192.168.1.5",
            "[::1]:8099",
            "[fe80::1]",
            "localhost:8099",
            "LOCALHOST",
            "pi",
            "pi:8099",
            "pi.local",
            "Pi.Local.:8099",
            "meter.pi.home.arpa",
            "a.localhost",
        ];
        let far = [
            "evil.example:8099",
            "fritz.box",
            "local.evil",
            "127.0.0.1.evil",
            "",
            ".",
            ":8099",
            "[evil]",
            "[::1]x",
            "[::1]:",
            "[::1",
            "[127.0.0.1]",
            "evil.com#.local",
            "evil.com/.local",
            "evil.com\\.local",
            "me@evil.local",
            "evil.com .local",
            "evil..local",
            "pi.local..",
            "pi:",
            "pi:80x",
            "pi:+80",
            "pi:65536",
            "127.0.0.1:8099:1",
            "zähler.local",
        ];
        for host in near {
            assert!(is_near(host), "{host}");
        }
        for host in far {
            assert!(!is_near(host), "{host}");
        }
        let get = |visitors, peer, host| asked(visitors, peer, &Method::GET, &[("host", host)]);
        assert_eq!(get(Visitors::Anybody, HERE, "evil.example"), 421);
        assert_eq!(get(Visitors::HomeAssistant, HERE, "evil.example"), 421);
        assert_eq!(get(Visitors::Anybody, INGRESS, "evil.example"), 421);
        assert_eq!(get(Visitors::HomeAssistant, INGRESS, "ha.example"), 200);
        assert_eq!(asked(Visitors::Anybody, HERE, &Method::GET, &[]), 200);
    }

    /// Such a header was treated as if there was none.
    #[test]
    fn a_host_beyond_ascii_and_a_second_host_are_refused() {
        let with = |hosts: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_bytes(host).unwrap());
            }
            check(Visitors::Anybody, HERE, &Method::GET, &headers).map_err(|refusal| refusal.0)
        };
        let refused = Err(StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(with(&[b"pi"]), Ok(()));
        for host in [&b"evil.example\xFF"[..], b"\xE9vil.example", "zähler.local".as_bytes(), b""]
        {
            assert_eq!(with(&[host]), refused, "{host:?}");
        }
        assert_eq!(with(&[b"pi", b"evil.example"]), refused);
    }

    #[test]
    fn only_the_page_itself_may_press_buttons() {
        let post = |headers: &[_]| asked(Visitors::HomeAssistant, INGRESS, &Method::POST, headers);
        let host = ("host", "172.30.33.5:8099");
        assert_eq!(post(&[host]), 403);
        assert_eq!(post(&[host, ("sec-fetch-site", "same-origin")]), 200);
        for site in ["cross-site", "same-site", "none"] {
            assert_eq!(post(&[host, ("sec-fetch-site", site)]), 403, "{site}");
            // The browser's header has precedence.
            let origin = ("origin", "http://172.30.33.5:8099");
            assert_eq!(post(&[host, ("sec-fetch-site", site), origin]), 403, "{site}");
        }
        assert_eq!(post(&[host, ("origin", "http://172.30.33.5:8099")]), 200);
        assert_eq!(post(&[host, ("origin", "http://172.30.33.5")]), 403);
        assert_eq!(post(&[host, ("origin", "null")]), 403);
        // As Home Assistant forwards it.
        let forwarded = ("x-forwarded-host", "homeassistant.local:8123");
        assert_eq!(post(&[host, forwarded, ("origin", "http://homeassistant.local:8123")]), 200);
        assert_eq!(post(&[host, forwarded, ("origin", "https://evil.example")]), 403);
    }
}
