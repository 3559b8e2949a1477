//! Certificates for a test's servers, and the authority that they are from.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SignatureAlgorithm, date_time_ymd,
};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// An authority of its own. Its files are removed when it is dropped.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    made: AtomicUsize,
}

/// The files of a server's certificate and its key.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        Self::with(&PKCS_ECDSA_P256_SHA256)
    }

    /// One whose key, and so whose signatures, are for this algorithm.
    pub fn with(algorithm: &'static SignatureAlgorithm) -> Self {
        let key = key_for(algorithm);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, issuer: Issuer::new(params, key), pem, made: AtomicUsize::new(0) }
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its own certificate as that of a server, which is wrong.
    pub fn itself(&self) -> Certificate {
        self.put(self.pem.clone(), self.issuer.key())
    }

    /// A certificate for a name or an address that is from nobody but itself, and its text.
    pub fn self_signed(&self, name: &str) -> (Certificate, String) {
        let made = rcgen::generate_simple_self_signed([name.to_string()]).unwrap();
        (self.put(made.cert.pem(), &made.signing_key), made.cert.pem())
    }

    /// A certificate for a name or an address.
    pub fn certificate(&self, name: &str) -> Certificate {
        self.certificate_of(name, &PKCS_ECDSA_P256_SHA256, 2020, 2100)
    }

    /// One that is valid between the beginnings of these years, with a key for this algorithm.
    pub fn certificate_of(
        &self,
        name: &str,
        algorithm: &'static SignatureAlgorithm,
        from: i32,
        to: i32,
    ) -> Certificate {
        let key = key_for(algorithm);
        let mut params = CertificateParams::new(vec![name.to_string()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        self.put(params.signed_by(&key, &self.issuer).unwrap().pem(), &key)
    }

    fn put(&self, certificate: String, key: &KeyPair) -> Certificate {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let write = |what: &str, text: String| {
            let path = self.folder.path().join(format!("{number}.{what}.pem"));
            std::fs::write(&path, text).unwrap();
            path
        };
        Certificate { certificate: write("certificate", certificate), key: write("key", key.serialize_pem()) }
    }
}

/// A new key; for RSA the one of all tests, because nothing here generates such keys. It is good for nothing else.
fn key_for(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    let rsa = [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_RSA_SHA384, &rcgen::PKCS_RSA_SHA512];
    if rsa.contains(&algorithm) {
        return KeyPair::from_pkcs8_pem_and_sign_algo(include_str!("rsa-of-tests.pem"), algorithm).unwrap();
    }
    KeyPair::generate_for(algorithm).unwrap()
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
