//! Saves images from a registry to a file: pulls, saves and removes them.

use std::{fs::File, io::Write as _, pin::pin, time::Instant};

use anyhow::{Context as _, bail};
use bollard::Docker;
use futures_util::TryStreamExt as _;

use super::{
    Pull, Pulling, Tell,
    pull::{self, Before, QUIET, TICK},
    refusal::{PullError, Refusal},
};
use crate::Engine;

impl Engine {
    /// Pulls images and writes them to a file in the format of `docker save`. The engine keeps no
    /// image or name that it did not have before.
    ///
    /// # Errors
    ///
    /// [`PullError`] if an image cannot be pulled or the caller cancelled; otherwise why the images
    /// cannot be saved.
    pub fn take(
        &self,
        pulls: &[Pull<'_>],
        to: &mut File,
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut borrowed = Vec::new();
            let taken = take(&self.docker, pulls, &mut borrowed, to, tell).await;
            let given_back = give_back(&self.docker, &borrowed).await;
            match (taken, given_back) {
                (taken, Ok(())) => taken,
                (Ok(()), Err(left)) => Err(left),
                // The engine is not in its previous state, which is worse than the failed pull.
                (Err(why), Err(left)) => Err(left.context(format!("{why:#}"))),
            }
        })
    }
}

async fn take(
    docker: &Docker,
    pulls: &[Pull<'_>],
    borrowed: &mut Vec<(String, Before)>,
    to: &mut File,
    tell: &mut Tell<'_>,
) -> anyhow::Result<()> {
    for wanted in pulls {
        let (pulled, before) = pull::run(docker, wanted, tell).await?;
        borrowed.push((pulled.name, before));
    }
    let names: Vec<_> = borrowed.iter().map(|(name, _)| name.as_str()).collect();
    save(docker, &names, to, tell).await
}

async fn save(
    docker: &Docker,
    names: &[&str],
    to: &mut File,
    tell: &mut Tell<'_>,
) -> anyhow::Result<()> {
    let saving = || format!("saving the images {}", quoted(names));
    let mut chunks = pin!(docker.export_images(names));
    let (mut heard, mut there) = (Instant::now(), 0);
    loop {
        match tokio::time::timeout(TICK, chunks.try_next()).await {
            Ok(chunk) => {
                let Some(chunk) = chunk.with_context(saving)? else { return Ok(()) };
                to.write_all(&chunk).with_context(saving)?;
                there += chunk.len() as u64;
                heard = Instant::now();
            }
            Err(_) if heard.elapsed() > QUIET => {
                bail!("{}: Docker makes no progress", saving());
            }
            Err(_) => {}
        }
        if tell(Pulling::Progress { there, all: 0 }).is_break() {
            let first = names.first().copied().unwrap_or_default();
            return Err(PullError::new(first, Refusal::Cancelled).into());
        }
    }
}

/// In reverse order, since an image of an earlier pull may have been the previous one of a later
/// pull.
async fn give_back(docker: &Docker, borrowed: &[(String, Before)]) -> anyhow::Result<()> {
    let mut given_back = Ok(());
    for (name, before) in borrowed.iter().rev() {
        let restored = pull::restore(docker, name, before, false).await;
        let restored = restored.with_context(|| format!("removing the image `{name}` again"));
        given_back = given_back.and(restored);
    }
    given_back
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
