//! The source of an archive: a path, or an open file.

use std::{
    fs::File,
    io::{self, Seek as _},
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Debug, Clone, Default)]
pub struct Source {
    path: PathBuf,
    file: Option<Arc<File>>,
}

impl Source {
    /// An open file. The path is only for messages: the open file is read, even if the path names
    /// another one by now.
    #[must_use]
    pub fn of(path: PathBuf, file: File) -> Self {
        Self { path, file: Some(Arc::new(file)) }
    }

    /// The path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, from its start. Files that are open at the same time share their position.
    ///
    /// # Errors
    ///
    /// The error of the system call.
    pub fn open(&self) -> io::Result<File> {
        let Some(file) = &self.file else { return File::open(&self.path) };
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

impl<P: Into<PathBuf>> From<P> for Source {
    fn from(path: P) -> Self {
        Self { path: path.into(), file: None }
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        let file = |source: &Self| source.file.as_ref().map(Arc::as_ptr);
        self.path == other.path && file(self) == file(other)
    }
}

impl Eq for Source {}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn an_open_file_is_read_even_if_its_path_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images");
        let put = |text: &str| {
            let other = folder.path().join("other");
            File::create(&other).unwrap().write_all(text.as_bytes()).unwrap();
            std::fs::rename(other, &path).unwrap();
        };
        let read = |source: &Source| {
            let mut text = String::new();
            source.open().unwrap().read_to_string(&mut text).unwrap();
            text
        };
        put("verified");
        let source = Source::of(path.clone(), File::open(&path).unwrap());

        put("exchanged");

        assert_eq!([read(&source), read(&source)], ["verified", "verified"]);
        assert_eq!(read(&Source::from(&path)), "exchanged");
    }
}
