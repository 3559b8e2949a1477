//! Cipher suites, and the encryption of their records.

use super::hash::{HmacSha256, HmacSha384, SHA256, SHA384};
use aes_gcm::aead::{AeadInOut, KeyInit, Nonce as NonceOf, Tag};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    NONCE_LEN, Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm,
    Tls13AeadAlgorithm, UnsupportedOperationError, make_tls12_aad, make_tls13_aad,
};
use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{CipherSuiteCommon, KeyExchangeAlgorithm, hash::Hash};
use rustls::{
    CipherSuite, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SignatureScheme, SupportedCipherSuite,
    Tls12CipherSuite, Tls13CipherSuite,
};
use std::marker::PhantomData;

/// In the order of preference.
pub static SUITES: [SupportedCipherSuite; 9] = [
    SupportedCipherSuite::Tls13(&CHACHA),
    SupportedCipherSuite::Tls13(&AES_128),
    SupportedCipherSuite::Tls13(&AES_256),
    SupportedCipherSuite::Tls12(&ECDSA_CHACHA),
    SupportedCipherSuite::Tls12(&RSA_CHACHA),
    SupportedCipherSuite::Tls12(&ECDSA_AES_128),
    SupportedCipherSuite::Tls12(&RSA_AES_128),
    SupportedCipherSuite::Tls12(&ECDSA_AES_256),
    SupportedCipherSuite::Tls12(&RSA_AES_256),
];

/// How many records one key may encrypt. For AES-GCM as rustls' documentation says; there is no such limit for ChaCha20.
const OF_AES: u64 = 1 << 24;
const OF_CHACHA: u64 = u64::MAX;

const TAG_LEN: usize = 16;
/// The part of the nonce that TLS 1.2 sends along with each record of AES-GCM (RFC 5288, section 3).
const EXPLICIT_LEN: usize = 8;
/// The longest content of a record.
const LONGEST: usize = 16 << 10;

const ECDSA: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::ECDSA_NISTP256_SHA256];
const RSA: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

const fn common(suite: CipherSuite, hash: &'static dyn Hash, limit: u64) -> CipherSuiteCommon {
    CipherSuiteCommon { suite, hash_provider: hash, confidentiality_limit: limit }
}

macro_rules! tls13 {
    ($name:ident, $suite:ident, $cipher:ty, $limit:ident, $hash:ident, $hmac:ident) => {
        static $name: Tls13CipherSuite = Tls13CipherSuite {
            common: common(CipherSuite::$suite, &$hash, $limit),
            hkdf_provider: &HkdfUsingHmac(&$hmac),
            aead_alg: &Cipher::<$cipher>(PhantomData),
            quic: None,
        };
    };
}

macro_rules! tls12 {
    ($name:ident, $suite:ident, $sign:ident, $cipher:ty, $limit:ident, $hash:ident, $hmac:ident) => {
        static $name: Tls12CipherSuite = Tls12CipherSuite {
            common: common(CipherSuite::$suite, &$hash, $limit),
            prf_provider: &PrfUsingHmac(&$hmac),
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: $sign,
            aead_alg: &Cipher::<$cipher>(PhantomData),
        };
    };
}

tls13!(CHACHA, TLS13_CHACHA20_POLY1305_SHA256, ChaCha20Poly1305, OF_CHACHA, SHA256, HmacSha256);
tls13!(AES_128, TLS13_AES_128_GCM_SHA256, Aes128Gcm, OF_AES, SHA256, HmacSha256);
tls13!(AES_256, TLS13_AES_256_GCM_SHA384, Aes256Gcm, OF_AES, SHA384, HmacSha384);
tls12!(
    ECDSA_CHACHA,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ECDSA,
    ChaCha20Poly1305,
    OF_CHACHA,
    SHA256,
    HmacSha256
);
tls12!(RSA_CHACHA, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, RSA, ChaCha20Poly1305, OF_CHACHA, SHA256, HmacSha256);
tls12!(ECDSA_AES_128, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ECDSA, Aes128Gcm, OF_AES, SHA256, HmacSha256);
tls12!(RSA_AES_128, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, RSA, Aes128Gcm, OF_AES, SHA256, HmacSha256);
tls12!(ECDSA_AES_256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, ECDSA, Aes256Gcm, OF_AES, SHA384, HmacSha384);
tls12!(RSA_AES_256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, RSA, Aes256Gcm, OF_AES, SHA384, HmacSha384);

/// What differs between the ciphers.
trait Kind: AeadInOut + KeyInit + Send + Sync + 'static {
    const KEY_LEN: usize;
    /// Bytes of the nonce that TLS 1.2 sends along with each record.
    const EXPLICIT: usize;

    fn secrets(key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets;
}

macro_rules! kind {
    ($cipher:ty, $key:literal, $explicit:expr, $secrets:ident) => {
        impl Kind for $cipher {
            const KEY_LEN: usize = $key;
            const EXPLICIT: usize = $explicit;

            fn secrets(key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets {
                ConnectionTrafficSecrets::$secrets { key, iv }
            }
        }
    };
}

kind!(ChaCha20Poly1305, 32, 0, Chacha20Poly1305);
kind!(Aes128Gcm, 16, EXPLICIT_LEN, Aes128Gcm);
kind!(Aes256Gcm, 32, EXPLICIT_LEN, Aes256Gcm);

struct Cipher<C>(PhantomData<C>);

/// A key in use, for records in one direction.
struct Keyed<C> {
    /// `None` if the key had a wrong length, which rustls rules out.
    cipher: Option<C>,
    /// What the number of a record is mixed into.
    iv: Iv,
    tls13: bool,
}

impl<C: Kind> Keyed<C> {
    fn new(key: &AeadKey, iv: Iv, tls13: bool) -> Box<Self> {
        Box::new(Self { cipher: C::new_from_slice(key.as_ref()).ok(), iv, tls13 })
    }

    fn explicit(&self) -> usize {
        if self.tls13 { 0 } else { C::EXPLICIT }
    }
}

impl<C: Kind> Tls13AeadAlgorithm for Cipher<C> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Keyed::<C>::new(&key, iv, true)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Keyed::<C>::new(&key, iv, true)
    }

    fn key_len(&self) -> usize {
        C::KEY_LEN
    }

    fn extract_keys(&self, key: AeadKey, iv: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(C::secrets(key, iv))
    }
}

impl<C: Kind> Tls12AeadAlgorithm for Cipher<C> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Keyed::<C>::new(&key, whole_iv(iv, extra), false)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Keyed::<C>::new(&key, whole_iv(iv, &[]), false)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: C::KEY_LEN,
            fixed_iv_len: NONCE_LEN - C::EXPLICIT,
            explicit_nonce_len: C::EXPLICIT,
        }
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(C::secrets(key, whole_iv(iv, explicit)))
    }
}

/// The part of the nonce that both sides derive, and behind it what the sender's explicit part starts from, if there is
/// one.
fn whole_iv(fixed: &[u8], explicit: &[u8]) -> Iv {
    let mut iv = [0; NONCE_LEN];
    iv.iter_mut().zip(fixed.iter().chain(explicit)).for_each(|(to, from)| *to = *from);
    Iv::new(iv)
}

impl<C: Kind> MessageEncrypter for Keyed<C> {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        let length = message.payload.len();
        let total = self.encrypted_payload_len(length);
        let explicit = self.explicit();
        let nonce = Nonce::new(&self.iv, seq).0;
        let mut payload = PrefixedPayload::with_capacity(total);
        if explicit > 0 {
            payload.extend_from_slice(nonce.get(NONCE_LEN - explicit..).unwrap_or_default());
        }
        payload.extend_from_chunks(&message.payload);
        let (typ, version, tag);
        let cipher = self.cipher.as_ref().ok_or(Error::EncryptError)?;
        let seal = |payload: &mut PrefixedPayload, aad: &[u8]| -> Result<Tag<C>, Error> {
            let content = payload.as_mut().get_mut(explicit..).ok_or(Error::EncryptError)?;
            let nonce = NonceOf::<C>::try_from(&nonce[..]).map_err(|_| Error::EncryptError)?;
            cipher.encrypt_inout_detached(&nonce, aad, content.into()).map_err(|_| Error::EncryptError)
        };
        if self.tls13 {
            payload.extend_from_slice(&message.typ.to_array());
            tag = seal(&mut payload, &make_tls13_aad(total))?;
            // Every record looks like data of TLS 1.2 (RFC 8446, section 5.2).
            (typ, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);
        } else {
            tag = seal(&mut payload, &make_tls12_aad(seq, message.typ, message.version, length))?;
            (typ, version) = (message.typ, message.version);
        }
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(typ, version, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + self.explicit() + TAG_LEN + usize::from(self.tls13)
    }
}

impl<C: Kind> MessageDecrypter for Keyed<C> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let explicit = self.explicit();
        let mut nonce = Nonce::new(&self.iv, seq).0;
        let total = message.payload.len();
        let length = total.checked_sub(explicit + TAG_LEN).ok_or(Error::DecryptError)?;
        let (head, rest) = message.payload.split_at_mut_checked(explicit).ok_or(Error::DecryptError)?;
        let (content, tag) = rest.split_at_mut_checked(length).ok_or(Error::DecryptError)?;
        if explicit > 0 {
            let sent = nonce.get_mut(NONCE_LEN - explicit..).ok_or(Error::DecryptError)?;
            sent.copy_from_slice(head);
        }
        let nonce = NonceOf::<C>::try_from(&nonce[..]).map_err(|_| Error::DecryptError)?;
        let tag = Tag::<C>::try_from(&*tag).map_err(|_| Error::DecryptError)?;
        let cipher = self.cipher.as_ref().ok_or(Error::DecryptError)?;
        let open = |aad: &[u8], content: &mut [u8]| {
            cipher.decrypt_inout_detached(&nonce, aad, content.into(), &tag).map_err(|_| Error::DecryptError)
        };
        if self.tls13 {
            // What is authenticated is the type that was received (RFC 8446, section 5.2), and rustls assumes this one.
            if message.typ != ContentType::ApplicationData {
                return Err(Error::DecryptError);
            }
            open(&make_tls13_aad(total), content)?;
            message.payload.truncate(length);
            return message.into_tls13_unpadded_message();
        }
        open(&make_tls12_aad(seq, message.typ, message.version, length), content)?;
        if length > LONGEST {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(message.into_plain_message_range(explicit..explicit + length))
    }
}
