//! What the disk itself takes: two threads that append a record and wait until it is on the disk.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::spawn_blocking;

use super::report::percentiles;

/// Median and 99th percentile of `fdatasync` in microseconds, of two writers at the same time.
pub(super) async fn two_writers(folder: &Path) -> anyhow::Result<[u32; 2]> {
    let files = [tempfile::tempfile_in(folder), tempfile::tempfile_in(folder)];
    let mut writers = Vec::new();
    for file in files {
        let file = file.context("creating a file")?;
        writers.push(spawn_blocking(move || write(file)));
    }
    let mut micros = Vec::new();
    for writer in writers {
        micros.extend(writer.await.context("waiting for a writer")?.context("writing")?);
    }
    Ok(percentiles(micros))
}

fn write(mut file: File) -> std::io::Result<Vec<u128>> {
    let started = Instant::now();
    let mut micros = Vec::new();
    while started.elapsed() < TIME {
        let before = Instant::now();
        file.write_all(&[0x5a; RECORD])?;
        file.sync_data()?;
        micros.push(before.elapsed().as_micros());
    }
    Ok(micros)
}

const TIME: Duration = Duration::from_secs(1);
const RECORD: usize = 200;
