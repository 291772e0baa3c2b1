//! Closed mode over real sockets: certificates, who is admitted, and what an attacker on the path
//! or before the port can do.

mod certs;
mod client;
mod ended;
mod http;
mod login;
mod path;
mod refused;
mod reload;
mod rights;
mod stalled;
mod together;

use crate::support::{Cluster, ProgramRun, servidor_path, wait_until};
use client::TlsClient;
use std::path::PathBuf;
use std::process::Command;

const LINE: &[u8] = b"consorcio-line/1";
const LINK: &[u8] = b"consorcio-link/1";

/// What each bank grants at first.
const ACCESS: &str = "\
[titular1]
roles = [\"holder\"]
cpf = [\"11111111111\"]

[caixa1]
roles = [\"teller\", \"writer\", \"auditor\"]
";

/// Banks in closed mode, each with a folder of its own, and the clients `titular1` and `caixa1`.
struct SecureBanks {
    cluster: Cluster,
}

impl SecureBanks {
    /// So many banks, all of them ready.
    fn start(count: usize) -> SecureBanks {
        let mut banks = SecureBanks::new(count);
        (0..count).for_each(|bank| banks.cluster.start_bank(bank));
        banks
    }

    /// So many banks, none of them started yet.
    fn new(count: usize) -> SecureBanks {
        let mut cluster = Cluster::new(count, false);
        (0..count).for_each(|bank| cluster.add_switches(bank, &["--tls", &folder_of(bank)]));
        let banks = SecureBanks { cluster };
        banks.certs(&["ca"]).expect_code(0);
        for name in ["titular1", "caixa1"] {
            banks.certs(&["client", name]).expect_code(0);
        }
        for bank in 0..count {
            banks.certs(&["bank", &bank.to_string()]).expect_code(0);
            banks.hand_out(bank);
            banks.grant(bank, ACCESS);
        }
        banks
    }

    /// Copies what `servidor certs` says to the folder of a bank.
    fn hand_out(&self, bank: usize) {
        let folder = self.cluster.path().join(folder_of(bank));
        std::fs::create_dir_all(&folder).unwrap();
        let own = ["crt", "key", "http.crt", "http.key"].map(|end| format!("bank-{bank}.{end}"));
        let shared = ["ca-banks.crt", "ca-clients.crt", "consortium.key"].map(str::to_owned);
        for file in own.iter().chain(&shared) {
            let from = self.file(file);
            if from.exists() {
                std::fs::copy(from, folder.join(file)).unwrap();
            }
        }
    }

    /// Writes the rights that a bank grants; it reads them at its next start or SIGHUP.
    fn grant(&self, bank: usize, access: &str) {
        let folder = self.cluster.path().join(folder_of(bank));
        std::fs::write(folder.join("access.toml"), access).unwrap();
    }

    /// A file of the folder with the CAs.
    fn file(&self, name: &str) -> PathBuf {
        self.cluster.path().join("certs").join(name)
    }

    /// Runs `servidor certs` to its end.
    fn certs(&self, arguments: &[&str]) -> ProgramRun {
        let output = self.certs_command(arguments).output().unwrap();
        ProgramRun::of(arguments, &output)
    }

    fn certs_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(servidor_path());
        command.current_dir(self.cluster.path()).arg("certs").args(arguments);
        command.env("LC_ALL", "C").env_remove("CONSORCIO_TLS");
        command
    }

    /// Runs `cliente` with the certificate of `name`.
    fn cliente(&self, name: &str, arguments: &[&str]) -> ProgramRun {
        let mut command = self.cluster.cliente(arguments);
        command.env("CONSORCIO_TLS", "certs").env("CONSORCIO_AS", name);
        ProgramRun::of(arguments, &command.output().unwrap())
    }

    /// A connection to a bank with the certificate of `name`, over this protocol.
    fn dial(&self, bank: usize, name: &str, protocol: &[u8]) -> TlsClient {
        let folder = self.cluster.path().join("certs");
        TlsClient::dial(&self.cluster.address(bank), &folder, Some(name), bank, &[protocol])
    }

    /// Waits until the step log of a bank has this text.
    #[track_caller]
    fn wait_logged(&self, bank: usize, text: &str) {
        wait_until(&format!("{text:?} in the log of bank {bank}"), || {
            self.cluster.log(bank).contains(text).then_some(())
        });
    }

    /// Makes the clock of `servidor certs` differ by so many microseconds.
    #[cfg(debug_assertions)]
    fn certs_at(&self, offset_us: i64, arguments: &[&str]) -> ProgramRun {
        let file = self.cluster.path().join("clock-of-certs");
        std::fs::write(&file, format!("{offset_us} 0\n")).unwrap();
        let mut command = self.certs_command(arguments);
        let output = command.env(crate::support::CLOCK_VARIABLE, file).output().unwrap();
        ProgramRun::of(arguments, &output)
    }
}

/// What a program said, on both streams.
fn told_by(run: &ProgramRun) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

fn folder_of(bank: usize) -> String {
    format!("tls-{bank}")
}
