//! Postcard that is made and handed on piece by piece, so that no state is in memory twice.

use crate::limits::SNAPSHOT_PIECE_BYTES;
use serde::Serialize;
use std::ops::ControlFlow;

/// Takes pieces of bytes in order, until it breaks.
pub type PieceSink<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + 'a;

/// Encodes values one after the other.
pub(crate) struct PieceWriter<'a> {
    piece: Vec<u8>,
    sink: &'a mut PieceSink<'a>,
}

impl<'a> PieceWriter<'a> {
    pub(crate) fn new(sink: &'a mut PieceSink<'a>) -> PieceWriter<'a> {
        PieceWriter { piece: Vec::with_capacity(2 * SNAPSHOT_PIECE_BYTES), sink }
    }

    /// Adds a value: fields of a struct one by one have the bytes of the struct.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> ControlFlow<()> {
        let piece = std::mem::take(&mut self.piece);
        self.piece = postcard::to_extend(value, piece)
            .expect("what a bank holds has a length, so postcard can write it");
        if self.piece.len() >= SNAPSHOT_PIECE_BYTES {
            self.flush()
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Adds the number of the values that follow, as before those of a sequence or a map.
    pub(crate) fn count(&mut self, count: usize) -> ControlFlow<()> {
        self.put(&count)
    }

    /// Hands on what is left.
    pub(crate) fn flush(&mut self) -> ControlFlow<()> {
        let flow = (self.sink)(&self.piece);
        self.piece.clear();
        flow
    }
}
