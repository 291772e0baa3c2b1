//! Banks for one benchmark: three processes in a temporary folder, removed afterwards.

use super::super::failure::Failure;
use consorcio_core::limits::OWN_BANKS_START_ATTEMPTS_MAX;
use consorcio_system::config::Consortium;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The number of banks: a composite transaction has three.
pub(super) const BANKS: usize = 3;

/// Three banks; dropping this kills them and removes their folder.
pub(super) struct OwnBanks {
    folder: PathBuf,
    banks: Vec<Child>,
    /// Their list of addresses.
    pub consortium: Consortium,
}

impl OwnBanks {
    /// Starts the banks, and waits until they are ready.
    ///
    /// # Errors
    /// If there is no `servidor` beside this program, or it does not start.
    pub(super) fn start() -> Result<OwnBanks, Failure> {
        let servidor = beside_this_program()?;
        let mut last = Failure::Own("no bank was started".into());
        for _ in 0..OWN_BANKS_START_ATTEMPTS_MAX {
            match OwnBanks::try_start(&servidor) {
                Ok(banks) => return Ok(banks),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    fn try_start(servidor: &Path) -> Result<OwnBanks, Failure> {
        let consortium = free_ports()?;
        let mut own = OwnBanks { folder: new_folder()?, banks: Vec::new(), consortium };
        let key = own.folder.join("consortium.key");
        let made = Command::new(servidor).arg("key").arg(&key).stdout(Stdio::null()).status();
        if !made.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Err(Failure::Own(format!(
                "{} key does not work: {made:?}",
                servidor.display()
            )));
        }
        let list = own.consortium.to_string();
        for bank in 0..BANKS {
            let address = own.consortium.to_texts().get(bank).cloned().unwrap_or_default();
            let port = address.rsplit_once(':').map_or("", |(_, port)| port);
            let mut command = Command::new(servidor);
            command.current_dir(&own.folder).args(["--port", port, "--consortium", &list]);
            command.arg("--key-file").arg(&key).args(["--data-dir", "data", "--log-dir", "logs"]);
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("CONSORCIO_") {
                    command.env_remove(name);
                }
            }
            // What a bank says is shown only if it does not start.
            let said = own.folder.join(format!("bank-{bank}.err"));
            // A process group of its own: Ctrl-C must reach only this program, which then kills its
            // banks.
            command
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(File::create(&said).map_err(|error| cannot_run(servidor, &error))?);
            let child = command.spawn().map_err(|error| cannot_run(servidor, &error))?;
            own.banks.push(child);
        }
        for (bank, child) in own.banks.iter_mut().enumerate() {
            let said = own.folder.join(format!("bank-{bank}.err"));
            wait_until_ready(bank, child).map_err(|failure| {
                let said = std::fs::read_to_string(&said).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing").to_owned();
                Failure::Own(format!("{failure}: {last}"))
            })?;
        }
        Ok(own)
    }
}

impl Drop for OwnBanks {
    fn drop(&mut self) {
        for bank in &mut self.banks {
            // Their data is discarded, so kill them. Killing a process that has ended is no error.
            let _ = bank.kill();
            let _ = bank.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Reads the output of a bank until it is ready.
fn wait_until_ready(bank: usize, child: &mut Child) -> Result<(), Failure> {
    let ended =
        || Failure::Own(format!("bank {bank} of the benchmark's own ended before it was ready"));
    let stdout = child.stdout.take().ok_or_else(ended)?;
    for line in BufReader::new(stdout).lines() {
        if line.is_ok_and(|line| line.contains(" ready on ")) {
            return Ok(());
        }
    }
    Err(ended())
}

fn beside_this_program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| Failure::Own(format!("--own: {error}")))?;
    let servidor = own.with_file_name("servidor");
    if servidor.is_file() {
        return Ok(servidor);
    }
    let folder = own.parent().unwrap_or(Path::new(".")).display().to_string();
    Err(Failure::Own(format!(
        "--own starts the program servidor beside this one, and there is none in {folder}"
    )))
}

fn cannot_run(program: &Path, error: &std::io::Error) -> Failure {
    Failure::Own(format!("{} can't be run: {error}", program.display()))
}

/// A list of free ports of this machine.
fn free_ports() -> Result<Consortium, Failure> {
    let own = |error: std::io::Error| Failure::Own(format!("no free port: {error}"));
    let listeners: Result<Vec<TcpListener>, _> =
        (0..BANKS).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect();
    let mut ports = Vec::new();
    for listener in listeners.map_err(own)? {
        ports.push(listener.local_addr().map_err(own)?.port().to_string());
    }
    let list = ports.join(",");
    list.parse().map_err(|error| Failure::Own(format!("the benchmark's own list {list}: {error}")))
}

fn new_folder() -> Result<PathBuf, Failure> {
    let own = |error: String| Failure::Own(format!("no temporary folder: {error}"));
    let name = getrandom::u64().map_err(|error| own(error.to_string()))?;
    let folder = std::env::temp_dir().join(format!("consorcio-bench-{name:016x}"));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| own(error.to_string()))?;
    Ok(folder)
}
