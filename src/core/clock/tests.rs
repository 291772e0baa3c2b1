//! The filter over histories of clocks: what suspends, resets, drifts and jumps, and what must hold
//! over any of them.

use super::*;
use proptest::prelude::*;

const S: i64 = 1_000_000;
const H: i64 = 3_600 * S;
const D: i64 = 24 * H;
const Y: i64 = 365 * D;
/// When these histories begin.
const T0: i64 = RELEASED_US + 100 * D;

/// A bank on a machine: true time passes, its clocks show what they show, it votes.
struct ClockedBank {
    filter: ClockFilter,
    t: i64,
    uptime: i64,
    /// The wall clock, less true time.
    wrong: i64,
    /// The last time that it gave or met.
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
        bank.look();
        Ok(bank)
    }

    fn look(&mut self) {
        let machine = Machine {
            wall_us: self.t + self.wrong,
            uptime_us: u64::try_from(self.uptime).unwrap(),
        };
        let before = self.filter.limit_us;
        self.last = self.filter.read(machine, Time(self.hlc));
        assert!(self.filter.limit_us >= before, "the limit never falls");
        assert!(self.last.now_us <= machine.wall_us, "it is never ahead of the wall clock");
        if self.busy {
            self.hlc = self.last.now_us.max(self.hlc + 1);
        }
    }

    /// The bank runs for so long, and looks each second.
    fn run(&mut self, us: i64) {
        for _ in 0..us / S {
            self.t += S;
            self.uptime += S;
            self.look();
        }
    }

    /// The wall clock and the clock of the uptime go on while nobody looks.
    fn sleep(&mut self, us: i64, uptime: i64) {
        self.t += us;
        self.uptime += uptime;
        self.look();
    }

    fn set(&mut self, wrong: i64) {
        self.wrong = wrong;
        self.look();
    }

    /// What it would tell a reader of its clock, less true time.
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
fn a_suspended_machine_goes_on_at_once() {
    for us in [20 * S, 8 * H, 90 * D] {
        let mut bank = ClockedBank::new(0, T0 - 5 * S);
        bank.run(10 * S);
        bank.sleep(us, us);
        bank.is_right();
    }
}

/// The clock of the uptime stands still in a paused virtual machine; after it the wall clock jumps.
#[test]
fn a_paused_machine_catches_up_an_hour_a_minute() {
    let mut bank = ClockedBank::new(0, T0 - 5 * S);
    bank.run(10 * S);
    bank.sleep(8 * H, 0);
    assert_eq!(bank.last.gap, Gap::CaughtUp(8 * H), "it begins with the next reading");
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

/// A machine without a battery begins in 1970, and the time comes over the network a minute later.
#[test]
fn a_clock_that_begins_in_1970_is_right_once_it_is_set() {
    for (hlc, last_used) in [(0, "never"), (T0 - 30 * S, "just now"), (T0 - 300 * D, "long ago")] {
        for wrong in [-T0 + 60 * S, -56 * Y] {
            let mut bank = ClockedBank::new(wrong, hlc);
            bank.run(60 * S);
            assert_eq!(bank.last.gap, Gap::NotSet, "{last_used}");
            assert!(bank.hlc >= hlc + 60 && bank.hlc < T0, "votes go on one by one");
            bank.set(0);
            bank.is_right();
            bank.run(60 * S);
            bank.is_right();
        }
    }
}

#[test]
fn a_clock_that_is_first_set_wrong_is_not_followed_and_right_once_it_is_right() {
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
fn steps_of_a_second_are_followed_at_once_and_hours_bit_by_bit() {
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
fn days_and_years_ahead_are_not_followed_and_leave_nothing_behind() {
    for wrong in [D + S, 2 * D, 3 * Y, 300 * Y, i64::MAX - T0 - D] {
        let mut bank = ClockedBank::new(0, 0);
        bank.run(10 * S);
        bank.set(wrong);
        bank.run(600 * S);
        // A reading that finds a gap moves nothing: the bank's clock runs on as if nothing had
        // been.
        assert_eq!(bank.off(), 0, "{}", span(wrong));
        assert_eq!(bank.last.gap, Gap::NotFollowed(wrong));
        bank.set(0);
        bank.is_right();
    }
}

#[test]
fn a_clock_that_goes_back_is_used_at_once_and_moves_nothing() {
    for wrong in [-S, -5 * S, -H, -2 * D, -T0 + 5] {
        let mut bank = ClockedBank::new(0, 0);
        bank.run(10 * S);
        let (hlc, limit) = (bank.hlc, bank.filter.limit_us);
        bank.set(wrong);
        assert_eq!(
            (bank.last.now_us, bank.hlc),
            (bank.t + wrong, hlc + 1),
            "votes go on, one by one"
        );
        assert_eq!(bank.filter.limit_us, limit);
        bank.run(100 * S);
        bank.set(0);
        bank.is_right();
    }
}

/// The bank stands where its wrong clock or another bank took it until true time has come there.
#[test]
fn an_hour_that_was_followed_is_waited_for() {
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
fn a_start_is_refused_by_an_absurd_clock_alone() {
    let refused = |wrong: i64, hlc: i64| {
        ClockedBank::try_new(wrong, hlc, false).err().map(|absurd| absurd.to_string())
    };
    for wrong in [-Y, -D, 0, H, 399 * D] {
        assert_eq!(refused(wrong, T0), None, "{wrong}");
    }
    let words = refused(401 * D, T0).expect("400 days after its last use");
    assert!(
        words.contains("shows 2027-05-17") && words.contains("journal is 2026-04-11"),
        "{words}"
    );
    assert!(words.contains("--accept-clock"), "{words}");
    // It was switched off for years, and somebody says that this is so.
    assert!(ClockedBank::try_new(3 * Y, T0, true).is_ok());
    // A new journal, and one of a version before this one, say nothing of the date.
    for hlc in [0, RELEASED_US - D] {
        assert_eq!(refused(19 * Y, hlc), None);
        let words = refused(20 * Y, hlc).expect("twenty years after the release");
        assert!(words.contains("a new bank of this version"), "{words}");
    }
    // A bank whose clock others took years ahead starts, too.
    assert_eq!(refused(0, T0 + 9 * Y), None);
}

#[test]
fn a_length_of_time_has_two_units() {
    let spans = [1_500_000, 61 * S, -(2 * H + 5 * 60 * S), 3 * D + H, 11 * Y + 3 * D].map(span);
    assert_eq!(spans, ["1.500 s", "1 min 1 s", "2 h 5 min", "3 d 1 h", "4018 d 0 h"]);
}

/// A jump of the wall clock, how much the uptime grows, and what the bank's clock met meanwhile.
fn histories() -> impl Strategy<Value = Vec<(i64, i64, i64)>> {
    let jump = prop_oneof![
        8 => Just(0),
        4 => -2 * S..2 * S,
        2 => -2 * H..2 * H,
        1 => -3 * D..3 * D,
        1 => -400 * Y..400 * Y,
    ];
    let grows = prop_oneof![4 => 0..2 * S, 1 => 0..2 * H, 1 => Just(0)];
    let met = prop_oneof![8 => Just(0), 1 => 0..2 * H];
    prop::collection::vec((jump, grows, met), 0..200)
}

proptest! {
    #[test]
    fn over_any_history(hlc in prop_oneof![Just(0), T0 - D..T0 + D], steps in histories()) {
        let mut bank = ClockedBank::new(0, hlc);
        let mut before = bank.hlc;
        for (jump, grows, met) in steps {
            bank.wrong += jump;
            bank.hlc += met;
            let believed = bank.filter.limit_us.saturating_add(grows);
            let reached = believed.max(bank.hlc);
            // Besides what `sleep` checks at each look: that the limit never falls, and nothing is
            // ahead of the wall.
            bank.sleep(grows, grows);
            prop_assert!(bank.hlc > before, "the bank's clock runs on");
            before = bank.hlc;
            let wall = bank.t + bank.wrong;
            prop_assert!(bank.last.now_us >= wall.min(believed), "what was believed once stays so");
            let most = if wall - reached <= S { wall } else { reached + 60 * grows.min(10 * S) };
            let most = if wall - reached > D { reached } else { most };
            prop_assert!(bank.last.now_us <= most, "{wall} is followed from {reached} to \
                                                    {:?}", bank.last);
        }
    }
}
