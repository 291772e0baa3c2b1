//! One run: random steps of clients, liars, faults and time, then a healing, with the rule checked
//! all along.

use crate::simulation::clients::Clients;
use crate::simulation::durable::Unsynced;
use crate::simulation::facts::Facts;
use crate::simulation::met::Met;
use crate::simulation::outsiders::Outsider;
use crate::simulation::plan::{Beside, Next, Plan, Random, Weather};
use crate::simulation::reads::Reads;
use crate::world::World;
use consorcio::ids::{AccountNumber, BankId, Time};
use consorcio::wire::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Accounts that every bank begins with.
pub const ACCOUNTS: usize = 3;
pub const OPENING: i64 = 1_000;
/// Each so many steps the whole world is compared with its journals.
const AUDIT_EVERY: usize = 20_000;

pub struct Simulation<'a> {
    pub world: World,
    pub random: Random,
    pub plan: Plan,
    pub weather: Weather,
    pub met: &'a mut Met,
    pub clients: Clients,
    /// By the number in an id.
    pub facts: Vec<Facts>,
    pub reads: Reads,
    /// By bank, what a crash could take.
    pub unsynced: Vec<Unsynced>,
    pub outsiders: Vec<Outsider>,
    /// Accounts by bank, with their one holder.
    pub accounts: Vec<Vec<AccountNumber>>,
    /// Callers of EXECUTE and their transaction, by session.
    pub callers: BTreeMap<u64, (usize, Arc<Transaction>)>,
    /// When each account was opened, and with what.
    pub openings: BTreeMap<(usize, AccountNumber), (Time, i128)>,
}

pub fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

pub fn account(bank: usize, account: usize) -> AccountNumber {
    AccountNumber::new(&format!("{bank}-{account}")).unwrap()
}

/// The holder of an account.
pub fn holder(number: &AccountNumber) -> String {
    let (bank, account) = number.as_str().split_once('-').unwrap();
    format!("{:011}", bank.parse::<u64>().unwrap() * 1_000_000 + account.parse::<u64>().unwrap())
}

impl<'a> Simulation<'a> {
    pub fn new(plan: Plan, met: &'a mut Met) -> Simulation<'a> {
        let mut random = Random(plan.seed);
        let weather = Weather::of(&plan, &mut random);
        let mut world = World::with_disks(weather.banks, weather.disks);
        world.crashes = plan.seed.wrapping_mul(1_000);
        world.closes_silent = true;
        world.tells_answers = met.wanted;
        let mut accounts = Vec::new();
        for b in 0..weather.banks {
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
        world.eager_sync = weather.eager_sync;
        world.forgetful = weather.forgetful;
        world.mistake = plan.mistake;
        world.clock_mistake = plan.clock_mistake;
        world.path.mistake = plan.proof_mistake;
        world.path.listens = plan.beside == Beside::Path;
        for node in &mut world.nodes {
            node.skew_us = random.around(1_000_000);
        }
        if random.chance(10) {
            met.count("clock an hour ahead");
            world.nodes[random.below(weather.banks)].skew_us = 3_600_000_000;
        }
        world.follow_clocks();
        let reads = Reads::new(weather.banks);
        let unsynced = (0..weather.banks).map(|_| Unsynced::default()).collect();
        let mut simulation = Simulation {
            world,
            random,
            plan,
            weather,
            met,
            clients: Clients::default(),
            facts: vec![Facts::default()],
            reads,
            unsynced,
            outsiders: Vec::new(),
            accounts,
            callers: BTreeMap::new(),
            openings: BTreeMap::new(),
        };
        simulation.look();
        simulation
    }

    pub fn banks(&self) -> usize {
        self.world.nodes.len()
    }

    pub fn run(&mut self) {
        for step in 0..self.plan.steps {
            self.met.steps = step + 1;
            let next = self.weather.choose(&mut self.random);
            if next.trouble().is_none_or(|trouble| !self.plan.leaves_out(trouble)) {
                self.do_next(next);
            }
            self.look();
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
            Next::MendDisk => self.mend_a_disk(),
            Next::CutLink => self.cut_a_link(),
            Next::Connect => self.world.connect_all(),
            Next::Block => self.block(),
            Next::Unblock => self.unblock(),
            Next::Notice => self.notice(),
            Next::Clock => self.set_a_clock(),
            Next::Cut => self.ask_for_a_cut(),
            Next::Read => self.read(),
            Next::Register => self.register(),
            Next::Outside => self.come_from_outside(),
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
        let micros = u64::try_from(self.random.below(self.weather.pass_us)).unwrap();
        let links = self.world.links.len();
        self.world.pass(micros);
        for bank in 0..self.banks() {
            self.world.tick(bank);
        }
        if self.world.links.len() < links {
            self.met.count("link silent");
        }
        self.time_out_drivers();
    }
}
