//! Runs a test's code and returns a panic as text.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// This thread runs code whose panic is returned as text.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `this` and returns a panic as text. The panic is printed only with `CONSORCIO_LOUD`. All
/// tests of this program share this function, because two that change the panic hook of the process
/// at once would lose one of the hooks.
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
