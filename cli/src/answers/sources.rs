//! The sources of answers but the saved ones, read once.

use std::{collections::BTreeMap, path::Path};

use super::{Answers, Layer, Origin, absolute, environment, file, secrets::Literals};
use crate::finding::Finding;

/// Flags, environment and answers file.
#[derive(Debug)]
pub(crate) struct Sources {
    flags: Layer,
    environment: Layer,
    answers: Layer,
    literals: Literals,
}

impl Sources {
    /// Reads them; relative paths begin at the working folder.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub(crate) fn read(flags: &Layer, answers: Option<&Path>) -> Result<Self, Vec<Finding>> {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let answers = match answers.map(file::load).transpose() {
            Ok(layer) => layer.unwrap_or_default(),
            Err(unusable) => return Err(vec![unusable.into()]),
        };
        let mut sources = Self {
            flags: flags.clone(),
            environment: environment(&variables),
            answers,
            literals: Literals::default(),
        };
        // Without a working folder relative paths stay relative, and are not found.
        let folder = std::env::current_dir().unwrap_or_default();
        for layer in [&mut sources.flags, &mut sources.environment, &mut sources.answers] {
            absolute(layer, &folder)?;
        }
        sources.literals.take(Origin::Flag, &mut sources.flags, &folder);
        sources.literals.take(Origin::Environment, &mut sources.environment, &folder);
        sources.literals.take(Origin::Answers, &mut sources.answers, &folder);
        Ok(sources)
    }

    /// The answers, with those of the last installation.
    pub(crate) fn resolve(&self, saved: &Layer) -> Answers {
        Answers::resolve(&[
            (Origin::Flag, &self.flags),
            (Origin::Environment, &self.environment),
            (Origin::Answers, &self.answers),
            (Origin::Saved, saved),
        ])
    }

    /// The passwords that were given as they are.
    pub(crate) fn literals(&self) -> &Literals {
        &self.literals
    }
}
