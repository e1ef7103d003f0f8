//! `cargo xtask pictures`: the pictures of a terminal in `docs/pictures`, from what the installer really
//! prints on a terminal of 80 columns.

use std::{
    fs,
    num::NonZeroU16,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anstyle_svg::Term;
use anyhow::{Context as _, ensure};

use super::site::Site;
use crate::{binaries::Binaries, screen};

const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();
/// More than any of the screens has.
const ROWS: NonZeroU16 = NonZeroU16::new(200).unwrap();
/// Replaces the temporary root. It is as long, so that lines end where the installer ended them.
const ROOT: &str = "/srv/pcoip-gw";
/// The findings above this line are about the host that draws the pictures.
const PLAN: &str = "Install the ";

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let folder = Path::new("docs/pictures");
    fs::create_dir_all(folder).context("creating `docs/pictures`")?;
    let temporary = tempfile::Builder::new().prefix("").rand_bytes(3).tempdir_in("/tmp");
    let temporary = temporary.context("creating a temporary directory")?;
    let mut site = Site::below(temporary, Binaries::build()?, false)?;
    let mut error = None;
    if let Err(failed) = draw(&mut site, folder) {
        error = Some(format!("{failed:#}"));
    }
    let left = site.clear(&mut error)?;
    if let Some(error) = error {
        anyhow::bail!(error);
    }
    ensure!(left.is_empty(), "left behind: {}", left.join(", "));
    Ok(ExitCode::SUCCESS)
}

fn draw(site: &mut Site, folder: &Path) -> anyhow::Result<()> {
    site.start_simulators("little")?;
    let typed = "pcoip-cmsg-setup install --accept-policies --self-signed \\\n    --runtime=host --root \
                 /srv/pcoip-gw --broker-url https://broker.example \\\n    --external-pcoip-ip 203.0.113.7";
    let install = site.install_command("203.0.113.7");
    picture(site, &install, typed, &folder.join("install.svg"))?;
    let status = site.status_command();
    picture(
        site,
        &status,
        "pcoip-cmsg-setup status --root /srv/pcoip-gw",
        &folder.join("status.svg"),
    )
}

/// Runs a command at a terminal and draws what is on the screen when it has ended.
fn picture(site: &Site, command: &Command, typed: &str, to: &Path) -> anyhow::Result<()> {
    let mut words = vec![format!("stty cols {COLUMNS} rows 50; exec")];
    words.push(quoted(&command.get_program().to_string_lossy()));
    words.extend(command.get_args().map(|word| quoted(&word.to_string_lossy())));
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("LANG", "C.UTF-8")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .context("starting `script`, from the package `bsdutils` or `util-linux`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "`{typed}` failed:\n{text}");
    let root = site.root().display().to_string();
    ensure!(root.len() == ROOT.len(), "`{root}` is not as long as `{ROOT}`");
    let text = text.replace(&root, ROOT);
    let text = text.find(PLAN).map_or(&*text, |plan| &text[plan..]);
    let text = text.replace(site.broker(), "https://broker.example");
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    terminal.process(text.as_bytes());
    let used = terminal.screen().contents().lines().count();
    let rows = terminal.screen().rows_formatted(0, COLUMNS.get()).take(used);
    let rows: Vec<_> = rows.collect();
    let screen_text = format!("$ {typed}\n{}", rows.join("\u{1b}[0m\n"));
    write(to, &Term::new().render_svg(&screen_text))?;
    screen::note(&format!("drew {}", to.display()));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a picture that is cut off can be drawn again")]
fn write(to: &Path, svg: &str) -> anyhow::Result<()> {
    fs::write(to, svg).with_context(|| format!("writing `{}`", to.display()))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
