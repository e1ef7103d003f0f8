//! The sources of answers but the saved ones: read once, and what a person answers.

use std::path::Path;

use super::{
    Answers, Origin, absolute,
    environment::{self, Variables},
    file,
    secrets::{self, Literals},
};
use crate::{
    args::settings::{Kind, Layer, Setting},
    finding::Finding,
};

/// Flags, environment, answers file, and what a person answered.
#[derive(Debug)]
pub(crate) struct Sources {
    flags: Layer,
    environment: Layer,
    misspelt: Vec<Finding>,
    answers: Layer,
    literals: Literals,
    prompted: Layer,
    adopted: Layer,
    edited: Layer,
}

impl Sources {
    /// Reads them; relative paths begin at the working folder.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub(crate) fn read(flags: &Layer, answers: Option<&Path>) -> Result<Self, Vec<Finding>> {
        let variables: Variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let answers = match answers.map(file::load).transpose() {
            Ok(layer) => layer.unwrap_or_default(),
            Err(unusable) => return Err(vec![unusable.into()]),
        };
        let mut sources = Self {
            flags: flags.clone(),
            environment: environment::read(&variables),
            misspelt: environment::misspelt(&variables),
            answers,
            literals: Literals::default(),
            prompted: Layer::new(),
            adopted: Layer::new(),
            edited: Layer::new(),
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

    /// Leaves out what is said of all other settings.
    pub(crate) fn only(mut self, settings: &[Setting]) -> Self {
        for layer in [&mut self.flags, &mut self.environment, &mut self.answers] {
            layer.retain(|setting, _| settings.contains(setting));
        }
        self
    }

    /// Takes what a person answers; the last answer to a setting holds.
    ///
    /// # Errors
    ///
    /// Why it can be no answer.
    pub(crate) fn answer(
        &mut self,
        setting: Setting,
        texts: Vec<String>,
    ) -> Result<(), Vec<Finding>> {
        if let (Kind::Secret, [text]) = (setting.kind(), &texts[..]) {
            secrets::check_typed(setting, text).map_err(|finding| vec![finding])?;
        }
        let folder = std::env::current_dir().unwrap_or_default();
        let mut answered = Layer::from([(setting, texts)]);
        absolute(&mut answered, &folder)?;
        self.literals.take(Origin::Prompt, &mut answered, &folder);
        self.prompted.extend(answered);
        Ok(())
    }

    /// Takes what the installation says that is taken over.
    pub(crate) fn adopt(&mut self, mut layer: Layer) {
        self.literals.take(Origin::Adopted, &mut layer, Path::new("/"));
        self.adopted = layer;
    }

    /// Takes what was edited by hand in the configurations.
    pub(crate) fn edit(&mut self, layer: Layer) {
        self.edited = layer;
    }

    /// What flags, environment or answers file say of a setting.
    pub(crate) fn typed(&self, setting: Setting) -> Option<Vec<String>> {
        let layers = [&self.flags, &self.environment, &self.answers];
        layers.into_iter().find_map(|layer| layer.get(&setting).cloned())
    }

    /// Forgets what a person answered.
    pub(crate) fn forget(&mut self, setting: Setting) {
        self.prompted.remove(&setting);
    }

    #[cfg(test)]
    pub(crate) fn of_flags(flags: Layer) -> Self {
        Self {
            flags,
            environment: Layer::new(),
            misspelt: Vec::new(),
            answers: Layer::new(),
            literals: Literals::default(),
            prompted: Layer::new(),
            adopted: Layer::new(),
            edited: Layer::new(),
        }
    }

    /// The answers, with those of the last installation.
    pub(crate) fn resolve(&self, saved: &Layer) -> Answers {
        Answers::resolve(&[
            (Origin::Flag, &self.flags),
            (Origin::Environment, &self.environment),
            (Origin::Answers, &self.answers),
            (Origin::Adopted, &self.adopted),
            (Origin::Edited, &self.edited),
            (Origin::Saved, saved),
            (Origin::Prompt, &self.prompted),
        ])
    }

    /// What looks like a setting in the environment and is none.
    pub(crate) fn misspelt(&self) -> &[Finding] {
        &self.misspelt
    }

    /// The passwords that were given as they are.
    pub(crate) fn literals(&self) -> &Literals {
        &self.literals
    }
}
