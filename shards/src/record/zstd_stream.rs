//! A zstd stream whose context is used again: making one costs more than inflating a small batch.

use bytes::{Buf, Bytes};
use std::cell::Cell;
use std::io;
use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, ResetDirective};

/// A context that has grown past this, for a frame with a huge window, is not kept.
const KEPT_BYTES_MAX: usize = 4 << 20;

thread_local! {
    static KEPT: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

pub(super) struct ZstdStream {
    /// There until drop.
    context: Option<DCtx<'static>>,
    packed: Bytes,
}

impl ZstdStream {
    pub(super) fn new(packed: Bytes) -> Self {
        let context = KEPT.take().unwrap_or_else(DCtx::create);
        Self { context: Some(context), packed }
    }

    /// 0 at the end, and where a cut stream stops.
    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let context = self.context.as_mut().expect("taken by drop alone");
        let mut written = OutBuffer::around(out);
        loop {
            let mut taken = InBuffer::around(&self.packed);
            context.decompress_stream(&mut written, &mut taken).map_err(|_| io::ErrorKind::InvalidData)?;
            let (taken, written) = (taken.pos(), written.pos());
            self.packed.advance(taken);
            if written > 0 || (taken == 0 && self.packed.is_empty()) {
                return Ok(written);
            }
        }
    }
}

impl Drop for ZstdStream {
    fn drop(&mut self) {
        let Some(mut context) = self.context.take() else { return };
        if context.sizeof() <= KEPT_BYTES_MAX && context.reset(ResetDirective::SessionOnly).is_ok() {
            KEPT.set(Some(context));
        }
    }
}
