//! The path of an input through a bank, its disk and its messages.

use super::*;

impl World {
    pub(super) fn take(&mut self, bank: usize, mut output: Output) {
        self.mistaken_output(bank, &mut output);
        self.mistaken_meeting(bank, &mut output);
        self.mistaken_refusal(bank, &mut output);
        let node = &mut self.nodes[bank];
        for record in output.records {
            if let Some(tx) = record.decides() {
                node.past.insert(tx.clone(), node.journal.len());
            }
            node.journal.push(record.clone());
            let seq = Seq::try_from(node.journal.len()).expect("a short journal");
            self.seen.push(Seen::Recorded { bank, seq, record });
        }
        let unproved: Vec<usize> =
            output.steps.iter().filter_map(CoreStep::closes).map(BankId::index).collect();
        self.seen.extend(output.steps.into_iter().map(|step| Seen::Step { bank, step }));
        node.replies.extend(output.replies);
        node.sends.extend(output.sends);
        node.met.extend(output.met);
        if let Some(why) = node.core.as_ref().and_then(|core| core.stopped()).map(str::to_owned) {
            // The stop is a record; nothing else is sent any more.
            let first = node.unsynced_from();
            if let Some(disk) = &mut node.disk {
                disk.write(first, &node.journal[node.synced..], node.core.as_ref());
            }
            node.made_durable();
            self.seen.push(Seen::Stopped { bank, why });
            self.crash(bank);
        } else {
            self.release(bank);
            // Close a link over which a message without proof arrived.
            for peer in unproved {
                if let Some(link) = self.link(bank, peer) {
                    self.cut(link);
                }
            }
        }
    }

    pub(super) fn release(&mut self, bank: usize) {
        self.report_meetings(bank);
        let node = &mut self.nodes[bank];
        let durable = Seq::try_from(node.synced).expect("a short journal");
        let is_due = |after: After| after.is_met(durable);
        if !node.replies.iter().any(|out| is_due(out.after))
            && !node.sends.iter().any(|out| is_due(out.after))
        {
            return;
        }
        let (leave, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut node.replies)
            .into_iter()
            .partition(|out| out.after.is_met(durable));
        let (go, keep): (Vec<_>, Vec<_>) = std::mem::take(&mut node.sends)
            .into_iter()
            .partition(|send| send.after.is_met(durable));
        (node.replies, node.sends) = (stay, keep);
        for Outgoing { to, reply, .. } in leave {
            text::assert_known_words(&reply);
            self.path.record(&reply);
            if to.session.0 < FIRST_LINK {
                self.seen.push(Seen::Reply { bank, caller: to, reply });
            } else if let Some(link) = self.links.get_mut(&to.session.0)
                && link.ends == Ends::Both
                && let Some(asked) = link.slots.remove(&to.slot)
            {
                let (to, link) = (link.dialler, to.session.0);
                self.flights.push_back(Flight::Answer { to, link, asked, reply });
            }
        }
        for Sending { peer, message, .. } in go {
            self.send(bank, peer.index(), message);
        }
    }

    /// Sends a message from one bank to another, over the link if there is one.
    pub fn send(&mut self, from: usize, to: usize, message: Message) {
        let asked = message.key();
        self.note_registers_request(from, to, &message);
        self.note_prepare(from, &message);
        self.seen.push(Seen::Sent { from, to, message: message.clone() });
        match self.link(from, to) {
            Some(link) => {
                if let Some(open) = self.links.get_mut(&link) {
                    open.owed.push_back((asked, self.mono_us));
                }
                self.flights.push_back(Flight::Request { to, link, message });
            }
            None => self.flights.push_back(Flight::NoLink { to: from, peer: to, asked }),
        }
    }
}
