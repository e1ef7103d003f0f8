//! Certificates and keys: making them, reading them, judging the operator's.

pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod judge;

/// The common name in certificates of ours.
pub(crate) const COMMON_NAME: &str = "PCoIP Connection Manager and Security Gateway";

/// SHA-256, as a pin shows it.
pub(crate) fn sha256(bytes: &[u8]) -> cmsg_config::values::Pin {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    cmsg_config::values::Pin(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}
