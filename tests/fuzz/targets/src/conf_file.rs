//! A configuration file is parsed as it is written, with any content, and lines that the installer
//! does not set are preserved.

use cmsg_config::{ConfFile, ConnectionManager, SecurityGateway, file::Entry};

/// Reads a text as both configuration files.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = ConfFile::parse(&text);
    let written = file.render();
    assert_eq!(ConfFile::parse(&written), file, "{written:?}");
    assert_eq!(ConfFile::parse(&written).render(), written);
    assert!(file.entries().all(|entry| !entry.key.is_empty() && !entry.key.contains('=')));
    means_the_same(&file, &written);
    keeps_the_rest(file);
}

fn means_the_same(file: &ConfFile, written: &str) {
    let again = ConfFile::parse(written);
    match (ConnectionManager::read(file), ConnectionManager::read(&again)) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.value, second.value);
            assert_eq!(first.warnings, second.warnings);
        }
        (first, second) => assert_eq!(first.err(), second.err()),
    }
    match (SecurityGateway::read(file), SecurityGateway::read(&again)) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.value, second.value);
            assert_eq!(first.warnings, second.warnings);
        }
        (first, second) => assert_eq!(first.err(), second.err()),
    }
}

/// Setting a key preserves all other lines and their order.
fn keeps_the_rest(mut file: ConfFile) {
    let others = |entry: &Entry<'_>| !entry.key.eq_ignore_ascii_case("LogLevel");
    let pair = |entry: Entry<'_>| (entry.key.to_owned(), entry.value.to_owned());
    let before: Vec<_> = file.entries().filter(others).map(pair).collect();
    let strays: Vec<_> = file.strays().map(|(_, text)| text.to_owned()).collect();
    let lines = file.render().lines().count() - file.values("LogLevel").count();

    file.set("LogLevel", ["DEBUG\nx = y", "INFO"]);

    let read = ConfFile::parse(&file.render());
    let set: Vec<_> = read.values("LogLevel").map(|entry| entry.value).collect();
    assert_eq!(set, ["DEBUG x = y", "INFO"]);
    assert_eq!(read.entries().filter(others).map(pair).collect::<Vec<_>>(), before);
    assert_eq!(read.strays().map(|(_, text)| text).collect::<Vec<_>>(), strays);
    assert_eq!(file.render().lines().count(), lines + 2);
}
