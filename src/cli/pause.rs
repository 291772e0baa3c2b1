//! The hidden pause between the last vote and the verdict, so that demonstrations and tests can
//! kill someone then.

use consorcio_core::ids::TxId;
use std::io::Write;

/// Says that all votes are in, and waits for a line on standard input, or for its end.
pub async fn for_a_line(tx: &TxId) {
    let mut stderr = std::io::stderr().lock();
    // Nobody who listens may have gone; then there is nobody to tell.
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
