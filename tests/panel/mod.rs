//! The panel in a real browser, against real banks: every screen and refusal, live updates in two
//! windows, killed banks, a narrow window, screen readers, and a browser without JavaScript.
//!
//! Needs Chromium and its driver (Debian: `apt-get install chromium chromium-driver`). Without them
//! each test prints that and passes, unless `CONSORCIO_BROWSER=required`. Screenshots are written
//! below the target folder.

mod browser;
mod cross_protocol;
mod faults;
mod refresh;
mod screen_reader;
mod screens;

use crate::support::{Cluster, free_ports, wait_until};
use browser::Browser;

/// Banks with panels that share one `--demo` folder.
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

    /// Opens an account `N-1` at each bank N, with holder 1111111111N and 1.000,00.
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

    /// A transaction, as JSON of the line protocol: debits at banks 0 and 1, a credit at bank 2.
    fn composite(&self, amount: u32) -> String {
        format!(
            r#"{{"ops":[{{"bank":0,"op":"debit","account":"0-1","amount":{amount}}},{{"bank":1,"op":"debit","account":"1-1","amount":{amount}}},{{"bank":2,"op":"credit","account":"2-1","amount":{}}}]}}"#,
            2 * amount
        )
    }
}

/// Opens the browser of a test, or returns from the test if there is no Chromium.
macro_rules! open_browser {
    () => {
        match crate::panel::browser::Browser::open(&[]) {
            Some(browser) => browser,
            None => return,
        }
    };
}
pub(crate) use open_browser;
