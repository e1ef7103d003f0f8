//! The packages and their repository: built by `cargo xtask dist`, checked with packaging tools,
//! and installed by dnf in a directory.

#[path = "packages/beside.rs"]
mod beside;
#[path = "packages/labels.rs"]
mod labels;
#[path = "packages/life.rs"]
mod life;
#[path = "packages/made.rs"]
mod made;
#[path = "packages/release.rs"]
mod release;
#[path = "packages/root.rs"]
mod root;
#[path = "packages/signed.rs"]
mod signed;
#[path = "packages/stub.rs"]
mod stub;

use e2e::needs::{Need, met};

fn is_ready() -> bool {
    met(&[Need::Root, Need::Packages])
}
