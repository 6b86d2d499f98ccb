//! Looking whether what lies in sealed segments is what was written there. Read past the page cache, by a handle of its
//! own: it is neither taken from readers nor kept for them.

use super::log::Log;
use super::names;
use super::scan::{Found, Scan};
use super::segment_file::SegmentFile;
use crate::record::BatchHeader;
use crate::runtime::{File, OpenMode, is_shortage};
use crate::types::Offset;
use std::io;
use std::rc::Rc;

/// A sealed segment as it was when it was asked for; leases its file.
pub struct SealedSegment {
    file: Rc<SegmentFile>,
    size: u64,
    /// Base offset of the next segment.
    end: Offset,
    generation: u32,
}

/// Something in a segment that was not written like this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    pub file: String,
    /// In the file, in bytes.
    pub position: u64,
    /// Where a reader stops.
    pub offset: Offset,
    pub what: String,
    /// What follows it in the segment cannot be told apart.
    pub hides_the_rest: bool,
}

impl Log {
    /// The first sealed segment that begins at or past `from`.
    pub fn sealed_segment(&self, from: Offset) -> Option<SealedSegment> {
        let (at, next) = (self.segments.from(from), self.segments.from(from).skip(1));
        let mut sealed = at.zip(next).filter(|(segment, _)| segment.is_sealed() && segment.base >= from);
        sealed.next().map(|(segment, next)| SealedSegment {
            file: segment.file.clone(),
            size: segment.size,
            end: next.base,
            generation: segment.file.generation(),
        })
    }
}

impl SealedSegment {
    /// Where the next one begins.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// It was deleted, replaced or cut since: what is in the file does not matter any more.
    pub fn is_gone(&self) -> bool {
        self.file.is_deleted() || self.file.generation() != self.generation
    }

    /// Reads all of it. `goes_on` hears how many bytes were read and rests as it likes; when it says no, what was found
    /// until then is told.
    ///
    /// # Errors
    /// Of what the process lacks; damage is not an error.
    pub async fn scrub(&self, goes_on: impl AsyncFn(usize) -> bool) -> io::Result<Vec<Damage>> {
        let name = self.file.name(names::LOG);
        let file = match self.file.dir().open_file(&name, OpenMode::Read).await {
            Err(error) if is_shortage(&error) => return Err(error),
            Err(_) if self.is_gone() => return Ok(Vec::new()),
            Err(error) => return Ok(vec![self.unreadable(&name, 0, self.file.base(), &error)]),
            Ok(file) => file,
        };
        let found = self.walk(&name, file.clone(), goes_on).await;
        file.close().await?;
        Ok(if self.is_gone() { Vec::new() } else { found })
    }

    async fn walk(&self, name: &str, file: File, goes_on: impl AsyncFn(usize) -> bool) -> Vec<Damage> {
        let mut scan = Scan::whole(file, 0, self.size);
        let mut next = self.file.base();
        let mut damages = Vec::new();
        let mut told = 0;
        loop {
            let at = scan.position;
            let damage = |offset, what: String, hides_the_rest| Damage {
                file: name.to_owned(),
                position: at,
                offset,
                what,
                hides_the_rest,
            };
            let header = match scan.peek().await {
                Ok(Found::End) => return damages,
                Ok(Found::Batch(header)) if self.is_in_place(&header, next) => header,
                Ok(Found::Batch(header)) => {
                    let what = format!("it says that it begins with offset {}", header.base_offset);
                    damages.push(damage(next, what, true));
                    return damages;
                }
                Ok(Found::Zeros) => {
                    damages.push(damage(next, "there are zeros".into(), true));
                    return damages;
                }
                Ok(Found::Torn(error)) => {
                    damages.push(damage(next, error.to_string(), true));
                    return damages;
                }
                Err(error) => {
                    damages.push(self.unreadable(name, at, next, &error));
                    return damages;
                }
            };
            match scan.check_crc(&header).await {
                Ok(true) => {}
                Ok(false) => damages.push(damage(header.base_offset, "its checksum does not fit".into(), false)),
                Err(error) => {
                    damages.push(self.unreadable(name, at, header.base_offset, &error));
                    return damages;
                }
            }
            scan.skip(&header);
            next = header.next_offset();
            let read = scan.read_until() - told;
            told += read;
            if read > 0 && !goes_on(usize::try_from(read).unwrap_or(usize::MAX)).await {
                return damages;
            }
        }
    }

    /// The head of a batch has no checksum; its offsets must follow those before.
    fn is_in_place(&self, header: &BatchHeader, next: Offset) -> bool {
        header.base_offset >= next && header.next_offset() <= self.end
    }

    fn unreadable(&self, name: &str, position: u64, offset: Offset, error: &io::Error) -> Damage {
        Damage { file: name.to_owned(), position, offset, what: error.to_string(), hides_the_rest: true }
    }
}
