//! What TLS says when it fails, and what to do.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use crate::advice::{Advice, sentence};
use crate::config::keys;

/// How many names of a certificate are shown, and how long each may be.
const NAMES: usize = 6;
const LONGEST_NAME: usize = 80;

/// The broker closed the connection in the handshake, most likely because it has no TLS at this
/// port.
pub(super) fn closed_in_handshake() -> Advice {
    Advice::new("it closed the connection when it was spoken to in TLS.")
        .then(sentence![
            "Most likely its port does not speak TLS: use the one that does, mostly 8883, as ",
            &keys::PORT,
            ", or switch ",
            &keys::TLS_ENABLED,
            " off."
        ])
        .then(sentence!["If it does, the broker's own log tells."])
}

pub(super) fn advice(error: &Error) -> Advice {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => refused(*alert),
        Error::PeerIncompatible(_) => {
            common_version("the two have no version of TLS, or no encryption, in common.")
        }
        Error::NoCertificatesPresented => Advice::new("it shows no certificate.")
            .then(sentence!["Look at the broker's settings for TLS."]),
        // Something answers, and not in TLS.
        Error::InvalidMessage(_) => {
            Advice::new("what answers there does not speak TLS.").then(sentence![
                "Use the broker's port that does, mostly 8883, as ",
                &keys::PORT,
                ", or switch ",
                &keys::TLS_ENABLED,
                " off."
            ])
        }
        error => Advice::new(format!("TLS failed ({error})."))
            .then(sentence!["The broker's own log may say more."]),
    }
}

fn common_version(what: &'static str) -> Advice {
    Advice::new(what).then(sentence!["Set the broker to TLS 1.2 or newer."]).then(sentence![
        "If it speaks 1.2 only, ",
        &keys::TLS_VERSION,
        " must not be 1.3."
    ])
}

/// The broker's certificate is rejected.
fn certificate(error: &CertificateError) -> Advice {
    match error {
        // The library reports a key that is too short in the same way as a wrong one.
        CertificateError::BadSignature => {
            Advice::new("the signature of its certificate does not hold.")
                .then(sentence![
                    "Either another CA of the same name made it: set ",
                    &keys::TLS_CA_CERT,
                    " to the certificate of that one."
                ])
                .then(sentence!["Or a key is too short: RSA needs 2048 bits."])
        }
        CertificateError::UnknownIssuer => {
            Advice::new("its certificate is signed by a CA that is not trusted here.")
                .then(sentence![
                    "Set ",
                    &keys::TLS_CA_CERT,
                    " to the certificate of the CA that signed it."
                ])
                .then(sentence!["(If that is done: this is another CA, or another broker.)"])
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            Advice::new(format!("its certificate expired on {}.", day(*not_after))).then(sentence![
                "Renew it on the broker; if that day is yet to come, set this machine's clock."
            ])
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let what = format!("its certificate is valid only from {} on.", day(*not_before));
            Advice::new(what).then(sentence![
                "Set the clock of this machine, or of the one that made the certificate."
            ])
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            not_for(&expected.to_str(), presented)
        }
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            Advice::new("its certificate is not meant for servers.")
                .then(sentence!["Make one with `serverAuth` as `extendedKeyUsage`."])
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Advice::new("its certificate is signed in a way that is too weak or not known here.")
                .then(sentence![
                    "Make one with SHA-256 and RSA of 2048 bits or more, or ECDSA P-256."
                ])
        }
        CertificateError::Other(other) => match other.0.to_string() {
            reason if reason.contains("UnsupportedCertVersion") => Advice::new(
                "its certificate is of version 1, which has no names in it.",
            )
            .then(sentence![
                "Make one of version 3, with the broker's name or address as \
                         `subjectAltName`."
            ]),
            reason if reason.contains("CaUsedAsEndEntity") => {
                Advice::new("its certificate is a CA's own.").then(sentence![
                    "Set ",
                    &keys::TLS_CA_CERT,
                    " to this very certificate, or make the broker one that the CA has signed."
                ])
            }
            reason => unusable(&reason),
        },
        error => unusable(&error.to_string()),
    }
}

/// The certificate is for other names than the expected one.
fn not_for(expected: &str, presented: &[String]) -> Advice {
    let names: Vec<String> = presented.iter().filter_map(|name| shown(name)).collect();
    if names.is_empty() {
        return Advice::new("its certificate has no names in it that count.").then(sentence![
            format!("Make one with `{expected}` among its `subjectAltName`;"),
            " a name in `CN` alone is not enough."
        ]);
    }
    let more = if names.len() > NAMES { " and others" } else { "" };
    let some: Vec<&str> = names.iter().map(String::as_str).take(NAMES).collect();
    let some = some.join(", ");
    Advice::new(format!("its certificate is for {some}{more}, and not for `{expected}`.")).then(
        sentence![
            "Set ",
            &keys::HOST,
            format!(
                " to a name that it has, or make one with `{expected}` among its `subjectAltName`."
            )
        ],
    )
}

fn unusable(reason: &str) -> Advice {
    Advice::new(format!("its certificate cannot be used ({reason})."))
        .then(sentence!["Make another one for the broker."])
}

/// In UTC, as in certificates.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(
        |_| "a day that no calendar has".to_owned(),
        |it| it.strftime("%F").to_string(),
    )
}

/// The name in `DnsName("broker.lan")` or `IpAddress(10.0.0.2)`, as the library writes them. `None`
/// for what is not the name of a machine.
fn shown(name: &str) -> Option<String> {
    let (kind, rest) = name.split_once('(')?;
    let name = rest.strip_suffix(')')?.trim_matches('"');
    let plain = |c: char| c.is_ascii_graphic() && c != '`';
    (matches!(kind, "DnsName" | "IpAddress")
        && name.len() <= LONGEST_NAME
        && name.chars().all(plain))
    .then(|| format!("`{name}`"))
}

/// The broker rejected us.
fn refused(alert: AlertDescription) -> Advice {
    match alert {
        AlertDescription::CertificateRequired => {
            Advice::new("it wants a certificate from its clients.").then(sentence![
                "Set ",
                &keys::TLS_CERT,
                " and ",
                &keys::TLS_KEY,
                "."
            ])
        }
        AlertDescription::UnknownCA => {
            Advice::new("it does not trust the CA that signed our certificate.").then(sentence![
                &keys::TLS_CERT,
                " must be signed by a CA that the broker knows (`cafile` of Mosquitto)."
            ])
        }
        AlertDescription::CertificateExpired => {
            Advice::new("it says that our certificate has expired.").then(sentence![
                "Renew the one in ",
                &keys::TLS_CERT,
                "; if it is still good, look at the broker's clock."
            ])
        }
        AlertDescription::CertificateRevoked => {
            Advice::new("it says that our certificate has been revoked.").then(sentence![
                "Make another one for ",
                &keys::TLS_CERT,
                "."
            ])
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            Advice::new("it refused our certificate.").then(sentence![
                "Check ",
                &keys::TLS_CERT,
                " and ",
                &keys::TLS_KEY,
                "; the broker's own log tells why."
            ])
        }
        AlertDescription::ProtocolVersion => {
            common_version("the two have no version of TLS in common.")
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => Advice::new(
            "it did not agree on an encryption, or it wants a certificate from its clients.",
        )
        .then(sentence!["The broker's own log tells which."])
        .then(sentence!["A certificate goes into ", &keys::TLS_CERT, " and ", &keys::TLS_KEY, "."]),
        AlertDescription::UnrecognisedName => Advice::new("it does not go by this name.")
            .then(sentence!["Set ", &keys::HOST, " to the one in its certificate."]),
        alert => Advice::new(format!("it ended TLS ({alert:?})."))
            .then(sentence!["The broker's own log may say more."]),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{InvalidMessage, OtherError, PeerIncompatible};

    use super::*;

    /// One error of every kind that has words of its own.
    pub(in super::super) fn every_error() -> Vec<Error> {
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
