//! Reads the machine's clocks for the bank; `core::clock` decides how far they are followed.

use consorcio_core::bank::io::Now;
use consorcio_core::clock::{ClockFilter, Gap, Machine};
use consorcio_core::ids::Time;
use consorcio_system::systime;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Receives messages for the operator.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// The wall clock that a bank uses.
pub struct WallClock {
    filter: ClockFilter,
    /// The gap that was reported last.
    gap: Gap,
    notice: Notice,
    /// Where each reading is shown, in microseconds since 1970.
    cell: Option<Arc<AtomicI64>>,
}

/// What the machine's clocks show now.
pub fn machine() -> Machine {
    Machine { wall_us: systime::wall_us(), uptime_us: systime::uptime_us() }
}

impl WallClock {
    /// A clock that follows the machine's as far as `filter` allows. `notice` is called when it
    /// stops following, and when it follows again.
    pub fn new(filter: ClockFilter, notice: Notice) -> WallClock {
        WallClock { filter, gap: Gap::None, notice, cell: None }
    }

    /// Shows each reading in `cell`, too: what judges by this clock on other threads reads it
    /// there.
    #[must_use]
    pub fn shown_in(self, cell: Arc<AtomicI64>) -> WallClock {
        WallClock { cell: Some(cell), ..self }
    }

    /// The present time; `clock` is the latest time that the bank has issued or received.
    pub fn now(&mut self, clock: Time, mono_us: u64) -> Now {
        let machine = machine();
        let followed = self.filter.read(machine, clock);
        if std::mem::discriminant(&followed.gap) != std::mem::discriminant(&self.gap) {
            self.gap = followed.gap;
            (self.notice)(&followed.gap.to_string());
        }
        if let Some(cell) = &self.cell {
            cell.store(followed.now_us, Relaxed);
        }
        Now { wall_us: followed.now_us, shown_us: machine.wall_us, mono_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::clock::RELEASED_US;
    use std::sync::Mutex;

    #[test]
    fn the_machines_clock_is_reported_and_followed() {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&reported);
        let notice: Notice = Arc::new(move |text| sink.lock().unwrap().push(text.to_owned()));
        let filter = ClockFilter::start(machine(), Time(0), RELEASED_US, true).unwrap();
        let mut clock = WallClock::new(filter, notice);
        let now = clock.now(Time(0), 5);
        assert!(
            now.wall_us <= now.shown_us
                && now.shown_us - now.wall_us < 1_000_000
                && now.mono_us == 5
        );
        // A bank whose commit times are ahead of the wall clock has no gap to report.
        clock.now(Time(now.wall_us + 5_000_000), 6);
        let is_set = now.shown_us >= RELEASED_US;
        assert_eq!(reported.lock().unwrap().len(), usize::from(!is_set));
    }
}
