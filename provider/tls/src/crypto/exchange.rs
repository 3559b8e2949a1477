//! Key exchange: X25519 (RFC 7748), and Diffie-Hellman on P-256 and P-384.

use super::Random;
use p256::elliptic_curve::sec1::ToSec1Point;
use rustls::crypto::{ActiveKeyExchange, SecureRandom, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

/// In the order of preference. The first one is sent along with the first message.
pub static GROUPS: [&dyn SupportedKxGroup; 3] = [&X25519, &P256, &P384];

#[derive(Debug)]
struct X25519;

struct Started25519 {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        Random.fill(&mut *secret)?;
        let public = x25519(*secret, X25519_BASEPOINT_BYTES);
        Ok(Box::new(Started25519 { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Started25519 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = peer.try_into().map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = Zeroizing::new(x25519(*self.secret, peer));
        // A point of small order: the secret would be known to everybody (RFC 7748, section 6.1).
        if shared.iter().fold(0, |all, byte| all | byte) == 0 {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        Ok(SharedSecret::from(&shared[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

macro_rules! curve {
    ($group:ident, $started:ident, $curve:ident, $length:literal, $name:ident) => {
        #[derive(Debug)]
        struct $group;

        struct $started {
            secret: $curve::SecretKey,
            public: Box<[u8]>,
        }

        impl SupportedKxGroup for $group {
            fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
                // Hardly any number is too large for the curve, and then another one is taken.
                let secret = loop {
                    let mut bytes = Zeroizing::new([0; $length]);
                    Random.fill(&mut *bytes)?;
                    if let Ok(secret) = $curve::SecretKey::from_slice(&*bytes) {
                        break secret;
                    }
                };
                let public = secret.public_key().to_sec1_point(false).as_bytes().into();
                Ok(Box::new($started { secret, public }))
            }

            fn name(&self) -> NamedGroup {
                NamedGroup::$name
            }
        }

        impl ActiveKeyExchange for $started {
            fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
                // TLS has points without compression only (RFC 8446, section 4.2.8.2). That it is on the curve is checked.
                if peer.first() != Some(&4) {
                    return Err(PeerMisbehaved::InvalidKeyShare.into());
                }
                let peer = $curve::PublicKey::from_sec1_bytes(peer).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
                let shared = $curve::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
                Ok(SharedSecret::from(&shared.raw_secret_bytes()[..]))
            }

            fn pub_key(&self) -> &[u8] {
                &self.public
            }

            fn group(&self) -> NamedGroup {
                NamedGroup::$name
            }
        }
    };
}

curve!(P256, Started256, p256, 32, secp256r1);
curve!(P384, Started384, p384, 48, secp384r1);
