//! The panel in a real browser, against real banks: what a person does at a desk, what is refused,
//! a bank that dies under it, two desks at once, a telephone, and a browser without JavaScript.
//!
//! Needs Chromium and its driver (Debian: `apt-get install chromium chromium-driver`). Where they
//! are missing each test says so and passes, unless `CONSORCIO_BROWSER=required`. Screenshots are
//! left below the target folder.

mod aloud;
mod browser;
mod crossing;
mod faults;
mod refresh;
mod screens;

use crate::support::{Cluster, free_ports, wait_until};
use browser::Browser;

/// Banks with panels, in one demonstration.
struct PanelCluster {
    banks: Cluster,
    ports: Vec<u16>,
}

impl PanelCluster {
    fn start(count: usize) -> PanelCluster {
        let mut cluster = Cluster::new(count, true);
        let ports = free_ports(count);
        for (bank, port) in ports.iter().enumerate() {
            cluster.add_switches(bank, &["--http", &port.to_string(), "--demo", "demo"]);
            cluster.start_bank(bank);
        }
        let cluster = PanelCluster { banks: cluster, ports };
        for bank in 0..count {
            let mut wire = cluster.banks.connect(bank);
            wait_until("the links between the banks", || {
                (!wire.ask("BANKS").contains("\"online\":false")).then_some(())
            });
        }
        cluster
    }

    fn url(&self, bank: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[bank])
    }

    /// Opens an account at each bank: holder 1111111111N, number `N-1`, with 1.000,00.
    fn open_accounts(&self) {
        for bank in 0..self.ports.len() {
            self.banks.open_account(
                bank,
                &format!("{bank}-1"),
                &format!("1111111111{bank}"),
                "1000",
            );
        }
    }

    /// Two debits at bank 0 and 1 into one credit at bank 2, in the words of a line.
    fn composite(&self, amount: u32) -> String {
        format!(
            r#"{{"ops":[{{"bank":0,"op":"debit","account":"0-1","amount":{amount}}},{{"bank":1,"op":"debit","account":"1-1","amount":{amount}}},{{"bank":2,"op":"credit","account":"2-1","amount":{}}}]}}"#,
            2 * amount
        )
    }
}

/// A test's browser; none where there is no Chromium, which is said.
macro_rules! open_browser {
    () => {
        match crate::panel::browser::Browser::open(&[]) {
            Some(browser) => browser,
            None => return,
        }
    };
}
pub(crate) use open_browser;
