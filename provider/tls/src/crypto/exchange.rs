//! Key exchange: X25519 (RFC 7748), and Diffie-Hellman on P-256 and P-384.

use super::Random;
use p256::elliptic_curve::sec1::ToSec1Point;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

/// In the order of preference. The first one is sent along with the first message.
pub static GROUPS: [&dyn SupportedKxGroup; 3] = [&X25519, &P256, &P384];

/// How many random numbers are tried as a key. A host that returns zeros has none that fits.
const TRIES: usize = 16;

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
                let tries = std::iter::repeat_with(|| {
                    let mut bytes = Zeroizing::new([0; $length]);
                    Random.fill(&mut *bytes).map(|()| $curve::SecretKey::from_slice(&*bytes).ok())
                });
                // Hardly any number is too large for the curve, and then another one is taken.
                let secret = tries.take(TRIES).find_map(Result::transpose).ok_or(GetRandomFailed)??;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;

    /// Whether a server's share is refused by the group.
    fn refused(group: &dyn SupportedKxGroup, share: &[u8]) -> bool {
        group.start().unwrap().complete(share).is_err()
    }

    #[test]
    fn both_sides_agree_on_a_secret_that_differs_each_time() {
        for group in GROUPS {
            let mut secrets = Vec::new();
            for _ in 0..2 {
                let (ours, theirs) = (group.start().unwrap(), group.start().unwrap());
                let (our_share, their_share) = (ours.pub_key().to_vec(), theirs.pub_key().to_vec());
                let secret = ours.complete(&their_share).unwrap().secret_bytes().to_vec();
                assert_eq!(theirs.complete(&our_share).unwrap().secret_bytes(), secret, "{:?}", group.name());
                secrets.push(secret);
            }
            assert_ne!(secrets.first(), secrets.last(), "{:?}", group.name());
        }
    }

    /// Points with which everybody would know the secret, and what is no point (RFC 7748, section 6.1; RFC 8446,
    /// section 4.2.8.2).
    #[test]
    fn shares_that_give_the_secret_away_or_are_no_point_of_the_curve_are_refused() {
        let one = [&[1][..], &[0; 31]].concat();
        // A point of order 8 on Curve25519.
        let low: [u8; 32] = [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
            0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ];
        for share in [&[0; 32][..], &one, &low, &[], &[9; 31], &[9; 33]] {
            assert!(refused(&X25519, share), "{share:?}");
        }
        for (group, length) in [(&P256 as &dyn SupportedKxGroup, 32), (&P384, 48)] {
            let good = group.start().unwrap().pub_key().to_vec();
            assert!(!refused(group, &good));
            let (x, y) = good.split_at(1).1.split_at(length);
            let compressed = [&[2 + y.last().unwrap() % 2][..], x].concat();
            let off_the_curve = [&[4][..], x, &vec![1; length]].concat();
            let infinity = [0];
            for share in
                [&compressed[..], &off_the_curve, &infinity, &[], good.split_last().unwrap().1, &vec![4; length]]
            {
                assert!(refused(group, share), "{:?} {share:?}", group.name());
            }
        }
    }
}
