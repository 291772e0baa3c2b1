//! Drivers and connections that are lost, and what a driver's line may be changed to.

use super::*;

impl Simulation<'_> {
    /// The client finds its connection gone; so does the bank, if it is there.
    pub(super) fn lose_for_client(&mut self, session: u64) {
        let Some(mut connection) = self.clients.connections.remove(&session) else { return };
        let mut owed = Clients::owed(&mut connection);
        owed.extend(connection.up.drain(..).filter_map(|line| match line {
            ToBank::Line(message) => Some(message.asked()),
            ToBank::End => None,
        }));
        if connection.bank_end {
            self.world.close(connection.bank, session);
        }
        self.client_lost(connection.driver, connection.bank, owed);
    }

    pub(super) fn client_lost(&mut self, driver: Option<u64>, at: usize, owed: Vec<Asked>) {
        let Some(id) = driver else { return };
        if let Some(driver) = self.clients.drivers.get_mut(&id) {
            driver.connections[at] = None;
        }
        for asked in owed {
            self.drive(id, Event::Lost(bank(at), asked.verb));
        }
    }

    /// Somebody on the way changes the next line of a driver, or of a bank to it.
    pub fn change_a_drivers_line(&mut self) {
        if self.clients.busy.is_empty() {
            return;
        }
        let (session, way) = self.clients.busy[self.random.below(self.clients.busy.len())];
        let (ids, banks) = (self.facts.len(), self.banks());
        let Some(connection) = self.clients.connections.get_mut(&session) else { return };
        let random = &mut self.random;
        let mut liar = Liar { below: &mut |bound| random.below(bound), ids, banks };
        match (way, connection.up.front_mut(), connection.down.front_mut()) {
            (Direction::Up, Some(ToBank::Line(message)), _) => {
                if let Some(other) = self.world.path.with_other_tokens(&mut liar, message) {
                    *message = other;
                    self.met.count("tokens of a driver changed");
                }
            }
            (Direction::Down, _, Some(ToClient::Reply(asked, reply))) => {
                let told = self.world.path.changed(&mut liar, asked, reply).1;
                let told = told.filter(|told| told.tx().is_none_or(|tx| *tx == asked.tx));
                let driver = connection.driver;
                let is_told = told.is_some();
                if let Some(told) = told {
                    *reply = told;
                }
                if let Some(driver) = driver.and_then(|id| self.clients.drivers.get_mut(&id)) {
                    driver.deceived = true;
                }
                self.met.count("answer to a driver changed");
                if !is_told {
                    self.lose_for_client(session);
                }
            }
            _ => {}
        }
    }

    pub fn lose_a_connection(&mut self) {
        let Some(session) = self.any_connection() else { return };
        match self.random.below(3) {
            0 => {
                self.met.count("connection reset");
                self.lose_for_client(session);
            }
            1 => {
                self.met.count("connection half open at the client");
                let Some(connection) = self.clients.connections.get_mut(&session) else { return };
                connection.bank_end = false;
                let bank = connection.bank;
                self.world.close(bank, session);
            }
            _ => {
                self.met.count("connection half open at the bank");
                let Some(connection) = self.clients.connections.get_mut(&session) else { return };
                let (driver, at) = (connection.driver.take(), connection.bank);
                // What was sent may still arrive; no end of it ever does.
                let mut owed = Clients::owed(connection);
                owed.extend(connection.up.iter().filter_map(|line| match line {
                    ToBank::Line(message) => Some(message.asked()),
                    ToBank::End => None,
                }));
                connection.up.retain(|line| matches!(line, ToBank::Line(_)));
                self.client_lost(driver, at, owed);
            }
        }
    }

    pub(super) fn any_connection(&mut self) -> Option<u64> {
        let sessions: Vec<u64> = self.clients.connections.keys().copied().collect();
        if sessions.is_empty() { None } else { Some(*self.random.of(&sessions)) }
    }

    /// A driver's process dies. What it sent may still arrive; then the banks see the end, or its
    /// machine died and they see nothing.
    pub fn lose_a_driver(&mut self) {
        let ids: Vec<u64> = self.clients.drivers.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = *self.random.of(&ids);
        self.met.count("driver lost");
        if self.random.chance(50) {
            self.leave(id);
        } else if let Some(driver) = self.clients.drivers.remove(&id) {
            for session in driver.connections.into_iter().flatten() {
                if let Some(connection) = self.clients.connections.get_mut(&session) {
                    connection.driver = None;
                }
            }
        }
    }

    /// Whoever is connected to a bank that is gone learns it sooner or later; never, if its machine
    /// is gone.
    pub fn clients_lost(&mut self, gone: usize, quietly: bool) {
        let of_bank = |(_, connection): &(&u64, &SimConnection)| connection.bank == gone;
        let sessions: Vec<u64> =
            self.clients.connections.iter().filter(of_bank).map(|(session, _)| *session).collect();
        for session in sessions {
            if let Some(connection) = self.clients.connections.get_mut(&session) {
                connection.bank_end = false;
                if !quietly {
                    self.clients.down(session, ToClient::End);
                }
            }
        }
        let is_used = |connection: &SimConnection| {
            connection.driver.is_some() || connection.bank_end || !connection.up.is_empty()
        };
        self.clients.connections.retain(|_, connection| is_used(connection));
    }

    pub fn time_out_drivers(&mut self) {
        let now_us = self.world.mono_us;
        let due = |(_, driver): &(&u64, &SimulatedDriver)| driver.deadline_us <= now_us;
        let ids: Vec<u64> = self.clients.drivers.iter().filter(due).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(driver) = self.clients.drivers.get_mut(&id) else { continue };
            driver.deadline_us = u64::MAX;
            if driver.verdict.is_some() {
                self.leave(id);
            } else {
                self.drive(id, Event::TimeOut);
            }
        }
    }
}
