//! Small packages for tests, built with `rpmbuild`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds `NAME-VERSION-RELEASE.x86_64.rpm` in a directory. It contains one program with this
/// content.
///
/// # Panics
///
/// If `rpmbuild` does not.
#[must_use]
pub fn package(folder: &Path, name: &str, release: &str, program: (&str, &str)) -> PathBuf {
    let (path, text) = program;
    let version = env!("CARGO_PKG_VERSION");
    let own = folder.join(format!("{name}-{release}"));
    fs::create_dir_all(&own).expect("a folder can be made");
    let lay = |file: &str, text: &str| {
        let path = own.join(file);
        let mut file = fs::File::create(&path).expect("a file can be made");
        file.write_all(text.as_bytes()).expect("it can be written");
        path
    };
    let source = lay("program", text);
    let spec = format!(
        "Name: {name}\nVersion: {version}\nRelease: {release}\nSummary: of a test\n\
         License: Apache-2.0\nAutoReqProv: no\n%description\nOf a test.\n%install\n\
         install -D -m 755 {} %{{buildroot}}{path}\n%files\n{path}\n",
        source.display()
    );
    let built = Command::new("rpmbuild")
        .args(["-bb", "--quiet", "--target", "x86_64", "--define", "debug_package %{nil}"])
        .args(["--define", "__os_install_post %{nil}", "--define"])
        .arg(format!("_topdir {}", own.display()))
        .arg(lay("package.spec", &spec))
        .output()
        .expect("`rpmbuild` starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let file = format!("{name}-{version}-{release}.x86_64.rpm");
    let whole = folder.join(&file);
    fs::rename(own.join("RPMS/x86_64").join(file), &whole).expect("it was built");
    whole
}
