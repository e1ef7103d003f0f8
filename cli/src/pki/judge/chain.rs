//! The rules for the issuers of a certificate: in order, complete up to the listed authority, each
//! of them fit to issue.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::{Named, leaf, limits, strict::Shown};
use crate::{
    finding::Finding,
    pki::inspect::{Certificate, KeyKind, LEAST_BITS},
};

/// What is shown to clients, and what it should lead to.
pub(super) struct Chain<'a> {
    /// The file that is shown.
    pub(super) file: Named<'a>,
    pub(super) shown: &'a [Certificate],
    /// Which of them is the host's own.
    pub(super) leaf: usize,
    /// Those that it should lead to; none where they cannot be read.
    pub(super) authority: Option<&'a [Certificate]>,
    pub(super) now: OffsetDateTime,
}

/// Cross-signed authorities lead to several paths; hostile files to very many.
const MOST_PATHS: usize = 64;

impl<'a> Chain<'a> {
    pub(super) fn judge(&self) -> Vec<Finding> {
        let above = self.above();
        let mut findings: Vec<Finding> = self.order(&above).into_iter().collect();
        findings.extend(self.unrelated(&above));
        let listed = self.listed();
        let leaf = &self.shown[self.leaf];
        let mut paths = Vec::new();
        self.walk(&mut vec![leaf], &above, &listed, &mut paths);
        let judged = paths.iter().map(|path| {
            let mut of_path = self.issuers(path);
            of_path.extend(limits::judge(&self.up_to_the_root(path, &listed)));
            (of_path, path)
        });
        if let Some((of_path, path)) = judged.min_by_key(|(findings, _)| findings.len()) {
            findings.extend(of_path);
            findings.extend(self.not_sent(path, &listed));
        } else {
            let all: Vec<_> =
                std::iter::once(leaf).chain(above.iter().map(|at| &self.shown[*at])).collect();
            findings.extend(self.issuers(&all));
            findings.extend(self.authority.map(|_| self.incomplete(&all)));
        }
        findings
    }

    /// Which of the shown ones issued the leaf, or issued those that did.
    fn above(&self) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut next = vec![self.leaf];
        while let Some(child) = next.pop() {
            for (at, one) in self.shown.iter().enumerate() {
                let is_new = at != self.leaf && !found.contains(&at);
                if is_new && self.shown[child].is_issued_by(one) {
                    found.insert(at);
                    next.push(at);
                }
            }
        }
        found
    }

    fn order(&self, above: &BTreeSet<usize>) -> Option<Finding> {
        let follows = |at: &usize| {
            let before = self.shown[..*at].iter().enumerate();
            let mut before = before.filter(|(at, _)| above.contains(at) || *at == self.leaf);
            before.any(|(_, child)| child.is_issued_by(&self.shown[*at]))
        };
        let is_right = self.leaf == 0 && above.iter().all(follows);
        (!is_right).then(|| {
            Finding::error(
                "certificate.order",
                format!("the certificates in {} are in the wrong order", self.file.flag()),
                "put the host's own certificate first, and after each certificate that of its \
                 issuer: `cat own.crt intermediate.crt > chain.crt`",
            )
        })
    }

    fn unrelated(&self, above: &BTreeSet<usize>) -> Option<Finding> {
        let shown = self.shown.iter().enumerate();
        let others: Vec<_> = shown
            .filter(|(at, _)| *at != self.leaf && !above.contains(at))
            .map(|(_, one)| format!("`{}`", one.subject))
            .collect();
        (!others.is_empty()).then(|| {
            Finding::warning(
                "certificate.unrelated",
                format!(
                    "{} contains certificates that did not issue the host's certificate: {}",
                    self.file.flag(),
                    others.join(", ")
                ),
                "remove them from the file",
            )
        })
    }

    /// The listed authorities, each once.
    fn listed(&self) -> Vec<&'a Certificate> {
        let mut seen = BTreeSet::new();
        self.authority.into_iter().flatten().filter(|one| seen.insert(&one.der)).collect()
    }

    /// Finds the paths from the leaf to a listed certificate.
    fn walk(
        &self,
        path: &mut Vec<&'a Certificate>,
        above: &BTreeSet<usize>,
        listed: &[&'a Certificate],
        paths: &mut Vec<Vec<&'a Certificate>>,
    ) {
        let Some(last) = path.last().copied() else { return };
        if listed.iter().any(|one| one.der == last.der) {
            paths.push(path.clone());
            return;
        }
        let shown = above.iter().map(|at| &self.shown[*at]);
        for issuer in listed.iter().copied().chain(shown) {
            if paths.len() >= MOST_PATHS {
                return;
            }
            let is_new = path.iter().all(|one| one.der != issuer.der);
            if is_new && last.is_issued_by(issuer) {
                path.push(issuer);
                self.walk(path, above, listed, paths);
                path.pop();
            }
        }
    }

    /// The findings about each issuer on a path.
    fn issuers(&self, path: &[&Certificate]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for issuer in path.iter().skip(1) {
            let who = format!("the issuer `{}`", issuer.subject);
            findings.extend(leaf::dates(issuer, &who, self.now));
            findings.extend(short(issuer, &who));
            findings.extend(leaf::usage(issuer, &who));
            if !issuer.is_root() {
                findings.extend(leaf::signature(issuer, &who));
            }
            // Roots from before version 3 cannot say it.
            if !issuer.is_authority && issuer.is_version_3 {
                findings.push(Finding::error(
                    "certificate.issuer-not-authority",
                    format!("{who} may not issue certificates"),
                    "have the certificate issued by an authority that has `CA:TRUE` and may sign \
                     certificates",
                ));
            }
        }
        findings
    }

    /// The path with the listed issuers above its end: a client that has the root alone goes as far.
    fn up_to_the_root(
        &self,
        path: &[&'a Certificate],
        listed: &[&'a Certificate],
    ) -> Vec<&'a Certificate> {
        let mut path = path.to_vec();
        while let Some(last) = path.last().copied().filter(|last| !last.is_root())
            && let Some(issuer) = listed
                .iter()
                .copied()
                .find(|one| path.iter().all(|known| known.der != one.der) && last.is_issued_by(one))
        {
            path.push(issuer);
        }
        path
    }

    /// What a client has that knows the roots of the list.
    pub(super) fn shown_to_clients(&self) -> Option<Shown<'a>> {
        let leaf = &self.shown[self.leaf];
        let listed = self.listed();
        if listed.is_empty() || listed.iter().any(|one| one.der == leaf.der) {
            return None;
        }
        let is_last = |one: &&'a Certificate| {
            let has_issuer =
                || listed.iter().any(|issuer| issuer.der != one.der && one.is_issued_by(issuer));
            one.is_root() || !has_issuer()
        };
        let (roots, known): (Vec<_>, Vec<_>) = listed.iter().copied().partition(is_last);
        let sent = self.shown.iter().filter(|one| one.der != leaf.der);
        Some(Shown { leaf, between: known.into_iter().chain(sent).collect(), roots })
    }

    /// Clients know roots, and what lies between must be sent to them.
    fn not_sent(&self, path: &[&Certificate], listed: &[&Certificate]) -> Option<Finding> {
        let last = path.last().filter(|last| path.len() > 1 && !last.is_root())?;
        let is_shown = self.shown.iter().any(|one| one.der == last.der);
        let has_issuer = listed.iter().any(|one| last.is_issued_by(one));
        (!is_shown && has_issuer).then(|| {
            Finding::warning(
                "certificate.intermediate-not-sent",
                format!(
                    "the certificate was issued by the intermediate CA `{}`, whose own certificate \
                     is not sent to clients",
                    last.subject
                ),
                format!("append it to {}", self.file.flag()),
            )
        })
    }

    fn incomplete(&self, known: &[&Certificate]) -> Finding {
        let is_last = |one: &&&Certificate| {
            !known.iter().any(|issuer| issuer.der != one.der && one.is_issued_by(issuer))
        };
        let last = known.iter().find(is_last).unwrap_or(&known[0]);
        let (what, cure) = if last.is_root() {
            (
                format!("the chain ends at `{}`, which is not in `--ca-cert`", last.subject),
                "add that certificate to `--ca-cert`, or use the chain of the right authority",
            )
        } else {
            (
                format!(
                    "the issuer of `{}` is missing: neither {} nor `--ca-cert` contains the \
                     certificate of `{}`, which signed it",
                    last.subject,
                    self.file.flag(),
                    last.issuer
                ),
                "append the authority's intermediate certificates: `cat own.crt intermediate.crt \
                 > chain.crt`",
            )
        };
        Finding::error("certificate.chain-incomplete", what, cure)
    }
}

fn short(issuer: &Certificate, who: &str) -> Option<Finding> {
    let KeyKind::Rsa(bits) = issuer.key.kind else { return None };
    (bits < LEAST_BITS).then(|| {
        Finding::error(
            "certificate.key-too-short",
            format!("the RSA key of {who} has {bits} bits; the minimum is {LEAST_BITS}"),
            "have the certificate issued by an authority with a longer key",
        )
    })
}
