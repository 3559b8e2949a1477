//! Signatures of certificates and handshakes.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{PublicKey, pkcs1v15, pss, signature::Verifier};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2_of_tls::{Digest, Sha256, Sha384, Sha512};
use std::fmt;

/// The shortest key of RSA that is accepted, in bits, as browsers have it.
const SHORTEST_RSA: u32 = 2048;

pub const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        &P256_SHA256,
        &P256_SHA384,
        &P384_SHA256,
        &P384_SHA384,
        &PSS_SHA256,
        &PSS_SHA384,
        &PSS_SHA512,
        &PKCS_SHA256,
        &PKCS_SHA384,
        &PKCS_SHA512,
    ],
    // TLS 1.3 takes the first one of each scheme, where the scheme names the curve.
    mapping: &[
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[&P384_SHA384, &P256_SHA384]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[&P256_SHA256, &P384_SHA256]),
        (SignatureScheme::RSA_PSS_SHA512, &[&PSS_SHA512]),
        (SignatureScheme::RSA_PSS_SHA384, &[&PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA256, &[&PSS_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[&PKCS_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[&PKCS_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[&PKCS_SHA256]),
    ],
};

/// The key, the message and the signature. `None` if the signature is not valid, or the key is not.
type Verify = fn(&[u8], &[u8], &[u8]) -> Option<()>;

struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verify: Verify,
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {:?}", self.signature, self.key)
    }
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.verify)(key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

const fn algorithm(key: AlgorithmIdentifier, signature: AlgorithmIdentifier, verify: Verify) -> Algorithm {
    Algorithm { key, signature, verify }
}

static P256_SHA256: Algorithm = algorithm(alg_id::ECDSA_P256, alg_id::ECDSA_SHA256, on_p256::<Sha256>);
static P256_SHA384: Algorithm = algorithm(alg_id::ECDSA_P256, alg_id::ECDSA_SHA384, on_p256::<Sha384>);
static P384_SHA256: Algorithm = algorithm(alg_id::ECDSA_P384, alg_id::ECDSA_SHA256, on_p384::<Sha256>);
static P384_SHA384: Algorithm = algorithm(alg_id::ECDSA_P384, alg_id::ECDSA_SHA384, on_p384::<Sha384>);
static PSS_SHA256: Algorithm = algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA256, with_pss_256);
static PSS_SHA384: Algorithm = algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA384, with_pss_384);
static PSS_SHA512: Algorithm = algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA512, with_pss_512);
static PKCS_SHA256: Algorithm = algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA256, with_pkcs_256);
static PKCS_SHA384: Algorithm = algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA384, with_pkcs_384);
static PKCS_SHA512: Algorithm = algorithm(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA512, with_pkcs_512);

fn on_p256<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn on_p384<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
    // The hash may be shorter than the curve, and then it is padded.
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn rsa_key(key: &[u8]) -> Option<PublicKey> {
    PublicKey::from_pkcs1_der(key).ok().filter(|key| key.n().bit_width() >= SHORTEST_RSA)
}

macro_rules! with_rsa {
    ($($name:ident: $scheme:ident, $digest:ty;)+) => {
        $(fn $name(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
            let signature = $scheme::Signature::try_from(signature).ok()?;
            $scheme::VerifyingKey::<$digest>::new(rsa_key(key)?).verify(message, &signature).ok()
        })+
    };
}

with_rsa! {
    with_pss_256: pss, Sha256;
    with_pss_384: pss, Sha384;
    with_pss_512: pss, Sha512;
    with_pkcs_256: pkcs1v15, Sha256;
    with_pkcs_384: pkcs1v15, Sha384;
    with_pkcs_512: pkcs1v15, Sha512;
}
