//! The filter over histories of clocks: suspensions, resets, drift and jumps, and the properties
//! that hold for all of them.

use super::*;
use proptest::prelude::*;

const S: i64 = 1_000_000;
const H: i64 = 3_600 * S;
const D: i64 = 24 * H;
const Y: i64 = 365 * D;
/// The true time at which these histories begin.
const T0: i64 = RELEASED_US + 100 * D;

/// A bank on a machine: true time passes, the clocks are read, and the bank votes.
struct ClockedBank {
    filter: ClockFilter,
    t: i64,
    uptime: i64,
    /// The wall clock minus true time.
    wrong: i64,
    /// The last time that it gave or received.
    hlc: i64,
    busy: bool,
    last: Followed,
}

impl ClockedBank {
    fn new(wrong: i64, hlc: i64) -> ClockedBank {
        ClockedBank::try_new(wrong, hlc, false).expect("it starts")
    }

    fn try_new(wrong: i64, hlc: i64, accepted: bool) -> Result<ClockedBank, Absurd> {
        let machine = Machine { wall_us: T0 + wrong, uptime_us: 7 };
        let filter = ClockFilter::start(machine, Time(hlc), RELEASED_US, accepted)?;
        let last = Followed { now_us: 0, gap: Gap::None };
        let mut bank = ClockedBank { filter, t: T0, uptime: 7, wrong, hlc, busy: true, last };
        bank.read_clocks();
        Ok(bank)
    }

    fn read_clocks(&mut self) {
        let machine = Machine {
            wall_us: self.t + self.wrong,
            uptime_us: u64::try_from(self.uptime).unwrap(),
        };
        let before = self.filter.limit_us;
        self.last = self.filter.read(machine, Time(self.hlc));
        assert!(self.filter.limit_us >= before, "the limit never decreases");
        assert!(self.last.now_us <= machine.wall_us, "it is never ahead of the wall clock");
        if self.busy {
            self.hlc = self.last.now_us.max(self.hlc + 1);
        }
    }

    /// Runs the bank for so long, with a reading every second.
    fn run(&mut self, us: i64) {
        for _ in 0..us / S {
            self.t += S;
            self.uptime += S;
            self.read_clocks();
        }
    }

    /// Advances the wall clock and the uptime without a reading in between.
    fn sleep(&mut self, us: i64, uptime: i64) {
        self.t += us;
        self.uptime += uptime;
        self.read_clocks();
    }

    fn set(&mut self, wrong: i64) {
        self.wrong = wrong;
        self.read_clocks();
    }

    /// The bank's clock minus true time.
    fn off(&self) -> i64 {
        self.last.now_us.max(self.hlc) - self.t
    }

    #[track_caller]
    fn is_right(&self) {
        assert!(
            (0..=1).contains(&self.off()) && self.last.gap == Gap::None,
            "{} {:?}",
            self.off(),
            self.last
        );
    }
}

#[test]
fn after_a_suspension_the_wall_clock_is_followed_at_once() {
    for us in [20 * S, 8 * H, 90 * D] {
        let mut bank = ClockedBank::new(0, T0 - 5 * S);
        bank.run(10 * S);
        bank.sleep(us, us);
        bank.is_right();
    }
}

/// The uptime of a paused virtual machine stands still; after the pause its wall clock jumps.
#[test]
fn a_paused_machine_catches_up_an_hour_a_minute() {
    let mut bank = ClockedBank::new(0, T0 - 5 * S);
    bank.run(10 * S);
    bank.sleep(8 * H, 0);
    assert_eq!(bank.last.gap, Gap::CaughtUp(8 * H), "catching up begins with the next reading");
    bank.run(60 * S);
    assert!((6 * H..=7 * H + S).contains(&-bank.off()), "{}", span(bank.off()));
    bank.run(8 * 60 * S);
    bank.is_right();
}

#[test]
fn a_pause_of_days_waits_for_a_restart() {
    let mut bank = ClockedBank::new(0, T0 - 5 * S);
    bank.sleep(3 * D, 0);
    bank.run(3_600 * S);
    assert_eq!((bank.off(), bank.last.gap), (-3 * D, Gap::NotFollowed(3 * D)));
    let machine = Machine { wall_us: bank.t, uptime_us: 9 };
    let mut again = ClockFilter::start(machine, Time(bank.hlc), RELEASED_US, false).unwrap();
    assert_eq!(again.read(machine, Time(bank.hlc)), Followed { now_us: bank.t, gap: Gap::None });
}

/// A machine without a battery starts in 1970, and gets the time over the network a minute later.
#[test]
fn a_clock_that_begins_in_1970_is_right_once_it_is_set() {
    for (hlc, last_used) in [(0, "never"), (T0 - 30 * S, "just now"), (T0 - 300 * D, "long ago")] {
        for wrong in [-T0 + 60 * S, -56 * Y] {
            let mut bank = ClockedBank::new(wrong, hlc);
            bank.run(60 * S);
            assert_eq!(bank.last.gap, Gap::NotSet, "{last_used}");
            assert!(bank.hlc >= hlc + 60 && bank.hlc < T0, "each vote advances the clock by one");
            bank.set(0);
            bank.is_right();
            bank.run(60 * S);
            bank.is_right();
        }
    }
}

#[test]
fn a_clock_that_is_first_set_wrong_is_ignored_until_it_is_set_right() {
    for hlc in [0, T0 - 30 * S] {
        let mut bank = ClockedBank::new(-T0 + 60 * S, hlc);
        bank.run(10 * S);
        let before = bank.hlc;
        bank.set(60 * Y);
        bank.run(60 * S);
        assert!(
            bank.hlc <= before + 120 * S && matches!(bank.last.gap, Gap::NotFollowed(_)),
            "{:?}",
            bank.last
        );
        bank.set(0);
        bank.run(60 * S);
        bank.is_right();
    }
}

#[test]
fn steps_of_a_second_are_followed_at_once_and_hours_slowly() {
    let mut bank = ClockedBank::new(0, 0);
    bank.set(S);
    assert_eq!((bank.off(), bank.last.gap), (S, Gap::None));
    bank.set(2 * S);
    assert_eq!(bank.off(), 2 * S, "one more second");
    bank.set(7 * S);
    assert_eq!(bank.last.gap, Gap::CaughtUp(5 * S));
    bank.run(S);
    assert_eq!((bank.off(), bank.last.gap), (7 * S, Gap::None));
    bank.set(7 * S + H);
    bank.run(30 * S);
    assert!(
        (H / 2 - S..=H / 2 + 7 * S + S).contains(&bank.off()),
        "half a minute, half an hour: {}",
        span(bank.off())
    );
    bank.run(31 * S);
    assert_eq!((bank.off(), bank.last.gap), (7 * S + H, Gap::None));
}

#[test]
fn jumps_of_days_and_years_are_ignored_without_trace() {
    for wrong in [D + S, 2 * D, 3 * Y, 300 * Y, i64::MAX - T0 - D] {
        let mut bank = ClockedBank::new(0, 0);
        bank.run(10 * S);
        bank.set(wrong);
        bank.run(600 * S);
        // A reading with such a gap moves nothing: the bank's clock continues as before.
        assert_eq!(bank.off(), 0, "{}", span(wrong));
        assert_eq!(bank.last.gap, Gap::NotFollowed(wrong));
        bank.set(0);
        bank.is_right();
    }
}

#[test]
fn a_clock_that_goes_back_is_followed_at_once_and_keeps_the_limit() {
    for wrong in [-S, -5 * S, -H, -2 * D, -T0 + 5] {
        let mut bank = ClockedBank::new(0, 0);
        bank.run(10 * S);
        let (hlc, limit) = (bank.hlc, bank.filter.limit_us);
        bank.set(wrong);
        assert_eq!(
            (bank.last.now_us, bank.hlc),
            (bank.t + wrong, hlc + 1),
            "each vote advances the clock by one"
        );
        assert_eq!(bank.filter.limit_us, limit);
        bank.run(100 * S);
        bank.set(0);
        bank.is_right();
    }
}

/// A bank whose clock is ahead, by its own wall clock or another bank's vote, waits for true time.
#[test]
fn after_a_wrong_hour_the_clock_waits_for_true_time() {
    let mut bank = ClockedBank::new(H, 0);
    bank.run(10 * S);
    bank.set(0);
    assert_eq!(bank.last.now_us, bank.t);
    assert!((H - S..=H + 1).contains(&bank.off()), "{}", bank.off());
    bank.run(3_602 * S);
    bank.is_right();
}

#[test]
fn a_clock_that_is_slewed_is_followed() {
    for ppm in [500, -500, 100_000] {
        let mut bank = ClockedBank::new(0, 0);
        for _ in 0..7_200 {
            bank.run(S);
            bank.set(bank.wrong + ppm);
            assert_eq!(bank.last.gap, Gap::None);
        }
        assert_eq!(bank.last.now_us, bank.t + 7_200 * ppm);
    }
}

#[test]
fn a_start_is_refused_only_with_an_absurd_clock() {
    let refused = |wrong: i64, hlc: i64| {
        ClockedBank::try_new(wrong, hlc, false).err().map(|absurd| absurd.to_string())
    };
    for wrong in [-Y, -D, 0, H, 399 * D] {
        assert_eq!(refused(wrong, T0), None, "{wrong}");
    }
    let text = refused(401 * D, T0).expect("400 days after its last use");
    assert!(text.contains("shows 2027-05-17") && text.contains("journal is 2026-04-11"), "{text}");
    assert!(text.contains("--accept-clock"), "{text}");
    // The bank was switched off for years, and its operator confirms that.
    assert!(ClockedBank::try_new(3 * Y, T0, true).is_ok());
    // A new journal, and one of an earlier version, do not show the date.
    for hlc in [0, RELEASED_US - D] {
        assert_eq!(refused(19 * Y, hlc), None);
        let text = refused(20 * Y, hlc).expect("twenty years after the release");
        assert!(text.contains("a new bank of this version"), "{text}");
    }
    // A bank whose clock is years ahead because of other banks starts too.
    assert_eq!(refused(0, T0 + 9 * Y), None);
}

#[test]
fn a_duration_has_two_units() {
    let spans = [1_500_000, 61 * S, -(2 * H + 5 * 60 * S), 3 * D + H, 11 * Y + 3 * D].map(span);
    assert_eq!(spans, ["1.500 s", "1 min 1 s", "2 h 5 min", "3 d 1 h", "4018 d 0 h"]);
}

/// A jump of the wall clock, the growth of the uptime, and how far other banks advance the clock.
fn histories() -> impl Strategy<Value = Vec<(i64, i64, i64)>> {
    let jump = prop_oneof![
        8 => Just(0),
        4 => -2 * S..2 * S,
        2 => -2 * H..2 * H,
        1 => -3 * D..3 * D,
        1 => -400 * Y..400 * Y,
    ];
    let grows = prop_oneof![4 => 0..2 * S, 1 => 0..2 * H, 1 => Just(0)];
    let received = prop_oneof![8 => Just(0), 1 => 0..2 * H];
    prop::collection::vec((jump, grows, received), 0..200)
}

proptest! {
    #[test]
    fn any_history_keeps_bounds(hlc in prop_oneof![Just(0), T0 - D..T0 + D], steps in histories()) {
        let mut bank = ClockedBank::new(0, hlc);
        let mut before = bank.hlc;
        for (jump, grows, received) in steps {
            bank.wrong += jump;
            bank.hlc += received;
            let believed = bank.filter.limit_us.saturating_add(grows);
            let reached = believed.max(bank.hlc);
            // `sleep` also checks at each reading that the limit never decreases and nothing is
            // ahead of the wall clock.
            bank.sleep(grows, grows);
            prop_assert!(bank.hlc > before, "the bank's clock advances");
            before = bank.hlc;
            let wall = bank.t + bank.wrong;
            prop_assert!(bank.last.now_us >= wall.min(believed), "the limit is kept");
            let most = if wall - reached <= S { wall } else { reached + 60 * grows.min(10 * S) };
            let most = if wall - reached > D { reached } else { most };
            prop_assert!(bank.last.now_us <= most, "{wall} is followed from {reached} to \
                                                    {:?}", bank.last);
        }
    }
}
