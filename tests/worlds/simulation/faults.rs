//! Faults of processes, machines, disks, links and clocks.

use crate::simulation::run::Simulation;
use crate::world::disk::DiskFault;
use crate::world::links::Ends;

impl Simulation<'_> {
    pub fn crash(&mut self) {
        let at = self.random.below(self.banks());
        if !self.world.is_up(at) {
            return;
        }
        let lost = self.world.nodes[at].journal.len() > self.world.nodes[at].synced;
        self.coverage.count(if lost { "crash that lost records" } else { "crash" });
        self.coverage.peak("undecided at a crash", self.world.core(at).undecided() as u64);
        let quietly = self.random.chance(30);
        if quietly {
            self.coverage.count("machine lost");
            self.world.crash_quietly(at);
        } else {
            self.world.crash(at);
        }
        self.clients_lost(at, quietly);
        if self.random.chance(50) {
            self.restart_bank(at);
        }
    }

    pub fn restart(&mut self) {
        let at = self.random.below(self.banks());
        if !self.world.is_up(at) {
            self.restart_bank(at);
        }
    }

    /// Restarts a bank; its wall clock may have jumped meanwhile, forwards or backwards.
    fn restart_bank(&mut self, at: usize) {
        self.coverage.count("bank started again");
        if self.random.chance(50) && !self.plan.leaves_out("clocks") {
            self.world.nodes[at].skew_us += self.random.around(2_000_000);
        }
        let faulty = self.world.nodes[at].disk.as_ref().is_some_and(|disk| disk.is_faulty());
        self.start_by_clock(at);
        assert!(self.world.is_up(at) || faulty, "a bank with a valid journal does not start");
        self.world.connect_all();
    }

    /// If a bank refuses an absurd clock, corrects the clock and starts the bank.
    pub fn start_by_clock(&mut self, at: usize) {
        self.world.restart(at);
        if !self.world.is_up(at) && self.world.nodes[at].skew_us > 300 * 24 * 3_600_000_000 {
            self.coverage.count("start refused by a clock");
            self.world.nodes[at].skew_us = self.random.around(1_000_000);
            self.world.restart(at);
        }
    }

    pub fn fail_a_disk(&mut self) {
        let at = self.random.below(self.banks());
        // A full disk shows only when the journal must grow, so it is drawn more often.
        let kinds = [
            DiskFault::FailingWrite,
            DiskFault::FailingSync,
            DiskFault::Full,
            DiskFault::Full,
            DiskFault::Full,
        ];
        let fault = *self.random.of(&kinds);
        if let Some(disk) = &mut self.world.nodes[at].disk {
            disk.fail_next(fault);
        }
    }

    pub fn repair_a_disk(&mut self) {
        let at = self.random.below(self.banks());
        if let Some(disk) = self.world.nodes[at].disk.as_mut().filter(|disk| disk.is_full()) {
            disk.works();
        }
    }

    pub fn cut_a_link(&mut self) {
        let ids: Vec<u64> = self.world.links.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = *self.random.of(&ids);
        match self.random.below(3) {
            0 => {
                self.coverage.count("link cut");
                self.world.cut(id);
            }
            1 => {
                self.coverage.count("link half open at the dialled");
                self.world.cut_for_dialler(id);
            }
            _ => {
                self.coverage.count("link half open at the dialler");
                self.world.cut_for_dialled(id);
            }
        }
    }

    /// The remaining end of a half-open link notices.
    pub fn notice(&mut self) {
        let halves = self.world.links.iter().filter(|(_, link)| link.ends != Ends::Both);
        let halves: Vec<u64> = halves.map(|(id, _)| *id).collect();
        if !halves.is_empty() {
            let id = *self.random.of(&halves);
            self.world.cut(id);
        }
    }

    /// Blocks one direction between two banks, or both.
    pub fn block(&mut self) {
        let (from, to) = (self.random.below(self.banks()), self.random.below(self.banks()));
        if from == to {
            return;
        }
        self.world.blocked.insert((from, to));
        if self.random.chance(50) {
            self.coverage.count("blocked both ways");
            self.world.blocked.insert((to, from));
        } else {
            self.coverage.count("blocked one way");
        }
    }

    pub fn unblock(&mut self) {
        let blocked: Vec<(usize, usize)> = self.world.blocked.iter().copied().collect();
        if !blocked.is_empty() {
            let direction = *self.random.of(&blocked);
            self.world.blocked.remove(&direction);
        }
    }

    /// A wall clock jumps, a machine is suspended, or clocks start to drift.
    pub fn set_a_clock(&mut self) {
        const HOUR_US: i64 = 3_600_000_000;
        const DAY_US: i64 = 24 * HOUR_US;
        let at = self.random.below(self.banks());
        match self.random.below(20) {
            0..8 => {
                self.coverage.count("clock jumped");
                self.world.nodes[at].skew_us += self.random.around(3_000_000);
            }
            8 => {
                self.coverage.count("clock jumped by hours");
                self.world.nodes[at].skew_us += self.random.around(3 * HOUR_US);
            }
            9 => {
                self.coverage.count("clock jumped by years");
                let days = *self.random.of(&[2, 30, 400, 4_000, 150_000]);
                self.world.nodes[at].skew_us += days * DAY_US + self.random.around(DAY_US);
            }
            10 | 11 => {
                self.coverage.count("clock corrected");
                self.world.nodes[at].skew_us = self.random.around(1_000_000);
            }
            12 => {
                // To its machine, the rest of the world stood still.
                self.coverage.count("machine suspended");
                let slept_us = self.random.around(HOUR_US).abs();
                self.world.nodes[at].skew_us += slept_us;
                self.world.nodes[at].suspended_us += u64::try_from(slept_us).unwrap();
            }
            _ => {
                self.coverage.count("clock drifts");
                self.world.nodes[at].drift_ppm = self.random.around(200_000);
            }
        }
    }
}
