//! The token that visitors need to press buttons: the configured one, or one that the program has
//! made for visitors from other machines.
//!
//! A browser keeps a cookie, not the token. The value of the cookie is computed from the token and
//! from the program's own random token. So nobody can guess it, and it becomes invalid if the token
//! changes. Tokens are compared in constant time, by their HMAC.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use ring::hmac;
use tracing::{error, info, warn};

use super::attempts::{Attempts, Report};
use super::token_file;
use meter::container;

/// How long a browser remembers the token: 400 days, the most that browsers allow.
const REMEMBERED: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The token. Clones share it.
#[derive(Clone)]
pub(crate) struct Token(Arc<Inner>);

struct Inner {
    /// `None` if the system gives no random numbers. Then no token is right.
    own: Option<Own>,
    name: Name,
    state: Mutex<State>,
}

/// What visitors call it.
#[derive(Debug, Clone, Copy)]
enum Name {
    Token,
    /// For setting up.
    Code,
}

/// The program's own token.
struct Own {
    text: String,
    key: hmac::Key,
    /// The file that keeps it, or why it cannot be kept until the next start.
    file: Result<PathBuf, Cow<'static, str>>,
}

struct State {
    /// The HMAC of the token in effect, and the value of its cookie. Without it, no token is right.
    known: Option<(hmac::Tag, String)>,
    is_configured: bool,
    /// Whether other machines can open the page.
    is_wide: bool,
    is_shown: bool,
    attempts: Attempts,
}

/// It never shows the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// A token in another place, for pages that need none or tests.
impl Default for Token {
    fn default() -> Self {
        Self::start(None)
    }
}

/// Why a visitor may only look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No token was sent.
    NoToken,
    /// The token is wrong.
    Wrong,
    /// The configured one is invalid, so none is right.
    Unknown,
    /// Earlier ones were wrong. Nothing was compared.
    Wait(Duration),
}

impl Token {
    /// The program's own token, from its file in the folder of the state or a new one.
    pub(crate) fn start(folder: Option<&Path>) -> Self {
        let kept = folder.and_then(token_file::read);
        let text = kept.or_else(|| token_file::random().ok());
        if text.is_none() {
            error!(
                "The system gives no random numbers, so there is no token for the status page. Only this \
                 machine can press its buttons."
            );
        }
        Self::with(text, folder, Name::Token)
    }

    fn with(text: Option<String>, folder: Option<&Path>, name: Name) -> Self {
        let own = text.map(|text| Own::keep(text, folder));
        let state = State {
            known: None,
            is_configured: false,
            is_wide: false,
            is_shown: false,
            attempts: Attempts::default(),
        };
        let token = Self(Arc::new(Inner { own, name, state: Mutex::new(state) }));
        token.configure(None);
        token
    }

    /// A code for setting up: it is in no file, and valid until the program stops.
    pub(crate) fn code() -> Self {
        Self::with(token_file::random_code().ok(), None, Name::Code)
    }

    /// Uses the configured token from now on, or the program's own one if there is none.
    pub(crate) fn configure(&self, configured: Option<&str>) {
        let Some(own) = &self.0.own else { return };
        let text = configured.unwrap_or(&own.text);
        {
            let mut state = self.lock();
            state.known = Some((own.sign("token", text), hex(own.sign("cookie", text).as_ref())));
            state.is_configured = configured.is_some();
        }
        self.show();
    }

    /// From now on, no token is right, also on this machine: one is configured, but is invalid or
    /// cannot be read.
    pub(crate) fn configure_unknown(&self) {
        let mut state = self.lock();
        (state.known, state.is_configured) = (None, true);
    }

    /// Notes whether other machines can open the page.
    pub(super) fn note_listening(&self, is_wide: bool) {
        self.lock().is_wide = is_wide;
        self.show();
    }

    /// Whether visitors from this machine need it: all of them if it is configured, because a proxy
    /// may not say that it forwards a request. Otherwise those of a proxy, if other machines can
    /// open the page. If they cannot, the proxy decides who may press buttons.
    pub(super) fn is_for_this_machine(&self, came_through_proxy: bool) -> bool {
        let state = self.lock();
        state.is_configured || (state.is_wide && came_through_proxy)
    }

    /// Logs once where the program's own token is, if it is in effect and other machines can open
    /// the page. People publish logs, so the token itself is logged only if no file has it. The
    /// page, which shows the log, does not show that line.
    fn show(&self) {
        let Some(own) = &self.0.own else { return };
        {
            let mut state = self.lock();
            let is_due = state.is_wide && !state.is_configured && !state.is_shown;
            if !is_due {
                return;
            }
            state.is_shown = true;
        }
        let token = &own.text;
        match &own.file {
            Ok(path) => info!(
                "To press buttons on the status page on another machine, enter the token there that \
                 {} shows.",
                command(path, container::is_container())
            ),
            Err(trouble) => info!(
                kept = false,
                "To press buttons on the status page on another machine, enter this token there: \
                 {token}. Remove this line from a log that you publish. The token will be another one \
                 after a restart, because it cannot be kept: {trouble}. To choose your own, set \
                 `web.token`."
            ),
        }
    }

    /// Logs the code for setting up, once. The page does not show that line.
    pub(super) fn show_code(&self) {
        let is_configured = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.is_shown, true) {
                return;
            }
            state.is_configured
        };
        match &self.0.own {
            Some(_) if is_configured => info!(
                "To open the setup page, enter the token that the environment variable `WEB_TOKEN` or \
                 `WEB_TOKEN_FILE` sets. The variable is set where kamstrup2mqtt is started, for example \
                 in compose.yaml."
            ),
            Some(own) => info!(
                kept = false,
                "To open the setup page from another machine, or through a proxy, enter this code: {}. \
                 It is valid until kamstrup2mqtt stops.",
                own.text
            ),
            None => error!(
                "The system gives no random numbers, so there is no code for the setup page. Only \
                 this machine can use it."
            ),
        }
    }

    /// Whether the token is a configured one.
    pub(super) fn is_configured(&self) -> bool {
        self.lock().is_configured
    }

    /// Whether a token is the right one.
    pub(super) fn check(&self, peer: IpAddr, token: &[u8]) -> Result<(), Denied> {
        let mut state = self.lock();
        if state.is_unknown() {
            return Err(Denied::Unknown);
        }
        if let Some(wait) = state.attempts.wait(peer) {
            return Err(Denied::Wait(wait));
        }
        let is_right =
            self.0.own.as_ref().zip(state.known.as_ref()).is_some_and(|(own, (expected, _))| {
                let message = [b"token\0", token].concat();
                hmac::verify(&own.key, &message, expected.as_ref()).is_ok()
            });
        if is_right {
            state.attempts.note_right(peer);
            Ok(())
        } else {
            let report = state.attempts.note_wrong(peer);
            drop(state);
            self.log_wrong(peer, report);
            Err(Denied::Wrong)
        }
    }

    /// Logs a wrong token, but not the token: it may be right somewhere else.
    fn log_wrong(&self, peer: IpAddr, report: Report) {
        let (name, page) = match self.0.name {
            Name::Token => ("token", "status page"),
            Name::Code => ("code", "setup page"),
        };
        let further = match report {
            Report::None => return,
            Report::First => "Further ones from this address are not logged.",
            Report::Last => "No more wrong ones are logged until the next start.",
        };
        warn!("A visitor at {peer} entered a wrong {name} on the {page}. {further}");
    }

    /// Why a visitor without a token is denied.
    pub(super) fn without_one(&self) -> Denied {
        if self.lock().is_unknown() { Denied::Unknown } else { Denied::NoToken }
    }

    /// Whether a browser has sent the right cookie.
    pub(super) fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let Some(own) = &self.0.own else { return false };
        let Some((_, expected)) = self.lock().known.clone() else { return false };
        let expected = own.sign("compared", &expected);
        let name = own.cookie_name();
        let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
        let mut values = cookies
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| [b"compared\0", value.as_bytes()].concat());
        values.any(|value| hmac::verify(&own.key, &value, expected.as_ref()).is_ok())
    }

    /// The header that makes a browser remember the token. Scripts cannot read the cookie, and no
    /// other site can use it.
    pub(super) fn cookie(&self) -> Option<HeaderValue> {
        self.cookie_with(&format!("; Max-Age={}", REMEMBERED.as_secs()))
    }

    /// The same, until the browser is closed.
    pub(super) fn brief_cookie(&self) -> Option<HeaderValue> {
        self.cookie_with("")
    }

    fn cookie_with(&self, age: &str) -> Option<HeaderValue> {
        let own = self.0.own.as_ref()?;
        let (_, value) = self.lock().known.clone()?;
        let cookie = format!("{}={value}{age}; HttpOnly; SameSite=Strict", own.cookie_name());
        HeaderValue::try_from(cookie).ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a token is configured that nobody can have.
    fn is_unknown(&self) -> bool {
        self.is_configured && self.known.is_none()
    }
}

impl Own {
    /// Keeps a token in the folder of the state.
    fn keep(text: String, folder: Option<&Path>) -> Self {
        let is_kept = |folder| token_file::read(folder).as_ref() == Some(&text);
        let file = match folder {
            None => Err(Cow::Borrowed("there is no folder for the program's state")),
            Some(folder) => {
                let path = folder.join(token_file::FILE);
                let written =
                    if is_kept(folder) { Ok(()) } else { token_file::write(folder, &text) };
                match written {
                    Err(reason) => {
                        Err(Cow::Owned(format!("cannot write {}: {reason}", path.display())))
                    }
                    Ok(()) if is_kept(folder) => Ok(path),
                    // Some mounts ignore the permissions of a file.
                    Ok(()) => {
                        token_file::remove(folder);
                        let path = path.display();
                        Err(Cow::Owned(format!("the file {path} cannot be private there")))
                    }
                }
            }
        };
        // A cookie may be tried as often as one likes, so a short code must not be its key. Only the
        // cookies of a token that is kept are valid after a restart.
        let random = if file.is_err() { token_file::random().ok() } else { None };
        let key = random.as_ref().unwrap_or(&text).as_bytes();
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { text, key, file }
    }

    fn sign(&self, purpose: &str, text: &str) -> hmac::Tag {
        hmac::sign(&self.key, format!("{purpose}\0{text}").as_bytes())
    }

    /// Cookies do not depend on the port, so each program on a machine has its own name.
    fn cookie_name(&self) -> String {
        let tag = hex(self.sign("name", "").as_ref());
        format!("kamstrup2mqtt-{}", tag.get(..8).unwrap_or_default())
    }
}

/// The command that shows a file, and in a container what to replace in it.
fn command(path: &Path, is_container: bool) -> String {
    let path = path.display();
    if is_container {
        format!("`docker exec NAME cat {path}` (with the container's name)")
    } else {
        format!("`sudo cat {path}`")
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use logging::capture;

    use super::super::attempts::FREE;
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 9));

    /// What the log says about the token.
    fn shown(token: &Token) -> Vec<String> {
        let (log, _logging) = capture::lines();
        token.note_listening(true);
        log.take()
    }

    fn own(token: &Token) -> &str {
        &token.0.own.as_ref().unwrap().text
    }

    fn cookie_of(token: &Token) -> HeaderMap {
        let cookie = token.cookie().unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let header = format!("other=1; {pair}; more=2");
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(header).unwrap())])
    }

    #[test]
    fn its_own_token_survives_a_restart_and_is_never_logged() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::start(Some(folder.path()));
        let (log, logging) = capture::lines();
        token.note_listening(false);
        assert_eq!(log.take(), [""; 0]);
        drop(logging);
        let lines = shown(&token);
        assert_eq!(lines.len(), 1, "{lines:?}");
        // The issue form asks for the whole log, in public.
        assert!(!lines[0].contains(own(&token)), "{lines:?}");
        let file = folder.path().join("web-token");
        assert!(lines[0].contains(&format!("cat {}`", file.display())), "{lines:?}");
        assert_eq!(std::fs::read_to_string(file).unwrap().trim_end(), own(&token));
        assert_eq!(shown(&token), [""; 0]);
        let again = Token::start(Some(folder.path()));
        assert_eq!(own(&again), own(&token));
        assert_eq!(again.check(PEER, own(&token).as_bytes()), Ok(()));
        assert!(again.has_cookie(&cookie_of(&token)));
        assert_ne!(own(&Token::default()), own(&token));
    }

    #[test]
    fn a_token_that_cannot_be_kept_works_until_the_next_start() {
        for folder in [None, Some(Path::new("/proc/kamstrup2mqtt"))] {
            let token = Token::start(folder);
            let lines = shown(&token).concat();
            for words in [own(&token), "Remove this line", "after a restart", "`web.token`"] {
                assert!(lines.contains(words), "{words}: {lines}");
            }
            assert_eq!(token.check(PEER, own(&token).as_bytes()), Ok(()));
        }
    }

    /// Where a mount ignores permissions, the file was written at each start and never read again.
    /// Cookies may be tried without a wait. Who guesses the code could try cookies instead.
    #[test]
    fn a_cookie_cannot_be_made_from_the_code() {
        let token = Token::code();
        let own_token = token.0.own.as_ref().unwrap();
        let from_code = hmac::Key::new(hmac::HMAC_SHA256, own_token.text.as_bytes());
        let guessed = hmac::sign(&from_code, format!("cookie\0{}", own_token.text).as_bytes());
        let cookie = token.cookie().unwrap();
        assert!(!cookie.to_str().unwrap().contains(&hex(guessed.as_ref())), "{cookie:?}");
        assert!(token.has_cookie(&cookie_of(&token)));
    }

    #[test]
    fn a_file_that_is_not_accepted_again_is_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let token = token_file::random().unwrap();
        let file = folder.path().join(token_file::FILE);
        assert_eq!(Own::keep(token, Some(folder.path())).file, Ok(file.clone()));
        // Like a file that others can read, this one is not accepted.
        let refused = Own::keep("hunter22".to_owned(), Some(folder.path())).file.unwrap_err();
        assert!(refused.contains("cannot be private"), "{refused}");
        assert!(!file.exists());
    }

    #[test]
    fn a_container_has_another_command() {
        let path = Path::new("/var/lib/kamstrup2mqtt/web-token");
        assert_eq!(command(path, false), "`sudo cat /var/lib/kamstrup2mqtt/web-token`");
        let container = command(path, true);
        assert!(
            container.starts_with("`docker exec NAME cat /var/lib/kamstrup2mqtt/web-token`"),
            "{container}"
        );
    }

    #[test]
    fn a_configured_token_replaces_it_and_is_never_shown() {
        let token = Token::default();
        token.configure(Some("hunter22"));
        assert_eq!(shown(&token), [""; 0]);
        assert!(!format!("{token:?}").contains("hunter22"));
        let own = own(&token).as_bytes();
        assert_eq!(token.check(PEER, b"hunter22"), Ok(()));
        for wrong in [own, b"hunter2", b"hunter222", b""] {
            assert_eq!(token.check(PEER, wrong), Err(Denied::Wrong));
            token.check(PEER, b"hunter22").unwrap();
        }
        let remembered = cookie_of(&token);
        assert!(token.has_cookie(&remembered));
        token.configure(Some("hunter23"));
        assert!(!token.has_cookie(&remembered));
        assert_eq!(token.check(PEER, b"hunter22"), Err(Denied::Wrong));
        let (log, _logging) = capture::lines();
        token.configure(None);
        assert_eq!(log.take().len(), 1);
        assert_eq!(token.check(PEER, own), Ok(()));
    }

    /// It counted as none, so that this machine could press all buttons.
    #[test]
    fn nobody_has_an_unknown_token() {
        let token = Token::default();
        let remembered = cookie_of(&token);
        token.configure_unknown();
        assert_eq!(shown(&token), [""; 0]);
        assert!(token.is_for_this_machine(false) && token.is_configured());
        assert!(!token.has_cookie(&remembered) && token.cookie().is_none());
        let own = own(&token).as_bytes();
        for guess in [own, b""] {
            assert_eq!(token.check(PEER, guess), Err(Denied::Unknown));
        }
        assert_eq!(token.without_one(), Denied::Unknown);
        token.configure(Some("hunter22"));
        assert_eq!(token.without_one(), Denied::NoToken);
        assert_eq!(token.check(PEER, b"hunter22"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn after_repeated_wrong_tokens_the_right_one_must_wait_too() {
        let token = Token::default();
        token.configure(Some("hunter22"));
        for _ in 0..FREE {
            assert_eq!(token.check(PEER, b"guess"), Err(Denied::Wrong));
        }
        assert!(matches!(token.check(PEER, b"hunter22"), Err(Denied::Wait(_))));
        assert_eq!(token.check(IpAddr::from([192, 168, 1, 8]), b"hunter22"), Ok(()));
        // Who has the cookie need not wait.
        assert!(token.has_cookie(&cookie_of(&token)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(token.check(PEER, b"hunter22"), Ok(()));
    }

    #[test]
    fn a_wrong_token_is_logged_once_for_each_address_and_never_shown() {
        let token = Token::default();
        let (log, _logging) = capture::lines();
        for peer in [PEER, PEER, IpAddr::from([192, 168, 1, 8])] {
            assert_eq!(token.check(peer, b"hunter22"), Err(Denied::Wrong));
        }
        token.check(PEER, own(&token).as_bytes()).unwrap();
        assert_eq!(Token::code().check(PEER, b"hunter22"), Err(Denied::Wrong));
        let line = |address, name, page| {
            format!(
                "WARN A visitor at {address} entered a wrong {name} on the {page} page. Further ones \
                 from this address are not logged."
            )
        };
        assert_eq!(
            log.take(),
            [
                line("192.168.1.9", "token", "status"),
                line("192.168.1.8", "token", "status"),
                line("192.168.1.9", "code", "setup"),
            ]
        );
    }

    #[test]
    fn the_cookie_is_for_this_site_and_this_program_alone() {
        let token = Token::default();
        let cookie = token.cookie().unwrap().to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; Max-Age=34560000; HttpOnly; SameSite=Strict"), "{cookie}");
        assert!(!cookie.contains(own(&token)), "{cookie}");
        let other = Token::default();
        assert!(!other.has_cookie(&cookie_of(&token)));
        let name = |token: &Token| token.0.own.as_ref().unwrap().cookie_name();
        assert_ne!(name(&token), name(&other));
        let forged = format!("{}=0", name(&token));
        let forged = HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(forged).unwrap())]);
        assert!(!token.has_cookie(&forged));
    }
}
