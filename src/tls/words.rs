//! What TLS says when it fails, in words, with what to do.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// So many names of a certificate are shown, so long at most.
const NAMES: usize = 6;
const LONGEST_NAME: usize = 80;

/// What a broker does that has no TLS at this port: it does not understand and hangs up.
pub const CLOSED_IN_HANDSHAKE: &str = "it closed the connection when it was spoken to in TLS. Most likely its port does not speak \
     TLS: use the one that does, mostly 8883, as `mqtt.port`, or switch `mqtt.tls_enabled` off. If \
     it does, the broker's own log tells.";

/// What happened, in the first sentence, and what to do about it, in those after it.
#[must_use]
pub fn words(error: &Error) -> String {
    let text = match error {
        Error::InvalidCertificate(error) => return certificate(error),
        Error::AlertReceived(alert) => return refused(*alert),
        Error::PeerIncompatible(_) => {
            "the two have no version of TLS, or no encryption, in common. Set the broker to TLS 1.2 \
             or newer. If it speaks 1.2 only, `mqtt.tls_version` must not be 1.3."
        }
        Error::NoCertificatesPresented => {
            "it shows no certificate. Look at the broker's settings for TLS."
        }
        // Something answers, and not in TLS.
        Error::InvalidMessage(_) => {
            "what answers there does not speak TLS. Use the broker's port that does, mostly 8883, \
             as `mqtt.port`, or switch `mqtt.tls_enabled` off."
        }
        error => return format!("TLS failed ({error}). The broker's own log may say more."),
    };
    text.to_owned()
}

/// What we have against the broker's certificate.
fn certificate(error: &CertificateError) -> String {
    let text = match error {
        // A key that is too short cannot be told from a wrong one.
        CertificateError::BadSignature => {
            "the signature of its certificate does not hold. Either another CA of the same name made \
             it: set `mqtt.tls_ca_cert` to the certificate of that one. Or a key is too short: RSA \
             needs 2048 bits."
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by a CA that is not trusted here. Set `mqtt.tls_ca_cert` to \
             the certificate of the CA that signed it. (If that is done: this is another CA, or \
             another broker.)"
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            return format!(
                "its certificate expired on {}. Renew it on the broker; if that day is yet to come, \
                 set this machine's clock.",
                day(*not_after)
            );
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            return format!(
                "its certificate is valid only from {} on. Set the clock of this machine, or of the \
                 one that made the certificate.",
                day(*not_before)
            );
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            let names: Vec<String> = presented.iter().filter_map(|name| shown(name)).collect();
            if names.is_empty() {
                return format!(
                    "its certificate has no names in it that count. Make one with `{expected}` \
                     among its `subjectAltName`; a name in `CN` alone is not enough."
                );
            }
            let more = if names.len() > NAMES { " and others" } else { "" };
            let some: Vec<&str> = names.iter().map(String::as_str).take(NAMES).collect();
            return format!(
                "its certificate is for {}{more}, and not for `{expected}`. Set `mqtt.host` to a \
                 name that it has, or make one with `{expected}` among its `subjectAltName`.",
                some.join(", ")
            );
        }
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "its certificate is not meant for servers. Make one with `serverAuth` as \
             `extendedKeyUsage`."
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate is signed in a way that is too weak or not known here. Make one with \
             SHA-256 and RSA of 2048 bits or more, or ECDSA P-256."
        }
        CertificateError::Other(other) => match other.0.to_string() {
            reason if reason.contains("UnsupportedCertVersion") => {
                "its certificate is of version 1, which has no names in it. Make one of version 3, \
                 with the broker's name or address as `subjectAltName`."
            }
            reason if reason.contains("CaUsedAsEndEntity") => {
                "its certificate is a CA's own. Set `mqtt.tls_ca_cert` to this very certificate, or \
                 make the broker one that the CA has signed."
            }
            reason => return unusable(&reason),
        },
        error => return unusable(&error.to_string()),
    };
    text.to_owned()
}

fn unusable(reason: &str) -> String {
    format!("its certificate cannot be used ({reason}). Make another one for the broker.")
}

/// In UTC, as certificates have it.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(
        |_| "a day that no calendar has".to_owned(),
        |it| it.strftime("%F").to_string(),
    )
}

/// `DnsName("broker.lan")` and `IpAddress(10.0.0.2)`, as the library has them, as people do. What is
/// no name of a machine is none of them.
fn shown(name: &str) -> Option<String> {
    let (kind, rest) = name.split_once('(')?;
    let name = rest.strip_suffix(')')?.trim_matches('"');
    let plain = |c: char| c.is_ascii_graphic() && c != '`';
    (matches!(kind, "DnsName" | "IpAddress")
        && name.len() <= LONGEST_NAME
        && name.chars().all(plain))
    .then(|| format!("`{name}`"))
}

/// What the broker has against us.
fn refused(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate from its clients. Set `mqtt.tls_cert` and `mqtt.tls_key`."
        }
        AlertDescription::UnknownCA => {
            "it does not trust the CA that signed our certificate. `mqtt.tls_cert` must be signed \
             by a CA that the broker knows (`cafile` of Mosquitto)."
        }
        AlertDescription::CertificateExpired => {
            "it says that our certificate has expired. Renew the one in `mqtt.tls_cert`; if it is \
             still good, look at the broker's clock."
        }
        AlertDescription::CertificateRevoked => {
            "it says that our certificate has been revoked. Make another one for `mqtt.tls_cert`."
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            "it refused our certificate. Check `mqtt.tls_cert` and `mqtt.tls_key`; the broker's own \
             log tells why."
        }
        AlertDescription::ProtocolVersion => {
            "the two have no version of TLS in common. Set the broker to TLS 1.2 or newer. If it \
             speaks 1.2 only, `mqtt.tls_version` must not be 1.3."
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "it did not agree on an encryption, or it wants a certificate from its clients. \
             The broker's own log tells which. A certificate goes into `mqtt.tls_cert` and \
             `mqtt.tls_key`."
        }
        AlertDescription::UnrecognisedName => {
            "it does not go by this name. Set `mqtt.host` to the one in its certificate."
        }
        alert => {
            return format!("it ended TLS ({alert:?}). The broker's own log may say more.");
        }
    };
    text.to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{InvalidMessage, OtherError, PeerIncompatible};

    use super::*;

    /// One error of every kind that has words of its own.
    pub(crate) fn every_error() -> Vec<Error> {
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_790_000_000));
        let expected = ServerName::try_from("broker.lan").unwrap();
        let for_name = |presented| CertificateError::NotValidForNameContext {
            expected: expected.clone(),
            presented,
        };
        let other = |text: &str| {
            CertificateError::Other(OtherError(std::sync::Arc::new(std::io::Error::other(
                text.to_owned(),
            ))))
        };
        let certificates = [
            CertificateError::BadSignature,
            CertificateError::UnknownIssuer,
            CertificateError::ExpiredContext { time, not_after: time },
            CertificateError::NotValidYetContext { time, not_before: time },
            for_name(vec!["DnsName(\"other.lan\")".to_owned()]),
            for_name(Vec::new()),
            CertificateError::InvalidPurpose,
            CertificateError::BadEncoding,
            other("UnsupportedCertVersion"),
            other("CaUsedAsEndEntity"),
            other("one. And another"),
        ];
        let alerts = [
            AlertDescription::CertificateRequired,
            AlertDescription::UnknownCA,
            AlertDescription::CertificateExpired,
            AlertDescription::CertificateRevoked,
            AlertDescription::BadCertificate,
            AlertDescription::ProtocolVersion,
            AlertDescription::HandshakeFailure,
            AlertDescription::UnrecognisedName,
            AlertDescription::InternalError,
        ];
        let others = [
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::NoCertificatesPresented,
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::General("one. And another".to_owned()),
        ];
        let certificates = certificates.map(Error::InvalidCertificate).into_iter();
        certificates.chain(alerts.map(Error::AlertReceived)).chain(others).collect()
    }
}
