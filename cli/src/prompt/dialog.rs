//! Questions that are edited in place, by the crate dialoguer.

use std::{
    cell::Cell,
    fmt,
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use console::{Term, measure_text_width};
use dialoguer::{Confirm, Input, Select, theme::Theme};
use textwrap::{Options, WordSeparator, WordSplitter, fill};

use super::{Gone, Judge, ValueQuestion, lines, mode::Mode};
use crate::{
    finding::Finding,
    screen::{Screen, wrap, wrap::Width},
    shown::plain,
};

/// Precedes what is typed and what is chosen.
const MARK: &str = "> ";
/// Follows a question that is answered with yes or no.
const YES_OR_NO: &str = " [y/N] ";

/// The terminal, which passes on every key while this exists. Otherwise the system would interpret the
/// keys that are pressed between two reads: it would show them twice and turn Ctrl-C into a signal that
/// the question does not notice.
pub(super) struct Dialog {
    terminal: Term,
    /// What is shown again once the program is resumed.
    question: Arc<Mutex<String>>,
    _mode: Mode,
}

impl Dialog {
    /// Takes the keys.
    ///
    /// # Errors
    ///
    /// Standard input is not a terminal.
    pub(super) fn begin() -> Result<Self, Gone> {
        let question = Arc::<Mutex<String>>::default();
        let shown = Arc::clone(&question);
        let resumed = move || {
            let question = shown.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = write!(io::stderr(), "\n{question}");
        };
        let mode = Mode::raw(resumed).map_err(|_| Gone)?;
        Ok(Self { terminal: Term::stderr(), question, _mode: mode })
    }

    /// Asks for a value until it is accepted. What is wrong is shown below the question, in place of the
    /// value.
    pub(super) fn value(
        &self,
        question: &ValueQuestion,
        judge: &mut Judge<'_>,
        screen: &Screen,
    ) -> Result<String, Gone> {
        self.show(&question.to_string())?;
        self.remember(&question.to_string(), MARK);
        let accepted = Cell::new(None);
        let validate = |typed: &String| {
            self.clear_wrapped(typed);
            let value = question.or_default(typed.trim());
            let wrong = lines::checked(value, judge);
            if wrong.is_empty() {
                accepted.set(Some(value.to_owned()));
                return Ok(());
            }
            Err(self.refusal(&wrong, screen))
        };
        let input = Input::<String>::with_theme(&Plain).allow_empty(true).report(false);
        input.validate_with(validate).interact_text_on(&self.terminal).map_err(|_| self.leave())?;
        let value = accepted.take().ok_or(Gone)?;
        self.show(&format!("{MARK}{value}"))?;
        Ok(value)
    }

    /// Asks for one of several choices, and returns its index.
    pub(super) fn choice(&self, question: &str, choices: &[&str]) -> Result<usize, Gone> {
        let asked = format!("{question}  (arrow keys, Enter)");
        self.show(&asked)?;
        self.remember(&asked, "");
        let items = choices.iter().map(|text| {
            let lines = wrap::text(&plain(text), self.width(MARK.len()));
            lines.replace('\n', &format!("\n{}", " ".repeat(MARK.len())))
        });
        let select = Select::with_theme(&Plain).items(items).default(0).report(false);
        let index = select.interact_on(&self.terminal).map_err(|_| self.leave())?;
        let chosen = plain(choices.get(index).ok_or(Gone)?);
        let chosen = wrap::labelled(MARK.trim_end(), &chosen, self.width(0));
        self.terminal.write_line(&chosen).map_err(|_| Gone)?;
        Ok(index)
    }

    /// Asks for a yes; Enter alone means no.
    pub(super) fn confirmation(&self, question: &str) -> Result<bool, Gone> {
        let room = YES_OR_NO.len() + "yes".len();
        let question = wrap::text(&plain(question), self.width(room));
        // The last line is drawn again with every key.
        let (above, last) = question.rsplit_once('\n').unwrap_or(("", &question));
        if !above.is_empty() {
            self.show(above)?;
        }
        *self.question.lock().unwrap_or_else(PoisonError::into_inner) =
            format!("{question}{YES_OR_NO}");
        let confirm = Confirm::with_theme(&Plain).with_prompt(last);
        let confirm = confirm.default(false).show_default(false).wait_for_newline(true);
        confirm.interact_on(&self.terminal).map_err(|_| self.leave())
    }

    fn show(&self, text: &str) -> Result<(), Gone> {
        let text = wrap::text(&plain(text), self.width(0));
        self.terminal.write_line(&text).map_err(|_| Gone)
    }

    /// Notes what is shown once the program is resumed: the question, and what comes before the answer.
    fn remember(&self, question: &str, mark: &str) {
        let text = wrap::text(&plain(question), self.width(0));
        *self.question.lock().unwrap_or_else(PoisonError::into_inner) = format!("{text}\n{mark}");
    }

    /// What is wrong with a value. Lines that the terminal itself breaks would not be cleared.
    fn refusal(&self, wrong: &[Finding], screen: &Screen) -> String {
        let text = screen.findings_text(wrong, self.width(0));
        let options = Options::new(usize::from(self.terminal.size().1).max(1))
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        fill(&text, options)
    }

    /// The width of the terminal without that many columns.
    fn width(&self, without: usize) -> Width {
        Width::of_columns(usize::from(self.terminal.size().1).saturating_sub(without))
    }

    /// Clears the lines of a long answer but the last one, which dialoguer clears.
    fn clear_wrapped(&self, typed: &str) {
        let columns = usize::from(self.terminal.size().1).max(1);
        let last = (MARK.len() + measure_text_width(typed)).saturating_sub(1);
        let _ = self.terminal.clear_last_lines(last / columns);
    }

    /// The person left in the middle of a line.
    fn leave(&self) -> Gone {
        let _ = self.terminal.write_line("");
        Gone
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        // dialoguer hides it, and leaves it hidden when it is interrupted.
        let _ = self.terminal.show_cursor();
    }
}

/// Draws questions without colours: their text is above them.
struct Plain;

impl Theme for Plain {
    fn format_error(&self, f: &mut dyn fmt::Write, error: &str) -> fmt::Result {
        f.write_str(error)
    }

    fn format_input_prompt(&self, f: &mut dyn fmt::Write, _: &str, _: Option<&str>) -> fmt::Result {
        f.write_str(MARK)
    }

    fn format_confirm_prompt(
        &self,
        f: &mut dyn fmt::Write,
        prompt: &str,
        typed: Option<bool>,
    ) -> fmt::Result {
        let typed = match typed {
            None => "",
            Some(true) => "y",
            Some(false) => "n",
        };
        write!(f, "{prompt}{YES_OR_NO}{typed}")
    }
}
