//! TLS errors in our terms.

use std::io;

use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};

use super::verifier::Wrong;
use crate::error::{Code, Error, Stage};

/// What a failed read or write of a [`crate::shell::stream::Stream`] means, TLS errors included.
pub fn fault(source: &io::Error, stage: Stage) -> Error {
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(error) = inner {
        return tls_fault(error, stage);
    }
    if source.kind() == io::ErrorKind::UnexpectedEof {
        return Error::new(Code::Dropped, stage, "The peer hung up.");
    }
    Error::from_io(Code::Dropped, stage, "The connection broke", source)
}

fn tls_fault(error: &rustls::Error, stage: Stage) -> Error {
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_fault(reason, stage),
        rustls::Error::AlertReceived(alert) => {
            let text = format!("The peer sent the alert {alert:?}.{}", meaning(*alert));
            Error::new(Code::Tls, stage, text).with(|detail| detail.tls_alert = Some(u8::from(*alert)))
        }
        rustls::Error::PeerIncompatible(why) if is_too_old(why) => {
            Error::new(Code::Tls, stage, "The peer speaks no version of TLS that tls.min_version allows.")
        }
        other => Error::new(Code::Tls, stage, format!("{other}.")),
    }
}

/// What an alert says to a client, where its name does not.
fn meaning(alert: AlertDescription) -> &'static str {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => {
            " It demands a client certificate: set tls.client_cert_file and tls.client_key_file."
        }
        // Only our certificate can be meant (RFC 8446 6.2).
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::DecryptError
        | Alert::AccessDenied => " It does not accept the client certificate (tls.client_cert_file).",
        // What a server says that misses a client certificate in TLS 1.2 (RFC 5246 7.4.6), among other things.
        Alert::HandshakeFailure => {
            " It may demand a client certificate (tls.client_cert_file), or a cipher suite that is not offered."
        }
        Alert::ProtocolVersion => " It speaks no version of TLS that tls.min_version allows.",
        _ => "",
    }
}

fn is_too_old(why: &PeerIncompatible) -> bool {
    use PeerIncompatible as Why;
    matches!(
        why,
        Why::Tls12NotOffered
            | Why::Tls12NotOfferedOrEnabled
            | Why::ServerDoesNotSupportTls12Or13
            | Why::ServerTlsVersionIsDisabledByOurConfig
    )
}

pub(super) fn certificate_fault(reason: &CertificateError, stage: Stage) -> Error {
    use CertificateError as Reason;
    // Alert numbers as rustls sends them (RFC 8446 6.2).
    let (code, alert) = match reason {
        Reason::Expired | Reason::ExpiredContext { .. } | Reason::NotValidYet | Reason::NotValidYetContext { .. } => {
            (Code::CertificateExpired, 45)
        }
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => (Code::CertificateHost, 42),
        Reason::UnknownIssuer => (Code::CertificateUntrusted, 48),
        // What an authority looks like that has only the name of one we trust, such as one that was renewed.
        Reason::BadSignature => (Code::CertificateUntrusted, 51),
        Reason::Revoked => (Code::Certificate, 44),
        Reason::Other(other) => match other.0.downcast_ref() {
            Some(wrong @ Wrong::SelfSigned) => return ours(Code::CertificateSelfSigned, *wrong, stage),
            Some(wrong @ Wrong::NotPinned) => return ours(Code::CertificatePin, *wrong, stage),
            // An authority used as a server: nobody we trust has issued it for this.
            None if is_authority_as_server(other) => (Code::CertificateUntrusted, 46),
            None => (Code::Certificate, 46),
        },
        _ => (Code::Certificate, 42),
    };
    Error::new(code, stage, format!("{reason}.")).with(|detail| detail.tls_alert = Some(alert))
}

/// A fault that our verifier has found.
fn ours(code: Code, wrong: Wrong, stage: Stage) -> Error {
    Error::new(code, stage, format!("{wrong}.")).with(|detail| detail.tls_alert = Some(46))
}

/// webpki's word for an authority that is used as a server; rustls passes it on as text only.
pub(super) fn is_authority_as_server(other: &OtherError) -> bool {
    other.0.to_string().contains("CaUsedAsEndEntity")
}
