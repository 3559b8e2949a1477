//! The text of a position. No I/O.
//!
//! `{stream},{all or on},{shard}+{since}+{from}…,{check}`: `all` until all keys were delivered, `from` being `start`,
//! `now`, `end` or the number of the last record that was read. The check is a hash of all of it and of the bucket, so
//! that a position that was made up or belongs to another bucket is recognized.
#![deny(clippy::arithmetic_side_effects)]

use crate::lineage::{From, MOST_SHARDS, Shard};
use crate::streams::{Name, Sequence};
use kvfuse_http::cursor::check;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub stream: Name,
    /// Not all keys were delivered yet.
    pub all: bool,
    pub shards: Vec<Shard>,
}

/// The text of a position in the bucket of a partition.
pub fn write(stream: &Name, all: bool, shards: &[Shard], partition: &str) -> String {
    let mut text = format!("{},{}", stream.text(), if all { "all" } else { "on" });
    for shard in shards {
        let from = match &shard.from {
            _ if shard.ended => "end",
            From::Start => "start",
            From::Now => "now",
            From::After(sequence) => sequence.text(),
        };
        text.push_str(&format!(",{}+{}+{from}", shard.id.text(), shard.since));
    }
    let check = check(&[&text, partition]);
    format!("{text},{check}")
}

/// The position that a text is, in the bucket of a partition.
pub fn read(text: &str, partition: &str) -> Option<Position> {
    let (rest, found) = text.rsplit_once(',')?;
    if check(&[rest, partition]) != found {
        return None;
    }
    let mut parts = rest.split(',');
    let stream = Name::new(parts.next()?)?;
    let all = match parts.next()? {
        "all" => true,
        "on" => false,
        _ => return None,
    };
    let mut shards = Vec::new();
    for part in parts {
        if shards.len() >= MOST_SHARDS {
            return None;
        }
        shards.push(shard(part)?);
    }
    Some(Position { stream, all, shards })
}

fn shard(text: &str) -> Option<Shard> {
    let mut parts = text.splitn(3, '+');
    let (id, since, from) = (Name::new(parts.next()?)?, parts.next()?.parse().ok()?, parts.next()?);
    let (from, ended) = match from {
        "start" => (From::Start, false),
        "now" => (From::Now, false),
        "end" => (From::Start, true),
        number => (From::After(Sequence::new(number)?), false),
    };
    Some(Shard { id, from, since, iterator: None, ended })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        let shard = |id: &str, from: From, ended| Shard {
            id: Name::new(id).unwrap(),
            from,
            since: 1_464_806_460,
            iterator: None,
            ended,
        };
        Position {
            stream: Name::new("arn:aws:dynamodb:us-west-2:111122223333:table/t/stream/2015-05-20T20:51:10.252")
                .unwrap(),
            all: false,
            shards: vec![
                shard("shardId-00000001414562045508-2bac9cd2", From::Start, false),
                shard("shardId-00000001414576573621-f55eea83", From::Now, false),
                shard(
                    "shardId-00000001414592258131-8dd9142e",
                    From::After(Sequence::new("300000000000000499659").unwrap()),
                    false,
                ),
                shard("shardId-00000001414592258132-8dd9142f", From::Start, true),
            ],
        }
    }

    #[test]
    fn a_position_comes_back_as_it_was_and_only_in_its_own_bucket() {
        for all in [true, false] {
            for count in 0..=4 {
                let mut position = position();
                position.all = all;
                position.shards.truncate(count);
                let text = write(&position.stream, all, &position.shards, "p/b");
                assert_eq!(read(&text, "p/b"), Some(position));
                assert_eq!(read(&text, "p/c"), None);
                assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }

    #[test]
    fn a_text_that_is_no_position_is_none() {
        let right = write(&position().stream, false, &position().shards, "p/b");
        for at in 0..right.len() {
            let (before, after) = right.split_at(at);
            assert_eq!(read(before, "p/b"), None);
            let changed = format!("{before}~{}", after.split_at(1).1);
            assert_eq!(read(&changed, "p/b"), None, "{changed}");
        }
        // With a check that fits.
        for text in ["", ",", "a,x", "a,on,", "a,on,s", "a,on,s+1", "a,on,s+x+now", "a,on,s+1+later", "a,on,+1+now"] {
            let checked = format!("{text},{}", check(&[text, "p/b"]));
            assert_eq!(read(&checked, "p/b"), None, "{text}");
        }
        for text in ["", "now", "0", ",", "\u{e9},on,0"] {
            assert_eq!(read(text, "p/b"), None, "{text}");
        }
    }
}
