//! An administrator's own compose file, as in the documentation.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use cmsg_config::socket::Role;
use cmsg_engine::stack::compose::{Expected, check, image_variable, load};
use e2e::needs::met;

use super::{NEEDS, deployment::Deployment};

#[test]
fn the_pages_example_runs_with_the_image_that_is_set() {
    if !met(NEEDS) {
        return;
    }
    let site = Deployment::prepare();
    site.engine.load_images(&site.archive.source, |_| ()).unwrap();
    site.engine.make_swarm("10.101.128.0/17").unwrap();
    let page = include_str!("../../../../docs/compose-file.md");
    let (_, example) = page.split_once("## Example\n").expect("it has an example");
    let root = site.paths.root().display();
    let example = example
        .replace("/opt/", &format!("{root}/opt/"))
        .replace("/var/", &format!("{root}/var/"))
        .replace("977:976", "977:977")
        .replace("host-authorities.crt", "cmsg.crt");
    let mut file = tempfile::NamedTempFile::new_in(site.machine.folder()).unwrap();
    file.write_all(example.as_bytes()).unwrap();
    let image = site.engine.image_id(&site.archive.image(Role::Sg).unwrap().tag).unwrap().unwrap();

    let expected = Expected {
        roles: &[Role::Sg],
        paths: &site.paths,
        account: Some((977, 977)),
        environment: &BTreeMap::new(),
    };
    assert_eq!(check(&load(file.path()).unwrap(), &expected), []);
    let variables = [(image_variable(Role::Sg), image.as_str())];
    site.engine
        .deploy_with(Path::new("/usr/bin/docker"), &[file.path().to_owned()], &variables)
        .unwrap();

    assert_eq!(site.live(Role::Sg).role, Role::Sg);
    assert_eq!(site.running("pcoipcm_sg").image, image);
    assert_eq!(site.rights(Role::Sg), ["977", "0000000000000400", "0000000000000400"]);
}
