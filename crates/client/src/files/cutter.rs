// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cutting a sealed file into the parts of an upload.

use std::sync::mpsc::Receiver;

use bytes::Bytes;
use protocol::objects::Upload;
use tokio::sync::mpsc;

use super::upload::PutError;

/// Cuts the sealed file into the upload's parts, and leaves out those that have arrived.
pub(super) struct Cutter {
    part_size: u64,
    size: u64,
    received: Vec<(u32, u32)>,
    pub(super) seed: [u8; 32],
    position: u64,
    part: Vec<u8>,
    /// Where the memory of parts that were sent comes back, to be filled again.
    sent: std::sync::mpsc::Sender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
}

/// A part on its way, whose memory comes back.
struct Part {
    bytes: Vec<u8>,
    sent: std::sync::mpsc::Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nobody wants it after the last part.
        let _ = self.sent.send(std::mem::take(&mut self.bytes));
    }
}

pub(super) enum Wanted {
    /// All of it has arrived.
    No,
    /// It lies within one part.
    Whole,
    /// It lies across parts, which may be sent by different runs of this program: it must come out the same in each.
    Cut,
}

impl Cutter {
    pub(super) fn new(upload: &Upload, seed: [u8; 32]) -> Self {
        let (sent, spare) = std::sync::mpsc::channel();
        Cutter {
            part_size: upload.part_size.max(1),
            size: upload.size,
            received: upload.received.clone(),
            seed,
            position: 0,
            part: Vec::new(),
            sent,
            spare,
        }
    }

    pub(super) fn wanted(&self, length: u64) -> Wanted {
        let first = self.position / self.part_size;
        let last = (self.position + length.saturating_sub(1)) / self.part_size;
        if (first..=last).all(|part| self.has_arrived(part)) {
            Wanted::No
        } else if first == last {
            Wanted::Whole
        } else {
            Wanted::Cut
        }
    }

    pub(super) fn skip(&mut self, length: u64) {
        self.position += length;
    }

    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        parts: &mpsc::Sender<(u32, Bytes)>,
    ) -> Result<(), PutError> {
        while !bytes.is_empty() {
            let room = usize::try_from(self.end_of_part() - self.position).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if !self.has_arrived(self.position / self.part_size) {
                self.part().extend_from_slice(now);
            }
            self.advance(now.len() as u64, parts)?;
            bytes = later;
        }
        Ok(())
    }

    /// Lets bytes that lie within one part be made where they belong.
    pub(super) fn fill(
        &mut self,
        length: u64,
        make: impl FnOnce(&mut Vec<u8>) -> Result<(), keyring::file::FileError>,
        parts: &mpsc::Sender<(u32, Bytes)>,
    ) -> Result<(), PutError> {
        make(self.part()).map_err(PutError::Seal)?;
        self.advance(length, parts)
    }

    /// The memory of the part that is filled now.
    fn part(&mut self) -> &mut Vec<u8> {
        if self.part.capacity() == 0 {
            self.part = self.spare.try_recv().unwrap_or_default();
            self.part.clear();
            self.part.reserve(usize::try_from(self.part_size.min(self.size)).unwrap_or_default());
        }
        &mut self.part
    }

    fn end_of_part(&self) -> u64 {
        (self.position / self.part_size + 1).saturating_mul(self.part_size).min(self.size)
    }

    /// Goes on, and gives a part out that is whole.
    fn advance(&mut self, length: u64, parts: &mpsc::Sender<(u32, Bytes)>) -> Result<(), PutError> {
        let (part, end) = (self.position / self.part_size, self.end_of_part());
        self.position += length;
        if self.position == end && !self.part.is_empty() {
            let number = u32::try_from(part).unwrap_or(u32::MAX);
            let whole = Part { bytes: std::mem::take(&mut self.part), sent: self.sent.clone() };
            parts.blocking_send((number, Bytes::from_owner(whole))).map_err(|_| PutError::Interrupted)?;
        }
        Ok(())
    }

    fn has_arrived(&self, part: u64) -> bool {
        self.received.iter().any(|(from, to)| (u64::from(*from)..=u64::from(*to)).contains(&part))
    }
}

#[cfg(test)]
mod tests {
    use protocol::UploadId;

    use super::*;

    #[test]
    fn parts_that_arrived_are_left_out_and_the_others_are_whole() {
        let upload = Upload {
            id: UploadId::random(),
            size: 25,
            part_size: 10,
            parts: 3,
            received: vec![(1, 1)],
            expires_at: 0,
        };
        let (sender, mut receiver) = mpsc::channel(8);
        let mut cutter = Cutter::new(&upload, [0; 32]);
        for chunk in [&b"0123"[..], b"456789abcdefgh", b"ijklmno"] {
            match cutter.wanted(chunk.len() as u64) {
                Wanted::No => cutter.skip(chunk.len() as u64),
                _ => cutter.push(chunk, &sender).unwrap(),
            }
        }
        assert_eq!(receiver.try_recv().unwrap(), (0, Bytes::from_static(b"0123456789")));
        assert_eq!(receiver.try_recv().unwrap(), (2, Bytes::from_static(b"klmno")));
        assert!(receiver.try_recv().is_err());
    }
}
