use std::{
    fs::Permissions,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
};

use crate::trusted::*;

const OTHER: u32 = 12_345;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder with a file in it.
fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("data");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("file");
    File::create(&file).unwrap();
    chmod(&folder, 0o755);
    chmod(&file, 0o640);
    (root, folder, file)
}

fn refused(path: &Path) -> Option<String> {
    let error = read(path).err()?;
    Some(format!("{error:#}"))
}

#[test]
fn a_file_that_only_its_owner_writes_is_read_with_whether_others_read_it() {
    let (_root, folder, file) = place();

    assert!(!read(&file).unwrap().unwrap().is_private);
    chmod(&file, 0o600);
    assert!(read(&file).unwrap().unwrap().is_private);
    assert_eq!(read(&folder.join("none")).unwrap(), None);
    assert_eq!(read(&file.join("none")).unwrap(), None);
}

#[test]
fn what_others_can_write_is_refused_with_its_mode_and_the_fix() {
    let (_root, folder, file) = place();
    for (path, mode, fix) in
        [(&file, 0o660, "written to it"), (&folder, 0o777, "put anything in it")]
    {
        let before = path.metadata().unwrap().mode();
        chmod(path, mode);

        let error = read(&file).unwrap_err();

        let untrusted = Untrusted::cause(&error).unwrap();
        let start =
            format!("`{}` is writable by users other than its owner, user ", path.display());
        assert!(untrusted.to_string().starts_with(&start), "{untrusted}");
        assert!(untrusted.to_string().ends_with(&format!(": mode {mode:04o}")), "{untrusted}");
        let fix = format!("run `chmod go-w {}` if no other user has {fix}", path.display());
        assert_eq!(untrusted.fix(), fix);
        chmod(path, before & 0o7777);
    }
    assert_eq!(refused(&file), None);
}

#[test]
fn a_sticky_folder_may_be_writable_where_what_is_in_it_is_ours() {
    let (_root, folder, file) = place();
    chmod(&folder, 0o1777);
    assert_eq!(refused(&file), None);

    fs::hard_link(&file, folder.join("second")).unwrap();
    assert!(refused(&file).unwrap().ends_with("has 2 hard links"));
    chmod(&folder, 0o755);
    assert_eq!(refused(&file), None, "nobody else can have made the second name");
}

#[test]
fn links_are_followed_on_the_way_and_not_at_its_end() {
    let (root, folder, file) = place();
    let (way, end) = (root.path().join("way"), folder.join("end"));
    symlink("data/../data", &way).unwrap();
    symlink(&file, &end).unwrap();

    assert_eq!(refused(&way.join("file")), None);
    assert_eq!(refused(&end).unwrap(), "is a link, which is not followed");
    chmod(&folder, 0o777);
    assert!(refused(&way.join("file")).unwrap().contains("mode 0777"));
    let (one, other) = (root.path().join("one"), root.path().join("other"));
    symlink(&one, &other).unwrap();
    symlink(&other, &one).unwrap();
    assert!(check_folder(&one).is_ok(), "a ring of links ends, and opens nothing");
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let (_root, folder, _) = place();
    let pipe = folder.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();

    for path in [&pipe, &folder, Path::new("/dev/null")] {
        assert_eq!(refused(path).unwrap(), "is not a regular file", "{}", path.display());
    }
}

#[test]
fn what_belongs_to_another_user_is_refused_with_its_owner() {
    if !Uid::effective().is_root() {
        return;
    }
    let (_root, folder, file) = place();
    let own = |path: &Path, user| chown(path, Some(user), None).unwrap();
    own(&file, OTHER);
    let what =
        format!("`{}` belongs to user 12345, mode 0640; it must belong to root", file.display());
    assert_eq!(refused(&file), Some(what));
    own(&file, 0);
    let link = folder.join("link");
    symlink(&file, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(OTHER), None).unwrap();
    let error = read(&link).unwrap_err();
    let planted = Untrusted::cause(&error).map(Untrusted::fix).unwrap_or_default();
    assert!(planted.starts_with(&format!("remove `{}`", link.display())), "{error:#}");

    chmod(&folder, 0o1777);
    assert!(check_name(&file).is_ok());
    own(&file, OTHER);
    assert!(check_name(&file).is_err(), "others can have put it there");
    chmod(&folder, 0o755);
    assert!(check_name(&file).is_ok(), "only root can have put it there");

    own(&file, 0);
    own(&folder, OTHER);
    assert!(refused(&file).unwrap().starts_with(&format!("`{}` belongs", folder.display())));
    assert!(check_folder(&folder).is_err() && check_folder(&folder.join("new")).is_err());
    assert!(check_name(&file).is_ok(), "it stays in a folder that is theirs as a whole");
    let inner = folder.join("inner");
    fs::create_dir(&inner).unwrap();
    assert!(check_name(&inner.join("file")).is_err(), "they can put a link in its place");
}
