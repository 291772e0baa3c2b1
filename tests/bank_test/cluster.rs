//! The banks of a run: real processes that reach each other through the proxies.

use super::disks::NewestSegment;
use super::proxy::Proxies;
use super::{ACCOUNTS, BANKS, OPENED_WITH, account, bank_of};
use crate::support::{Cluster, DEADLINE, Process, Wire};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

/// Three banks with a key, and the processes of those that run.
pub struct ProxiedCluster {
    cluster: Cluster,
    /// Each bank's list of the consortium, with a proxy's port for each other bank.
    lists: [String; BANKS],
    banks: [Option<Process>; BANKS],
    /// Numbers the groups of transactions of `refuse_many`.
    refused: u64,
}

impl ProxiedCluster {
    /// A folder, a key and ports for three banks, none of them started yet.
    pub fn new(proxies: &Proxies) -> ProxiedCluster {
        let cluster = Cluster::new(BANKS, true);
        let lists = std::array::from_fn(|from| {
            let port = |to| if to == from { cluster.port(to) } else { proxies.port(from, to) };
            (0..BANKS).map(|to| port(to).to_string()).collect::<Vec<_>>().join(",")
        });
        ProxiedCluster { cluster, lists, banks: Default::default(), refused: 0 }
    }

    /// The banks' own ports, behind the proxies.
    pub fn ports(&self) -> [u16; BANKS] {
        std::array::from_fn(|bank| self.cluster.port(bank))
    }

    /// The temporary folder of all banks.
    pub fn path(&self) -> &std::path::Path {
        self.cluster.path()
    }

    /// A connection to a bank that bypasses the proxies.
    pub fn connect(&self, bank: usize) -> Wire {
        self.cluster.connect(bank)
    }

    pub fn open_accounts(&self) {
        for (at, opened_with) in OPENED_WITH.iter().enumerate().take(ACCOUNTS) {
            let mut wire = self.connect(bank_of(at));
            let client = format!(
                r#"CLIENT {{"cpf":"1234567890{at}","name":"Pessoa {at}","kind":"Físico"}}"#
            );
            let opened = format!(
                r#"ACCOUNT {{"number":"{}","holders":["1234567890{at}"],"deposit":{opened_with}}}"#,
                account(at)
            );
            for line in [client, opened] {
                let reply = wire.ask(&line);
                assert!(reply.starts_with("DONE"), "{line}: {reply}");
            }
        }
    }

    /// Starts a bank on its old data, if any, and waits until it is ready.
    pub fn start(&mut self, bank: usize) {
        let mut process = Process::start(self.command(bank).args(["--log-max-size", "16777216"]));
        process.expect_line("ready on");
        self.banks[bank] = Some(process);
    }

    /// Starts a bank with a torn tail. It must report that it cuts the tail off, with file and
    /// offset.
    pub fn start_torn(&mut self, bank: usize) {
        let torn_at = self.newest(bank).torn_at();
        self.start(bank);
        if let Some(torn_at) = torn_at {
            self.banks[bank]
                .as_mut()
                .expect("the bank was started")
                .expect_line(&format!("/{torn_at}"));
        }
    }

    /// Starts a bank that must refuse to start; returns its exit code and output.
    pub fn start_refused(&self, bank: usize) -> (Option<i32>, Vec<String>) {
        let mut process = Process::start(&mut self.command(bank));
        (process.wait(), process.seen().to_vec())
    }

    /// Starts a bank whose files cannot grow past `kib` KiB, as on a full disk.
    pub fn start_on_a_full_disk(&mut self, bank: usize, kib: u64) {
        let inner = self.command(bank);
        let mut command = Command::new("bash");
        // SIGXFSZ would kill the bank; ignored, so that the write fails instead.
        command.args([
            "-c",
            r#"trap "" XFSZ; ulimit -f "$1"; shift; exec "$@""#,
            "bash",
            &kib.to_string(),
        ]);
        command.arg(inner.get_program()).args(inner.get_args()).args(["--log-steps", "off"]);
        command.current_dir(self.path());
        // It may fail before it is ready, so this does not wait.
        self.banks[bank] = Some(Process::start(&mut command));
    }

    fn command(&self, bank: usize) -> Command {
        let mut command = self.cluster.servidor(bank);
        command.args(["--consortium", &self.lists[bank]]);
        command
    }

    /// Kills a bank with SIGKILL, if it runs.
    pub fn kill(&mut self, bank: usize) {
        drop(self.banks[bank].take());
    }

    /// Writes until the room on the full disk is used up and the bank has ended; returns its exit
    /// code and output. None if the bank continued in the next segment, which was allocated below
    /// the bound.
    pub fn fill_disk(&mut self, bank: usize) -> Option<(Option<i32>, Vec<String>)> {
        let mut process = self.banks[bank].take().expect("the bank was started");
        match self.refuse_many(bank, 100) {
            Ok(()) => None,
            Err(_) => Some((process.wait(), process.seen().to_vec())),
        }
    }

    /// Makes a running bank write batches until some are surely synced.
    pub fn make_batches(&mut self, bank: usize) {
        while self.newest(bank).batches() < 3 {
            self.refuse_many(bank, 1).expect("the bank runs");
        }
    }

    /// Makes a bank refuse `times` groups of transactions: refusals write records but move no
    /// money.
    fn refuse_many(&mut self, bank: usize, times: usize) -> std::io::Result<()> {
        const AT_ONCE: usize = 200;
        let mut stream =
            BufReader::new(TcpStream::connect(("127.0.0.1", self.cluster.port(bank)))?);
        stream.get_ref().set_read_timeout(Some(DEADLINE))?;
        let ops = format!(r#"[{{"bank":{bank},"op":"credit","account":"none","amount":1}}]"#);
        for _ in 0..times {
            self.refused += 1;
            let line =
                |number| format!("PREPARE fill-{}-{number} {{\"ops\":{ops}}}\n", self.refused);
            stream.get_mut().write_all((0..AT_ONCE).map(line).collect::<String>().as_bytes())?;
            for _ in 0..AT_ONCE {
                if stream.read_line(&mut String::new())? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(())
    }

    /// Stops a bank's process (SIGSTOP), or continues it (SIGCONT).
    pub fn freeze(&self, bank: usize, frozen: bool) {
        if let Some(process) = &self.banks[bank] {
            let signal =
                if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
            let pid =
                rustix::process::Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
            if frozen {
                let stat = format!("/proc/{}/stat", process.pid());
                crate::support::wait_until("the bank is stopped", || {
                    let stat = std::fs::read_to_string(&stat).unwrap();
                    // The state follows the process name, which is in brackets.
                    stat.rsplit(") ").next().unwrap().starts_with('T').then_some(())
                });
            }
        }
    }

    /// The number of torn tails that the banks' logs report as cut off.
    pub fn tails_cut(&self) -> usize {
        let logs =
            std::fs::read_dir(self.path().join("logs")).unwrap().map(|entry| entry.unwrap().path());
        logs.map(|log| std::fs::read_to_string(log).unwrap().matches("a torn tail of").count())
            .sum()
    }

    /// The newest segment of a bank's journal.
    pub fn newest(&self, bank: usize) -> NewestSegment {
        NewestSegment::read(&self.path().join(format!("data/bank-{bank}")))
    }
}
