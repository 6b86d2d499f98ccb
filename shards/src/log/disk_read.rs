//! Reading whole batches from segment files.

use super::error::{Doing, StorageError};
use super::limits::READ_BYTES_MAX;
use super::open_files::OpenFiles;
use super::read_ahead::ReadAhead;
use super::records::Records;
use super::scan::{Found, Scan};
use super::segment_view::{SegmentView, Start};
use crate::record::{BatchHeader, batches};
use crate::types::Offset;
use bytes::Bytes;
use std::io;
use std::rc::Rc;

/// A planned read of the disk. It leases the segments it reads: they may be deleted meanwhile.
#[must_use]
pub struct DiskRead {
    /// The segment of the first offset, and the next one in case a gap ends it.
    pub(super) views: Vec<SegmentView>,
    pub(super) from: Offset,
    pub(super) max_bytes: usize,
    pub(super) below: Offset,
    pub(super) at_least_one_batch: bool,
    pub(super) ahead: Rc<ReadAhead>,
    pub(super) open_files: Rc<OpenFiles>,
}

impl DiskRead {
    /// Bytes of memory the read may take: what the shard reserves before it runs it. A single larger batch takes more.
    pub fn bytes_max(&self) -> usize {
        self.max_bytes.min(READ_BYTES_MAX)
    }

    /// Reads. The answer is empty when the log was cut or the files went away in the meantime: whoever asks again finds
    /// out why.
    pub async fn run(self) -> Result<Records, StorageError> {
        for view in &self.views {
            match self.read(view).await {
                Ok(None) if !view.is_void() => {}
                Ok(Some(records)) if !view.is_void() => return Ok(records),
                Err(error) if !view.is_void() => return Err(error),
                _ => return Ok(Records::default()),
            }
        }
        Ok(Records::default())
    }

    /// `None` when the segment ends before `from`.
    async fn read(&self, view: &SegmentView) -> Result<Option<Records>, StorageError> {
        let file = match view.file.reader().await {
            Err(error) if error.kind() == io::ErrorKind::NotFound && view.file.is_deleted() => {
                return Ok(Some(Records::default()));
            }
            file => file.doing("opening a segment")?,
        };
        self.open_files.read(&view.file);
        let from = view.locate(self.from).await?;
        let mut scan = match view.start {
            Start::Exactly(_) => {
                let window = self.window(view, from).await.doing("reading a segment")?;
                Scan::window(file, from, view.limit, self.bytes_max()).with_window(Some(window))
            }
            Start::AtOrBefore(_) | Start::Search { .. } => Scan::headers(file, from, view.limit),
        };
        let Some(first) = self.first_batch(view, &mut scan).await? else { return Ok(None) };
        self.batches_from(view, &mut scan, &first).await.map(Some)
    }

    /// What lies at a position where a reader in sequence goes on: at hand, read ahead, or read now.
    async fn window(&self, view: &SegmentView, from: u64) -> io::Result<Bytes> {
        let len = usize::try_from(view.limit - from).unwrap_or(usize::MAX).min(self.bytes_max());
        if let Some(bytes) = view.file.at_hand(from, len) {
            return Ok(bytes);
        }
        match self.ahead.take(&view.file, from).await {
            Some(bytes) => Ok(bytes),
            None => self.ahead.read(&view.file, from, len).await,
        }
    }

    /// Walks to the first batch that ends at or past `from`.
    async fn first_batch(&self, view: &SegmentView, scan: &mut Scan) -> Result<Option<BatchHeader>, StorageError> {
        loop {
            match scan.peek().await.doing("reading a segment")? {
                Found::Batch(header) if header.last_offset() >= self.from => return Ok(Some(header)),
                Found::Batch(header) => scan.skip(&header),
                Found::End => return Ok(None),
                Found::Zeros | Found::Torn(_) => return Err(view.damaged(scan.position)),
            }
        }
    }

    async fn batches_from(
        &self,
        view: &SegmentView,
        scan: &mut Scan,
        first: &BatchHeader,
    ) -> Result<Records, StorageError> {
        let fits = first.size() <= self.max_bytes || self.at_least_one_batch;
        if first.last_offset() >= self.below || !fits {
            return Ok(Records::default());
        }
        let wanted = self.bytes_max().max(first.size()) as u64;
        let wanted = wanted.min(view.limit - scan.position) as usize;
        let bytes = match view.start {
            Start::Exactly(_) => scan.bytes_beside(wanted).await,
            Start::AtOrBefore(_) | Start::Search { .. } => scan.bytes(scan.position, wanted).await,
        };
        let bytes = bytes.doing("reading a segment")?;
        let (len, next) = self.whole_batches(&bytes).ok_or_else(|| view.damaged(scan.position))?;
        let position = scan.position + len as u64;
        view.file.remember(next, position);
        if matches!(view.start, Start::Exactly(_)) && next < self.below {
            let left = usize::try_from(view.limit - position).unwrap_or(usize::MAX);
            let len = left.min(self.bytes_max());
            if !view.file.is_kept(position, len) {
                self.ahead.foresee(&view.file, position, len);
            }
        }
        let mut records = Records::from(bytes.slice(..len));
        records.ends_at(next);
        Ok(records)
    }

    /// The length of the batches in `bytes` that may be returned, and the offset after them. `None` when their offsets
    /// do not follow one another.
    fn whole_batches(&self, bytes: &Bytes) -> Option<(usize, Offset)> {
        let (mut len, mut next) = (0, None);
        for batch in batches(bytes).map_while(Result::ok) {
            let header = batch.header;
            if next.is_some_and(|next| header.base_offset < next) {
                return None;
            }
            let fits = len == 0 || len + header.size() <= self.max_bytes;
            if header.last_offset() >= self.below || !fits {
                break;
            }
            len += header.size();
            next = Some(header.next_offset());
        }
        next.map(|next| (len, next))
    }
}
