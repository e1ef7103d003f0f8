//! Questions line by line, for terminals that cannot move the cursor.

use super::{Gone, Judge, Person, ValueQuestion};
use crate::finding::Finding;

/// Asks for a value until it is accepted; an empty line means the default.
pub(super) fn value(
    person: &mut (impl Person + ?Sized),
    question: &ValueQuestion,
    judge: &mut Judge<'_>,
) -> Result<String, Gone> {
    loop {
        let typed = person.ask(&format!("{question}\n> "), false)?;
        let value = question.or_default(&typed);
        let wrong = checked(value, judge);
        if wrong.is_empty() {
            return Ok(value.to_owned());
        }
        wrong.iter().for_each(|finding| person.refuse(finding));
    }
}

/// What is wrong with a value: it is empty, or its judge says so.
pub(super) fn checked(value: &str, judge: &mut Judge<'_>) -> Vec<Finding> {
    if value.is_empty() {
        let cure = "enter a value, or press Ctrl-C to quit without making changes";
        return vec![Finding::error("settings.missing", "a value is required", cure)];
    }
    judge(value)
}

/// Asks for one of several choices by its number, which starts at 1; returns its index.
pub(super) fn choice(
    person: &mut (impl Person + ?Sized),
    question: &str,
    choices: &[&str],
) -> Result<usize, Gone> {
    person.tell(question);
    for (index, text) in choices.iter().enumerate() {
        person.tell(&format!("  {}) {text}", index + 1));
    }
    loop {
        let answer = person.ask(&format!("1 to {}: ", choices.len()), false)?;
        match answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1)) {
            Some(index) if index < choices.len() => return Ok(index),
            _ => person.tell("enter one of the numbers"),
        }
    }
}

/// Asks for a yes; an empty line means no.
pub(super) fn confirmation(
    person: &mut (impl Person + ?Sized),
    question: &str,
) -> Result<bool, Gone> {
    loop {
        match person.ask(&format!("{question} [y/N] "), false)?.to_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "" | "n" | "no" => return Ok(false),
            _ => person.tell("enter `yes` or `no`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::scripted::Scripted;

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

            assert_eq!(person.confirm("Remove it?"), confirmed, "{answers:?}");
            assert_eq!(person.asked[0], "Remove it? [y/N] ");
        }
    }

    #[test]
    fn a_choice_is_a_number_of_the_list() {
        let mut person = Scripted::answering(&["", "0", "3", "a", "2"]);

        assert_eq!(person.choose("Which?", &["this", "that"]), Ok(1));
        assert_eq!(person.told[..3], ["Which?", "  1) this", "  2) that"]);
        assert_eq!(person.asked.len(), 5);
    }

    #[test]
    fn an_empty_line_is_the_default_or_refused() {
        let question = |default: &str| ValueQuestion {
            text: "Port",
            flag: "--port".to_owned(),
            default: default.to_owned(),
        };
        let mut person = Scripted::answering(&["", "1", ""]);

        assert_eq!(person.value(&question(""), &mut |_| Vec::new()).as_deref(), Ok("1"));
        assert_eq!(person.value(&question("7"), &mut |_| Vec::new()).as_deref(), Ok("7"));
        assert_eq!(person.refused, ["a value is required"]);
        assert_eq!(person.asked[1..], ["Port  --port\n> ", "Port [7]  --port\n> "]);
    }
}
