//! `cliente top`: all banks on one screen, with what they do each second, until it is left.

mod columns;
mod figures;
mod meter;
mod sample;
mod sorting;
mod view;

use super::Context;
use super::args::TopArguments;
use super::failure::Failure;
use super::output::CommandOutput;
use super::watch::EndSignals;
use crate::language::word;
use consorcio_core::limits::{FOLLOW_FIND_EVERY_MS, TOP_READS_MAX, TOP_STEPS_EVERY_MS};
use consorcio_steps::follow::StepFollower;
use consorcio_steps::steplog::wall_us;
use crossterm::event::{Event, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use figures::TopFigures;
use futures_util::StreamExt;
use meter::StepMeters;
use ratatui::DefaultTerminal;
use sample::ConsortiumSample;
use sorting::SortOrder;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Shows all banks until q, Ctrl-C or SIGTERM.
pub(crate) async fn run(context: &Context, arguments: TopArguments) -> CommandOutput {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        let why = word!(
            "top needs a terminal; in a pipe, cliente status --watch 1s shows the same banks"
                / "o painel precisa de um terminal; num pipe, cliente estado --repetir 1s mostra \
                   os mesmos bancos"
        );
        return Failure::Usage(why.to_owned()).into();
    }
    let mut terminal = match ratatui::try_init() {
        Ok(terminal) => terminal,
        Err(error) => return unusable(&error),
    };
    let ran = Top::new(arguments).run(context, &mut terminal).await;
    ratatui::restore();
    match ran {
        Ok(()) => CommandOutput::shown(None),
        Err(error) => unusable(&error),
    }
}

fn unusable(error: &io::Error) -> CommandOutput {
    Failure::Own(format!("the terminal can't be used: {error}")).into()
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TopKey {
    Leave,
    Pause,
    SortByNext,
    Reverse,
    Up,
    Down,
}

/// The screen's state between two events.
struct Top {
    every: Duration,
    folders: Vec<PathBuf>,
    /// `None` where no log can be read: then those figures are missing.
    follower: Option<StepFollower>,
    find_at: Instant,
    meters: StepMeters,
    figures: TopFigures,
    order: SortOrder,
    paused: bool,
    /// Undecided transactions above the first one that is shown.
    scrolled: usize,
}

impl Top {
    fn new(arguments: TopArguments) -> Top {
        Top {
            every: arguments.every,
            folders: arguments.logs,
            follower: None,
            find_at: Instant::now(),
            meters: StepMeters::default(),
            figures: TopFigures::default(),
            order: SortOrder::default(),
            paused: false,
            scrolled: 0,
        }
    }

    async fn run(&mut self, context: &Context, terminal: &mut DefaultTerminal) -> io::Result<()> {
        if self.folders.is_empty() {
            self.folders.push(context.log_dir.clone());
        }
        // What is asked each second is no part of what the user did, so no step log has it.
        let client = context.client.with_observer(None);
        let mut ends = EndSignals::new()?;
        let mut events = EventStream::new();
        let mut samples = ticks(self.every);
        let mut reads = ticks(Duration::from_millis(TOP_STEPS_EVERY_MS));
        loop {
            let mut next = pin!(async {
                samples.tick().await;
                ConsortiumSample::take(context, &client).await
            });
            let sample = loop {
                self.draw(context, terminal)?;
                tokio::select! {
                    biased;
                    _ = ends.recv() => return Ok(()),
                    event = events.next() => match event {
                        None => return Ok(()),
                        Some(event) => match key(&event?) {
                            Some(TopKey::Leave) => return Ok(()),
                            Some(key) => self.press(key),
                            // Also another size: the next drawing has it.
                            None => {}
                        },
                    },
                    _ = reads.tick() => self.read_steps(),
                    sample = &mut next => break sample,
                }
            };
            self.read_steps();
            let steps = self.meters.take(sample.at);
            if !self.paused {
                self.figures.add(sample, steps);
            }
        }
    }

    fn draw(&self, context: &Context, terminal: &mut DefaultTerminal) -> io::Result<()> {
        let screen = view::TopScreen {
            figures: &self.figures,
            order: self.order,
            every: self.every,
            paused: self.paused,
            scrolled: self.scrolled,
            has_steps: self.follower.is_some(),
            colours: context.paint.has_colours(),
            now_us: match self.figures.taken_us {
                0 => wall_us(),
                taken => taken,
            },
        };
        terminal.draw(|frame| screen.draw(frame)).map(|_| ())
    }

    fn press(&mut self, key: TopKey) {
        match key {
            TopKey::Leave => {}
            TopKey::Pause => self.paused = !self.paused,
            TopKey::SortByNext => self.order = self.order.next(),
            TopKey::Reverse => self.order = self.order.reversed(),
            TopKey::Up => self.scrolled = self.scrolled.saturating_sub(1),
            TopKey::Down => {
                let last = self.figures.undecided.len().saturating_sub(1);
                self.scrolled = (self.scrolled + 1).min(last);
            }
        }
    }

    /// Reads what the logs have. Under more load than it can read, it goes on at their ends.
    fn read_steps(&mut self) {
        if Instant::now() >= self.find_at {
            self.find_at = Instant::now() + Duration::from_millis(FOLLOW_FIND_EVERY_MS);
            let usable = match &mut self.follower {
                Some(follower) => follower.find_new().is_ok(),
                None => {
                    self.follower = StepFollower::open(&self.folders).ok();
                    true
                }
            };
            if !usable {
                self.follower = None;
            }
        }
        let Some(follower) = &mut self.follower else { return };
        for _ in 0..TOP_READS_MAX {
            let Ok(batch) = follower.poll(wall_us()) else { return };
            batch.steps.iter().for_each(|step| self.meters.add(step));
            if !batch.more {
                return;
            }
        }
        follower.skip_to_end();
        self.meters.forget_open();
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn key(event: &Event) -> Option<TopKey> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => Some(TopKey::Leave),
        KeyCode::Char('q') | KeyCode::Esc => Some(TopKey::Leave),
        KeyCode::Char('p' | ' ') => Some(TopKey::Pause),
        KeyCode::Char('s') => Some(TopKey::SortByNext),
        KeyCode::Char('r') => Some(TopKey::Reverse),
        KeyCode::Up | KeyCode::Char('k') => Some(TopKey::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(TopKey::Down),
        _ => None,
    }
}
