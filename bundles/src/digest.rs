//! Copies and digests as a stream.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};

use crate::{Problem, Watch};

const PIECE: usize = 256 * 1024;

/// How far one run through all files is.
pub(crate) struct Progress<'a, 'w> {
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) watch: &'a mut Watch<'w>,
}

/// Who failed while copying.
pub(crate) enum Side {
    Reading(io::Error),
    Writing(io::Error),
    Interrupted,
}

/// What was copied.
pub(crate) struct Copied {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Progress<'_, '_> {
    fn add(&mut self, bytes: usize) -> bool {
        self.done += bytes as u64;
        (self.watch)(self.done, self.total)
    }

    /// Whether to go on.
    pub(crate) fn check(&mut self) -> Result<(), Problem> {
        if self.add(0) { Ok(()) } else { Err(Problem::Interrupted) }
    }
}

/// Copies everything.
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
