//! The banks of a run: real processes that find each other through the proxies.

use super::disks::Newest;
use super::proxy::Proxies;
use super::{ACCOUNTS, BANKS, OPENED_WITH, account, bank_of};
use crate::support::{Cluster, DEADLINE, Process, Wire};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

/// Three banks with a key, and who of them runs.
pub struct ProxiedCluster {
    cluster: Cluster,
    lists: [String; BANKS],
    banks: [Option<Process>; BANKS],
    /// Transactions that were made to be refused.
    refused: u64,
}

impl ProxiedCluster {
    /// A folder, a key and ports for three banks; none runs yet.
    pub fn new(proxies: &Proxies) -> ProxiedCluster {
        let cluster = Cluster::new(BANKS, true);
        let lists = std::array::from_fn(|from| {
            let port = |to| if to == from { cluster.port(to) } else { proxies.port(from, to) };
            (0..BANKS).map(|to| port(to).to_string()).collect::<Vec<_>>().join(",")
        });
        ProxiedCluster { cluster, lists, banks: Default::default(), refused: 0 }
    }

    /// The banks' own ports.
    pub fn ports(&self) -> [u16; BANKS] {
        std::array::from_fn(|bank| self.cluster.port(bank))
    }

    /// The folder that everything lives in.
    pub fn path(&self) -> &std::path::Path {
        self.cluster.path()
    }

    /// A connection to a bank that no weather reaches.
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

    /// Starts a bank, on its old data if it has some, and waits until it is ready.
    pub fn start(&mut self, bank: usize) {
        let mut process = Process::start(self.command(bank).args(["--log-max-size", "16777216"]));
        process.expect_line("ready on");
        self.banks[bank] = Some(process);
    }

    /// Starts a bank that died while it wrote a batch: it must tell that it cut that off, and
    /// where.
    pub fn start_torn(&mut self, bank: usize) {
        let torn_at = self.newest(bank).torn_at();
        self.start(bank);
        if let Some(torn_at) = torn_at {
            self.banks[bank].as_mut().expect("it was started").expect_line(&format!("/{torn_at}"));
        }
    }

    /// Starts a bank that must not come up, and waits for its end; gives its exit code and what it
    /// said.
    pub fn start_in_vain(&self, bank: usize) -> (Option<i32>, Vec<String>) {
        let mut process = Process::start(&mut self.command(bank));
        (process.wait(), process.seen().to_vec())
    }

    /// Starts a bank whose files may not grow past `kib` KiB: for it the disk is full then.
    pub fn start_on_a_full_disk(&mut self, bank: usize, kib: u64) {
        let inner = self.command(bank);
        let mut command = Command::new("bash");
        // The signal that comes with the bound would kill it; it is to be told by the failed write.
        command.args([
            "-c",
            r#"trap "" XFSZ; ulimit -f "$1"; shift; exec "$@""#,
            "bash",
            &kib.to_string(),
        ]);
        command.arg(inner.get_program()).args(inner.get_args()).args(["--log-steps", "off"]);
        command.current_dir(self.path());
        // Whether it gets as far as to be ready is not the point.
        self.banks[bank] = Some(Process::start(&mut command));
    }

    fn command(&self, bank: usize) -> Command {
        let mut command = self.cluster.servidor(bank);
        command.args(["--consortium", &self.lists[bank]]);
        command
    }

    /// Kills a bank on the spot, if it runs.
    pub fn kill(&mut self, bank: usize) {
        drop(self.banks[bank].take());
    }

    /// Takes what room is left on a full disk, unless the clients took it already, and waits until
    /// the bank has ended by itself; gives its exit code and what it said. None where there was
    /// more room than that: a bank at the end of a segment goes on in the next one, which has all
    /// of its room before the bound.
    pub fn fill_disk(&mut self, bank: usize) -> Option<(Option<i32>, Vec<String>)> {
        let mut process = self.banks[bank].take().expect("it was started");
        match self.refuse_many(bank, 100) {
            Ok(()) => None,
            Err(_) => Some((process.wait(), process.seen().to_vec())),
        }
    }

    /// Has a bank that runs write batches until there are some of which it is sure that they were
    /// synced.
    pub fn make_batches(&mut self, bank: usize) {
        while self.newest(bank).batches() < 3 {
            self.refuse_many(bank, 1).expect("a bank that runs");
        }
    }

    /// Has a bank refuse many transactions, so many times: refusals are records too, and move no
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

    /// Stops a bank in its tracks (SIGSTOP), or lets it go on (SIGCONT).
    pub fn freeze(&self, bank: usize, frozen: bool) {
        if let Some(process) = &self.banks[bank] {
            let signal =
                if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
            let pid =
                rustix::process::Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
            if frozen {
                let stat = format!("/proc/{}/stat", process.pid());
                crate::support::wait_until("the bank stands still", || {
                    let stat = std::fs::read_to_string(&stat).unwrap();
                    // Its state follows its name, which is in brackets.
                    stat.rsplit(") ").next().unwrap().starts_with('T').then_some(())
                });
            }
        }
    }

    /// Torn tails that banks told to have cut off.
    pub fn tails_cut(&self) -> usize {
        let logs =
            std::fs::read_dir(self.path().join("logs")).unwrap().map(|entry| entry.unwrap().path());
        logs.map(|log| std::fs::read_to_string(log).unwrap().matches("a torn tail of").count())
            .sum()
    }

    /// The newest segment of a bank's journal.
    pub fn newest(&self, bank: usize) -> Newest {
        Newest::read(&self.path().join(format!("data/bank-{bank}")))
    }
}
