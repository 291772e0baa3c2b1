//! One run: random steps of clients, malicious clients, faults and time, with the invariants
//! checked after each; then all faults are healed.

use crate::simulation::clients::Clients;
use crate::simulation::coverage::Coverage;
use crate::simulation::durable::Unsynced;
use crate::simulation::facts::Facts;
use crate::simulation::outsiders::Outsider;
use crate::simulation::plan::{Environment, Next, RunPlan, SeededRandom, Variant};
use crate::simulation::reads::Reads;
use crate::world::World;
use consorcio_core::ids::{AccountNumber, BankId, Time};
use consorcio_core::wire::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Accounts that every bank begins with.
pub const ACCOUNTS: usize = 3;
pub const OPENING: i64 = 1_000;
/// Steps between comparisons of the whole world with its journals.
const AUDIT_EVERY: usize = 20_000;

pub struct Simulation<'a> {
    pub world: World,
    pub random: SeededRandom,
    pub plan: RunPlan,
    pub environment: Environment,
    pub coverage: &'a mut Coverage,
    pub clients: Clients,
    /// By the number in an id.
    pub facts: Vec<Facts>,
    pub reads: Reads,
    /// By bank, the records that a crash could take.
    pub unsynced: Vec<Unsynced>,
    pub outsiders: Vec<Outsider>,
    pub accounts: Vec<Vec<AccountNumber>>,
    /// Callers of EXECUTE and their transaction, by session.
    pub callers: BTreeMap<u64, (usize, Arc<Transaction>)>,
    /// The time and deposit of each account's opening.
    pub openings: BTreeMap<(usize, AccountNumber), (Time, i128)>,
}

pub fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

pub fn account(bank: usize, account: usize) -> AccountNumber {
    AccountNumber::new(&format!("{bank}-{account}")).unwrap()
}

pub fn holder(number: &AccountNumber) -> String {
    let (bank, account) = number.as_str().split_once('-').unwrap();
    format!("{:011}", bank.parse::<u64>().unwrap() * 1_000_000 + account.parse::<u64>().unwrap())
}

impl<'a> Simulation<'a> {
    pub fn new(plan: RunPlan, coverage: &'a mut Coverage) -> Simulation<'a> {
        let mut random = SeededRandom(plan.seed);
        let environment = Environment::of(&plan, &mut random);
        let mut world = World::with_disks(environment.banks, environment.disks);
        world.crashes = plan.seed.wrapping_mul(1_000);
        world.closes_silent = true;
        world.reports_answers = coverage.keeps_lines;
        let mut accounts = Vec::new();
        for b in 0..environment.banks {
            accounts.push((0..ACCOUNTS).map(|a| account(b, a)).collect::<Vec<_>>());
            for number in &accounts[b] {
                let cpf = holder(number);
                world.line(b, 0, &format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#));
                let line = format!(
                    r#"ACCOUNT {{"number":"{number}","holders":["{cpf}"],"deposit":{OPENING}}}"#
                );
                world.line(b, 0, &line);
            }
        }
        world.eager_sync = environment.eager_sync;
        world.forgetful = environment.forgetful;
        world.mistake = plan.mistake;
        world.clock_mistake = plan.clock_mistake;
        world.path.mistake = plan.proof_mistake;
        world.path.is_attacked = plan.variant == Variant::Attacker;
        for node in &mut world.nodes {
            node.skew_us = random.around(1_000_000);
        }
        if random.chance(10) {
            coverage.count("clock an hour ahead");
            world.nodes[random.below(environment.banks)].skew_us = 3_600_000_000;
        }
        world.follow_clocks();
        let reads = Reads::new(environment.banks);
        let unsynced = (0..environment.banks).map(|_| Unsynced::default()).collect();
        let mut simulation = Simulation {
            world,
            random,
            plan,
            environment,
            coverage,
            clients: Clients::default(),
            facts: vec![Facts::default()],
            reads,
            unsynced,
            outsiders: Vec::new(),
            accounts,
            callers: BTreeMap::new(),
            openings: BTreeMap::new(),
        };
        simulation.check_events();
        simulation
    }

    pub fn banks(&self) -> usize {
        self.world.nodes.len()
    }

    pub fn run(&mut self) {
        for step in 0..self.plan.steps {
            self.coverage.steps = step + 1;
            let next = self.environment.choose(&mut self.random);
            if next.fault_kind().is_none_or(|kind| !self.plan.leaves_out(kind)) {
                self.do_next(next);
            }
            self.check_events();
            if step % AUDIT_EVERY == AUDIT_EVERY - 1 {
                self.world.audit();
            }
        }
        self.heal();
        self.verify();
    }

    fn do_next(&mut self, next: Next) {
        match next {
            Next::Begin => self.begin(),
            Next::Execute => self.execute(),
            Next::Deposit => self.deposit(),
            Next::DeliverToClients => self.deliver_to_clients(),
            Next::DeliverBetweenBanks => self.deliver_between_banks(),
            Next::Sync => {
                let at = self.random.below(self.banks());
                self.world.sync(at);
            }
            Next::SyncAll => (0..self.banks()).for_each(|at| self.world.sync(at)),
            Next::Pass => self.pass(),
            Next::LoseDriver => self.lose_a_driver(),
            Next::LoseConnection => self.lose_a_connection(),
            Next::Lie => self.lie(),
            Next::Crash => self.crash(),
            Next::Restart => self.restart(),
            Next::FailDisk => self.fail_a_disk(),
            Next::MendDisk => self.repair_a_disk(),
            Next::CutLink => self.cut_a_link(),
            Next::Connect => self.world.connect_all(),
            Next::Block => self.block(),
            Next::Unblock => self.unblock(),
            Next::Notice => self.notice(),
            Next::Clock => self.set_a_clock(),
            Next::Cut => self.ask_for_a_cut(),
            Next::Read => self.read(),
            Next::Register => self.register(),
            Next::Outside => self.act_from_outside(),
            Next::Tamper => self.tamper(),
        }
    }

    pub fn deliver_between_banks(&mut self) {
        if !self.world.flights.is_empty() {
            let at = self.random.below(self.world.flights.len());
            self.world.deliver(at);
        }
    }

    pub fn pass(&mut self) {
        let micros = u64::try_from(self.random.below(self.environment.pass_us)).unwrap();
        let links = self.world.links.len();
        self.world.pass(micros);
        for bank in 0..self.banks() {
            self.world.tick(bank);
        }
        if self.world.links.len() < links {
            self.coverage.count("link silent");
        }
        self.time_out_drivers();
    }
}
