//! The banks of one run: processes in a temporary folder.

use crate::rows::SpeedRow;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// How many free ports in a row are looked for, and from where.
const PORTS: std::ops::Range<u16> = 18_000..30_000;

/// SpeedBanks at work; dropping this kills them and removes their folder.
pub struct SpeedBanks {
    programs: PathBuf,
    folder: TempDir,
    ports: Vec<u16>,
    processes: Vec<Child>,
}

impl SpeedBanks {
    /// Starts new banks with the programs in `programs`, and waits until they are ready.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start(programs: &Path, count: u16) -> Result<SpeedBanks> {
        let folder = tempfile::Builder::new().prefix("consorcio-speed").tempdir()?;
        let ports = free_ports(count)?;
        let key = folder.path().join("consortium.key");
        let made = Command::new(programs.join("servidor")).arg("key").arg(&key).output()?;
        ensure!(made.status.success(), "servidor key: {}", String::from_utf8_lossy(&made.stderr));
        let mut banks =
            SpeedBanks { programs: programs.to_owned(), folder, ports, processes: Vec::new() };
        banks.start_processes()?;
        Ok(banks)
    }

    /// The list of their addresses.
    fn consortium(&self) -> String {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Starts all processes, and waits until each has printed that it is ready; then until each
    /// knows the others.
    fn start_processes(&mut self) -> Result<()> {
        for port in &self.ports {
            let mut command = self.command("servidor");
            command
                .args(["--port", &port.to_string(), "--consortium", &self.consortium()])
                .args(["--key-file", "consortium.key"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            self.processes.push(command.spawn().context("servidor")?);
        }
        for process in &mut self.processes {
            wait_until_ready(process)?;
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

    /// Starts `cliente bench` with the arguments of `row`.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn bench(&self, row: &SpeedRow, seconds: u32, warmup: u32) -> Result<Child> {
        self.command("cliente")
            .args(["--consortium", &self.consortium(), "bench", "--yes", "--json"])
            .args(["--seconds", &seconds.to_string(), "--warmup", &warmup.to_string()])
            .args(row.bench)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cliente bench")
    }

    /// The process ids of the banks.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.processes.iter().map(Child::id)
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
        self.kill();
        let began = Instant::now();
        self.start_processes()?;
        Ok(u64::try_from(began.elapsed().as_millis())?)
    }

    fn kill(&mut self) {
        for mut process in self.processes.drain(..) {
            // It may have ended already; then there is nothing to kill.
            let _ended_already = process.kill();
            let _reaped = process.wait();
        }
    }
}

impl Drop for SpeedBanks {
    fn drop(&mut self) {
        self.kill();
    }
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
    PORTS
        .step_by(usize::from(count))
        .map(|first| (first..first + count).collect::<Vec<_>>())
        .find(|ports| ports.iter().all(is_free))
        .context("no free ports in a row")
}
