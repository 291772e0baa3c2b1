//! Views of running banks, held for a while: they must stay the snapshot that a replay gives.

use consorcio_core::bank::{Core, FrozenBank};
use std::ops::ControlFlow;

/// A view is held for so many syncs of its bank.
const HELD_SYNCS: u32 = 24;

/// A view of a running bank, and the snapshot of its shadow at that time.
#[derive(Clone, Default)]
pub struct HeldView {
    view: Option<(FrozenBank, Vec<u8>)>,
    syncs: u32,
}

impl HeldView {
    /// Compares the view and takes another one, now and then. `shadow` is the bank that a replay of
    /// all synced records gives.
    pub fn check(&mut self, core: Option<&Core>, shadow: &Core) {
        self.syncs += 1;
        if !self.syncs.is_multiple_of(HELD_SYNCS) {
            return;
        }
        if let Some((view, expected)) = self.view.take() {
            let mut written = Vec::new();
            let whole = view.write(&mut |piece| {
                written.extend_from_slice(piece);
                ControlFlow::Continue(())
            });
            assert!(whole.is_continue() && written == expected, "a view of the bank has changed");
        }
        let core = core.filter(|core| core.seq() == shadow.seq());
        self.view = core.map(|core| (core.freeze(), shadow.to_snapshot()));
    }
}
