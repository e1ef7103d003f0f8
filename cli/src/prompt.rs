//! Questions to a person at a terminal. Where nobody is there, a question is a refusal instead, so
//! each of them has a flag; and what is typed is judged as the value of that flag.

mod broker;
mod judged;
mod missing;
mod questions;
#[cfg(test)]
mod scripted;
mod terminal;

use std::io::{self, IsTerminal as _};

use zeroize::Zeroizing;

use crate::{
    args::{Global, Output},
    finding::Finding,
};
pub(crate) use broker::{Before, Trust, how_to_trust};
pub(crate) use missing::{Unanswered, ask_for_missing};
pub(crate) use terminal::Terminal;

/// Somebody who answers, line by line.
pub(crate) trait Person {
    /// Tells something.
    fn tell(&mut self, text: &str);

    /// Tells what is wrong with an answer.
    fn refuse(&mut self, finding: &Finding);

    /// Asks, and returns the line without spaces around it; a secret is not seen, and returned as it
    /// was typed.
    ///
    /// # Errors
    ///
    /// Where the person goes away.
    fn ask(&mut self, question: &str, is_secret: bool) -> Result<Zeroizing<String>, Gone>;
}

/// The person went away: by Ctrl-C, or by Ctrl-D, which ends the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// Whether anybody may be asked. A program that reads the document is no person.
pub(crate) fn is_possible(global: &Global) -> bool {
    !global.non_interactive
        && global.output == Output::Text
        && io::stdin().is_terminal()
        && io::stderr().is_terminal()
}

/// Asks for a yes; silence means no.
///
/// # Errors
///
/// Where the person goes away.
pub(crate) fn confirm(person: &mut dyn Person, question: &str) -> Result<bool, Gone> {
    loop {
        match person.ask(&format!("{question} [y/N] "), false)?.to_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "" | "n" | "no" => return Ok(false),
            _ => person.tell("answer `yes` or `no`"),
        }
    }
}

/// Asks for one of several things by its number.
///
/// # Errors
///
/// Where the person goes away.
fn choose<T: Copy>(person: &mut dyn Person, choices: &[(T, &str)]) -> Result<T, Gone> {
    for (index, (_, words)) in choices.iter().enumerate() {
        person.tell(&format!("  {}) {words}", index + 1));
    }
    loop {
        let answer = person.ask(&format!("1 to {}: ", choices.len()), false)?;
        let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        match number.and_then(|index| choices.get(index)) {
            Some((choice, _)) => return Ok(*choice),
            None => person.tell("answer with one of the numbers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{scripted::Scripted, *};

    #[test]
    fn only_a_yes_confirms() {
        let table: [(&[&str], Result<bool, Gone>); 6] = [
            (&["y"], Ok(true)),
            (&["YES"], Ok(true)),
            (&[""], Ok(false)),
            (&["no"], Ok(false)),
            (&["of course", "yes"], Ok(true)),
            (&["perhaps"], Err(Gone)),
        ];
        for (answers, confirmed) in table {
            let mut person = Scripted::answering(answers);

            assert_eq!(confirm(&mut person, "Remove it?"), confirmed, "{answers:?}");
            assert_eq!(person.asked[0], "Remove it? [y/N] ");
        }
    }

    #[test]
    fn a_choice_is_a_number_of_the_list() {
        let mut person = Scripted::answering(&["", "0", "3", "a", "2"]);

        assert_eq!(choose(&mut person, &[('a', "this"), ('b', "that")]), Ok('b'));
        assert_eq!(person.told[..2], ["  1) this", "  2) that"]);
        assert_eq!(person.asked.len(), 5);
    }
}
