//! The hidden pause between the last vote and the verdict, in which demonstrations and tests kill a
//! process.

use consorcio_core::ids::TxId;
use std::io::Write;

/// Reports that all votes are in, and waits for a line on standard input, or for its end.
pub(crate) async fn for_a_line(tx: &TxId) {
    let mut stderr = std::io::stderr().lock();
    // The reader of standard error may have gone.
    let _ =
        writeln!(stderr, "paused: every bank has voted OK on {tx}").and_then(|()| stderr.flush());
    drop(stderr);
    let (sender, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = std::io::stdin().read_line(&mut text);
        let _ = sender.send(());
    });
    let _ = line.await;
}
