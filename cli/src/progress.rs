//! How far a command is: in a terminal one line that changes, elsewhere a line a step.

use std::{
    fmt::Write,
    io::{self, Read},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::screen::Screen;

const TICK: Duration = Duration::from_millis(100);
/// What takes longer tells how long it takes.
const LONG: Duration = Duration::from_secs(1);

/// What is said of a step.
#[derive(Debug)]
pub(crate) struct StepText {
    /// Its name.
    pub(crate) name: String,
    /// What is different afterwards.
    pub(crate) changes: String,
    /// How it is undone.
    pub(crate) undoing: String,
}

/// Tells it. Copies change the same line.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    screen: Screen,
    /// The line that changes, where one can.
    line: Option<ProgressBar>,
}

impl Progress {
    /// Tells it on that screen.
    pub(crate) fn new(screen: &Screen) -> Self {
        let line = screen.is_live().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}{far}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style.with_key("far", far))
        });
        // Some terminals cannot change a line.
        Self { screen: *screen, line: line.filter(|line| !line.is_hidden()) }
    }

    /// Tells nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { screen: Screen::silent(), line: None }
    }

    /// A step begins, the first with the number 1.
    pub(crate) fn step(&self, number: usize, of: usize, step: &StepText) {
        self.begin(format!("[{number}/{of}] {} …", step.name));
        self.screen.detail(&format!("  {}", step.changes));
        self.screen.detail(&format!("  to undo: {}", step.undoing));
    }

    /// What was begun is taken back.
    pub(crate) fn undoing(&self) {
        self.begin("undoing …".to_owned());
    }

    /// So many bytes of the present step are done.
    pub(crate) fn bytes(&self, done: u64, total: u64) {
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
        show(line, format!("{what} …"));
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
        let Some(line) = self.line.as_ref().filter(|line| !line.message().is_empty()) else {
            return;
        };
        let told = line.message();
        clear(line);
        self.screen.note(&told);
    }

    fn begin(&self, what: String) {
        self.end();
        match &self.line {
            Some(line) => show(line, what),
            None => self.screen.note(&what),
        }
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

/// What stands behind a step: bytes, where it tells of them, else how long it has taken.
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
