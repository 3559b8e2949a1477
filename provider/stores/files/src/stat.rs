//! What a bucket's files hold, for people.

use crate::name::Node;
use crate::tree::Tree;
use kvfuse_core::Result;
use kvfuse_transport::files::Directory;
use std::fmt;

/// A bucket's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// By the hashes they cover.
    pub segments: Vec<SegmentStat>,
}

/// A live segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStat {
    /// Its file.
    pub name: String,
    pub keys: u64,
    /// Bytes of the file, as far as it was read.
    pub size: u64,
    /// Bytes that the live pairs would take in a fresh segment.
    pub live: u64,
    /// Bytes of live and of replaced value files.
    pub files: u64,
    pub dead_files: u64,
    /// Bytes that are no record: torn by a writer's death, or damaged.
    pub skipped: u64,
    pub sealed: bool,
}

impl SegmentStat {
    /// Bytes of records whose effect is gone.
    pub fn dead(&self) -> u64 {
        self.size.saturating_sub(self.live)
    }
}

impl<D: Directory> Tree<D> {
    /// Looks at every segment.
    pub fn stat(&mut self) -> Result<Stat> {
        let mut stat = Stat::default();
        let mut nodes = vec![(Node::ROOT, 0)];
        while let Some((node, first)) = nodes.pop() {
            let state = self.state_of(node)?;
            if state.split {
                let mut children: Vec<_> = node.children().map(|child| (child, state.seal)).collect();
                children.reverse();
                nodes.extend(children);
                continue;
            }
            let follows = if state.generation == 0 { first } else { state.seal };
            let Some(segment) = self.load(node, state.generation, follows)? else { continue };
            let live = segment.state.live();
            stat.segments.push(SegmentStat {
                name: node.segment(state.generation),
                keys: live.keys,
                size: segment.position,
                live: live.bytes,
                files: live.file_bytes,
                dead_files: segment.state.dead_file_bytes,
                skipped: segment.skipped,
                sealed: segment.sealed().is_some(),
            });
        }
        Ok(stat)
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12} {:>8} {:>10} {:>10} {:>10} {:>12} {:>12} {:>8}",
            "segment", "keys", "bytes", "live", "dead", "files", "dead files", "damaged"
        )?;
        for segment in &self.segments {
            writeln!(
                f,
                "{:<12} {:>8} {:>10} {:>10} {:>10} {:>12} {:>12} {:>8}{}",
                segment.name,
                segment.keys,
                segment.size,
                segment.live,
                segment.dead(),
                segment.files,
                segment.dead_files,
                segment.skipped,
                if segment.sealed { "  sealed" } else { "" }
            )?;
        }
        let sum = |of: fn(&SegmentStat) -> u64| self.segments.iter().map(of).sum::<u64>();
        writeln!(
            f,
            "{:<12} {:>8} {:>10} {:>10} {:>10} {:>12} {:>12} {:>8}",
            self.segments.len(),
            sum(|s| s.keys),
            sum(|s| s.size),
            sum(|s| s.live),
            sum(SegmentStat::dead),
            sum(|s| s.files),
            sum(|s| s.dead_files),
            sum(|s| s.skipped)
        )
    }
}
