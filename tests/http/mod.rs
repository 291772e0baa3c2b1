//! The routes over real HTTP, against real banks: results and refusals, malformed input, bounds,
//! shutdown, and load.

mod bounds;
mod client;
#[cfg(debug_assertions)]
mod clocks;
mod cross_origin;
mod described;
mod fairness;
#[cfg(debug_assertions)]
mod hanging;
mod junk;
mod keys;
mod load;
mod mutants;
mod outcomes;
mod outside;
mod page;
mod read_your_writes;
mod refusal_texts;
mod routes;
mod script;
mod user_input;

use crate::support::{Cluster, free_ports, wait_until};
use client::HttpConnection;

/// Banks that serve HTTP.
struct HttpCluster {
    banks: Cluster,
    ports: Vec<u16>,
}

impl HttpCluster {
    /// `count` banks, all of them linked.
    fn start(count: usize) -> HttpCluster {
        HttpCluster::start_as(count, true, &[])
    }

    /// As `start`, with a key file and these switches.
    fn start_with(count: usize, switches: &[&str]) -> HttpCluster {
        HttpCluster::start_as(count, true, switches)
    }

    fn start_as(count: usize, keyed: bool, switches: &[&str]) -> HttpCluster {
        // Another process may take a port between its choice and its use; then others are chosen.
        for _ in 0..5 {
            let mut cluster = Cluster::new(count, keyed);
            let ports = free_ports(count);
            for (bank, port) in ports.iter().enumerate() {
                cluster.add_switches(bank, &["--http", &port.to_string()]);
                cluster.add_switches(bank, switches);
            }
            if (0..count).all(|bank| cluster.try_start(bank).is_ok()) {
                let cluster = HttpCluster { banks: cluster, ports };
                cluster.linked();
                return cluster;
            }
        }
        panic!("no consortium came up in five attempts");
    }

    /// Waits until each bank has its links.
    fn linked(&self) {
        for bank in 0..self.ports.len() {
            let mut wire = self.banks.connect(bank);
            wait_until("the links between the banks", || {
                (!wire.ask("BANKS").contains("\"online\":false")).then_some(())
            });
        }
    }

    /// Opens a connection to a bank's HTTP port.
    fn connect(&self, bank: usize) -> HttpConnection {
        HttpConnection::open(self.ports[bank])
    }

    /// Registers a client and opens its account at `bank`, with a deposit of `reais`.
    fn open(&self, bank: usize, cpf: &str, number: &str, reais: &str) {
        let mut http = self.connect(bank);
        let client = format!(r#"{{"cpf":"{cpf}","nome":"Pessoa {cpf}","tipo":"Físico"}}"#);
        assert_eq!(http.post("/criar_cliente", &client).status, 201);
        let account = format!(r#"{{"cpf":"{cpf}","numero":"{number}","saldo_inicial":{reais}}}"#);
        assert_eq!(http.post("/criar_conta", &account).status, 201);
    }

    /// The balance of the only account of `cpf` at `bank`, as its JSON has it.
    fn balance(&self, bank: usize, cpf: &str) -> String {
        let accounts = self.connect(bank).get(&format!("/contas/{cpf}")).json();
        accounts[0]["saldo"].to_string()
    }
}

const ANA: &str = "11111111111";
const BIA: &str = "22222222222";
const CAIO: &str = "33333333333";
