//! Makes a certificate, and its key unless that is given, and writes both.

use std::path::PathBuf;

use super::{
    error::StepError,
    file::{self, FileTrace, put_aside},
    kind::Kind,
    words::{List, file_name},
};
use crate::{
    content::Content,
    pki::generate::{Key, Request, SIGNING_DAYS, TLS_DAYS},
    progress::stage::{Group, Stage},
    system::System,
};

/// Makes a certificate, and its key unless that is given, and writes both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MakeCertificate {
    pub(crate) request: Request,
    /// Certificates that stand behind it in the file.
    pub(crate) followed_by: Content,
    /// The path of the key.
    pub(crate) key: PathBuf,
    /// The path of the certificate.
    pub(crate) certificate: PathBuf,
    /// Whether a key is there.
    pub(crate) replaces_key: bool,
    /// Whether a certificate is there.
    pub(crate) replaces_certificate: bool,
}

impl<T: FileTrace> Kind<T> for MakeCertificate {
    fn name(&self) -> String {
        format!("create {}", file_name(&self.certificate))
    }

    fn changes(&self) -> String {
        let files = [self.certificate.clone(), self.key.clone()];
        format!("{} in {}", pair(&self.request), List(&files))
    }

    fn undoing(&self) -> &'static str {
        if self.replaces_certificate {
            "the previous files are restored"
        } else {
            "both files are removed"
        }
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Certificates, "Creating certificates", "Certificates created")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        let pair = system.make_pair(&self.request)?;
        let chain = [pair.certificate.bytes(), self.followed_by.bytes()].concat();
        for ((path, is_there), content) in self.files().into_iter().zip([pair.key, chain.into()]) {
            put_aside(path, is_there, system)?;
            system.write(path, &content)?;
        }
        Ok(())
    }

    fn traces(&self) -> Vec<T> {
        self.files().map(|(path, is_there)| file::trace(path, is_there)).into()
    }
}

impl MakeCertificate {
    /// The key and the certificate, each with whether one is there.
    fn files(&self) -> [(&PathBuf, bool); 2] {
        [(&self.key, self.replaces_key), (&self.certificate, self.replaces_certificate)]
    }
}

fn pair(request: &Request) -> String {
    match &request.key {
        Key::NewRsa => format!(
            "self-signed certificate (RSA, 3072 bits, valid for {TLS_DAYS} days) for {}",
            request.names.join(", ")
        ),
        Key::NewP256 => format!(
            "signing key for announcements (P-256) and its certificate, valid for {SIGNING_DAYS} days,"
        ),
        Key::Given(_) => "certificate of the given signing key".to_owned(),
    }
}
