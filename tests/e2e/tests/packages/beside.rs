//! The vendor's package with the same name, in another repository.

use super::{
    is_ready,
    made::{Made, VERSION},
    root::Root,
    stub::Stubs,
};

#[test]
fn the_vendor_s_higher_version_of_the_same_name_is_never_an_update_of_ours() {
    if !is_ready() {
        return;
    }
    let made = Made::with(&["--for", "el9"]);
    let vendor = Stubs::of(&[("pcoip-cmsg-setup", 0, "25.03")]);
    let ours = format!("pcoip-cmsg-setup-1:{VERSION}-1.el9");
    let theirs = "pcoip-cmsg-setup-0:25.03-1.el9";
    let (root, other) = (Root::new(), Root::new());
    root.add_plain("vendor", &vendor.folder());
    root.add(&made.folder().join("el9/pcoip-cmsg.repo"));

    root.done("install pcoip-cmsg-setup");
    assert_eq!(root.installed(), [ours.as_str()]);
    let said = root.done("upgrade");
    assert!(said.contains("Nothing to do."), "{said}");
    assert_eq!(root.installed(), [ours.as_str()]);
    // A downgrade must name our repository, since the vendor's version is lower.
    root.done("--repo=pcoip-cmsg downgrade pcoip-cmsg-setup");
    assert_eq!(root.installed(), [ours.as_str()]);
    root.done("downgrade pcoip-cmsg-setup");
    assert_eq!(root.installed(), [theirs]);

    // A host with the vendor's package gets ours once our repository is added.
    other.add_plain("vendor", &vendor.folder());
    other.done("install pcoip-cmsg-setup");
    assert_eq!(other.installed(), [theirs]);
    other.add(&made.folder().join("el9/pcoip-cmsg.repo"));
    other.done("upgrade");
    assert_eq!(other.installed(), [ours.as_str()]);
}
