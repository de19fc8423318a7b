// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the bytes of a blob lie: arithmetic alone, in `u64`.

use std::ops::Range;

/// The size of every part of a new upload but the last: 8 MiB of ciphertext.
///
/// A part is held in memory while it is written, so it bounds what a request costs; and each costs
/// two flushes to disk in a local folder, so smaller ones would be slower.
pub const PART_SIZE: u64 = 8 << 20;

/// How a blob's bytes are divided: part `n` (from 0) holds bytes `n * part_size ..`, all are full but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u64,
    part_size: u64,
}

/// A piece of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The part, from 0.
    pub part: u32,
    /// The bytes within that part.
    pub bytes: Range<u64>,
}

impl Layout {
    /// The layout of `size` bytes in parts of `part_size`. `None` when either is zero or there would be 2³² parts or more.
    pub fn new(size: u64, part_size: u64) -> Option<Self> {
        let layout = Self { size, part_size };
        let divisible = size > 0 && part_size > 0;
        (divisible && u32::try_from(size.div_ceil(part_size)).is_ok()).then_some(layout)
    }

    /// All bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of every part but the last.
    pub fn part_size(&self) -> u64 {
        self.part_size
    }

    /// How many parts there are.
    pub fn parts(&self) -> u32 {
        u32::try_from(self.size.div_ceil(self.part_size)).unwrap_or(u32::MAX)
    }

    /// The bytes of part `number`; `None` beyond the last.
    pub fn part_len(&self, number: u32) -> Option<u64> {
        let start = u64::from(number).checked_mul(self.part_size)?;
        (start < self.size).then(|| (self.size - start).min(self.part_size))
    }

    /// The pieces of parts that make up `range`, in order; empty when the range is empty or ends beyond the last byte.
    pub fn segments(&self, range: Range<u64>) -> impl Iterator<Item = Segment> + use<> {
        let Self { size, part_size } = *self;
        let valid = range.start < range.end && range.end <= size;
        let (first, last) =
            if valid { (range.start / part_size, (range.end - 1) / part_size + 1) } else { (0, 0) };
        (first..last).filter_map(move |part| {
            let start = part * part_size;
            let bytes = range.start.max(start) - start..range.end.min(start + part_size) - start;
            Some(Segment { part: u32::try_from(part).ok()?, bytes })
        })
    }
}

/// Joins sorted numbers into ranges: `[0, 1, 2, 5]` is `[0..3, 5..6]`.
pub(crate) fn ranges(numbers: impl IntoIterator<Item = u32>) -> Vec<Range<u32>> {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if last.end == number => last.end += 1,
            _ => ranges.push(number..number + 1),
        }
    }
    ranges
}

/// What `0..parts` has and `present` (sorted, disjoint) has not.
pub(crate) fn gaps(present: &[Range<u32>], parts: u32) -> Vec<Range<u32>> {
    let starts = std::iter::once(0).chain(present.iter().map(|range| range.end));
    let ends = present.iter().map(|range| range.start).chain(std::iter::once(parts));
    starts.zip(ends).map(|(start, end)| start..end).filter(|gap| gap.start < gap.end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_file_beyond_five_gib_is_laid_out_without_loss() {
        let layout = Layout::new(5 * GIB + 3, PART_SIZE).unwrap();
        assert_eq!(layout.parts(), 641);
        assert_eq!(layout.part_len(640), Some(3));
        assert_eq!(layout.part_len(641), None);
        let total: u64 = (0..layout.parts()).filter_map(|n| layout.part_len(n)).sum();
        assert_eq!(total, layout.size());
        // Beyond what 32 bits of bytes can say.
        let range = 4 * GIB + PART_SIZE - 1..4 * GIB + PART_SIZE + 1;
        let segments: Vec<_> = layout.segments(range).collect();
        assert_eq!(
            segments,
            [Segment { part: 512, bytes: PART_SIZE - 1..PART_SIZE }, Segment { part: 513, bytes: 0..1 }]
        );
        let all: u64 = layout.segments(0..layout.size()).map(|s| s.bytes.end - s.bytes.start).sum();
        assert_eq!(all, layout.size());
    }

    #[test]
    fn every_range_of_a_small_layout_is_covered_exactly() {
        for size in 1..24 {
            let layout = Layout::new(size, 5).unwrap();
            for start in 0..size {
                for end in start + 1..=size {
                    let bytes: Vec<u64> = layout
                        .segments(start..end)
                        .flat_map(|s| s.bytes.map(move |byte| u64::from(s.part) * 5 + byte))
                        .collect();
                    assert_eq!(bytes, (start..end).collect::<Vec<_>>());
                }
            }
            assert_eq!(layout.segments(0..size + 1).count(), 0);
        }
    }

    #[test]
    fn what_cannot_be_laid_out_is_refused() {
        assert_eq!(Layout::new(0, 8), None);
        assert_eq!(Layout::new(8, 0), None);
        assert_eq!(Layout::new(u64::MAX, 1), None);
        assert!(Layout::new(u64::MAX, u64::MAX).is_some());
        assert_eq!(Layout::new(u64::MAX, u64::MAX).unwrap().part_len(1), None);
    }

    #[test]
    fn ranges_and_gaps_are_each_others_complement() {
        assert_eq!(ranges([0, 1, 2, 5]), [0..3, 5..6]);
        assert_eq!(gaps(&[0..3, 5..6], 8), [3..5, 6..8]);
        assert_eq!(gaps(&[], 2), ranges([0, 1]));
        assert_eq!(gaps(&ranges([0, 1]), 2), []);
    }
}
