//! When a segment is sealed, and what follows it.
//!
//! What a segment may grow to is set by what it began with: so the files of a bucket stay below three times its live
//! data, and what compaction copies stays below what was written.

use crate::config::Config;
use crate::name::{MAX_DEPTH, Node};
use crate::record::Plan;
use crate::segment::Segment;

/// Keys that a segment has before it is split, unless they are very large.
const MANY_KEYS: u64 = 256;
/// Pairs that a segment has room for beyond its base, up to 16 times the configured size: else one with few large
/// values would be copied all the time.
const PAIRS: u64 = 64;
/// Bytes of files that may be replaced before their segment is compacted.
const DEAD_FILES: u64 = 4 << 20;

/// Bytes at which a segment is sealed.
fn limit<F>(segment: &Segment<F>, config: &Config) -> u64 {
    let base = segment.base_size;
    let live = segment.state.live();
    let pair = live.bytes / live.keys.max(1);
    let room = (base + base / 4).max((PAIRS * pair).min(config.segment.saturating_mul(16)));
    // A bucket that is one segment may be small against its file; one of many must not.
    let least = if segment.node == Node::ROOT { config.segment } else { config.segment / 8 };
    base.saturating_add(room).max(least)
}

/// The plan of a seal, if one is due.
pub fn due<F>(segment: &Segment<F>, config: &Config) -> Option<Plan> {
    let live = segment.state.live();
    let files = segment.state.dead_file_bytes > DEAD_FILES.max(live.file_bytes);
    if segment.position <= limit(segment, config) && !files {
        return None;
    }
    let many = live.bytes > config.segment && live.keys >= MANY_KEYS.min(4 + config.segment / 64);
    let large = live.bytes > config.segment.saturating_mul(64) && live.keys >= 2;
    let splits = (many || large) && segment.node.depth() < MAX_DEPTH;
    Some(if splits { Plan::Split } else { Plan::Compact })
}
