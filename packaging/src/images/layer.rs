//! The layer of both images: the daemon, allowed to bind ports under 1024 whoever runs it, and the
//! folders where the host's are mounted.

use std::io;

use tar::{Builder, EntryType, Header};

/// Where the daemon lies.
pub(super) const DAEMON: &str = "/pcoip-cmsgd";

/// What the host mounts, so that nothing is made in a read-only image.
const FOLDERS: &[&str] = &[
    "opt/",
    "opt/teradici/",
    "opt/teradici/pcoipcm_data/",
    "opt/teradici/pcoipcm_data/certs/",
    "opt/teradici/pcoipcm_data/data/",
    "opt/teradici/pcoipcm_data/state/",
    "opt/teradici/pcoipcm_data/run/",
    "var/",
    "var/log/",
    "var/log/Teradici/",
    "var/log/Teradici/ConnectionManager/",
    "var/log/Teradici/SecurityGateway/",
];

/// A `struct vfs_cap_data` of linux/capability.h: revision 2 with the effective bit, then permitted
/// and inheritable, lower halves before upper ones. Swarm gives a process that is not root no
/// capability, but the kernel honours the file's.
const MAY_BIND: [u8; 20] = {
    const REVISION_2_EFFECTIVE: u32 = 0x0200_0001;
    const NET_BIND_SERVICE: u32 = 1 << 10;
    let mut bytes = [0; 20];
    let (revision, permitted) =
        (REVISION_2_EFFECTIVE.to_le_bytes(), NET_BIND_SERVICE.to_le_bytes());
    let mut at = 0;
    while at < 4 {
        bytes[at] = revision[at];
        bytes[at + 4] = permitted[at];
        at += 1;
    }
    bytes
};

/// The layer, not compressed.
pub(super) fn layer(binary: &[u8]) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::with_capacity(binary.len() + 16 * 1024));
    for folder in FOLDERS {
        builder.append_data(&mut header(EntryType::Directory, 0o755, 0), folder, io::empty())?;
    }
    builder.append_pax_extensions([("SCHILY.xattr.security.capability", MAY_BIND.as_slice())])?;
    let size = u64::try_from(binary.len()).map_err(io::Error::other)?;
    let name = DAEMON.trim_start_matches('/');
    builder.append_data(&mut header(EntryType::Regular, 0o755, size), name, binary)?;
    builder.into_inner()
}

/// A file of root's, with no time of its own.
pub(super) fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
