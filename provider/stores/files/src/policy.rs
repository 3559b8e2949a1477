//! When a segment is sealed, and what follows it.
//!
//! A segment is compacted when more of it is dead than live: so the files of a bucket stay below three times its live
//! data, and what compaction copies stays below what was written. One that only grows is not copied until it splits.

use crate::config::Config;
use crate::name::{MAX_DEPTH, Node};
use crate::record::Plan;
use crate::segment::Segment;

/// Keys that a segment has before it is split, unless they are very large.
const MANY_KEYS: u64 = 256;
/// Dead pairs that a segment has room for at least, up to 16 times the configured size: else one with few large
/// values would be copied all the time.
const PAIRS: u64 = 64;
/// Bytes of files that may be replaced before their segment is compacted.
const DEAD_FILES: u64 = 4 << 20;

/// Bytes at which a segment is compacted.
fn limit<F>(segment: &Segment<F>, config: &Config) -> u64 {
    let live = segment.state.live();
    let pair = live.bytes / live.keys.max(1);
    let room = (live.bytes + live.bytes / 2).max((PAIRS * pair).min(config.segment.saturating_mul(16)));
    // A bucket that is one segment may be small against its file; one of many must not.
    let least = if segment.node == Node::ROOT { config.segment } else { config.segment / 8 };
    live.bytes.saturating_add(room).max(least)
}

/// The plan of a seal, if one is due.
pub fn due<F>(segment: &Segment<F>, config: &Config) -> Option<Plan> {
    let live = segment.state.live();
    let many = live.bytes > config.segment && live.keys >= MANY_KEYS.min(4 + config.segment / 64);
    let large = live.bytes > config.segment.saturating_mul(64) && live.keys >= 2;
    if (many || large) && segment.node.depth() < MAX_DEPTH {
        return Some(Plan::Split);
    }
    let files = segment.state.dead_file_bytes > DEAD_FILES.max(live.file_bytes);
    (segment.position > limit(segment, config) || files).then_some(Plan::Compact)
}
