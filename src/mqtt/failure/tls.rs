//! Why TLS failed, and what to do about it.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::advice::{Advice, sentence};
use crate::config::keys;

/// How many names of a certificate are shown, and how long each one may be.
const NAMES: usize = 6;
const LONGEST_NAME: usize = 80;

/// The broker closed the connection during the handshake, probably because this port has no TLS.
pub(super) fn closed_in_handshake() -> Advice {
    Advice::new("it closed the connection during the TLS handshake.")
        .then(sentence![
            "This port probably does not use TLS. Set ",
            &keys::PORT,
            " to the TLS port, usually 8883, or disable ",
            &keys::TLS_ENABLED,
            "."
        ])
        .then(sentence!["If it does use TLS, the broker's log says why."])
}

pub(super) fn advice(error: &Error) -> Advice {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => refused(*alert),
        Error::PeerIncompatible(_) => {
            common_version("there is no common TLS version or cipher suite.")
        }
        Error::NoCertificatesPresented => Advice::new("it sent no certificate.")
            .then(sentence!["Check the broker's TLS settings."]),
        Error::InvalidMessage(
            InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::CertificatePayloadTooLarge,
        ) => Advice::new("it sent a TLS message of more than 64 KiB.").then(sentence![
            "It probably sends too many certificates. It should send only its own certificate and \
             the intermediate certificates between it and your CA."
        ]),
        // The answer is not TLS.
        Error::InvalidMessage(_) => Advice::new("the server at this address does not use TLS.")
            .then(sentence![
                "Set ",
                &keys::PORT,
                " to the broker's TLS port, usually 8883, or disable ",
                &keys::TLS_ENABLED,
                "."
            ]),
        error => Advice::new(format!("TLS failed ({error})."))
            .then(sentence!["The broker's log may say more."]),
    }
}

fn common_version(what: &'static str) -> Advice {
    Advice::new(what).then(sentence!["Configure the broker for TLS 1.2 or newer."]).then(sentence![
        "If the broker supports only 1.2, ",
        &keys::TLS_VERSION,
        " must not be 1.3."
    ])
}

/// The broker's certificate is rejected.
fn certificate(error: &CertificateError) -> Advice {
    match error {
        // The library reports a short key in the same way as a wrong key.
        CertificateError::BadSignature => {
            Advice::new("the signature of its certificate is invalid.")
                .then(sentence![
                    "There are two possible causes. Another CA of the same name may have signed it. \
                     In that case, set ",
                    &keys::TLS_CA_CERT,
                    " to the certificate of that CA."
                ])
                .then(sentence![
                    "Or the key of the certificate or of the CA is too short. An RSA key needs at \
                     least 2048 bits."
                ])
        }
        CertificateError::UnknownIssuer => {
            Advice::new("its certificate is signed by a CA that is not trusted.")
                .then(sentence![
                    "Set ",
                    &keys::TLS_CA_CERT,
                    " to the certificate of the CA that signed it."
                ])
                .then(sentence!["(If you have already done so, that file belongs to another CA, or this is not your broker.)"])
        }
        CertificateError::ExpiredContext { not_after, .. } => Advice::new(format!(
            "its certificate expired on {}.",
            day(*not_after)
        ))
        .then(sentence![
            "Renew it on the broker. If that date is in the future, correct this machine's clock."
        ]),
        CertificateError::NotValidYetContext { not_before, .. } => {
            let what = format!("its certificate is valid only from {}.", day(*not_before));
            Advice::new(what).then(sentence![
                "Correct the clock of this machine, or of the machine that made the certificate."
            ])
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            not_for(&expected.to_str(), presented)
        }
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            Advice::new("its certificate is not valid for servers.")
                .then(sentence!["Make one with `serverAuth` as `extendedKeyUsage`."])
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Advice::new(
            "its certificate is signed with a weak or unsupported algorithm.",
        )
        .then(sentence![
            "Make one with SHA-256, and with RSA of at least 2048 bits or ECDSA P-256."
        ]),
        CertificateError::Other(other) => match other.0.to_string() {
            reason if reason.contains("UnsupportedCertVersion") => Advice::new(
                "its certificate has X.509 version 1, which cannot contain a `subjectAltName`.",
            )
            .then(sentence![
                "Make one of version 3, with the broker's name or address as \
                         `subjectAltName`."
            ]),
            reason if reason.contains("CaUsedAsEndEntity") => {
                Advice::new("its certificate is that of a CA.").then(sentence![
                    "Set ",
                    &keys::TLS_CA_CERT,
                    " to this same certificate, or give the broker one that the CA has signed."
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
        return Advice::new("its certificate contains no valid names.").then(sentence![format!(
            "Make one with `{expected}` in its `subjectAltName`. A name only in the old \
             field `CN` (common name) is not enough."
        )]);
    }
    let more = if names.len() > NAMES { " and others" } else { "" };
    let some: Vec<&str> = names.iter().map(String::as_str).take(NAMES).collect();
    let some = some.join(", ");
    Advice::new(format!("its certificate is for {some}{more}, but not for `{expected}`.")).then(
        sentence![
            "Set ",
            &keys::HOST,
            format!(
                " to a name that the certificate contains, or make a certificate with `{expected}` in its `subjectAltName`."
            )
        ],
    )
}

fn unusable(reason: &str) -> Advice {
    Advice::new(format!("its certificate cannot be used ({reason})."))
        .then(sentence!["Make a new one for the broker."])
}

/// In UTC, as in certificates.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .map_or_else(|_| "an invalid date".to_owned(), |it| it.strftime("%F").to_string())
}

/// The name in `DnsName("broker.lan")` or `IpAddress(10.0.0.2)`, as the library writes them. `None`
/// if it is not the name of a machine.
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
        AlertDescription::CertificateRequired => Advice::new("it requires a client certificate.")
            .then(sentence!["Set ", &keys::TLS_CERT, " and ", &keys::TLS_KEY, "."]),
        AlertDescription::UnknownCA => {
            Advice::new("it does not trust the CA of the client certificate.").then(sentence![
                &keys::TLS_CERT,
                " must be signed by a CA that the broker trusts (in Mosquitto: `cafile`)."
            ])
        }
        AlertDescription::CertificateExpired => {
            Advice::new("it reports that the client certificate has expired.").then(sentence![
                "Renew the one in ",
                &keys::TLS_CERT,
                ". If it is still valid, check the broker's clock."
            ])
        }
        AlertDescription::CertificateRevoked => {
            Advice::new("it reports that the client certificate has been revoked.").then(sentence![
                "Make a new one for ",
                &keys::TLS_CERT,
                "."
            ])
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => Advice::new("it rejected the client certificate.")
            .then(sentence![
                "Check ",
                &keys::TLS_CERT,
                " and ",
                &keys::TLS_KEY,
                ". The broker's log says why."
            ]),
        AlertDescription::ProtocolVersion => common_version("there is no common TLS version."),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            Advice::new("there is no common cipher suite, or it requires a client certificate.")
                .then(sentence!["The broker's log says which."])
                .then(sentence![
                    "Set ",
                    &keys::TLS_CERT,
                    " and ",
                    &keys::TLS_KEY,
                    " if it requires a certificate."
                ])
        }
        AlertDescription::UnrecognisedName => Advice::new("it does not recognize this host name.")
            .then(sentence!["Set ", &keys::HOST, " to the name in its certificate."]),
        alert => Advice::new(format!("it ended the TLS connection ({alert:?})."))
            .then(sentence!["The broker's log may say more."]),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{OtherError, PeerIncompatible};

    use super::*;

    /// One error of every kind that has its own words.
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
            Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge),
            Error::General("one. And another".to_owned()),
        ];
        let certificates = certificates.map(Error::InvalidCertificate).into_iter();
        certificates.chain(alerts.map(Error::AlertReceived)).chain(others).collect()
    }
}
