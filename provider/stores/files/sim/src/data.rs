//! What a file has: for its readers, and after a power cut.

use std::ops::Range;

/// Bytes that reach the disk together.
const PAGE: usize = 4096;

/// Gives a number up to another one: how much of something is kept.
pub type Choose<'a> = dyn FnMut(usize) -> usize + 'a;

#[derive(Clone, Default)]
pub(crate) struct Data {
    /// What is read.
    pub bytes: Vec<u8>,
    /// What lasts.
    stable: Vec<u8>,
    /// Written and not synced yet.
    dirty: Vec<Range<usize>>,
    /// Dropped by a failed sync.
    lost: Vec<Range<usize>>,
    /// Syncs that dropped something.
    pub failures: u64,
    /// A file that is only read: its size, and what it consists of again and again.
    pub pattern: Option<(u64, Vec<u8>)>,
}

impl Data {
    /// A file that lasts.
    pub fn durable(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), stable: bytes.to_vec(), ..Self::default() }
    }

    pub fn size(&self) -> u64 {
        self.pattern.as_ref().map_or(self.bytes.len() as u64, |(size, _)| *size)
    }

    pub fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        if let Some((size, pattern)) = &self.pattern {
            let length = size.saturating_sub(offset).min(length as u64) as usize;
            let from = (offset % pattern.len().max(1) as u64) as usize;
            return pattern.iter().cycle().skip(from).take(length).copied().collect();
        }
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        rest.get(..length.min(rest.len())).unwrap_or_default().to_vec()
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let range = at..at + bytes.len();
        if range.is_empty() {
            return;
        }
        if self.bytes.len() < range.end {
            self.bytes.resize(range.end, 0);
        }
        self.bytes[range.clone()].copy_from_slice(bytes);
        // What is written again is no longer lost.
        let rest = |lost: &Range<usize>| [lost.start..lost.end.min(range.start), lost.start.max(range.end)..lost.end];
        self.lost = self.lost.iter().flat_map(rest).filter(|lost| !lost.is_empty()).collect();
        match self.dirty.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.dirty.push(range),
        }
    }

    pub fn sync(&mut self) {
        for range in self.dirty.drain(..) {
            if self.stable.len() < range.end {
                self.stable.resize(range.end, 0);
            }
            self.stable[range.clone()].copy_from_slice(&self.bytes[range]);
        }
    }

    /// A sync that fails and drops what it was to make last.
    pub fn drop_dirty(&mut self) {
        self.failures += u64::from(!self.dirty.is_empty());
        self.lost.append(&mut self.dirty);
    }

    /// All that could be there after a power cut, and where what certainly is ends.
    fn most(&self) -> (Vec<u8>, usize) {
        let mut most = self.bytes.clone();
        for lost in &self.lost {
            for at in lost.clone() {
                most[at] = self.stable.get(at).copied().unwrap_or(0);
            }
        }
        let end = self.dirty.iter().map(|range| range.end).max().unwrap_or(0).max(self.stable.len());
        most.truncate(end);
        (most, self.stable.len().min(end))
    }

    pub fn power_cut(&mut self, choose: &mut Choose<'_>) {
        // Written over or appended, what was synced stays, and a prefix of the rest does.
        let (mut most, kept) = self.most();
        let (full, size) = (most.len(), self.bytes.len());
        let length = kept + choose(full - kept);
        most.truncate(length);
        if choose(3) == 0 {
            most.resize(length + choose(size - length), 0);
        }
        *self = Self { pattern: self.pattern.take(), ..Self::durable(&most) };
    }

    /// The file keeps its length, or a part of it; of what was not synced, any pages are there.
    pub fn power_cut_by_pages(&mut self, choose: &mut Choose<'_>) {
        let (mut most, kept) = self.most();
        for page in kept / PAGE..most.len().div_ceil(PAGE) {
            let range = (page * PAGE).max(kept)..((page + 1) * PAGE).min(most.len());
            if !range.is_empty() && choose(2) == 0 {
                most[range].fill(0);
            }
        }
        if choose(3) == 0 {
            let length = kept + choose(most.len() - kept);
            most.truncate(length);
        }
        *self = Self { pattern: self.pattern.take(), ..Self::durable(&most) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_sync_dropped_is_read_until_the_power_is_cut_and_no_later_sync_brings_it_back() {
        let mut data = Data::default();
        data.write(0, b"synced ");
        data.sync();
        data.write(7, b"dropped ");
        data.drop_dirty();
        data.write(15, b"later");
        data.sync();
        data.sync();
        assert_eq!((data.bytes.as_slice(), data.failures), (&b"synced dropped later"[..], 1));
        data.power_cut(&mut |n| n);
        assert_eq!(data.bytes, b"synced \0\0\0\0\0\0\0\0later");
    }

    #[test]
    fn what_was_dropped_lasts_once_it_is_written_again_and_synced() {
        let mut data = Data::default();
        data.write(0, b"dropped");
        data.drop_dirty();
        data.write(0, b"again");
        data.sync();
        data.power_cut(&mut |n| n);
        assert_eq!(data.bytes, b"again");
    }

    #[test]
    fn a_page_may_be_lost_and_a_later_one_kept_and_what_was_synced_stays() {
        let mut data = Data::default();
        data.write(0, &[1; 100]);
        data.sync();
        data.write(100, &[2; 3 * PAGE]);
        let mut choices = [0, 1, 0, 1, 1].into_iter();
        data.power_cut_by_pages(&mut |_| choices.next().unwrap());
        let expected = [vec![1; 100], vec![0; PAGE - 100], vec![2; PAGE], vec![0; PAGE], vec![2; 100]].concat();
        assert!(data.bytes == expected);
    }
}
