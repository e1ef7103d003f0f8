//! Copies and digests streams.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};

use crate::{Problem, Watch};

const PIECE: usize = 256 * 1024;

/// Progress of a pass over all files.
pub(crate) struct Progress<'a, 'w> {
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) watch: &'a mut Watch<'w>,
}

/// The side on which copying failed.
pub(crate) enum Side {
    Reading(io::Error),
    Writing(io::Error),
    Interrupted,
}

/// The result of copying.
pub(crate) struct Copied {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Progress<'_, '_> {
    fn add(&mut self, bytes: usize) -> bool {
        self.done += bytes as u64;
        (self.watch)(self.done, self.total)
    }

    /// Fails if the watcher wants to stop.
    pub(crate) fn check(&mut self) -> Result<(), Problem> {
        if self.add(0) { Ok(()) } else { Err(Problem::Interrupted) }
    }
}

/// Copies a stream to its end.
pub(crate) fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    progress: &mut Progress<'_, '_>,
) -> Result<Copied, Side> {
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(Side::Reading(why)),
        };
        context.update(&piece[..count]);
        to.write_all(&piece[..count]).map_err(Side::Writing)?;
        bytes += count as u64;
        if !progress.add(count) {
            return Err(Side::Interrupted);
        }
    }
    Ok(Copied { bytes, sha256: hex(context.finish().as_ref()) })
}

/// Computes the digest of all bytes written to it.
pub(crate) struct Digesting<W> {
    inner: W,
    context: Context,
}

impl<W> Digesting<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, context: Context::new(&SHA256) }
    }

    pub(crate) fn finish(self) -> (W, String) {
        (self.inner, hex(self.context.finish().as_ref()))
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.context.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
