//! The shards of a stream: which of them to read, and in which order. No I/O.
//!
//! A shard takes records for some hours and is then closed; it has one or two children, which take the records of the
//! same items from there on. So a watch reads one shard of each line at a time, and a child once its parent was read to
//! its end. What was read completely is forgotten as soon as its children are known.
#![deny(clippy::arithmetic_side_effects)]

use crate::streams::{Iterator, Listed, Name, Sequence};
use std::collections::{HashMap, HashSet};

/// The most shards that are read at the same time.
pub const MOST_SHARDS: usize = 10_000;

/// A shard that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    pub id: Name,
    pub from: From,
    /// What was not read of it was not written before this second since 1970.
    pub since: u64,
    /// Where to go on. It is not kept in a position.
    pub iterator: Option<Iterator>,
    /// It was read to its end. Its children are not known yet.
    pub ended: bool,
}

/// What to read of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// All of it.
    Start,
    /// What was written after the watch began, at the second in `since`.
    Now,
    /// What comes after a record.
    After(Sequence),
}

/// Why the watch has to begin again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// What comes next was written too long ago.
    Trimmed,
    /// Something is written to a shard that descends from none of those that were read.
    Stray,
    /// The stream is another one.
    Other,
}

/// The shards to read for what is written from now on.
pub fn current(listed: &[Listed], now: u64) -> Vec<Shard> {
    let lines = Lines::of(listed);
    let last = listed.iter().filter(|shard| !lines.children.contains_key(&shard.id));
    let begun = |shard: &Listed| Shard {
        id: shard.id.clone(),
        from: From::Now,
        since: now,
        iterator: None,
        ended: shard.range.end.is_some(),
    };
    last.map(begun).collect()
}

/// The shards to read next: the children of those that were read to their end take their place.
///
/// # Errors
/// If something may be missing.
pub fn succeed(shards: &[Shard], listed: &[Listed]) -> Result<Vec<Shard>, Gap> {
    let lines = Lines::of(listed);
    let mut next = Vec::new();
    for shard in shards {
        let there = lines.shards.contains_key(&shard.id);
        match lines.children.get(&shard.id).filter(|_| shard.ended) {
            Some(children) => {
                next.extend(children.iter().map(|child| unread(child, created(child).unwrap_or(0).max(shard.since))));
            }
            // If it is not listed and gone as well, DynamoDB says so when it is read.
            None if there || !shard.ended => next.push(shard.clone()),
            None => {}
        }
    }
    let strays = lines.strays(&next)?;
    next.extend(strays.into_iter().map(|stray| unread(stray, created(stray).unwrap_or(0))));
    Ok(next)
}

fn unread(id: &Name, since: u64) -> Shard {
    Shard { id: id.clone(), from: From::Start, since, iterator: None, ended: false }
}

/// When a shard was made, in seconds since 1970: `shardId-00000001414576573621-f55eea83`, in milliseconds. This is not
/// documented, so it only ever makes known that records are not too old.
fn created(id: &Name) -> Option<u64> {
    let digits = id.text().strip_prefix("shardId-")?.split('-').next()?;
    Some(digits.parse::<u64>().ok()? / 1000)
}

struct Lines<'a> {
    shards: HashMap<&'a Name, &'a Listed>,
    children: HashMap<&'a Name, Vec<&'a Name>>,
}

impl<'a> Lines<'a> {
    fn of(listed: &'a [Listed]) -> Self {
        let mut children: HashMap<&Name, Vec<&Name>> = HashMap::new();
        for shard in listed {
            if let Some(parent) = &shard.parent {
                children.entry(parent).or_default().push(&shard.id);
            }
        }
        Self { shards: listed.iter().map(|shard| (&shard.id, shard)).collect(), children }
    }

    /// The first shards of lines that are not read although they are written to. A description of many shards takes
    /// several requests, so one of two children may be listed later than the other. It is read from its start.
    fn strays(&self, read: &[Shard]) -> Result<Vec<&'a Name>, Gap> {
        let reading: HashSet<&Name> = read.iter().map(|shard| &shard.id).collect();
        let mut above: HashSet<&Name> = HashSet::new();
        for shard in read {
            let mut at = self.parent(&shard.id);
            while let Some(parent) = at.filter(|parent| above.insert(parent)) {
                at = self.parent(parent);
            }
        }
        let mut strays = Vec::new();
        let open = self.shards.values().filter(|shard| shard.range.end.is_none());
        for shard in open.filter(|shard| !self.children.contains_key(&shard.id)) {
            let mut at = &shard.id;
            let mut seen: HashSet<&Name> = HashSet::new();
            while !reading.contains(at) {
                match self.parent(at) {
                    Some(parent) if above.contains(parent) => {
                        if !strays.contains(&at) {
                            strays.push(at);
                        }
                        break;
                    }
                    Some(parent) if self.shards.contains_key(parent) && seen.insert(parent) => at = parent,
                    _ => return Err(Gap::Stray),
                }
            }
        }
        Ok(strays)
    }

    fn parent(&self, id: &Name) -> Option<&'a Name> {
        self.shards.get(id).and_then(|shard| shard.parent.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Range;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// `child<parent`, with a full stop at the end of a closed one.
    fn listed(text: &str) -> Vec<Listed> {
        let shard = |text: &str| {
            let closed = text.ends_with('.');
            let (id, parent) = match text.trim_end_matches('.').split_once('<') {
                Some((id, parent)) => (id, Some(name(parent))),
                None => (text.trim_end_matches('.'), None),
            };
            let end = closed.then(|| Sequence::new("9").unwrap());
            Listed { id: name(id), parent, range: Range { end } }
        };
        text.split_whitespace().map(shard).collect()
    }

    /// Shards that were read to somewhere, and with a full stop those that were read to their end.
    fn shards(text: &str) -> Vec<Shard> {
        let shard = |text: &str| Shard {
            id: name(text.trim_end_matches('.')),
            from: From::After(Sequence::new("5").unwrap()),
            since: 70,
            iterator: None,
            ended: text.ends_with('.'),
        };
        text.split_whitespace().map(shard).collect()
    }

    /// As [`shards`], with a colon before those that are read from their start.
    fn shown(mut shards: Vec<Shard>) -> String {
        shards.sort_by(|one, other| one.id.text().cmp(other.id.text()));
        let show = |shard: &Shard| {
            let (start, end) = (shard.from == From::Start, shard.ended);
            format!("{}{}{}", if start { ":" } else { "" }, shard.id.text(), if end { "." } else { "" })
        };
        shards.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    fn after(read: &str, list: &str) -> Result<String, Gap> {
        succeed(&shards(read), &listed(list)).map(shown)
    }

    #[test]
    fn what_is_written_from_now_on_is_in_the_shards_without_children() {
        let now = current(&listed("a. b<a. c<b d<b. e<z f"), 7);
        assert_eq!(shown(now.clone()), "c d. e f");
        assert!(now.iter().all(|shard| shard.since == 7 && shard.from == From::Now));
    }

    #[test]
    fn children_are_read_once_their_parent_was_read_to_its_end_and_it_is_forgotten_then() {
        assert_eq!(after("a", "a").unwrap(), "a");
        assert_eq!(after("a b", "b").unwrap(), "a b", "a description may leave one out");
        assert_eq!(after("a", "a. b<a c<a").unwrap(), "a", "it has an end, but it was not read");
        assert_eq!(after("a.", "a. b<a c<a").unwrap(), ":b :c");
        assert_eq!(after("a. x", "a. b<a. c<b x y<x").unwrap(), ":b x", "a grandchild waits for its own parent");
        assert_eq!(after("a.", "a.").unwrap(), "a.", "its children are not listed yet");
        assert_eq!(after("a.", "b<a").unwrap(), ":b", "it is not listed any more");
        assert_eq!(after("a.", "").unwrap(), "", "it was the last one of a stream that was switched off");
        assert_eq!(after("c d", "a. b<a. c<b d<b").unwrap(), "c d", "what is above was read");
    }

    #[test]
    fn what_is_written_to_a_shard_that_descends_from_none_that_was_read_is_a_gap() {
        assert_eq!(after("a.", "c<b"), Err(Gap::Stray), "its children are gone as well");
        assert_eq!(after("a", "c<b"), Err(Gap::Stray));
        assert_eq!(after("a", "a x"), Err(Gap::Stray));
        assert_eq!(after("a", "a x. y<x"), Err(Gap::Stray));
        assert_eq!(after("a", "a x."), Ok("a".into()), "nothing is written to it any more");
    }

    #[test]
    fn a_child_that_is_listed_later_than_the_other_one_is_read_from_its_start() {
        assert_eq!(after("b", "a. b<a c<a").unwrap(), "b :c");
        assert_eq!(after("b", "a. b<a c<a. d<c e<c").unwrap(), "b :c");
        assert_eq!(after("c", "a. b<a. c<b d<b x<a").unwrap(), "c :d :x");
    }

    #[test]
    fn lines_that_bite_their_tails_end() {
        for list in ["a<a", "a<b b<a", "a<b. b<c. c<b. d<c", "x<y. y<x. a<x", "a. a. b<a b<a"] {
            for read in ["a", "a.", "x", "b.", ""] {
                let _ = after(read, list);
            }
            let _ = current(&listed(list), 7);
        }
    }

    #[test]
    fn what_was_not_read_of_a_child_is_no_older_than_the_child_and_than_what_was_read_of_its_parent() {
        let parent = shards("shardId-00000000000000050000-a.");
        for (child, since) in [
            ("shardId-00000000000000090000-b", 90),
            ("shardId-00000000000000060000-b", 70),
            ("shardId-new-b", 70),
            ("b", 70),
        ] {
            let next = succeed(&parent, &listed(&format!("{child}<shardId-00000000000000050000-a"))).unwrap();
            assert_eq!(next[0].since, since, "{child}");
        }
    }
}
