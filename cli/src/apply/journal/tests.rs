use crate::{
    apply::journal::*,
    step::{
        delete::Delete,
        file::Replaced,
        make_folders::{Folders, MakeFolders},
        write::Write,
    },
};

fn journal() -> Journal {
    let steps = [
        Step::MakeFolders(MakeFolders {
            paths: Paths::under("/r"),
            folders: vec!["/r/opt".into()],
        }),
        Step::Write(Write { path: "/r/key".into(), content: "a secret".into(), replaces: true }),
        Step::Delete(Delete(vec!["/r/a".into(), "/r/b".into()])),
    ];
    Journal::of("install", &steps)
}

fn text(journal: &Journal) -> String {
    journal.render().unwrap().text()
}

#[test]
fn what_is_written_down_is_read_again_and_holds_no_secret() {
    let text = text(&journal().at(2));

    assert_eq!(Journal::parse(&text), Ok(journal().at(2)));
    assert!(!text.contains("secret"));
}

#[test]
fn only_steps_that_were_begun_have_left_something() {
    let folders = Trace::Folders(Folders(vec!["/r/opt".into()]));
    let replaced = |path: &str| Trace::Replaced(Replaced(path.into()));
    let table = [
        (0, vec![], "its beginning"),
        (1, vec![folders.clone()], "create directories"),
        (2, vec![folders.clone(), replaced("/r/key")], "write key"),
        (3, vec![folders, replaced("/r/key"), replaced("/r/a"), replaced("/r/b")], "delete files"),
    ];
    for (begun, traces, last) in table {
        let journal = journal().at(begun);

        assert_eq!(journal.traces().cloned().collect::<Vec<_>>(), traces);
        assert_eq!(journal.last(), last);
    }
}

#[test]
fn a_torn_journal_and_one_of_another_version_are_told_apart() {
    let whole = text(&journal());
    let other = whole.replace("\"schema\": 1", "\"schema\": 2").replace("0.1.0", "9.9.9");
    let more = whole.replacen('{', "{ \"more\": 1,", 1);

    assert_eq!(Journal::parse(&other), Err(Unread::Foreign("9.9.9".to_owned())));
    for text in ["", "{", &whole[..whole.len() / 2], &more] {
        assert!(matches!(Journal::parse(text), Err(Unread::Torn(_))), "{text}");
    }
}

#[test]
fn a_journal_that_another_build_wrote_is_read_and_written_alike() {
    const WRITTEN: &str = r#"{
  "schema": 1,
  "version": "0.1.0",
  "command": "install",
  "pid": 1234,
  "begun": 2,
  "is_settled": false,
  "steps": [
    {
      "name": "make the account pcoip-cmsg",
      "traces": [
        "new-account"
      ]
    },
    {
      "name": "start the services",
      "traces": [
        {
          "started": {
            "has_log": true
          }
        }
      ]
    },
    {
      "name": "remove the services",
      "traces": [
        {
          "engine": {
            "deployed": [
              [
                "/r/stack.yaml"
              ],
              [
                "cm"
              ]
            ]
          }
        }
      ]
    }
  ]
}
"#;

    let journal = Journal::parse(WRITTEN).unwrap();

    assert_eq!(text(&journal), WRITTEN);
    assert_eq!(journal.last(), "start the services");
    assert_eq!(journal.traces().count(), 2);
}
