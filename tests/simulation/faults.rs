//! Faults: processes and machines that die, disks, links, partitions, clocks.

use crate::simulation::run::Simulation;
use crate::world::disk::Trouble;
use crate::world::links::Ends;

impl Simulation<'_> {
    pub fn crash(&mut self) {
        let at = self.random.below(self.banks());
        if !self.world.is_up(at) {
            return;
        }
        let lost = self.world.nodes[at].journal.len() > self.world.nodes[at].synced;
        self.met.count(if lost { "crash that lost records" } else { "crash" });
        self.met.peak("undecided at a crash", self.world.core(at).undecided() as u64);
        let quietly = self.random.chance(30);
        if quietly {
            self.met.count("machine lost");
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

    /// The bank starts again; its wall clock may have jumped meanwhile, back or forth.
    fn restart_bank(&mut self, at: usize) {
        self.met.count("bank started again");
        if self.random.chance(50) && !self.plan.leaves_out("clocks") {
            self.world.nodes[at].skew_us += self.random.around(2_000_000);
        }
        let troubled = self.world.nodes[at].disk.as_ref().is_some_and(|disk| disk.is_troubled());
        self.start_by_clock(at);
        assert!(self.world.is_up(at) || troubled, "a bank that lost no promise starts");
        self.world.connect_all();
    }

    /// Where its clock is absurd, somebody puts it right and starts the bank again.
    pub fn start_by_clock(&mut self, at: usize) {
        self.world.restart(at);
        if !self.world.is_up(at) && self.world.nodes[at].skew_us > 300 * 24 * 3_600_000_000 {
            self.met.count("start refused by a clock");
            self.world.nodes[at].skew_us = self.random.around(1_000_000);
            self.world.restart(at);
        }
    }

    pub fn fail_a_disk(&mut self) {
        let at = self.random.below(self.banks());
        // A full disk is noticed only where the journal must grow.
        let kinds = [
            Trouble::FailingWrite,
            Trouble::FailingSync,
            Trouble::Full,
            Trouble::Full,
            Trouble::Full,
        ];
        let trouble = *self.random.of(&kinds);
        if let Some(disk) = &mut self.world.nodes[at].disk {
            disk.fail_next(trouble);
        }
    }

    pub fn mend_a_disk(&mut self) {
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
                self.met.count("link cut");
                self.world.cut(id);
            }
            1 => {
                self.met.count("link half open at the dialled");
                self.world.cut_for_dialler(id);
            }
            _ => {
                self.met.count("link half open at the dialler");
                self.world.cut_for_dialled(id);
            }
        }
    }

    /// The end of a half-open link that is there notices.
    pub fn notice(&mut self) {
        let halves = self.world.links.iter().filter(|(_, link)| link.ends != Ends::Both);
        let halves: Vec<u64> = halves.map(|(id, _)| *id).collect();
        if !halves.is_empty() {
            let id = *self.random.of(&halves);
            self.world.cut(id);
        }
    }

    /// Nothing gets from one bank to another, or none to it and from it.
    pub fn block(&mut self) {
        let (from, to) = (self.random.below(self.banks()), self.random.below(self.banks()));
        if from == to {
            return;
        }
        self.world.blocked.insert((from, to));
        if self.random.chance(50) {
            self.met.count("blocked both ways");
            self.world.blocked.insert((to, from));
        } else {
            self.met.count("blocked one way");
        }
    }

    pub fn unblock(&mut self) {
        let blocked: Vec<(usize, usize)> = self.world.blocked.iter().copied().collect();
        if !blocked.is_empty() {
            let way = *self.random.of(&blocked);
            self.world.blocked.remove(&way);
        }
    }

    /// A wall clock jumps, a machine sleeps, or clocks run faster or slower from now on.
    pub fn set_a_clock(&mut self) {
        const HOUR_US: i64 = 3_600_000_000;
        const DAY_US: i64 = 24 * HOUR_US;
        let at = self.random.below(self.banks());
        match self.random.below(20) {
            0..8 => {
                self.met.count("clock jumped");
                self.world.nodes[at].skew_us += self.random.around(3_000_000);
            }
            8 => {
                self.met.count("clock jumped by hours");
                self.world.nodes[at].skew_us += self.random.around(3 * HOUR_US);
            }
            9 => {
                self.met.count("clock jumped by years");
                let days = *self.random.of(&[2, 30, 400, 4_000, 150_000]);
                self.world.nodes[at].skew_us += days * DAY_US + self.random.around(DAY_US);
            }
            10 | 11 => {
                self.met.count("clock put right");
                self.world.nodes[at].skew_us = self.random.around(1_000_000);
            }
            12 => {
                // As its machine sees it, the rest of the world stood still.
                self.met.count("machine suspended");
                let slept_us = self.random.around(HOUR_US).abs();
                self.world.nodes[at].skew_us += slept_us;
                self.world.nodes[at].suspended_us += u64::try_from(slept_us).unwrap();
            }
            _ => {
                self.met.count("clock drifts");
                self.world.nodes[at].drift_ppm = self.random.around(200_000);
            }
        }
    }
}
