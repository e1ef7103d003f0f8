//! Steps that take another installation over.

use std::path::PathBuf;

use crate::{content::Content, system::System};

/// One of them. Neither leaves anything to undo: the copies stay, and what ran comes back by what
/// was noted before it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Adopting {
    /// Copies what it is made of.
    Keep {
        /// Below it.
        folder: PathBuf,
        /// The copies.
        files: Vec<(PathBuf, Content)>,
    },
    /// Removes its services and their networks.
    Remove {
        /// The networks.
        networks: Vec<String>,
    },
}

impl Adopting {
    pub(super) fn perform(&self, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::Keep { folder, files } => {
                for (path, content) in files {
                    let above: Vec<_> =
                        path.ancestors().skip(1).take_while(|it| it.starts_with(folder)).collect();
                    above.into_iter().rev().try_for_each(|folder| system.make_folder(folder))?;
                    system.write(path, content)?;
                }
                Ok(())
            }
            Self::Remove { networks } => {
                system.remove_services()?;
                system.remove_networks(networks)
            }
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Keep { .. } => "keep a way back",
            Self::Remove { .. } => "remove the services that are taken over",
        }
    }

    pub(super) fn changes(&self) -> String {
        match self {
            Self::Keep { folder, files } => {
                format!("new: {} files under `{}`", files.len(), folder.display())
            }
            Self::Remove { networks } if networks.is_empty() => {
                "sessions end; clients cannot connect for some seconds".to_owned()
            }
            Self::Remove { networks } => format!(
                "sessions end; clients cannot connect for some seconds; gone: the network {}",
                networks.join(", ")
            ),
        }
    }

    pub(super) fn undoing(&self) -> &'static str {
        match self {
            Self::Keep { .. } => "the copies stay",
            Self::Remove { .. } => "they are deployed again",
        }
    }
}
