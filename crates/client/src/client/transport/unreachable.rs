// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a server cannot be reached, in words that say what to do.

use std::error::Error;
use std::io;

use reqwest::Url;
use rustls::CertificateError;

/// What went wrong on the way to `base`.
pub(in crate::client) fn reason(error: &reqwest::Error, base: &Url) -> String {
    let is_plain = base.scheme() == "http";
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(why)) => certificate(why, base),
        Some(rustls::Error::InvalidMessage(_)) => {
            "what answers there does not speak TLS. Is the port right, or is the address http://…?".to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => format!("it refused TLS ({alert:?})"),
        Some(other) => format!("TLS failed: {other}"),
        None => {
            let last = super::causes(error);
            // A TLS port answers plain HTTP with an alert, or hangs up.
            let is_garbled =
                ["invalid HTTP version", "connection closed before message", "invalid HTTP header"]
                    .iter()
                    .any(|sign| last.contains(sign));
            if is_plain && is_garbled {
                format!("what answers there does not speak plain HTTP ({last}). Is the address https://…?")
            } else {
                last
            }
        }
    }
}

fn certificate(why: &CertificateError, base: &Url) -> String {
    let host = base.host_str().unwrap_or_default();
    match why {
        CertificateError::UnknownIssuer => {
            "its certificate is from an authority that this machine does not trust. If that is your own, name its PEM \
             file with --ca-file or BAILIWICK_CA_FILE"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is for another name than {host}: use the name that it was made for")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: the operator has to renew it, unless this machine's clock is wrong"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: is this machine's clock right?".to_owned()
        }
        // rustls has no name for it.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it shows the certificate of an authority: the server needs one of its own, made without CA:TRUE".to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        other => format!("its certificate is not accepted: {other}"),
    }
}

/// The TLS error that an error comes from, however deep it is wrapped.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        // What an I/O error wraps is not among its sources, but what that has for sources is.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|wrapped| tls_error(wrapped)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_refused_says_what_to_do() {
        let base = Url::parse("https://files.example.org").unwrap();
        for (why, says) in [
            (CertificateError::UnknownIssuer, "--ca-file"),
            (CertificateError::NotValidForName, "files.example.org"),
            (CertificateError::Expired, "expired"),
            (CertificateError::NotValidYet, "clock"),
            (CertificateError::Revoked, "revoked"),
        ] {
            let said = certificate(&why, &base);
            assert!(said.contains(says) && !said.contains("Error"), "{said}");
        }
    }

    #[test]
    fn a_tls_error_is_found_where_it_is_wrapped() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert!(matches!(tls_error(&wrapped), Some(rustls::Error::InvalidCertificate(_))));
        assert!(tls_error(&io::Error::other("no")).is_none());
    }
}
