//! Images from a registry: Debian's `docker-registry` with a real engine.

#[path = "registry/bundled.rs"]
mod bundled;
#[path = "registry/installed.rs"]
mod installed;
#[path = "registry/proxy.rs"]
mod proxy;
#[path = "registry/site.rs"]
mod site;

use std::{
    ops::ControlFlow::{Break, Continue},
    time::{Duration, Instant},
};

use cmsg_config::socket::Role;
use cmsg_engine::{Credentials, Foreign, LAYER_LABEL, Pull, Pulling, Refusal, VERSION_LABEL};
use e2e::needs::{Need, met};
use proxy::Proxy;
use site::Site;

/// The registry's address, unless a test changes it.
const REGISTRY: &str = "127.0.0.1:5000";
const NEEDS: &[Need] = &[
    Need::Root,
    Need::Tool("dockerd"),
    Need::Tool("docker-registry"),
    Need::Tool("htpasswd"),
    Need::Tool("openssl"),
    Need::Tool("unshare"),
    Need::Namespace,
];
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn image(registry: &str, role: Role) -> Pull<'_> {
    Pull { registry, role, version: VERSION, credentials: None }
}

#[test]
fn pulled_images_are_ours_and_the_guides_commands_remove_them() {
    if !met(NEEDS) {
        return;
    }
    let mut site = Site::start();
    site.serve(REGISTRY, "");
    let layer = site.push("127.0.0.1:5000/team");
    let mut heard = Vec::new();

    let mut tell = |news: Pulling<'_>| {
        let Pulling::Progress { there, all } = news else { panic!("{news:?}") };
        heard.push((there, all));
        Continue(())
    };
    let pulled = [Role::Cm, Role::Sg]
        .map(|role| site.engine.pull(&image("127.0.0.1:5000/team", role), &mut tell).unwrap());
    let again = site.engine.pull(&image("127.0.0.1:5000/team", Role::Sg), &mut |_| Continue(()));

    let name = format!("127.0.0.1:5000/team/sg:{VERSION}");
    assert_eq!(site.engine.image_id(&name).unwrap().unwrap(), pulled[1].id);
    assert_eq!((&pulled[1].name, &pulled[1].layer), (&name, &layer));
    assert!(pulled[1].digest.as_ref().unwrap().starts_with("127.0.0.1:5000/team/sg@sha256:"));
    assert!(!pulled[1].was_there && again.unwrap().was_there);
    // The shared layer is pulled with the first image.
    let (there, all) = *heard.iter().max().unwrap();
    assert!(there == all && all > 1_000_000, "{there} of {all}");
    site.engine.tag_image(&pulled[1].id, "localhost/pcoip-cmsg/sg:old").unwrap();
    assert_eq!(site.names().len(), 3);

    for name in ["pcoip-cm", "sg"] {
        let remove = r#"docker rmi -f $(docker images --format "{{.ID}} {{.Repository}}" \
                     | grep -E */NAME | awk '{ print $1 }')"#;
        let remove = remove.replace("docker ", "/usr/bin/docker ").replace("NAME", name);
        site.bash(&format!("{remove} || true"));
    }
    assert_eq!(site.names(), Vec::<String>::new());
}

#[test]
fn a_password_opens_the_registry_and_another_does_not() {
    let Some(mut site) = Site::serving() else { return };
    site.stop();
    site.bash("htpasswd -Bbn me 'right one' > /run/htpasswd");
    site.serve(REGISTRY, "auth: {htpasswd: {realm: test, path: /run/htpasswd}}");
    let pull = |password: Option<&str>| {
        let credentials = password
            .map(|password| Credentials { user: "me".to_owned(), password: password.into() });
        let wanted = Pull { credentials: credentials.as_ref(), ..image(REGISTRY, Role::Cm) };
        // A wrong password is not retried.
        site.engine.pull(&wanted, &mut |news| match news {
            Pulling::Again { why, .. } => panic!("{why}"),
            Pulling::Progress { .. } => Continue(()),
        })
    };

    let (none, wrong) = (pull(None).unwrap_err(), pull(Some("wrong one")).unwrap_err());
    let right = pull(Some("right one")).unwrap();

    assert_eq!((none.why, &wrong.why), (Refusal::NoCredentials, &Refusal::WrongCredentials));
    let hint = wrong.hint().unwrap();
    assert_eq!(hint, "check `--docker-username` and `--docker-password`");
    assert!(!wrong.to_string().contains("wrong one"), "{wrong}");
    assert_eq!(site.names(), [right.name]);
}

#[test]
fn a_registry_is_trusted_as_docker_is_told_to() {
    let Some(mut site) = Site::serving() else { return };
    // Docker trusts registries on the loopback interface by default.
    site.bash("ip address add 192.0.2.10/32 dev lo");
    site.stop();
    site.bash(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry \
         -addext subjectAltName=IP:192.0.2.10 -keyout /run/tls.key -out /run/tls.crt",
    );
    let pull = |site: &Site, registry: &str| {
        site.engine.pull(&image(registry, Role::Sg), &mut |_| Continue(())).map(|pulled| pulled.id)
    };

    site.serve("192.0.2.10:5000", "");
    let plain = pull(&site, "192.0.2.10:5000").unwrap_err();
    site.stop();
    site.serve_tls("192.0.2.10:5443");
    let untrusted = pull(&site, "192.0.2.10:5443").unwrap_err();
    let hint = untrusted.hint().unwrap();
    let folder = "/etc/docker/certs.d/192.0.2.10:5443";
    site.bash(&format!("mkdir -p {folder} && cp /run/tls.crt {folder}/ca.crt"));
    let trusted = pull(&site, "192.0.2.10:5443");

    assert_eq!(plain.why, Refusal::PlainHttp);
    assert!(plain.hint().unwrap().contains(r#""insecure-registries": ["192.0.2.10:5000"]"#));
    assert_eq!(untrusted.why, Refusal::UnknownAuthority);
    assert!(hint.contains(&format!("`{folder}/ca.crt`")), "{hint}");
    assert!(trusted.unwrap().starts_with("sha256:"));
}

#[test]
fn a_registry_that_comes_back_is_asked_again_and_one_without_the_image_is_not() {
    let Some(mut site) = Site::serving() else { return };
    site.stop();
    let engine = cmsg_engine::Engine::at(site.machine.path("run/docker.sock")).unwrap();
    let mut pauses = Vec::new();

    let pulled = engine.pull(&image(REGISTRY, Role::Cm), &mut |news| {
        if let Pulling::Again { after, why } = news {
            assert_eq!(why.why, Refusal::Unreachable);
            pauses.push(after);
            if pauses.len() == 2 {
                site.serve(REGISTRY, "");
            }
        }
        Continue(())
    });
    let absent = Pull { version: "9.9.9", ..image(REGISTRY, Role::Cm) };
    let absent = engine.pull(&absent, &mut |news| {
        assert!(!matches!(news, Pulling::Again { .. }), "{news:?}");
        Continue(())
    });

    assert!(!pulled.unwrap().was_there);
    assert_eq!(pauses, [1, 2].map(Duration::from_secs));
    assert_eq!(absent.unwrap_err().why, Refusal::NotFound);
}

#[test]
fn a_connection_that_breaks_midway_is_taken_up_again() {
    let Some(site) = Site::serving() else { return };
    let proxy = Proxy::start(&site.machine, REGISTRY);
    proxy.break_next_after(300_000);

    let pulled = site.engine.pull(&image(&proxy.address(), Role::Cm), &mut |_| Continue(()));

    assert_eq!(site.names(), [pulled.unwrap().name]);
    assert_eq!(proxy.broken(), 1);
}

#[test]
fn an_operator_who_interrupts_it_leaves_nothing_behind() {
    let Some(site) = Site::serving() else { return };
    let proxy = Proxy::start(&site.machine, REGISTRY);
    proxy.stall_after(300_000);
    let mut most = 0;

    let begun = Instant::now();
    let error = site.engine.pull(&image(&proxy.address(), Role::Cm), &mut |news| {
        let Pulling::Progress { there, all } = news else { panic!("{news:?}") };
        most = most.max(there);
        if there > 0 && there < all { Break(()) } else { Continue(()) }
    });

    assert_eq!(error.unwrap_err().why, Refusal::Cancelled);
    assert!(most > 0 && begun.elapsed() < Duration::from_secs(60));
    assert_eq!(site.names(), Vec::<String>::new());
    // The engine removes partial downloads when it notices that the client has disconnected.
    let begun = Instant::now();
    while !site.bash("ls /var/lib/docker/tmp").trim().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(site.bash("/usr/bin/docker images --all --quiet"), "");
}

#[test]
fn a_foreign_image_is_refused_and_not_kept() {
    let Some(site) = Site::serving() else { return };
    let ours = site.engine.pull(&image(REGISTRY, Role::Cm), &mut |_| Continue(())).unwrap();
    let import = "tar -C /etc -c hostname | /usr/bin/docker import --change 'EXPOSE 80'";
    let labels = format!("--change 'LABEL {LAYER_LABEL}={} {VERSION_LABEL}={VERSION}'", ours.layer);
    let cases = [
        (format!("{import} - NAME"), Foreign::Unmarked),
        (format!("{import} {labels} - NAME"), Foreign::Changed),
        (
            format!(
                "printf 'FROM {}\\nLABEL {VERSION_LABEL}=9.9.9' | /usr/bin/docker build -t NAME -",
                ours.name
            ),
            Foreign::Version(Some("9.9.9".to_owned())),
        ),
    ];
    let name = format!("127.0.0.1:5000/foreign/sg:{VERSION}");
    let pull = || {
        let wanted = image("127.0.0.1:5000/foreign", Role::Sg);
        site.engine.pull(&wanted, &mut |_| Continue(())).unwrap_err().why
    };

    for (make, expected) in cases {
        site.bash(&make.replace("NAME", &name));
        site.bash(&format!("/usr/bin/docker push {name} && /usr/bin/docker rmi {name}"));
        let ids = site.bash("/usr/bin/docker images --all --quiet");

        assert_eq!(pull(), Refusal::Foreign(expected));
        assert_eq!(site.bash("/usr/bin/docker images --all --quiet"), ids);

        // The previous owner of the name keeps it.
        site.engine.tag_image(&ours.id, &name).unwrap();
        assert!(matches!(pull(), Refusal::Foreign(_)));
        assert_eq!(site.engine.image_id(&name).unwrap().as_ref(), Some(&ours.id));
        assert_eq!(site.bash("/usr/bin/docker images --all --quiet | sort -u | wc -l").trim(), "1");
        site.engine.remove_image(&name).unwrap();
    }
    assert_eq!(site.names(), [ours.name]);
}
