//! What root acts on: files that nobody else can have written, in folders where nobody else can put
//! another in their place. For a user who is not root, "nobody else" is everybody but root and that
//! user.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use nix::{fcntl::OFlag, unistd::Uid};

use crate::{
    content::Content,
    files::{self, is_away},
    finding::Finding,
};

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// A file or folder that another user can change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {what}", path.display())]
pub(crate) struct Untrusted {
    path: PathBuf,
    what: String,
    fix: String,
}

impl Untrusted {
    /// The finding of a command that refuses to go on.
    pub(crate) fn finding(&self) -> Finding {
        Finding::error("installation.untrusted", self.to_string(), self.fix.clone())
    }

    /// The one that an error was caused by.
    pub(crate) fn cause(error: &anyhow::Error) -> Option<&Self> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }

    /// What to do about it.
    pub(crate) fn fix(&self) -> &str {
        &self.fix
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trusted {
    pub(crate) content: Content,
    /// Whether nobody but its owner reads it.
    pub(crate) is_private: bool,
}

/// Reads a file that root acts on; none where there is none.
///
/// # Errors
///
/// [`Untrusted`] where another user can change it, else what the system says.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<Trusted>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let is_private = file.metadata()?.mode() & 0o077 == 0;
    Ok(Some(Trusted { content: files::read_from(file)?, is_private }))
}

/// Opens it to be read. What is judged is the file that is open, whatever has its name by then.
///
/// # Errors
///
/// As above.
pub(crate) fn open(path: &Path) -> anyhow::Result<Option<File>> {
    match path.symlink_metadata() {
        Err(error) if is_away(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
        // To open some devices is to start them.
        Ok(there) if !there.is_file() => {
            check_owner(path, &there)?;
            check_kind(&there)?;
        }
        Ok(_) => {}
    }
    let is_shared = way(path)?;
    // A link is not followed and a pipe not waited for.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let metadata = file.metadata()?;
    check_kind(&metadata)?;
    check(path, &metadata)?;
    // In a folder that others write to, another name of a file may be theirs.
    if is_shared && metadata.nlink() > 1 {
        let what = format!("has {} hard links", metadata.nlink());
        let fix = format!("remove `{}`, or replace it with a copy", path.display());
        return Err(Untrusted { path: path.to_owned(), what, fix }.into());
    }
    Ok(Some(file))
}

/// Refuses a folder that another user can change, or that lies in one.
///
/// # Errors
///
/// Names the outermost such folder.
pub(crate) fn check_folder(path: &Path) -> Result<(), Untrusted> {
    // As if a file were in it.
    way(&path.join("file")).map(drop)
}

/// Refuses to move a file or folder to another name in its folder where another user could have made
/// it; where only its owner writes to the folder around it, it may be anybody's. A folder that is
/// another user's as a whole, in one that is not, may be changed like that: nothing there is believed.
///
/// # Errors
///
/// Names what is refused.
pub(crate) fn check_name(path: &Path) -> Result<(), Untrusted> {
    match (way(path), path.symlink_metadata()) {
        (Ok(true), Ok(there)) => check_owner(path, &there),
        (Err(untrusted), _) => path
            .parent()
            .filter(|folder| untrusted.path == *folder && way(folder) == Ok(false))
            .map_or(Err(untrusted), |_| Ok(())),
        _ => Ok(()),
    }
}

/// Refuses an open file that another user can change.
///
/// # Errors
///
/// Names it.
pub(crate) fn check(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    check_owner(path, metadata)?;
    if metadata.mode() & 0o022 == 0 { Ok(()) } else { Err(open_to_others(path, metadata)) }
}

/// Goes from the file system's root to a path, through all links. Answers whether others can make
/// files in the folder that it lies in, though not change those of others.
fn way(path: &Path) -> Result<bool, Untrusted> {
    let mut left: Vec<OsString> = parts(path);
    let mut folders = vec![PathBuf::from("/")];
    let mut links = 0;
    loop {
        let folder = folders.last().cloned().unwrap_or_else(|| PathBuf::from("/"));
        // What cannot be looked at is reported where it is read.
        let Ok(there) = folder.symlink_metadata() else { return Ok(false) };
        check_owner(&folder, &there)?;
        let is_shared = there.mode() & 0o022 != 0;
        if is_shared && there.mode() & 0o1000 == 0 {
            return Err(open_to_others(&folder, &there));
        }
        let Some(part) = left.pop().filter(|_| !left.is_empty()) else { return Ok(is_shared) };
        if part == ".." {
            folders.pop();
            continue;
        }
        let next = folder.join(&part);
        let Ok(there) = next.symlink_metadata() else { return Ok(false) };
        if !there.is_symlink() {
            folders.push(next);
            continue;
        }
        check_owner(&next, &there)?;
        links += 1;
        let Ok(target) = fs::read_link(&next) else { return Ok(false) };
        if links > MOST_LINKS {
            return Ok(false);
        }
        if target.is_absolute() {
            folders.truncate(1);
        }
        left.extend(parts(&target));
    }
}

/// Its components, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(part).collect()
}

fn check_kind(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_symlink() {
        Err(io::Error::other("is a link, which is not followed"))
    } else if !metadata.is_file() {
        Err(io::Error::other("is not a regular file"))
    } else {
        Ok(())
    }
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    let own = Uid::effective().as_raw();
    if [0, own].contains(&metadata.uid()) {
        return Ok(());
    }
    let wanted = if own == 0 { "root".to_owned() } else { format!("root or {}", user(own)) };
    let what = format!(
        "belongs to {}, mode {:04o}; it must belong to {wanted}",
        user(metadata.uid()),
        metadata.mode() & 0o7777,
    );
    let own = user_name(own).unwrap_or_else(|| own.to_string());
    let shown = path.display();
    let fix = if metadata.is_dir() {
        format!(
            "run `chown {own} {shown}` if no other user has put anything in it, or use another directory"
        )
    } else {
        format!("remove `{shown}`, or inspect it and run `chown {own} {shown}` if it is yours")
    };
    Err(Untrusted { path: path.to_owned(), what, fix })
}

/// A folder or file that users other than its owner can change.
pub(crate) fn open_to_others(path: &Path, metadata: &Metadata) -> Untrusted {
    let what = format!(
        "is writable by users other than its owner, {}: mode {:04o}",
        user(metadata.uid()),
        metadata.mode() & 0o7777
    );
    let kind = if metadata.is_dir() { "put anything in it" } else { "written to it" };
    let fix = format!("run `chmod go-w {}` if no other user has {kind}", path.display());
    Untrusted { path: path.to_owned(), what, fix }
}

/// A user, for people.
pub(super) fn user(number: u32) -> String {
    match user_name(number) {
        Some(name) => format!("user {number} ({name})"),
        None => format!("user {number}"),
    }
}

/// As the machine's own file of users has it.
fn user_name(number: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, other) = (fields.next()?, fields.nth(1)?);
        (other.parse() == Ok(number)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests;
