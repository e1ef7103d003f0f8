//! The layer of both images: the daemon, which may bind ports below 1024 as any user, and the mount
//! points for the host's directories.

use std::io;

use tar::{Builder, EntryType, Header};

pub(super) const DAEMON: &str = "/pcoip-cmsgd";

/// Mount points, which cannot be created in a read-only image.
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
/// and inheritable, lower halves before upper ones. Swarm gives unprivileged processes no
/// capabilities, but the kernel applies those of the file.
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

/// The uncompressed layer.
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

/// A tar header for a file that is owned by root and has the time 0.
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
