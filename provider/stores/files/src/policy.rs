//! When a segment is sealed, and what follows it.
//!
//! A segment is compacted when what was appended since its base is three quarters of the base, and split instead when
//! the base alone is large. So what compaction copies stays below two and a half times what was written, and a bucket's
//! files below three times its live data.

use crate::config::Config;
use crate::name::MAX_DEPTH;
use crate::record::Plan;
use crate::segment::Segment;
use kvfuse_transport::files::File;

/// The least number of pairs of average size that fit after a base, up to 16 times the configured size: otherwise a
/// segment with few large values would be copied all the time.
const PAIRS: u64 = 64;
/// Bytes of value files that may be replaced before their segment is compacted.
const DEAD_FILES: u64 = 4 << 20;

/// The plan of a seal, if one is due.
pub fn due<F: File>(segment: &Segment<F>, config: &Config) -> Option<Plan> {
    if segment.old.is_some() || segment.ended || segment.poisoned {
        return Some(Plan::Compact);
    }
    let base = segment.base.as_ref()?;
    let (totals, behind) = (base.totals, segment.position.saturating_sub(segment.base_end()));
    let pair = totals.bytes / totals.keys.max(1);
    let room = (totals.bytes / 4 * 3).max((PAIRS * pair).min(config.segment.saturating_mul(16))).max(config.segment);
    let dead = segment.index.as_ref().map_or(0, |index| index.dead_bytes) + segment.tail.dead_bytes;
    let full = behind > room || dead > DEAD_FILES.max(totals.file_bytes);
    if !full || segment.hole.is_some() {
        return None;
    }
    let large = totals.bytes > config.split && totals.keys >= 2 && segment.node.depth() < MAX_DEPTH;
    Some(if large { Plan::Split } else { Plan::Compact })
}
