//! Keyed hashes. All keys are derived from the random number in a bucket's anchor, so a client that only sends keys and
//! values cannot choose keys that share a path, or a value that looks like a record.

use crate::name::Node;
use siphasher::sip::SipHasher13;
use siphasher::sip128::SipHasher13 as SipHasher13Wide;
use std::hash::Hasher;

/// The hash keys derived from a bucket's random number.
#[derive(Clone)]
pub struct Keys {
    hash: SipHasher13,
    digest: SipHasher13Wide,
    check: SipHasher13Wide,
}

impl Keys {
    pub fn new(random: &[u8; 16]) -> Self {
        let master = SipHasher13Wide::new_with_key(random);
        let derive = |purpose: &[u8]| master.hash(purpose).as_bytes();
        Self {
            hash: SipHasher13::new_with_key(&derive(b"key")),
            digest: SipHasher13Wide::new_with_key(&derive(b"digest")),
            check: SipHasher13Wide::new_with_key(&derive(b"check")),
        }
    }

    /// A key's place: its node in the tree and its place in listings. Below 2^63.
    pub fn place(&self, key: &[u8]) -> u64 {
        self.hash.hash(key) >> 1
    }

    /// What stands for a key that is too long for a record.
    pub fn digest(&self, key: &[u8]) -> [u8; 16] {
        self.digest.hash(key).as_bytes()
    }

    /// The checksums of one file. Each file has its own, so that a record counts only where it was written.
    pub fn checks(&self, kind: u8, node: Node, number: u64) -> Checks {
        let mut identity = [0; 18];
        let fields = [&[kind, node.depth()][..], &node.bits().to_le_bytes(), &number.to_le_bytes()].concat();
        identity.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        let key = self.check.hash(&identity).as_bytes();
        let sum = SipHasher13::new_with_key(&key);
        let marker = (sum.hash(b"marker") as u32).to_le_bytes();
        // In segments, one flipped bit must not turn it into a zero, which a power cut leaves. Other files are older.
        let bits = if kind == b'S' { 2 } else { 1 };
        let end = (1..=u8::MAX).find(|byte| !marker.contains(byte) && byte.count_ones() >= bits).unwrap_or_default();
        Checks { sum, marker, end }
    }
}

/// The checksum and the frame marker of one file.
#[derive(Clone)]
pub struct Checks {
    sum: SipHasher13,
    marker: [u8; 4],
    end: u8,
}

impl Checks {
    /// A number that stands for the file, among those of all buckets.
    pub fn file(&self) -> u64 {
        self.sum.hash(b"file")
    }

    /// The beginning of every frame of the file. It cannot be known without the bucket's random number.
    pub fn marker(&self) -> [u8; 4] {
        self.marker
    }

    /// The last byte of every frame of the file.
    pub fn end(&self) -> u8 {
        self.end
    }

    pub fn sum(&self, bytes: &[u8]) -> u64 {
        self.sum.hash(bytes)
    }
}

/// Hashes places for maps: they are keyed hashes already.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        // The map takes its tags from the upper bits, and keys of one segment share those.
        self.0 = n.rotate_left(24);
    }
}

/// Hashes nodes for maps: their digits are those of keyed hashes.
#[derive(Default)]
pub struct NodeHasher(u64);

impl Hasher for NodeHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        // Multiplied by the golden ratio, so that upper and lower bits both differ.
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}
