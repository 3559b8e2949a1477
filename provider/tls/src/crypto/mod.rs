//! The algorithms, for rustls: what its built-in providers take from C and assembler, from crates in Rust alone. Only a
//! client's part: it verifies, and never signs.
//!
//! ChaCha20-Poly1305 comes first. Without the processor's instructions for AES, which wasm does not have, it is several
//! times faster than AES-GCM, and takes the same time whatever the key.

mod aead;
mod exchange;
mod hash;
mod verify;

use rustls::crypto::{CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use std::sync::Arc;

/// TLS 1.3 and 1.2, only with forward secrecy and authenticated encryption.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: aead::SUITES.to_vec(),
        kx_groups: exchange::GROUPS.to_vec(),
        signature_verification_algorithms: verify::ALGORITHMS,
        secure_random: &Random,
        key_provider: &NoKeys,
    }
}

/// The host's source of random bytes.
#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        #[cfg(target_arch = "wasm32")]
        kvfuse_transport::random::fill(buffer);
        #[cfg(not(target_arch = "wasm32"))]
        getrandom::fill(buffer).map_err(|_| GetRandomFailed)?;
        Ok(())
    }
}

/// A client without a certificate has no private key.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("certificates of clients are not supported".into()))
    }
}
