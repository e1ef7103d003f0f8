//! `validate`: every check of `install`; nothing is changed.

use super::{
    Ended,
    checks::{self, Looking},
};
use crate::{
    args::{Global, Validate},
    exit::Exit,
    finding::Finding,
    interrupt::Interrupt,
    progress::Progress,
    report,
    screen::Screen,
    system::Real,
};

pub(super) fn run(validate: &Validate, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let looking = Looking {
        locks: false,
        needs_installation: false,
        takes_daemon: true,
        goes_back: false,
        asks: None,
    };
    // Without the lock it is never used.
    let mut system = Real::new(Interrupt::watch()?, Progress::new(screen));
    let findings = match checks::check(&validate.setup, global, looking, &mut system) {
        Ok(checked) => checked.findings,
        Err(Ended::Refused(findings)) => findings,
        Err(Ended::Interrupted) => return Err(Ended::Interrupted),
        Err(Ended::Failed(error, hint)) => {
            let hint = hint.or_else(|| super::right_hint(&error).map(str::to_owned));
            let cure = hint.unwrap_or_else(|| "fix the cause and run the command again".to_owned());
            vec![Finding::error("failed", format!("{error:#}"), cure)]
        }
    };
    if screen.is_json {
        screen.document(&report::validation(&findings));
    }
    screen.findings(&findings);
    screen.data(&report::validation_line(&findings));
    Ok(if findings.iter().any(Finding::is_usage) {
        Exit::Usage
    } else if findings.iter().any(Finding::is_error) {
        Exit::Refused
    } else {
        Exit::Done
    })
}
