//! Decides who is allowed to open the page and to press its buttons. The page shows how a house is
//! heated, and its buttons send requests to a meter.
//!
//! Everybody who can reach the page can read it. The buttons are for Home Assistant's users, for
//! this machine if no token is configured, and for visitors who have the [`Token`].

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::response::HttpRefusal;
use super::token::{Denied, Token};
use meter::RunsAs;

/// Sends the requests of Home Assistant's users, who have logged in there.
const HOME_ASSISTANT: Ipv4Addr = Ipv4Addr::new(172, 30, 32, 2);

/// Who is allowed to open the page.
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
    Cow::Borrowed(
        "Only the page itself may send this request. A program must send the token of the page: \
         `Authorization: Bearer TOKEN`.\n",
    ),
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
    if !changes_something(method) || is_same_site(headers) || is_program(headers) {
        Ok(())
    } else {
        Err(OTHER_SITE)
    }
}

/// Whether a page of this server has sent a request. No token replaces that.
pub(super) fn check_site(headers: &HeaderMap) -> Result<(), HttpRefusal> {
    if is_same_site(headers) { Ok(()) } else { Err(OTHER_SITE) }
}

/// Whether a request may do more than look.
pub(super) fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a visitor is allowed to press buttons without a token in the request: through Home
/// Assistant, with the cookie of the token, or on this machine if no token is configured.
pub(super) fn may_act(
    visitors: Visitors,
    token: &Token,
    peer: IpAddr,
    headers: &HeaderMap,
) -> bool {
    let is_here =
        is_this_machine(peer, headers) && !token.is_for_this_machine(came_through_proxy(headers));
    visitors == Visitors::HomeAssistant || is_here || token.has_cookie(headers)
}

/// Whether a visitor may set the program up: on this machine and not through a proxy, or with the
/// code. If a token is configured, it replaces the code, and is for this machine too.
pub(super) fn may_set_up(code: &Token, peer: IpAddr, headers: &HeaderMap) -> bool {
    let is_here =
        is_this_machine(peer, headers) && !came_through_proxy(headers) && !code.is_configured();
    is_here || code.has_cookie(headers)
}

/// Whether a request that [`check`] has passed may change something.
pub(super) fn check_right(
    visitors: Visitors,
    token: &Token,
    peer: IpAddr,
    headers: &HeaderMap,
) -> Result<(), Denied> {
    // The token of a program replaces the proof that a page of this server has sent the request.
    if is_same_site(headers) && may_act(visitors, token, peer, headers) {
        return Ok(());
    }
    token.check(peer, bearer(headers).ok_or_else(|| token.without_one())?)
}

/// Whether a browser on this machine has opened the page under an address, or as `localhost`. Any
/// device in the house can take another near name and point it here (DNS rebinding).
fn is_this_machine(peer: IpAddr, headers: &HeaderMap) -> bool {
    let is_own = |host: &HeaderValue| {
        host.to_str().ok().and_then(name_of).is_some_and(|name| {
            name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
        })
    };
    peer.is_loopback() && headers.get(HOST).is_none_or(is_own)
}

/// Whether a proxy says that it has forwarded a request.
fn came_through_proxy(headers: &HeaderMap) -> bool {
    const FORWARDED: [&str; 6] = [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    ];
    FORWARDED.iter().any(|name| headers.contains_key(*name))
}

/// The token in `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Whether a program sends its token. A browser adds `Origin` to such a request, and asks first
/// whether another site may send it, which this server never allows.
fn is_program(headers: &HeaderMap) -> bool {
    bearer(headers).is_some()
        && !headers.contains_key("sec-fetch-site")
        && !headers.contains_key(ORIGIN)
}

/// Whether a page of this server sent the request.
///
/// Browsers send `Sec-Fetch-Site`, but only over TLS or on the same machine. Otherwise the `Origin`
/// must be the host. Behind Home Assistant, that is the name under which the user sees it.
fn is_same_site(headers: &HeaderMap) -> bool {
    const SITE: &str = "sec-fetch-site";
    if headers.contains_key(SITE) {
        return single(headers, SITE).is_some_and(|site| site == "same-origin");
    }
    let origin = single(headers, ORIGIN.as_str()).and_then(|origin| origin.to_str().ok());
    // A page in a sandbox has the origin `null`, which could be a host too.
    let is_url = |origin: &&str| ["http://", "https://"].iter().any(|it| origin.starts_with(it));
    let origin = origin.filter(is_url).and_then(|origin| origin.parse::<Uri>().ok());
    let Some(origin) = origin.as_ref().and_then(Uri::authority) else { return false };
    let here = [HOST.as_str(), "x-forwarded-host"];
    here.iter().any(|name| {
        text(headers, name).is_some_and(|host| origin.as_str().eq_ignore_ascii_case(host))
    })
}

/// A header that was sent once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
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

/// The name or address in a valid host, in lower case.
fn name_of(host: &str) -> Option<String> {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
    } else {
        let (name, port) =
            host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
        let name = name.strip_suffix('.').unwrap_or(name);
        if !name.split('.').all(is_label) {
            return None;
        }
        (name, port)
    };
    port.is_none_or(is_port).then(|| name.to_ascii_lowercase())
}

/// Whether a host is an address, or a name that public name servers do not have. The owner of any
/// other name could point it here, whose pages could then read this one in the browser of somebody
/// in the house (DNS rebinding).
fn is_near(host: &str) -> bool {
    const NEAR: [&str; 6] = ["localhost", "local", "lan", "home", "internal", "home.arpa"];
    let Some(name) = name_of(host) else { return false };
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

    /// A device in the house served its own page under such a name, and then pointed the name at this
    /// machine, whose browser set up the program or pressed its buttons.
    #[test]
    fn a_local_name_that_anybody_can_take_has_no_rights() {
        let token = Token::code();
        let may = |host: Option<&str>| {
            let host = host.map(|host| (HOST, HeaderValue::from_str(host).unwrap()));
            let headers: HeaderMap = host.into_iter().collect();
            let may_act = may_act(Visitors::Anybody, &Token::default(), HERE, &headers);
            assert_eq!(may_act, may_set_up(&token, HERE, &headers));
            may_act
        };
        for host in ["127.0.0.1:8099", "[::1]:8099", "localhost:8099", "LOCALHOST.", "192.168.1.5"]
        {
            assert!(may(Some(host)), "{host}");
        }
        assert!(may(None), "a program");
        for host in ["evil.lan:8099", "evil.local", "pi", "localhost.lan", "127.0.0.1.lan"] {
            assert!(!may(Some(host)), "{host}");
        }
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

    #[test]
    fn a_configured_token_is_for_everybody_and_the_own_one_for_others() {
        const LAN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 9));
        let token = Token::default();
        token.configure(Some("hunter22"));
        let right = |visitors, peer, headers: &[(&'static str, &str)]| {
            let value = |(name, text): &(&'static str, &str)| {
                (name.parse().unwrap(), HeaderValue::try_from(*text).unwrap())
            };
            let headers: HeaderMap = headers.iter().map(value).collect();
            check_right(visitors, &token, peer, &headers)
        };
        let anybody =
            |peer, headers: &[(&'static str, &str)]| right(Visitors::Anybody, peer, headers);
        let page = ("sec-fetch-site", "same-origin");
        let cookie = token.cookie().unwrap();
        let cookie = ("cookie", cookie.to_str().unwrap().split(';').next().unwrap());
        // The visitors of a proxy on this machine that sends no header could press all buttons.
        assert_eq!(anybody(HERE, &[page]), Err(Denied::NoToken));
        assert_eq!(anybody(HERE, &[page, cookie]), Ok(()));
        assert_eq!(right(Visitors::HomeAssistant, INGRESS, &[page]), Ok(()));
        // It was allowed to everybody.
        assert_eq!(anybody(LAN, &[page]), Err(Denied::NoToken));
        assert_eq!(anybody(INGRESS, &[page]), Err(Denied::NoToken));
        assert_eq!(anybody(LAN, &[page, cookie]), Ok(()));
        assert_eq!(anybody(LAN, &[cookie]), Err(Denied::NoToken));
        // Others come through a proxy on this machine, and say what they like.
        for name in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
            assert_eq!(
                anybody(HERE, &[page, (name, "192.168.1.9")]),
                Err(Denied::NoToken),
                "{name}"
            );
        }
        assert_eq!(anybody(LAN, &[page, ("x-forwarded-for", "127.0.0.1")]), Err(Denied::NoToken));
        // If only this machine can open the page, the proxy decides.
        let alone = Token::default();
        let headers = [page, ("x-forwarded-for", "192.168.1.9")];
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(name, text)| (name.parse().unwrap(), HeaderValue::from_static(text)))
            .collect();
        let proxied = || check_right(Visitors::Anybody, &alone, HERE, &headers);
        assert_eq!(proxied(), Ok(()));
        alone.note_listening(true);
        assert_eq!(proxied(), Err(Denied::NoToken));
        let here = HeaderMap::from_iter([(
            "sec-fetch-site".parse().unwrap(),
            HeaderValue::from_static("same-origin"),
        )]);
        let here = || check_right(Visitors::Anybody, &alone, HERE, &here);
        assert_eq!(here(), Ok(()));
        alone.configure(Some("hunter22"));
        assert_eq!(here(), Err(Denied::NoToken));
        // Programs.
        for bearer in ["Bearer hunter22", "bearer hunter22 ", "BEARER  hunter22"] {
            assert_eq!(anybody(LAN, &[("authorization", bearer)]), Ok(()), "{bearer}");
        }
        assert_eq!(anybody(HERE, &[("authorization", "Bearer hunter2")]), Err(Denied::Wrong));
        assert_eq!(anybody(LAN, &[("authorization", "Bearer ")]), Err(Denied::Wrong));
        for other in ["Basic aHVudGVyMjI=", "hunter22", "Bearer"] {
            assert_eq!(anybody(LAN, &[("authorization", other)]), Err(Denied::NoToken), "{other}");
        }
    }

    /// A browser says where a request comes from, and a program need not.
    #[test]
    fn a_token_is_proof_enough_unless_another_site_sends_it() {
        let bearer = ("authorization", "Bearer hunter22");
        let post = |headers: &[_]| asked(Visitors::Anybody, HERE, &Method::POST, headers);
        let host = ("host", "pi:8099");
        assert_eq!(post(&[host, bearer]), 200);
        assert_eq!(post(&[host, bearer, ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(post(&[host, bearer, ("origin", "http://evil.example")]), 403);
        assert_eq!(post(&[host, ("authorization", "Basic aHVudGVyMjI=")]), 403);
        assert_eq!(post(&[("host", "evil.example"), bearer]), 421);
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

    /// A page in a sandbox has the origin `null`, which looked like the host of that name. Of two
    /// headers, the first one was used.
    #[test]
    fn an_origin_is_the_url_of_a_site_and_there_is_only_one() {
        let post = |headers: &[(&'static str, &'static str)]| {
            let mut all = HeaderMap::new();
            for (name, text) in headers {
                all.append(*name, HeaderValue::from_static(text));
            }
            check(Visitors::Anybody, HERE, &Method::POST, &all).map_err(|refusal| refusal.0)
        };
        let refused = Err(StatusCode::FORBIDDEN);
        let (host, origin) = (("host", "pi:8099"), ("origin", "http://pi:8099"));
        assert_eq!(post(&[host, origin]), Ok(()));
        assert_eq!(post(&[("host", "null"), ("origin", "null")]), refused);
        for other in ["pi:8099", "ftp://pi:8099", "//pi:8099"] {
            assert_eq!(post(&[host, ("origin", other)]), refused, "{other}");
        }
        assert_eq!(post(&[host, origin, ("origin", "http://evil.example")]), refused);
        let [same, cross] = ["same-origin", "cross-site"].map(|site| ("sec-fetch-site", site));
        assert_eq!(post(&[host, same]), Ok(()));
        assert_eq!(post(&[host, same, cross]), refused);
        assert_eq!(post(&[host, same, cross, origin]), refused);
    }
}
