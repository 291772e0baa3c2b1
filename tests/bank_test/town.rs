//! The banks of a run: real processes that find each other through the proxies.

use super::proxy::Proxies;
use super::random::Random;
use super::support::{Cluster, DEADLINE, Process, Wire};
use super::{ACCOUNTS, BANKS, OPENED_WITH, account, bank_of};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// Where a segment's first batch begins, as `journal::format` says.
const FIRST_BATCH: usize = 64;
/// A batch's header, in bytes.
const BATCH_HEADER: usize = 32;

/// Three banks with a key, and who of them runs.
pub struct Town {
    cluster: Cluster,
    lists: [String; BANKS],
    banks: [Option<Process>; BANKS],
    /// How often a disk was filled.
    filled: u64,
}

impl Town {
    /// A folder, a key and ports for three banks; none runs yet.
    pub fn new(proxies: &Proxies) -> Town {
        let cluster = Cluster::new(BANKS, true);
        let lists = std::array::from_fn(|from| {
            let port = |to| if to == from { cluster.port(to) } else { proxies.port(from, to) };
            (0..BANKS).map(|to| port(to).to_string()).collect::<Vec<_>>().join(",")
        });
        Town { cluster, lists, banks: Default::default(), filled: 0 }
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

    /// Opens the accounts.
    pub fn open_accounts(&self) {
        for (at, opened_with) in OPENED_WITH.iter().enumerate().take(ACCOUNTS) {
            let mut wire = self.connect(bank_of(at));
            let client = format!(r#"CLIENT {{"cpf":"1234567890{at}","name":"Pessoa {at}","kind":"Físico"}}"#);
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

    /// Starts a bank whose files may not grow past `kib` KiB: for it the disk is full then.
    pub fn start_on_a_full_disk(&mut self, bank: usize, kib: u64) {
        let inner = self.command(bank);
        let mut command = Command::new("bash");
        // The signal that comes with the bound would kill it; it is to be told by the failed write.
        command.args(["-c", r#"trap "" XFSZ; ulimit -f "$1"; shift; exec "$@""#, "bash", &kib.to_string()]);
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

    /// Takes what room is left on a full disk, unless the clients took it already, and waits until the bank has ended
    /// by itself; gives its exit code and what it said. None where there was more room than that: a bank at the end
    /// of a segment goes on in the next one, which has all of its room before the bound.
    pub fn fill_disk(&mut self, bank: usize) -> Option<(Option<i32>, Vec<String>)> {
        let mut process = self.banks[bank].take().expect("it was started");
        self.filled += 1;
        match self.refuse_many(bank) {
            Ok(()) => None,
            Err(_) => Some((process.wait(), process.seen().to_vec())),
        }
    }

    /// Has a bank refuse many transactions: refusals are records too, and move no money.
    fn refuse_many(&self, bank: usize) -> std::io::Result<()> {
        const AT_ONCE: usize = 200;
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.cluster.port(bank)))?);
        stream.get_ref().set_read_timeout(Some(DEADLINE))?;
        let ops = format!(r#"[{{"bank":{bank},"op":"credit","account":"none","amount":1}}]"#);
        for chunk in 0..100 {
            let line = |number| format!("PREPARE fill-{}-{chunk}-{number} {{\"ops\":{ops}}}\n", self.filled);
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
            let signal = if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
            let pid = rustix::process::Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
            if frozen {
                let stat = format!("/proc/{}/stat", process.pid());
                super::support::wait_until("the bank stands still", || {
                    let stat = std::fs::read_to_string(&stat).unwrap();
                    // Its state follows its name, which is in brackets.
                    stat.rsplit(") ").next().unwrap().starts_with('T').then_some(())
                });
            }
        }
    }

    /// Torn tails that banks told to have cut off.
    pub fn tails_cut(&self) -> usize {
        let logs = std::fs::read_dir(self.path().join("logs")).unwrap().map(|entry| entry.unwrap().path());
        logs.map(|log| std::fs::read_to_string(log).unwrap().matches("a torn tail of").count()).sum()
    }

    /// Where the last batch of a bank's journal ends, in bytes of its file: the newest that holds any.
    pub fn journal_end(&self, bank: usize) -> (PathBuf, usize) {
        let folder = self.path().join(format!("data/{}", self.cluster.port(bank)));
        let mut segments: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name.starts_with("segment-") && !name.ends_with(".tmp")
            })
            .collect();
        segments.sort();
        let mut found = None;
        for path in segments {
            let bytes = std::fs::read(&path).unwrap();
            let end = end_of_batches(&bytes);
            if end > FIRST_BATCH || found.is_none() {
                found = Some((path, end));
            }
        }
        found.expect("a bank that ran has a journal")
    }

    /// Leaves behind the journal of a bank that is down what a torn write could have left: bytes that were never
    /// synced. What was synced stays as it is.
    pub fn tear_tail(&self, bank: usize, random: &mut Random) {
        let (path, end) = self.journal_end(bank);
        let file: File = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let room = usize::try_from(file.metadata().unwrap().len()).unwrap().saturating_sub(end);
        let length = (1 + random.below(4_000)).min(room);
        let mut junk = random.bytes(length);
        match random.below(3) {
            0 => {}
            // The beginning of a batch, and not the rest.
            1 => junk.iter_mut().zip(b"CBat").for_each(|(to, from)| *to = *from),
            // The later pages of a batch, and not the first one: those may be written in any order.
            _ => junk.iter_mut().take(length / 2).for_each(|byte| *byte = 0),
        }
        if let Some(last) = junk.last_mut() {
            *last |= 1;
        }
        file.write_all_at(&junk, u64::try_from(end).unwrap()).unwrap();
        file.sync_all().unwrap();
    }
}

/// Goes from batch to batch by their headers.
fn end_of_batches(bytes: &[u8]) -> usize {
    let mut at = FIRST_BATCH;
    while let Some(header) = bytes.get(at..at + BATCH_HEADER)
        && header.starts_with(b"CBat")
    {
        let body = u32::from_le_bytes(header[28..].try_into().unwrap());
        at += BATCH_HEADER + usize::try_from(body).unwrap();
    }
    at.min(bytes.len())
}
