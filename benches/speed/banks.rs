//! The banks of one run: processes in a temporary folder.

use anyhow::{Context, Result, ensure};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;
use tempfile::TempDir;

/// The file with the consortium's key, in the banks' folder.
const KEY_FILE: &str = "consortium.key";

/// How often other ports are tried, if the ones that were free are not any more.
const STARTS: usize = 5;

/// Where free ports in a row are looked for. Those of tests begin above.
const PORTS: std::ops::Range<u16> = 2_000..9_900;

/// Banks at work; dropping this kills them and removes their folder.
pub struct SpeedBanks {
    programs: PathBuf,
    folder: TempDir,
    ports: Vec<u16>,
    processes: Vec<Child>,
    environment: Vec<(String, OsString)>,
}

impl SpeedBanks {
    /// Starts new banks with the programs in `programs`, and waits until they are ready.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start(programs: &Path, count: u16) -> Result<SpeedBanks> {
        SpeedBanks::start_with(programs, count, &[])
    }

    /// The same; each bank has these environment variables, too.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start_with(
        programs: &Path,
        count: u16,
        environment: &[(&str, &OsStr)],
    ) -> Result<SpeedBanks> {
        let folder = tempfile::Builder::new().prefix("consorcio-speed").tempdir()?;
        let key = folder.path().join(KEY_FILE);
        let made = Command::new(programs.join("servidor")).arg("key").arg(&key).output()?;
        ensure!(made.status.success(), "servidor key: {}", String::from_utf8_lossy(&made.stderr));
        let owned = |(name, value): &(&str, &OsStr)| ((*name).to_owned(), (*value).to_owned());
        let mut banks = SpeedBanks {
            programs: programs.to_owned(),
            folder,
            ports: Vec::new(),
            processes: Vec::new(),
            environment: environment.iter().map(owned).collect(),
        };
        let mut last = None;
        for _ in 0..STARTS {
            banks.ports = free_ports(count)?;
            match banks.start_processes() {
                Ok(()) => return Ok(banks),
                Err(error) => last = Some(error),
            }
            banks.stop();
            // A journal names the addresses of its consortium.
            let _not_made_yet = std::fs::remove_dir_all(banks.folder.path().join("data"));
        }
        Err(last.context("banks are started at least once")?)
    }

    /// The list of their addresses.
    fn consortium(&self) -> String {
        self.addresses().join(",")
    }

    /// Starts all processes, and waits until each has printed that it is ready; then until each
    /// knows the others.
    fn start_processes(&mut self) -> Result<()> {
        for (bank, port) in self.ports.iter().enumerate() {
            let mut command = self.command("servidor");
            command
                .args(["--port", &port.to_string(), "--consortium", &self.consortium()])
                .args(["--key-file", KEY_FILE])
                .envs(self.environment.iter().map(|(name, value)| (name, value)))
                .stdout(Stdio::piped())
                .stderr(File::create(self.folder.path().join(errors_of(bank)))?);
            self.processes.push(command.spawn().context("servidor")?);
        }
        for (bank, process) in self.processes.iter_mut().enumerate() {
            wait_until_ready(process).with_context(|| {
                let errors = self.folder.path().join(errors_of(bank));
                std::fs::read_to_string(errors).unwrap_or_default().trim_end().to_owned()
            })?;
        }
        let ping = self
            .command("cliente")
            .args(["--consortium", &self.consortium(), "ping", "--wait", "60s"])
            .stdout(Stdio::null())
            .status()?;
        ensure!(ping.success(), "the banks do not answer");
        Ok(())
    }

    /// A program of this build, in the banks' folder and without this shell's settings.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CONSORCIO_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Starts `cliente bench` with these arguments.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn bench(&self, arguments: &[&str], seconds: u32, warmup: u32) -> Result<Child> {
        self.command("cliente")
            .args(["--consortium", &self.consortium(), "bench", "--yes", "--json"])
            .args(["--seconds", &seconds.to_string(), "--warmup", &warmup.to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cliente bench")
    }

    /// The process ids of the banks.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.processes.iter().map(Child::id)
    }

    /// The addresses of the banks, by position.
    pub fn addresses(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// The folders of the banks' journals, by position.
    pub fn journals(&self) -> Vec<PathBuf> {
        let data = self.folder.path().join("data");
        (0..self.ports.len()).map(|bank| data.join(format!("bank-{bank}"))).collect()
    }

    /// The file with the key of all banks.
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join(KEY_FILE)
    }

    /// The step logs' folder.
    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// Kills all banks, and returns the milliseconds until they are ready again.
    ///
    /// # Errors
    /// If one does not start.
    pub fn restart(&mut self) -> Result<u64> {
        self.stop();
        self.start_again()
    }

    /// Starts banks that were stopped, and returns the milliseconds until they are ready.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start_again(&mut self) -> Result<u64> {
        let began = Instant::now();
        self.start_processes()?;
        Ok(u64::try_from(began.elapsed().as_millis())?)
    }

    /// Kills all banks, as by `kill -9`.
    pub fn stop(&mut self) {
        for mut process in self.processes.drain(..) {
            // It may have ended already; then there is nothing to kill.
            let _ended_already = process.kill();
            let _reaped = process.wait();
        }
    }
}

impl Drop for SpeedBanks {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The file with what a bank says on standard error.
fn errors_of(bank: usize) -> String {
    format!("bank-{bank}.err")
}

/// Waits for the line that says where a bank listens. Its output is read to its end by a thread of
/// its own, so that the bank never waits for a full pipe.
fn wait_until_ready(process: &mut Child) -> Result<()> {
    let mut lines = BufReader::new(process.stdout.take().context("its output is piped")?).lines();
    let is_ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("ready"));
    ensure!(is_ready, "a bank ended before it was ready");
    std::thread::spawn(move || lines.for_each(drop));
    Ok(())
}

/// The first ports in a row that nobody listens on.
fn free_ports(count: u16) -> Result<Vec<u16>> {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    // Banks that run side by side are far apart, also if some are stopped for a while.
    static CONSORTIA: AtomicU32 = AtomicU32::new(0);
    let consortium = std::process::id() + CONSORTIA.fetch_add(1, Relaxed);
    let first = usize::try_from(consortium % 400)? * 16;
    PORTS
        .skip(first)
        .step_by(usize::from(count))
        .map(|first| (first..first + count).collect::<Vec<_>>())
        .find(|ports| ports.iter().all(is_free))
        .context("no free ports in a row")
}
