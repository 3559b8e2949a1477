//! How the keys of a bucket map to Redis keys.

use crate::client::Route;
use crate::config::{Config, Layout};
use crate::protocol::Request;
use crate::slots::slot_of;
use std::borrow::Cow;

/// The place of one bucket in the database.
pub struct Space {
    layout: Layout,
    /// The prefix of its Redis keys; in the hash layout, the whole Redis key.
    base: Vec<u8>,
    in_cluster: bool,
}

/// The most keys or pairs in one command: far below Redis' limit of 1,048,576 arguments, and few enough that other
/// clients get their turn.
const PER_COMMAND: usize = 10_000;
/// The size in bytes after which a command of several pairs ends, below the limit on the unprocessed input of a client
/// (1 GiB).
const BYTES_PER_COMMAND: usize = 16 << 20;

impl Space {
    pub fn new(config: &Config, bucket: &str) -> Self {
        let mut base = config.prefix.clone();
        match config.layout {
            Layout::Raw => {}
            Layout::Hash => base.push_str(bucket),
            Layout::Prefix => {
                base.push_str(&escaped(bucket));
                base.push(':');
            }
        }
        Self { layout: config.layout, base: base.into_bytes(), in_cluster: config.is_cluster() }
    }

    pub fn is_hash(&self) -> bool {
        self.layout == Layout::Hash
    }

    pub fn base(&self) -> &[u8] {
        &self.base
    }

    /// The Redis key that holds a key.
    pub fn key<'a>(&'a self, key: &'a str) -> Cow<'a, [u8]> {
        match self.layout {
            Layout::Hash => Cow::Borrowed(&self.base),
            _ if self.base.is_empty() => Cow::Borrowed(key.as_bytes()),
            _ => Cow::Owned([&self.base, key.as_bytes()].concat()),
        }
    }

    /// Where requests about a key go. In a cluster, braces in the prefix, in the bucket's name or in the key choose the slot, as
    /// they do for every client. That decides where a key is, and nothing else: no command is about several Redis keys there.
    pub fn route(&self, key: &str) -> Route {
        self.in_cluster.then(|| slot_of(&self.key(key)))
    }

    /// Whether the bucket's keys are at several servers.
    pub fn is_spread(&self) -> bool {
        self.in_cluster && !self.is_hash()
    }

    /// The key that a Redis key or field holds. `None` for those of other users of the database, and for those that are
    /// not UTF-8.
    pub fn key_of(&self, mut name: Vec<u8>) -> Option<String> {
        if !self.is_hash() {
            // In place: the server decides how long the name is.
            name.strip_prefix(self.base.as_slice())?;
            name.drain(..self.base.len());
        }
        String::from_utf8(name).ok()
    }

    /// The glob pattern that matches the bucket's Redis keys with this prefix; `None` if every key is one of them.
    pub fn pattern(&self, prefix: &str) -> Option<Vec<u8>> {
        if self.base.is_empty() && prefix.is_empty() {
            return None;
        }
        let mut pattern = Vec::with_capacity(self.base.len() + prefix.len() + 1);
        for byte in self.base.iter().chain(prefix.as_bytes()) {
            if matches!(byte, b'*' | b'?' | b'[' | b']' | b'^' | b'-' | b'\\') {
                pattern.push(b'\\');
            }
            pattern.push(*byte);
        }
        pattern.push(b'*');
        Some(pattern)
    }

    /// The command `name` (in the hash layout: `hash_name`) on one key, with further arguments.
    pub fn on_key(&self, name: &str, hash_name: &str, key: &str, more: &[&[u8]]) -> Request {
        let redis_key = self.key(key);
        let mut arguments: Vec<&[u8]> = Vec::with_capacity(more.len() + 3);
        if self.is_hash() {
            arguments.extend([hash_name.as_bytes(), &self.base, key.as_bytes()]);
        } else {
            arguments.extend([name.as_bytes(), &redis_key]);
        }
        arguments.extend_from_slice(more);
        Request::of(&arguments)
    }

    /// The same on many keys, in as few commands as the limits allow.
    pub fn on_keys(&self, name: &str, hash_name: &str, keys: &[&str]) -> Request {
        let parts: Vec<[&[u8]; 1]> = keys.iter().map(|key| [key.as_bytes()]).collect();
        self.on_many(name, hash_name, &parts)
    }

    /// The same on many keys with their values.
    pub fn on_pairs(&self, name: &str, hash_name: &str, pairs: &[(&str, &[u8])]) -> Request {
        let parts: Vec<[&[u8]; 2]> = pairs.iter().map(|(key, value)| [key.as_bytes(), *value]).collect();
        self.on_many(name, hash_name, &parts)
    }

    /// The first argument of each part is a key.
    fn on_many<const N: usize>(&self, name: &str, hash_name: &str, mut parts: &[[&[u8]; N]]) -> Request {
        let mut request = Request::default();
        let (name, base) = if self.is_hash() { (hash_name, &[][..]) } else { (name, self.base.as_slice()) };
        while !parts.is_empty() {
            let mut bytes = 0;
            let fitting = parts.iter().take(PER_COMMAND).take_while(|part| {
                let before = bytes;
                bytes += part.iter().map(|argument| argument.len() + 24).sum::<usize>() + base.len();
                before < BYTES_PER_COMMAND
            });
            let (now, later) = parts.split_at_checked(fitting.count()).unwrap_or((parts, &[]));
            parts = later;
            request.begin(1 + usize::from(self.is_hash()) + now.len() * N, bytes);
            request.argument(&[name.as_bytes()]);
            if self.is_hash() {
                request.argument(&[&self.base]);
            }
            for part in now {
                let mut of_key = base;
                for argument in part {
                    request.argument(&[of_key, argument]);
                    of_key = &[];
                }
            }
        }
        request
    }
}

/// A bucket name with `:` escaped, so that the first `:` ends it and no two buckets share a Redis key.
fn escaped(bucket: &str) -> Cow<'_, str> {
    if bucket.contains([':', '%']) {
        Cow::Owned(bucket.replace('%', "%25").replace(':', "%3A"))
    } else {
        Cow::Borrowed(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_servers::settings;

    fn space(layout: Layout, prefix: &str, bucket: &str) -> Space {
        space_in("redis://h", layout, prefix, bucket)
    }

    fn space_in(url: &str, layout: Layout, prefix: &str, bucket: &str) -> Space {
        let settings = settings(&[("KEYVALUE_REDIS_URL", url), ("KEYVALUE_PREFIX", prefix)]);
        Space::new(&Config { layout, ..Config::from_settings(&settings, false).unwrap() }, bucket)
    }

    #[test]
    fn in_a_cluster_a_key_is_where_its_redis_key_is() {
        let of = |layout, prefix: &str, bucket: &str, key: &str| {
            space_in("redis+cluster://h", layout, prefix, bucket).route(key)
        };
        // redis-cli's CLUSTER KEYSLOT.
        assert_eq!(of(Layout::Raw, "", "b", "foo"), Some(12182));
        assert_eq!(of(Layout::Prefix, "", "b", "{foo}x"), Some(12182));
        assert_eq!(of(Layout::Prefix, "{foo}", "b", "{bar}"), Some(12182), "the first braces count");
        assert_eq!(of(Layout::Hash, "", "foo", "{bar}"), Some(12182), "a field has no slot of its own");
        assert_eq!(space(Layout::Raw, "", "b").route("foo"), None);
    }

    #[test]
    fn the_layouts_are_those_of_the_peers() {
        assert_eq!(*space(Layout::Prefix, "", "users").key("a:b"), *b"users:a:b");
        assert_eq!(*space(Layout::Prefix, "app/", "users").key(""), *b"app/users:");
        assert_eq!(*space(Layout::Raw, "", "users").key("a:b"), *b"a:b");
        assert_eq!(*space(Layout::Hash, "", "users").key("a:b"), *b"users");
        let request = space(Layout::Hash, "", "users").on_key("GET", "HGET", "a:b", &[]);
        assert_eq!(request.bytes(), b"*3\r\n$4\r\nHGET\r\n$5\r\nusers\r\n$3\r\na:b\r\n");
    }

    #[test]
    fn buckets_whose_names_hold_the_separator_stay_apart() {
        let one = space(Layout::Prefix, "", "a:b");
        let other = space(Layout::Prefix, "", "a");
        assert_ne!(one.key("c"), other.key("b:c"));
        assert_ne!(one.key("c"), space(Layout::Prefix, "", "a%3Ab").key("c"));
        assert_eq!(one.key_of(one.key("c").into_owned()).as_deref(), Some("c"));
        assert_eq!(one.key_of(other.key("b:c").into_owned()), None);
    }

    #[test]
    fn a_pattern_takes_the_base_literally() {
        assert_eq!(space(Layout::Prefix, "", "a*[b]?\\").pattern("").unwrap(), b"a\\*\\[b\\]\\?\\\\:*");
        assert_eq!(space(Layout::Prefix, "", "b").pattern("p*").unwrap(), b"b:p\\**");
        assert_eq!(space(Layout::Raw, "", "x").pattern("p").unwrap(), b"p*");
        assert_eq!(space(Layout::Raw, "", "x").pattern(""), None);
    }

    #[test]
    fn many_keys_are_split_into_commands_within_the_limits() {
        let keys = vec!["k"; PER_COMMAND * 2 + 1];
        assert_eq!(space(Layout::Raw, "", "x").on_keys("MGET", "HMGET", &keys).commands(), 3);
        let value = vec![0; BYTES_PER_COMMAND];
        let pairs: Vec<(&str, &[u8])> = vec![("a", &value), ("b", &value), ("c", b"")];
        assert_eq!(space(Layout::Hash, "", "x").on_pairs("MSET", "HSET", &pairs).commands(), 3);
        assert!(space(Layout::Hash, "", "x").on_keys("DEL", "HDEL", &[]).is_empty());
    }
}
