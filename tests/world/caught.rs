//! Panics that are looked for: they come back as words.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Does this thread run something whose panic comes back as words?
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `this`; what it panics with comes back as words, and is printed with `CONSORCIO_LOUD`
/// alone. There is one of these for all tests of this program: two that change the hook of the
/// process at once would lose one of their hooks.
pub fn caught<T>(this: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() || std::env::var_os("CONSORCIO_LOUD").is_some() {
                loud(info);
            }
        }));
    });
    let before = CAUGHT.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(this));
    CAUGHT.set(before);
    done.map_err(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => {
            panic.downcast_ref::<&str>().map_or("a panic".to_owned(), |text| (*text).to_owned())
        }
    })
}
