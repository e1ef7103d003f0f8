//! The reference page `docs/configuration.md` says what the tables say.

use std::{fmt::Write as _, path::Path};

use cmsg_config::keys::{CONNECTION_MANAGER, Key, SECURITY_GATEWAY};

use super::settings::{Kind, Row, Setting};

/// Set to write the page anew.
const UPDATE: &str = "UPDATE_DOCS";

#[test]
fn the_reference_page_lists_every_flag_and_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();

    let mut right = replace(&page, "flags", &flags());
    right = replace(&right, "connection-manager", &keys(CONNECTION_MANAGER));
    right = replace(&right, "security-gateway", &keys(SECURITY_GATEWAY));

    if std::env::var_os(UPDATE).is_some() {
        let mut file = std::fs::File::create(&path).unwrap();
        std::io::Write::write_all(&mut file, right.as_bytes()).unwrap();
        return;
    }
    assert!(page == right, "docs/configuration.md is stale: run this test with {UPDATE}=1");
}

/// The page with another table between the two comments of that name.
fn replace(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let (head, rest) = page.split_once(&begin).expect("the page has the section");
    let (_, tail) = rest.split_once(&end).expect("the section has an end");
    format!("{head}{begin}{table}{end}{tail}")
}

fn flags() -> String {
    let mut table = "| flag | value | default | what it does |\n|---|---|---|---|\n".to_owned();
    for setting in Setting::ALL {
        let Row { shape, default, .. } = setting.row();
        let shape = if setting.kind() == Kind::Switch { "true or false" } else { shape };
        let _ = writeln!(
            table,
            "| `--{setting}` | {} | {} | {} |",
            cell(shape),
            code(default),
            cell(&setting.told())
        );
    }
    table
}

fn keys(keys: &[Key]) -> String {
    let mut table = "| key | value | default | applied at | what it does |\n".to_owned();
    table += "|---|---|---|---|---|\n";
    for Key { name, default, repeats, reloads, shape, meaning } in keys {
        let again = if *repeats { "; repeatable" } else { "" };
        let at = if *reloads { "reload" } else { "start" };
        let (shape, default, meaning) = (cell(shape), code(default), cell(meaning));
        let _ = writeln!(table, "| `{name}` | {shape}{again} | {default} | {at} | {meaning} |");
    }
    table
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}
