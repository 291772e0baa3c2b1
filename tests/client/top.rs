//! `cliente top` on a terminal of 80 columns and 24 rows.

use crate::support::Cluster;
use crate::support::terminal::Terminal;

const MARIA: &str = "11111111111";

#[test]
fn all_banks_are_on_one_screen() {
    let mut cluster = Cluster::start(2);
    cluster.open_account(0, "12345-6", MARIA, "100");
    cluster.open_account(1, "78910-0", MARIA, "0");
    let mut terminal = Terminal::start(&cluster.cliente(&["top", "--every", "100ms"]), 80);
    for text in ["2 banks", "tx/s", "p99", "open", "queue", "sync/s", "held", "online"] {
        terminal.wait_screen(text);
    }
    terminal.wait_screen("no undecided transaction");
    // A vote that waits for its driver is undecided, and holds money.
    let mut driver = cluster.connect(0);
    let ops = "{\"ops\":[{\"bank\":0,\"op\":\"debit\",\"account\":\"12345-6\",\"amount\":500},\
               {\"bank\":1,\"op\":\"credit\",\"account\":\"78910-0\",\"amount\":500}],\
               \"patience_ms\":60000}";
    assert!(driver.ask(&format!("PREPARE slow-1 {ops}")).starts_with("OK slow-1"));
    terminal.wait_screen("slow-1");
    terminal.wait_screen("R$ 5,00");
    terminal.type_keys("p");
    terminal.wait_screen("PAUSED");
    terminal.type_keys("p");
    terminal.type_keys("s");
    terminal.wait_screen("tx/s▾");
    terminal.type_keys("r");
    terminal.wait_screen("▴");
    cluster.kill(1);
    terminal.wait_screen("offline");
    terminal.type_keys("q");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("\x1b[?1049l"), "its screen is left: {screen}");
}

#[test]
fn it_needs_a_terminal() {
    let cluster = Cluster::start(1);
    let ran = cluster.run(&["top"]).expect_code(2);
    assert!(ran.stderr.contains("needs a terminal") && ran.stderr.contains("--watch"), "{ran:?}");
}
