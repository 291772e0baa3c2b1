//! Lost drivers and connections, and the attacker's changes of a driver's lines.

use super::*;

impl Simulation<'_> {
    /// The client finds its connection closed; so does the bank, if its end exists.
    pub(super) fn lose_for_client(&mut self, session: u64) {
        let Some(mut connection) = self.clients.connections.remove(&session) else { return };
        let mut owed = Clients::owed(&mut connection);
        owed.extend(connection.up.drain(..).filter_map(|line| match line {
            ToBank::Line(message) => Some(message.key()),
            ToBank::End => None,
        }));
        if connection.bank_end {
            self.world.close(connection.bank, session);
        }
        self.client_lost(connection.driver, connection.bank, owed);
    }

    pub(super) fn client_lost(&mut self, driver: Option<u64>, at: usize, owed: Vec<RequestKey>) {
        let Some(id) = driver else { return };
        if let Some(driver) = self.clients.drivers.get_mut(&id) {
            driver.connections[at] = None;
        }
        for asked in owed {
            self.drive(id, Event::Lost(bank(at), asked.verb));
        }
    }

    /// The attacker changes the next line of a driver, or of a bank to it.
    pub fn change_a_drivers_line(&mut self) {
        if self.clients.busy.is_empty() {
            return;
        }
        let (session, direction) = self.clients.busy[self.random.below(self.clients.busy.len())];
        let (ids, banks) = (self.facts.len(), self.banks());
        let Some(connection) = self.clients.connections.get_mut(&session) else { return };
        let random = &mut self.random;
        let mut attacker = Attacker { below: &mut |bound| random.below(bound), ids, banks };
        match (direction, connection.up.front_mut(), connection.down.front_mut()) {
            (Direction::Up, Some(ToBank::Line(message)), _) => {
                if let Some(other) = self.world.path.with_other_tokens(&mut attacker, message) {
                    *message = other;
                    self.coverage.count("tokens of a driver changed");
                }
            }
            (Direction::Down, _, Some(ToClient::Reply(asked, reply))) => {
                let forged = self.world.path.changed(&mut attacker, asked, reply).1;
                let forged = forged.filter(|forged| forged.tx().is_none_or(|tx| *tx == asked.tx));
                let driver = connection.driver;
                let is_reply = forged.is_some();
                if let Some(forged) = forged {
                    *reply = forged;
                }
                if let Some(driver) = driver.and_then(|id| self.clients.drivers.get_mut(&id)) {
                    driver.deceived = true;
                }
                self.coverage.count("reply to a driver changed");
                if !is_reply {
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
                self.coverage.count("connection reset");
                self.lose_for_client(session);
            }
            1 => {
                self.coverage.count("connection half open at the client");
                let Some(connection) = self.clients.connections.get_mut(&session) else { return };
                connection.bank_end = false;
                let bank = connection.bank;
                self.world.close(bank, session);
            }
            _ => {
                self.coverage.count("connection half open at the bank");
                let Some(connection) = self.clients.connections.get_mut(&session) else { return };
                let (driver, at) = (connection.driver.take(), connection.bank);
                // Lines that were sent may still arrive; no end of the stream ever does.
                let mut owed = Clients::owed(connection);
                owed.extend(connection.up.iter().filter_map(|line| match line {
                    ToBank::Line(message) => Some(message.key()),
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

    /// A driver's process dies. Its lines may still arrive. Then the banks see the end of the
    /// stream, or, if its machine died, nothing.
    pub fn lose_a_driver(&mut self) {
        let ids: Vec<u64> = self.clients.drivers.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = *self.random.of(&ids);
        self.coverage.count("driver lost");
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

    /// A client of a bank that is gone detects it sooner or later; never, if the machine is gone.
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
