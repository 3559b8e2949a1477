//! The hash slots of a cluster.
//!
//! Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>

use std::fmt::Write;

/// The number of slots of every cluster.
pub const SLOTS: u16 = 16_384;

/// The slot of a key: of the part in the first braces, if there is one that is not empty, or of all of it.
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(tag(key).unwrap_or(key)) % SLOTS
}

fn tag(key: &[u8]) -> Option<&[u8]> {
    let after = key.get(key.iter().position(|byte| *byte == b'{')?..)?.split_first()?.1;
    let end = after.iter().position(|byte| *byte == b'}').filter(|end| *end > 0)?;
    after.get(..end)
}

/// CRC-16/XMODEM: the polynomial 1021, and nothing reflected or inverted.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        let shift = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        (0..8).fold(crc ^ (u16::from(*byte) << 8), shift)
    })
}

/// A set of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSet([u64; SLOTS as usize / 64]);

impl Default for SlotSet {
    fn default() -> Self {
        Self([0; SLOTS as usize / 64])
    }
}

impl SlotSet {
    pub fn insert(&mut self, slot: u16) {
        if let Some(word) = self.0.get_mut(usize::from(slot / 64)) {
            *word |= 1 << (slot % 64);
        }
    }

    pub fn remove(&mut self, slot: u16) {
        if let Some(word) = self.0.get_mut(usize::from(slot / 64)) {
            *word &= !(1 << (slot % 64));
        }
    }

    pub fn contains(&self, slot: u16) -> bool {
        self.0.get(usize::from(slot / 64)).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    pub fn subtract(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
    }

    pub fn first(&self) -> Option<u16> {
        (0..SLOTS).find(|slot| self.contains(*slot))
    }

    /// The first slot that is in neither of two sets.
    pub fn first_missing(&self, other: &Self) -> Option<u16> {
        (0..SLOTS).find(|slot| !self.contains(*slot) && !other.contains(*slot))
    }

    /// Ranges in hexadecimal, such as `0-1fff_3000-3000`.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let mut next = 0;
        while let Some(first) = (next..SLOTS).find(|slot| self.contains(*slot)) {
            next = (first..SLOTS).find(|slot| !self.contains(*slot)).unwrap_or(SLOTS);
            let separator = if text.is_empty() { "" } else { "_" };
            // Writing to a string does not fail.
            let _ = write!(text, "{separator}{first:x}-{:x}", next.saturating_sub(1));
        }
        text
    }

    pub fn decode(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for range in text.split('_').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-')?;
            let number = |text| u16::from_str_radix(text, 16).ok().filter(|slot| *slot < SLOTS);
            (number(first)?..=number(last)?).for_each(|slot| set.insert(slot));
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the algorithm, and examples of the specification.
    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"123456789"), 12_739);
        assert_eq!(slot_of(b""), 0);
        for (key, part) in [
            (&b"{user1000}.following"[..], &b"user1000"[..]),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"foo{bar", b"foo{bar"),
            (b"foo}{bar}", b"bar"),
        ] {
            assert_eq!(slot_of(key), crc16(part) % SLOTS, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn a_set_comes_back_from_its_text() {
        let mut set = SlotSet::default();
        assert_eq!((set.encode().as_str(), set.first_missing(&set)), ("", Some(0)));
        (0..0x1000).chain([0x2000, 0x3ffe, 0x3fff]).for_each(|slot| set.insert(slot));
        assert_eq!(set.encode(), "0-fff_2000-2000_3ffe-3fff");
        assert_eq!(SlotSet::decode(&set.encode()), Some(set.clone()));
        assert_eq!(set.first_missing(&SlotSet::default()), Some(0x1000));
        (0..SLOTS).for_each(|slot| set.insert(slot));
        assert_eq!((set.encode().as_str(), set.first_missing(&SlotSet::default())), ("0-3fff", None));
        for text in ["x", "1", "4000-4000", "1-x"] {
            assert_eq!(SlotSet::decode(text), None, "{text}");
        }
    }

    #[test]
    fn sets_are_added_kept_and_subtracted() {
        let of = |text| SlotSet::decode(text).unwrap();
        let mut set = of("0-9");
        set.add(&of("20-29"));
        set.keep(&of("5-24"));
        set.subtract(&of("7-22"));
        assert_eq!(set.encode(), "5-6_23-24");
        set.remove(0x24);
        assert_eq!((set.first(), SlotSet::default().first()), (Some(5), None));
        assert!(set.contains(0x23) && !set.contains(0x24) && !set.is_empty());
    }
}
