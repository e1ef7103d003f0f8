//! Random bytes.

use anyhow::Context as _;

/// Cryptographically secure random bytes.
pub(super) fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).context("generating random bytes")?;
    Ok(bytes)
}
