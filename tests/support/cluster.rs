//! The banks of one test: their processes, ports, files and commands.

use super::*;

/// A consortium of banks, each a process, in a temporary folder.
pub struct Cluster {
    pub(super) dir: TempDir,
    pub(super) ports: Vec<u16>,
    pub(super) banks: Vec<Option<Process>>,
    /// Whether they are given a key file.
    pub(super) keyed: bool,
    /// Each bank's additional switches.
    pub(super) switches: Vec<Vec<String>>,
    /// Whether a bank with a new journal waits for its introduction to all others.
    pub(super) introduces: bool,
    /// Entries of the list after those of the banks.
    pub(super) more_positions: Vec<String>,
}

impl Cluster {
    /// `count` banks with a new key file, all of them ready.
    pub fn start(count: usize) -> Cluster {
        Cluster::start_with(count, true)
    }

    /// `count` banks, all of them ready; with a key file, or with the key that the first one makes.
    pub fn start_with(count: usize, keyed: bool) -> Cluster {
        // Another process may take a port between its choice and its use; then others are chosen.
        for _ in 0..5 {
            let mut cluster = Cluster::new(count, keyed);
            cluster.introduces = true;
            if (0..count).all(|bank| cluster.try_start(bank).is_ok()) {
                (0..count).for_each(|bank| cluster.wait_introduced(bank));
                return cluster;
            }
        }
        panic!("no consortium came up in five attempts");
    }

    /// `count` banks, none of them started yet.
    pub fn new(count: usize, keyed: bool) -> Cluster {
        let dir = TempDir::new().expect("a temporary folder");
        let cluster = Cluster {
            dir,
            ports: free_ports(count),
            banks: (0..count).map(|_| None).collect(),
            keyed,
            switches: vec![Vec::new(); count],
            introduces: false,
            more_positions: Vec::new(),
        };
        if keyed {
            let made =
                Command::new(servidor_path()).arg("key").arg(cluster.key_file()).output().unwrap();
            assert!(made.status.success(), "servidor key: {made:?}");
        }
        cluster
    }

    /// From now on a bank with a new journal waits for its introduction. By default banks don't, so
    /// that a test can start them one by one.
    pub fn introduce(&mut self) {
        self.introduces = true;
    }

    /// Waits until a bank is introduced and knows its registers.
    #[track_caller]
    pub fn wait_introduced(&self, bank: usize) {
        let mut wire = self.connect(bank);
        wait_until(&format!("bank {bank} is introduced"), || {
            let info = wire.ask("INFO");
            assert!(info.starts_with("DONE "), "{info}");
            (!info.contains(r#""unmet":"#) && !info.contains(r#""registers_known":"#)).then_some(())
        });
    }

    /// Adds switches to a bank's command, from its next start on.
    pub fn add_switches(&mut self, bank: usize, switches: &[&str]) {
        self.switches[bank].extend(switches.iter().map(|switch| (*switch).to_owned()));
    }

    /// Adds a bank, not started yet, to the end of the list that each bank has from its next start
    /// on.
    pub fn add_bank(&mut self) -> usize {
        assert!(self.more_positions.is_empty(), "banks come before positions without one");
        let port =
            std::iter::repeat_with(|| free_ports(1)[0]).find(|port| !self.ports.contains(port));
        self.ports.extend(port);
        self.banks.push(None);
        self.switches.push(Vec::new());
        self.banks.len() - 1
    }

    /// Adds an entry, an address or `-`, to the list that each bank has from its next start on.
    pub fn add_position(&mut self, entry: &str) {
        self.more_positions.push(entry.to_owned());
    }

    /// Gives each bank a new key, with the switch that accepts it, from its next start on.
    pub fn change_key(&mut self) {
        let own = self.path().join("data/consortium.key");
        let file = if self.keyed { self.key_file() } else { own };
        std::fs::remove_file(&file).unwrap();
        let made = Command::new(servidor_path()).arg("key").arg(&file).output().unwrap();
        assert!(made.status.success(), "servidor key: {made:?}");
        (0..self.banks.len()).for_each(|bank| self.add_switches(bank, &["--new-key"]));
    }

    /// Starts a bank that does not run, on its old data, and waits until it is ready.
    pub fn start_bank(&mut self, bank: usize) {
        self.try_start(bank).unwrap_or_else(|error| panic!("bank {bank} does not start: {error}"));
    }

    /// As `start_bank`, but returns an error, for callers that can choose other ports: another
    /// process may have taken these meanwhile.
    pub fn try_start(&mut self, bank: usize) -> Result<(), String> {
        assert!(self.banks[bank].is_none(), "bank {bank} runs already");
        let mut process = Process::start(&mut self.servidor(bank));
        process.wait_for("ready on")?;
        self.banks[bank] = Some(process);
        Ok(())
    }

    /// Starts a bank that does not run and will crash at a crash point (`consorcio::crash`), and
    /// waits until it is ready.
    pub fn start_bank_with_crash(&mut self, bank: usize, crash_point: &str) {
        assert!(self.banks[bank].is_none(), "bank {bank} runs already");
        let mut process = Process::start(self.servidor(bank).env(CRASH_VARIABLE, crash_point));
        let ready = process.wait_for("ready on");
        ready.unwrap_or_else(|error| {
            panic!("bank {bank}, to crash at {crash_point}, does not start: {error}")
        });
        self.banks[bank] = Some(process);
    }

    /// As `start_bank_with_crash`, for a point that it may pass before it is ready: waits for the
    /// crash.
    pub fn start_bank_until_crash(&mut self, bank: usize, crash_point: &str) {
        assert!(self.banks[bank].is_none(), "bank {bank} runs already");
        self.banks[bank] =
            Some(Process::start(self.servidor(bank).env(CRASH_VARIABLE, crash_point)));
        self.wait_killed(bank);
    }

    /// Waits until SIGKILL has ended a bank.
    #[track_caller]
    pub fn wait_killed(&mut self, bank: usize) {
        let process = self.banks[bank].as_mut().expect("the bank was started");
        let what = format!("the crash of bank {bank}");
        let status = wait_until(&what, || process.child.try_wait().expect("it can be waited for"));
        assert_eq!(
            status.signal(),
            Some(9),
            "bank {bank} was not killed: {status}, {:?}",
            process.rest()
        );
        self.banks[bank] = None;
    }

    /// Sets the offsets, in microseconds, that are added to a bank's wall clock and uptime. They
    /// can change while the bank runs, if they were set once before its start.
    pub fn set_clock(&self, bank: usize, wall_us: i64, uptime_us: i64) {
        let file = self.clock_file(bank);
        // Written and renamed, so that the bank never reads half of it.
        std::fs::write(file.with_extension("tmp"), format!("{wall_us} {uptime_us}\n")).unwrap();
        std::fs::rename(file.with_extension("tmp"), file).unwrap();
    }

    pub(super) fn clock_file(&self, bank: usize) -> PathBuf {
        self.path().join(format!("clock-{bank}"))
    }

    /// The command that starts `bank`, for tests that add switches.
    pub fn servidor(&self, bank: usize) -> Command {
        let mut command = Command::new(servidor_path());
        command.current_dir(self.path()).args(["--port", &self.ports[bank].to_string()]);
        command.args(["--consortium", &self.consortium(), "--bank", &bank.to_string()]);
        if self.keyed {
            command.arg("--key-file").arg(self.key_file());
        }
        if !self.introduces {
            let others = (0..self.ports.len()).filter(|other| *other != bank);
            let others: Vec<String> = others.map(|other| other.to_string()).collect();
            command.env("CONSORCIO_INTRODUCE_WITHOUT", others.join(","));
        }
        command.args(&self.switches[bank]);
        // The environment of the test run must not change the output.
        command.env_remove("RUST_LOG");
        if self.clock_file(bank).exists() {
            command.env(CLOCK_VARIABLE, self.clock_file(bank));
        }
        command
    }

    /// Kills a bank with SIGKILL. Unlike a power cut, the system still writes what the bank wrote.
    pub fn kill(&mut self, bank: usize) {
        drop(self.banks[bank].take().expect("the bank runs"));
    }

    /// Sends SIGTERM to a bank and returns its exit code.
    pub fn stop(&mut self, bank: usize) -> Option<i32> {
        let mut process = self.banks[bank].take().expect("the bank runs");
        process.terminate();
        process.wait()
    }

    pub fn pid(&self, bank: usize) -> u32 {
        self.banks[bank].as_ref().expect("the bank runs").child.id()
    }

    pub fn consortium(&self) -> String {
        let banks = self.ports.iter().map(u16::to_string);
        banks.chain(self.more_positions.iter().cloned()).collect::<Vec<_>>().join(",")
    }

    pub fn address(&self, bank: usize) -> String {
        format!("127.0.0.1:{}", self.ports[bank])
    }

    pub fn port(&self, bank: usize) -> u16 {
        self.ports[bank]
    }

    /// The temporary folder of all banks.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn key_file(&self) -> PathBuf {
        self.path().join("consortium.key")
    }

    /// The current content of a bank's step log.
    pub fn log(&self, bank: usize) -> String {
        let path = self.path().join(format!("logs/servidor-{}.log", self.ports[bank]));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// A `cliente` command for this consortium that prints tables.
    pub fn cliente(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cliente_path());
        command.current_dir(self.path()).args(["--consortium", &self.consortium()]).args(arguments);
        // Without a terminal `cliente` would print TSV, but these tests read its tables.
        command.env("CONSORCIO_OUTPUT", "table").env_remove("RUST_LOG").env("LC_ALL", "C");
        command
    }

    /// Runs `cliente` to its end.
    pub fn run(&self, arguments: &[&str]) -> ProgramRun {
        ProgramRun::of(
            arguments,
            &self.cliente(arguments).stdin(Stdio::null()).output().expect("cliente runs"),
        )
    }

    /// Runs `cliente --json`, expects this exit code, and returns its document.
    pub fn json(&self, code: i32, arguments: &[&str]) -> serde_json::Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let ran = self.run(&all);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Registers a client and opens its account `number` at `bank` with a first deposit.
    pub fn open_account(&self, bank: usize, number: &str, cpf: &str, reais: &str) {
        let bank = bank.to_string();
        let client = ["client", "add", "--bank", &bank, "--cpf", cpf, "--name", "Pessoa"];
        self.run(&client).expect_code(0);
        let account = [
            "account",
            "open",
            "--bank",
            &bank,
            "--number",
            number,
            "--cpf",
            cpf,
            "--deposit",
            reais,
        ];
        self.run(&account).expect_code(0);
    }

    /// The balance of an account, in centavos.
    pub fn balance(&self, account: &str) -> i64 {
        self.json(0, &["balance", account])["balance"].as_i64().expect("a balance")
    }

    /// Opens a raw connection to a bank.
    pub fn connect(&self, bank: usize) -> Wire {
        Wire::connect(&self.address(bank))
    }
}
