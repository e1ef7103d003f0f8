use std::io::{BufRead as _, BufReader, Write as _};

use super::*;

fn paths() -> (tempfile::TempDir, Paths) {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::under(root.path());
    fs::create_dir_all(paths.run()).unwrap();
    (root, paths)
}

#[test]
fn a_supervisor_runs_while_its_lock_is_held() {
    let (_root, paths) = paths();
    assert!(!is_running(&paths).unwrap());

    let lock = File::create(paths.run().join("supervise.lock")).unwrap();
    assert!(!is_running(&paths).unwrap());

    lock.lock().unwrap();
    assert!(is_running(&paths).unwrap());
}

#[test]
fn a_supervisor_is_stopped_by_its_number() {
    const SCRIPT: &str =
        "exec 9>supervise.lock; flock 9; echo $$ >supervise.pid; echo held; read _";
    let (_root, paths) = paths();
    let mut process = Command::new("sh")
        .args(["-c", SCRIPT, "sh", "supervise", "--base"])
        .arg(paths.base())
        .current_dir(paths.run())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();

    stop(&paths, None).unwrap();

    assert!(!is_running(&paths).unwrap());
    assert_eq!(process.wait().unwrap().to_string(), "signal: 15 (SIGTERM)");
}

#[test]
fn a_supervisor_is_known_by_its_words_however_its_root_is_spelt() {
    let (root, paths) = paths();
    let link = root.path().with_extension("link");
    std::os::unix::fs::symlink(root.path(), &link).unwrap();
    let words = |base: &Path| format!("/bin/daemon\0supervise\0--base\0{}\0", base.display());
    let table = [
        (words(&paths.base()), true),
        (words(&Paths::under(&link).base()), true),
        (words(Path::new("/opt/teradici/pcoipcm_data")), false),
        (format!("sleep\0{}\0", paths.base().display()), false),
        (String::new(), false),
    ];
    for (words, is_one) in table {
        assert_eq!(supervises(words.as_bytes(), &paths), is_one, "{words}");
    }
    fs::remove_file(link).unwrap();
}

#[test]
fn a_number_is_not_trusted_when_nobody_holds_the_lock() {
    let (_root, paths) = paths();
    File::create(paths.run().join("supervise.lock")).unwrap();
    let mut file = File::create(paths.run().join("supervise.pid")).unwrap();
    write!(file, "{}", std::process::id()).unwrap();

    assert!(stop(&paths, None).is_ok());
}

#[test]
fn one_that_was_started_here_is_stopped_before_it_holds_the_lock() {
    let (_root, paths) = paths();
    let child = Command::new("sleep").arg("600").spawn().unwrap();

    assert!(stop(&paths, Some(Started { child, log_start: 0 })).is_ok());
}

#[test]
fn the_end_of_a_log_is_shown_without_control_characters() {
    let (root, _paths) = paths();
    let path = root.path().join("log");
    let lines: Vec<_> = (0..20).map(|n| format!("line {n}\u{1b}[31m")).collect();
    File::create(&path)
        .unwrap()
        .write_all(
            lines
                .join(
                    "
",
                )
                .as_bytes(),
        )
        .unwrap();

    let all = tail(&path, 0).unwrap();
    let own = tail(&path, path.metadata().unwrap().len() - 12).unwrap();

    assert_eq!(all.len(), TAIL_LINES);
    assert_eq!(all[7], "line 19 [31m");
    assert_eq!(own, ["line 19 [31m"]);
}

#[test]
fn a_process_that_has_the_number_of_a_supervisor_that_ended_is_not_killed() {
    let (_root, paths) = paths();
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(other.id()).unwrap());

    let refused = end_now(pid, Some(&paths)).unwrap_err().to_string();

    assert!(refused.ends_with("is not the supervisor"), "{refused}");
    assert!(other.try_wait().unwrap().is_none());
    end_now(pid, None).unwrap();
    other.wait().unwrap();
}

#[test]
fn a_log_is_not_written_through_a_link() {
    let (root, paths) = paths();
    let (target, log) = (root.path().join("target"), paths.run().join("supervise.log"));
    std::os::unix::fs::symlink(&target, &log).unwrap();

    assert!(open_log(&log).is_err());

    assert!(!target.exists());
    fs::remove_file(&log).unwrap();
    nix::unistd::mkfifo(&log, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(open_log(&log).is_err(), "nobody is waited for");
    fs::remove_file(&log).unwrap();
    assert!(open_log(&log).is_ok());
}
