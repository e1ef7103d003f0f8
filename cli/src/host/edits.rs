//! Lines that an administrator edited by hand although the installer had written them: found by
//! comparison with the note of what it wrote. Where a flag stands for the key, the edit counts as the
//! answer to that flag, so that no later change loses it.

use std::path::PathBuf;

use cmsg_config::{ConfFile, ConnectionManager, Paths, SecurityGateway, socket::Role};

use crate::{
    answers::default_texts,
    args::settings::{Kind, Layer, Setting},
    installation::{
        installed::{Installed, present, present_file},
        record::Record,
    },
    wanted::listen::ListenKey,
};

/// The key of the certificates that it verifies others with.
pub(crate) const AUTHORITIES: &str = "CaCertificate";
/// The key of the gateway's port that clients are told.
pub(crate) const EXTERNAL_PORT: &str = "ExternalPort";

/// Keys with the settings that stand for them.
const SET_BY: [(&str, Setting); 10] = [
    ("PcoipAddress", Setting::BrokerUrl),
    ("BrokerCertCheck", Setting::BrokerCertCheck),
    ("AgentPort", Setting::AgentPort),
    ("AllowedAgents", Setting::AllowedAgents),
    ("TrustedProxies", Setting::TrustedProxies),
    ("LicenseServerAddress", Setting::LicenseServerUrl),
    ("ExternalRoutableIP", Setting::ExternalPcoipIp),
    ("ExternalSecurityGateway", Setting::ExternalSgIp),
    ("ExternalSecurityGatewayControl", Setting::ExternalSgControl),
    ("ExternalSecurityGatewayPin", Setting::ExternalSgPin),
];
/// Settings that a role cannot do without.
const REQUIRED: [Setting; 2] = [Setting::BrokerUrl, Setting::ExternalPcoipIp];

/// A key whose values are not those that the installer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Whose file it is in.
    pub(crate) role: Role,
    pub(crate) key: String,
    /// What the installer wrote.
    pub(crate) written: Vec<String>,
    /// The values in the file.
    pub(crate) values: Vec<String>,
    /// What becomes of it.
    pub(crate) fate: Fate,
}

/// What becomes of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is the answer to that setting.
    Answer(Setting),
    /// It stays in its file, and differs from the answers.
    Kept,
    /// The rules for its key apply.
    Left,
}

/// What was said beside the saved answers.
pub(crate) struct Said<'a> {
    /// The values that flags, environment or answers file give to a setting.
    pub(crate) typed: &'a dyn Fn(Setting) -> Option<Vec<String>>,
    pub(crate) saved: &'a Layer,
    /// Whether the files are to be as they were.
    pub(crate) goes_back: bool,
}

impl Edit {
    /// All edits of an installation, before anything is decided about them.
    pub(crate) fn all(installed: &Installed, paths: &Paths) -> Vec<Self> {
        let note = Record::of(installed, paths).written;
        let of_role = |role| {
            let file = present(installed, paths, role)?;
            let ours = note.of(role);
            let is_edited = |key: &&str| {
                let is_administrators = *key == EXTERNAL_PORT && ours.of(key).is_empty();
                // That one has authorities of both in it.
                *key != AUTHORITIES && !is_administrators && !ours.holds(key, &file)
            };
            let edit = |key: &str| Self {
                role,
                key: key.to_owned(),
                written: ours.of(key).into(),
                values: values(&file, key),
                fate: Fate::Left,
            };
            Some(ours.keys().filter(is_edited).map(edit).collect::<Vec<_>>())
        };
        [Role::Cm, Role::Sg].into_iter().filter_map(of_role).flatten().collect()
    }

    /// What differs from the state that comes back: edits, and the administrator's own keys.
    pub(crate) fn since(installed: &Installed, base: &Installed, paths: &Paths) -> Vec<Self> {
        let mut edits = Self::all(installed, paths);
        let note = Record::of(installed, paths).written;
        for role in [Role::Cm, Role::Sg] {
            let (Some(file), Some(former)) =
                (present(installed, paths, role), present(base, paths, role))
            else {
                continue;
            };
            for entry in file.entries() {
                let key = entry.key;
                let is_told = edits.iter().any(|edit| edit.is(role, key));
                let (values, written) = (values(&file, key), values(&former, key));
                if !is_told && !note.of(role).knows(key) && values != written {
                    let fate = Fate::Left;
                    edits.push(Self { role, key: key.to_owned(), written, values, fate });
                }
            }
        }
        edits
    }

    /// Decides about all of them.
    pub(crate) fn decide(
        edits: &mut [Self],
        installed: &Installed,
        paths: &Paths,
        said: &Said<'_>,
    ) {
        let fates: Vec<_> = edits
            .iter()
            .map(|edit| match edit.setting() {
                Some(Setting::Listen) => edit.listener(said),
                Some(setting) if (said.typed)(setting).is_some() => Fate::Left,
                Some(setting) => edit.answers(setting, installed, paths, said),
                None if said.goes_back => Fate::Kept,
                None => Fate::Left,
            })
            .collect();
        edits.iter_mut().zip(fates).for_each(|(edit, fate)| edit.fate = fate);
    }

    /// The setting that stands for the key.
    pub(crate) fn setting(&self) -> Option<Setting> {
        let set_by = SET_BY.iter().find(|(key, _)| key.eq_ignore_ascii_case(&self.key));
        set_by.map(|(_, setting)| *setting).or_else(|| self.listen_key().map(|_| Setting::Listen))
    }

    /// Whether it is that key of that role.
    pub(crate) fn is(&self, role: Role, key: &str) -> bool {
        self.role == role && self.key.eq_ignore_ascii_case(key)
    }

    pub(crate) fn file(&self, installed: &Installed, paths: &Paths) -> PathBuf {
        let present = present_file(installed, paths, self.role);
        present.map_or_else(|| super::layout::conf(paths, self.role), |(path, _)| path)
    }

    fn listen_key(&self) -> Option<ListenKey> {
        let of = |roles: &[Role]| ListenKey::of(roles).into_iter();
        let all = of(&[Role::Cm, Role::Sg]).chain(of(&[Role::Sg]));
        let mut all = all.filter(|(role, key)| self.is(*role, key.conf_key(*role)));
        all.next().map(|(_, key)| key)
    }

    /// Without a saved answer a listener stays where its administrator put it anyway.
    fn listener(&self, said: &Said<'_>) -> Fate {
        let is_saved =
            said.saved.get(&Setting::Listen).is_some_and(|all| all.iter().any(|it| self.names(it)));
        let is_answer =
            is_saved && (said.typed)(Setting::Listen).is_none() && self.values.len() == 1;
        if is_answer { Fate::Answer(Setting::Listen) } else { Fate::Left }
    }

    /// Whether a value of `--listen` is about this key.
    fn names(&self, listen: &str) -> bool {
        let named = listen.split_once('=').map(|(name, _)| name.trim());
        self.listen_key().is_some_and(|key| named == Some(&key.to_string()))
    }

    /// An edit is an answer where it can be read and all files agree.
    fn answers(
        &self,
        setting: Setting,
        installed: &Installed,
        paths: &Paths,
        said: &Said<'_>,
    ) -> Fate {
        if self.values.is_empty() && REQUIRED.contains(&setting) {
            return if said.goes_back { Fate::Kept } else { Fate::Left };
        }
        let file = present(installed, paths, self.role);
        let is_readable = file.is_some_and(|file| self.is_readable(&file));
        let is_answer = self.is_everywhere(installed, paths) && is_readable;
        if is_answer { Fate::Answer(setting) } else { Fate::Kept }
    }

    /// Whether every file in which the installer sets the key has these values.
    pub(crate) fn is_everywhere(&self, installed: &Installed, paths: &Paths) -> bool {
        let note = Record::of(installed, paths).written;
        [Role::Cm, Role::Sg].into_iter().all(|role| {
            let file = present(installed, paths, role).filter(|_| note.of(role).knows(&self.key));
            file.is_none_or(|file| values(&file, &self.key) == self.values)
        })
    }

    /// Whether the daemon finds nothing wrong with the key.
    pub(crate) fn is_readable(&self, file: &ConfFile) -> bool {
        let problems = match self.role {
            Role::Cm => ConnectionManager::read(file).err(),
            Role::Sg => SecurityGateway::read(file).err(),
        };
        let mut problems = problems.into_iter().flat_map(|invalid| invalid.problems);
        !problems.any(|problem| problem.key.eq_ignore_ascii_case(&self.key))
    }
}

/// The answers that edits give.
pub(crate) fn answers(edits: &[Edit], saved: &Layer) -> Layer {
    let mut layer = Layer::new();
    for edit in edits {
        let Fate::Answer(setting) = edit.fate else { continue };
        if setting == Setting::Listen {
            let listen =
                layer.entry(Setting::Listen).or_insert_with(|| saved[&Setting::Listen].clone());
            for one in listen.iter_mut().filter(|one| edit.names(one)) {
                let name = one.split_once('=').map_or("", |(name, _)| name);
                *one = format!("{name}={}", edit.values[0]);
            }
        } else if edit.values.is_empty() && setting.kind() == Kind::Switch {
            layer.insert(setting, default_texts(setting));
        } else {
            layer.insert(setting, edit.values.clone());
        }
    }
    layer
}

fn values(file: &ConfFile, key: &str) -> Vec<String> {
    file.values(key).map(|entry| entry.value.to_owned()).collect()
}
