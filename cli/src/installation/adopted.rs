//! What is kept of the documented product that an installation has taken over.

use std::path::PathBuf;

use crate::content::Content;

/// What is taken over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Adopted {
    /// What is kept aside, with where it will lie.
    pub(crate) kept: Vec<(PathBuf, Content)>,
    /// The networks that go with its services.
    pub(crate) networks: Vec<String>,
    /// The containers that run for its services.
    pub(crate) containers: Vec<String>,
    /// The ports that its services publish.
    pub(crate) published: Vec<u16>,
}
