//! The state of a world without disks as text, for checkers that compare states. Links are named by
//! their ends, so that worlds that differ in counters alone are equal.

use super::World;
use std::collections::BTreeMap;
use std::fmt::Write as _;

impl World {
    pub fn print(&self) -> String {
        let mut text = String::with_capacity(4_096);
        for node in &self.nodes {
            let desk = node.core.as_ref().map(|core| core.fingerprint_text(node.mono_us));
            let (journal, places) = (&node.journal, node.places);
            write!(text, "{desk:?} {journal:?} {places} {} ", node.synced).unwrap();
            writeln!(text, "{:?} {:?} {:?}", node.replies, node.sends, node.met).unwrap();
        }
        let names = self.links_by_name();
        for (name, id) in &names {
            let link = &self.links[id];
            let owed: Vec<_> = link.owed.iter().map(|(asked, _)| asked).collect();
            let asked: Vec<_> = link.slots.values().collect();
            writeln!(text, "{name:?} {:?} {owed:?} {asked:?}", link.ends).unwrap();
        }
        let name_of = |link: u64| names.iter().find(|(_, id)| **id == link).map(|(name, _)| *name);
        let mut flights: Vec<_> = self
            .flights
            .iter()
            .map(|flight| (name_of(flight.lane().0), flight.lane().1, flight))
            .collect();
        flights.sort_by_key(|(link, to, _)| (*link, *to));
        for (link, to, flight) in flights {
            let flight = format!("{flight:?}");
            // Drop the link's number: its name replaces it.
            let flight = match flight.split_once("link: ") {
                Some((before, after)) => {
                    format!(
                        "{before}{}",
                        after.trim_start_matches(|digit: char| digit.is_ascii_digit())
                    )
                }
                None => flight,
            };
            writeln!(text, "{link:?} {to} {flight}").unwrap();
        }
        text
    }

    fn links_by_name(&self) -> BTreeMap<(usize, usize, usize), u64> {
        let mut names = BTreeMap::new();
        for (id, link) in &self.links {
            let same =
                |(a, b, _): &&(usize, usize, usize)| (*a, *b) == (link.dialler, link.dialled);
            let before = names.keys().filter(same).count();
            names.insert((link.dialler, link.dialled, before), *id);
        }
        names
    }

    /// The positions of the first flight of each lane.
    pub fn deliverable(&self) -> Vec<usize> {
        let first = |at: &usize| {
            let lane = self.flights[*at].lane();
            self.flights.iter().position(|flight| flight.lane() == lane) == Some(*at)
        };
        (0..self.flights.len()).filter(first).collect()
    }
}
