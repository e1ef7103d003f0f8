use std::{fs::File, io::Write as _};

use super::*;

fn layer(text: &str) -> Layer {
    [(Setting::DockerPassword, vec![text.to_owned()])].into()
}

/// The answers with that text from one source, and what becomes of the password.
fn given(from: Origin, text: &str) -> (Answers, Result<String, Vec<Finding>>, Vec<&'static str>) {
    let mut layer = layer(text);
    let mut literals = Literals::default();
    literals.take(from, &mut layer, Path::new("/here"));
    let answers = Answers::resolve(&[(from, &layer)]);
    let (secrets, findings) = Secrets::load(&answers, &literals);
    let ids = findings.iter().map(|finding| finding.id).collect();
    let value = secrets.0.get(&Setting::DockerPassword).map(|s| s.expose_secret().to_owned());
    (answers, value.ok_or(findings), ids)
}

#[test]
fn only_a_reference_stands_in_answers() {
    let table = [
        (Origin::Flag, "hunter2", "(hidden)"),
        (Origin::Flag, "-", "-"),
        (Origin::Flag, "@pass", "@/here/pass"),
        (Origin::Flag, "@/etc/pass", "@/etc/pass"),
        (Origin::Environment, "@hunter2", "(hidden)"),
        (Origin::Environment, "-", "(hidden)"),
        (Origin::Answers, "hunter2", "(hidden)"),
    ];
    for (from, text, stands) in table {
        let mut layer = layer(text);
        Literals::default().take(from, &mut layer, Path::new("/here"));

        let answers = Answers::resolve(&[(from, &layer)]);

        assert_eq!(answers.of(Setting::DockerPassword).texts, [stands], "{from:?} {text}");
        assert!(!format!("{answers:?}{layer:?}").contains("hunter2"));
    }
}

#[test]
fn saved_answers_that_hold_a_password_do_not_show_it() {
    let answers = Answers::resolve(&[(Origin::Saved, &layer("hunter2"))]);

    let (_, findings) = Secrets::load(&answers, &Literals::default());

    assert_eq!(answers.of(Setting::DockerPassword).texts, ["(hidden)"]);
    assert_eq!(findings[0].what, "`--docker-password`: the saved settings do not name the file");
}

#[test]
fn a_password_on_the_command_line_works_and_is_warned_of() {
    let (_, value, ids) = given(Origin::Flag, "hunter2 ");

    assert_eq!(value, Ok("hunter2 ".to_owned()));
    assert_eq!(ids, ["settings.secret-on-command-line"]);
}

#[test]
fn the_environment_has_the_password_itself() {
    let (_, value, ids) = given(Origin::Environment, "@hunter2");

    assert_eq!((value, ids), (Ok("@hunter2".to_owned()), vec![]));
}

#[test]
fn a_password_in_the_answers_file_is_refused() {
    let (_, _, ids) = given(Origin::Answers, "hunter2");

    assert_eq!(ids, ["settings.secret"]);
}

#[test]
fn a_password_is_read_from_a_file_without_the_end_of_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let refused = format!(
        "line 1 is not UTF-8; save it as UTF-8: `iconv -f WINDOWS-1252 -t UTF-8 -o {0}.utf8 {0}`",
        path.display()
    );
    let table: [(&[u8], Result<&str, &str>); 10] = [
        (b"\xef\xbb\xbfhunter2\r\n", Ok("hunter2")),
        (b"\xff\xfeh\0\xfc\0\r\0\n\0", Ok("hü")),
        (b"\xfe\xff\0h\0\xfc\0\n", Ok("hü")),
        (b"hunter2\n", Ok("hunter2")),
        (b"hunter2\r\n", Ok("hunter2")),
        (b" hunter2 ", Ok(" hunter2 ")),
        (b"\n", Err("the password is empty")),
        (b"a\nb\n", Err("the password has more than one line, or a control character")),
        (&[b'x'; 4097], Err("the password is longer than 4096 bytes")),
        (b"\xff", Err(&refused)),
    ];
    for (bytes, expected) in table {
        File::create(&path).unwrap().write_all(bytes).unwrap();

        let (_, value, _) = given(Origin::Flag, &format!("@{}", path.display()));

        match (value, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected),
            (Err(findings), Err(why)) => {
                assert_eq!(findings[0].id, "settings.secret");
                assert!(findings[0].what.ends_with(why), "{}", findings[0].what);
            }
            (value, expected) => panic!("{value:?} is not {expected:?}"),
        }
    }
}

#[test]
fn a_file_without_a_password_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let [empty, away] = ["empty", "away"].map(|name| folder.path().join(name));
    File::create(&empty).unwrap();
    let [empty, away] = [empty, away].map(|path| path.display().to_string());
    let table = [
        (&empty, format!("`{empty}`: the password is empty")),
        (&away, format!("`{away}`: it does not exist (No such file or directory, os error 2)")),
    ];
    for (path, why) in table {
        let (_, value, _) = given(Origin::Flag, &format!("@{path}"));

        let finding = value.unwrap_err().remove(0);
        assert_eq!(finding.what, format!("`--docker-password`: {why}"));
        assert_eq!(
            finding.cure,
            format!("write the password to `{path}`, or specify another file")
        );
    }
}

#[test]
fn every_password_refers_to_the_file_that_the_installation_keeps() {
    let (mut answers, ..) = given(Origin::Flag, "hunter2");

    answers.refer(&Paths::under("/r"));

    assert_eq!(
        answers.of(Setting::DockerPassword).texts,
        ["@/r/opt/teradici/pcoipcm_data/data/secrets/docker-password"]
    );
    assert_eq!(answers.of(Setting::SsoEnrollmentPassword).texts, [""; 0]);
}
