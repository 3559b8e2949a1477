//! SHA-256 and SHA-384, and HMAC with them.

use hmac_of_tls::{Hmac, KeyInit, Mac};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::{Hmac as HmacOfRustls, Key, Tag};
use sha2_of_tls::{Digest, Sha256, Sha384};

pub struct Hashing<D>(HashAlgorithm, usize, std::marker::PhantomData<D>);

pub static SHA256: Hashing<Sha256> = Hashing(HashAlgorithm::SHA256, 32, std::marker::PhantomData);
pub static SHA384: Hashing<Sha384> = Hashing(HashAlgorithm::SHA384, 48, std::marker::PhantomData);

struct Running<D>(D);

impl<D: Digest + Clone + Send + Sync + 'static> Hash for Hashing<D> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        self.1
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.0
    }
}

impl<D: Digest + Clone + Send + Sync + 'static> Context for Running<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

macro_rules! keyed {
    ($name:ident, $digest:ty, $length:literal) => {
        pub struct $name;

        impl HmacOfRustls for $name {
            fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
                // HMAC takes a key of any length: one longer than a block is hashed first (RFC 2104, section 2).
                let hashed = <$digest>::digest(key);
                let keyed = Hmac::<$digest>::new_from_slice(key).or_else(|_| Hmac::new_from_slice(&hashed));
                Box::new(Keyed(keyed.ok()))
            }

            fn hash_output_len(&self) -> usize {
                $length
            }
        }

        impl Key for Keyed<Hmac<$digest>> {
            fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
                let Some(mut mac) = self.0.clone() else { return Tag::new(&[]) };
                mac.update(first);
                middle.iter().for_each(|part| mac.update(part));
                mac.update(last);
                Tag::new(&mac.finalize().into_bytes())
            }

            fn tag_len(&self) -> usize {
                $length
            }
        }
    };
}

struct Keyed<M>(Option<M>);

keyed!(HmacSha256, Sha256, 32);
keyed!(HmacSha384, Sha384, 48);
