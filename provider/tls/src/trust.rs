//! Whose certificates are trusted.

use crate::crypto;
use kvfuse_core::{Error, Result, Settings};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// The variable with the authorities to trust instead of Mozilla's, in PEM.
pub const CA: &str = "KEYVALUE_TLS_CA";

/// Whose certificates are trusted.
#[derive(Clone)]
pub struct Trust(pub(crate) Arc<ClientConfig>);

impl Trust {
    /// The authorities of the settings: the certificates in `KEYVALUE_TLS_CA`, in PEM, or else Mozilla's.
    ///
    /// # Errors
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) if the variable has no certificate in it, or one that cannot
    /// be read.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let roots = match settings.get(CA) {
            Some(text) => from_pem(text)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let config = ClientConfig::builder_with_details(Arc::new(crypto::provider()), Arc::new(HostTime))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::invalid(format!("TLS cannot be set up: {error}")))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        // An instance connects once, as a rule, and its sessions end with it.
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }
}

fn from_pem(text: &str) -> Result<RootCertStore> {
    // Where a variable takes one line only, people write \n.
    let text = text.replace("\\n", "\n");
    let unreadable = || {
        Error::invalid(format!(
            "{CA} has a certificate that cannot be read: it takes what the file of an authority has in PEM, from -----BEGIN \
             CERTIFICATE----- to -----END CERTIFICATE-----, with its lines"
        ))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        roots.add(certificate.map_err(|_| unreadable())?).map_err(|_| unreadable())?;
    }
    if roots.is_empty() {
        return Err(Error::invalid(format!(
            "{CA} has no certificate in it: it takes the text of the file and not its name, because this \
             component has no access to files: {CA}=\"$(cat ca.pem)\""
        )));
    }
    Ok(roots)
}

/// The host's wall clock.
#[derive(Debug)]
struct HostTime;

impl TimeProvider for HostTime {
    fn current_time(&self) -> Option<UnixTime> {
        #[cfg(target_arch = "wasm32")]
        let since = std::time::Duration::from_millis(kvfuse_transport::timers::now());
        #[cfg(not(target_arch = "wasm32"))]
        let since = std::time::UNIX_EPOCH.elapsed().ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;
    use kvfuse_core::Kind;
    use kvfuse_servers::settings;

    fn error(pem: &str) -> Error {
        Trust::from_settings(&settings(&[(CA, pem)])).err().unwrap()
    }

    #[test]
    fn authorities_are_mozillas_or_those_in_the_variable() {
        assert!(Trust::from_settings(&settings(&[])).is_ok());
        let made = || rcgen::generate_simple_self_signed(["ca".to_string()]).unwrap().cert.pem();
        let two = made() + &made();
        assert_eq!(from_pem(&two).unwrap().len(), 2);
        assert_eq!(from_pem(&two.replace('\n', "\\n")).unwrap().len(), 2, "on one line");
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_what_is_expected() {
        for text in ["ca.pem", "/etc/ssl/ca.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            let error = error(text);
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(error.message().contains("KEYVALUE_TLS_CA=\"$(cat ca.pem)\""), "{error}");
            assert!(!error.message().contains("AAAA"), "{error}");
        }
        for text in [
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        ] {
            assert!(error(text).message().contains("cannot be read"), "{text}");
        }
    }
}
