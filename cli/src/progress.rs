//! How far a command is. A finished stage leaves one line; in a terminal, another line shows the
//! running one.

pub(crate) mod stage;

use std::{
    fmt::Write,
    io::{self, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::{
    screen::{Mark, Screen},
    shown::capital,
    shown::counted,
};
use stage::Stage;

const TICK: Duration = Duration::from_millis(100);
/// For anything longer, the line says how long it took.
const LONG: Duration = Duration::from_secs(1);

/// What is shown of a step.
#[derive(Debug)]
pub(crate) struct StepText {
    pub(crate) stage: Stage,
    pub(crate) name: String,
    /// What is different afterwards.
    pub(crate) changes: String,
    /// How it is undone.
    pub(crate) undoing: String,
}

/// Shows it. Copies share the line and the stage.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    screen: Screen,
    /// The line that changes, where one can.
    line: Option<ProgressBar>,
    running: Arc<Mutex<Option<Running>>>,
}

#[derive(Debug)]
struct Running {
    stage: Stage,
    since: Instant,
    /// The bytes that earlier steps of it have moved.
    moved: u64,
    /// Those that the present one has.
    bytes: u64,
}

impl Running {
    fn of(stage: Stage) -> Self {
        Self { stage, since: Instant::now(), moved: 0, bytes: 0 }
    }
}

impl Progress {
    /// Shows it on that screen.
    pub(crate) fn new(screen: &Screen) -> Self {
        let line = screen.is_live().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}{far}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let style = if screen.is_ascii { style.tick_chars(r"|/-\ ") } else { style };
            ProgressBar::new_spinner().with_style(style.with_key("far", far))
        });
        // Some terminals cannot change a line.
        let line = line.filter(|line| !line.is_hidden());
        Self { screen: *screen, line, running: Arc::default() }
    }

    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { screen: Screen::silent(), line: None, running: Arc::default() }
    }

    pub(crate) fn step(&self, step: &StepText) {
        self.begin(&step.stage);
        self.screen.detail(&format!("  {}: {}", capital(&step.name), step.changes));
        self.screen.detail(&format!("    to undo: {}", step.undoing));
    }

    /// The running stage failed, or was interrupted.
    pub(crate) fn stop(&self, how: &str) {
        if let Some(running) = self.take() {
            let Stage { group, running: what, .. } = running.stage;
            let group = group.to_string().to_lowercase();
            self.screen.mark(Mark::Failed, &format!("{what} {how} ({group})"));
        }
    }

    /// What was begun is undone.
    pub(crate) fn undo<T>(&self, work: impl FnOnce() -> Vec<T>) -> Vec<T> {
        let begun = Instant::now();
        let left = self.during("Undoing the changes", work);
        let (mark, text) = match left.len() {
            0 => (Mark::Done, format!("Changes undone{}", took(begun, 0))),
            count => (Mark::Failed, format!("{} could not be undone", counted(count, "change"))),
        };
        self.screen.mark(mark, &text);
        left
    }

    /// So many bytes of the present step are done.
    pub(crate) fn bytes(&self, done: u64, total: u64) {
        if let Some(running) = self.running().as_mut() {
            // A step that begins counts anew.
            if done < running.bytes {
                running.moved += running.bytes;
            }
            running.bytes = done;
        }
        if let Some(line) = &self.line {
            line.set_length(total);
            line.set_position(done);
        }
    }

    /// Reads on from there, telling how many bytes of all are read.
    pub(crate) fn reading<R: Read>(&self, from: R, total: u64) -> impl Read + use<R> {
        Counted { from, done: 0, total, progress: self.clone() }
    }

    /// Does something that leaves no line behind.
    pub(crate) fn during<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        let Some(line) = &self.line else { return work() };
        show(line, what.to_owned());
        let outcome = work();
        clear(line);
        outcome
    }

    /// Something is waited for that may change at any time; whether a line can show that.
    pub(crate) fn waiting(&self, what: &str) -> bool {
        let Some(line) = &self.line else { return false };
        show(line, what.to_owned());
        true
    }

    /// The wait is over and leaves no line behind.
    pub(crate) fn end_waiting(&self) {
        self.line.iter().for_each(clear);
    }

    /// The last step has ended; others may print again.
    pub(crate) fn end(&self) {
        if let Some(Running { stage, since, moved, bytes }) = self.take() {
            let took = took(since, moved + bytes);
            self.screen.mark(Mark::Done, &format!("{}{took}", stage.finished));
        }
    }

    fn begin(&self, stage: &Stage) {
        let is_same = |running: &Running| running.stage.finished == stage.finished;
        if !stage.is_shown() || self.running().as_ref().is_some_and(is_same) {
            return;
        }
        self.end();
        *self.running() = Some(Running::of(stage.clone()));
        if let Some(line) = &self.line {
            show(line, stage.running.clone());
        }
    }

    /// The running stage, which is no more; the line is free.
    fn take(&self) -> Option<Running> {
        self.line.iter().for_each(clear);
        self.running().take()
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    done: u64,
    total: u64,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.done += count as u64;
        self.progress.bytes(self.done, self.total);
        Ok(count)
    }
}

fn show(line: &ProgressBar, what: String) {
    line.set_message(what);
    line.unset_length();
    line.reset();
    line.enable_steady_tick(TICK);
}

fn clear(line: &ProgressBar) {
    line.disable_steady_tick();
    line.finish_and_clear();
    line.set_message("");
}

/// What stands behind the running stage: bytes, where they are counted, else how long it has taken.
fn far(state: &ProgressState, text: &mut dyn Write) {
    let _ = match state.len() {
        Some(total) if total > 0 => {
            let rate = rate(state.pos(), state.elapsed());
            write!(text, " {}{rate}", amount(state.pos(), total))
        }
        _ if state.elapsed() >= LONG => write!(text, " {} s", state.elapsed().as_secs()),
        _ => Ok(()),
    };
}

/// What stands behind a finished stage: ` (21 MB, 1.2 s)`.
fn took(since: Instant, bytes: u64) -> String {
    measured(since.elapsed(), bytes)
}

fn measured(time: Duration, bytes: u64) -> String {
    let size = match bytes {
        0 => None,
        1_000_000.. => Some(format!("{} MB", bytes.div_ceil(1_000_000))),
        _ => Some(format!("{} kB", bytes.div_ceil(1000))),
    };
    let time = (time >= LONG).then(|| format!("{:.1} s", time.as_secs_f64()));
    let facts: Vec<_> = size.into_iter().chain(time).collect();
    if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) }
}

fn amount(done: u64, total: u64) -> String {
    let (unit, name) = if total >= 1_000_000 { (1_000_000, "MB") } else { (1_000, "kB") };
    format!("{} of {} {name}", done / unit, total.div_ceil(unit))
}

/// How fast it goes, once that can be said.
fn rate(done: u64, elapsed: Duration) -> String {
    if elapsed < LONG {
        return String::new();
    }
    let kilobytes = u128::from(done) / elapsed.as_millis().max(1);
    if kilobytes >= 1000 {
        format!(", {} MB/s", kilobytes / 1000)
    } else {
        format!(", {kilobytes} kB/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_stage_shows_its_size_and_a_long_time() {
        let table = [
            (999, 0, ""),
            (1000, 0, " (1.0 s)"),
            (61_240, 20_100_000, " (21 MB, 61.2 s)"),
            (10, 999, " (1 kB)"),
        ];
        for (milliseconds, bytes, text) in table {
            assert_eq!(measured(Duration::from_millis(milliseconds), bytes), text);
        }
    }

    #[test]
    fn a_rate_is_told_after_a_second() {
        let table = [
            (5_000_000, 999, ""),
            (5_000_000, 1000, ", 5 MB/s"),
            (30_000_000, 2000, ", 15 MB/s"),
            (1_999_000, 2000, ", 999 kB/s"),
            (0, 60_000, ", 0 kB/s"),
        ];
        for (done, milliseconds, text) in table {
            assert_eq!(rate(done, Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn bytes_are_told_in_the_unit_of_the_whole() {
        let table = [
            (41_900_000, 87_400_000, "41 of 88 MB"),
            (0, 1_000_000, "0 of 1 MB"),
            (500, 999_999, "0 of 1000 kB"),
            (12_345, 12_345, "12 of 13 kB"),
        ];
        for (done, total, text) in table {
            assert_eq!(amount(done, total), text);
        }
    }
}
