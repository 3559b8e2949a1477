//! How keys map to Memcached's names, and names to servers.
//!
//! The key `k` in the bucket `b` has the name `{prefix}b:k`. A name has no space and no control character, so these are
//! percent-encoded, and `%` as well; in a bucket also `:`, so that no two buckets share a name. A name that would be too long is
//! replaced by its SHA-256: `{prefix}%%` and 64 hexadecimal digits, which no other name is, because `%%` encodes nothing.

use crate::config::{Config, Server};
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The longest name that Memcached takes, in bytes.
pub const LONGEST: usize = 250;

/// The place of one bucket.
pub struct Space {
    prefix: Vec<u8>,
    /// What the names of its keys begin with.
    base: Vec<u8>,
}

impl Space {
    pub fn new(config: &Config, bucket: &str) -> Self {
        let mut base = config.prefix.clone();
        escape(&mut base, bucket, b":");
        base.push(b':');
        Self { prefix: config.prefix.clone(), base }
    }

    pub fn name(&self, key: &str) -> Vec<u8> {
        let mut name = self.base.clone();
        escape(&mut name, key, b"");
        if name.len() <= LONGEST {
            return name;
        }
        let digest = Sha256::digest(&name);
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| hexadecimal(digit, b'a'));
        let mut short = self.prefix.clone();
        short.extend(b"%%");
        short.extend(digits);
        short
    }
}

/// What names begin with, from the setting.
pub fn escaped_prefix(prefix: &str) -> Vec<u8> {
    let mut escaped = Vec::new();
    escape(&mut escaped, prefix, b"");
    escaped
}

fn escape(name: &mut Vec<u8>, text: &str, more: &[u8]) {
    for byte in text.bytes() {
        if byte <= b' ' || byte == 0x7f || byte == b'%' || more.contains(&byte) {
            name.extend([b'%', hexadecimal(byte >> 4, b'A'), hexadecimal(byte & 15, b'A')]);
        } else {
            name.push(byte);
        }
    }
}

/// The digit of a number below 16.
fn hexadecimal(number: u8, ten: u8) -> u8 {
    if number < 10 { b'0'.wrapping_add(number) } else { ten.wrapping_add(number.wrapping_sub(10)) }
}

/// The place in the list of the server that has a name: the one with the largest hash of its address and the name. A server that
/// is added takes its share from all others, one that is removed leaves its share to all others, and no other name moves.
pub fn server_of(servers: &[Server], name: &[u8]) -> usize {
    let weight = |server: &Server| {
        let mut hasher = SipHasher13::new();
        hasher.write(server.address().as_bytes());
        hasher.write(b" ");
        hasher.write(name);
        hasher.finish()
    };
    if servers.len() < 2 {
        return 0;
    }
    servers.iter().map(weight).enumerate().max_by_key(|(_, weight)| *weight).map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    fn space(prefix: &str, bucket: &str) -> Space {
        let config = Config {
            servers: Vec::new(),
            login: None,
            prefix: escaped_prefix(prefix),
            time_limit: Duration::from_secs(1),
        };
        Space::new(&config, bucket)
    }

    fn text(name: Vec<u8>) -> String {
        String::from_utf8(name).unwrap()
    }

    #[test]
    fn a_name_is_the_bucket_and_the_key_without_what_memcached_does_not_take() {
        assert_eq!(text(space("", "users").name("ann:1")), "users:ann:1");
        assert_eq!(text(space("app/", "users").name("")), "app/users:");
        assert_eq!(text(space("", "a:b").name("c d\r\n\0\u{7f}%é")), "a%3Ab:c%20d%0D%0A%00%7F%25é");
        assert_ne!(space("", "a:b").name("c"), space("", "a").name("b:c"));
        assert_ne!(space("", "a:b").name("c"), space("", "a%3Ab").name("c"));
    }

    #[test]
    fn long_names_are_replaced_by_digests_that_no_short_name_is() {
        let space = space("app/", "b");
        let longest = "k".repeat(LONGEST - "app/b:".len());
        assert_eq!(space.name(&longest).len(), LONGEST);
        // The digest of `app/b:` and the key, by another implementation of SHA-256.
        let too_long = longest.clone() + "k";
        let digest = text(space.name(&too_long));
        assert!(digest.starts_with("app/%%") && digest.len() == "app/%%".len() + 64, "{digest}");
        let all = [longest.clone(), too_long.clone(), longest + "l", too_long + "k", digest.replacen("app/", "", 1)];
        let names: HashSet<_> = all.iter().map(|key| space.name(key)).collect();
        assert_eq!(names.len(), all.len());
        assert_ne!(
            self::space("app/", "c").name(&all[1]),
            space.name(&all[1]),
            "the bucket is part of what is digested"
        );
    }

    #[test]
    fn a_server_that_joins_takes_its_share_and_no_other_name_moves() {
        let servers: Vec<_> = (0..4).map(|n| Server { host: format!("cache{n}"), port: 11211 }).collect();
        let names: Vec<_> = (0..4000).map(|n| format!("b:{n}").into_bytes()).collect();
        let mut shares = [0; 4];
        let mut moved = 0;
        for name in &names {
            let (before, after) = (server_of(&servers[..3], name), server_of(&servers, name));
            shares[after] += 1;
            if before != after {
                assert_eq!(after, 3, "it moved to the new server");
                moved += 1;
            }
        }
        assert!(shares.iter().all(|share| (800..1200).contains(share)), "{shares:?}");
        assert_eq!(moved, shares[3]);
        let reversed: Vec<_> = servers.iter().rev().cloned().collect();
        for name in &names {
            assert_eq!(
                servers[server_of(&servers, name)],
                reversed[server_of(&reversed, name)],
                "the order does not matter"
            );
        }
    }
}
