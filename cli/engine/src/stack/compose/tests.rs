use super::*;
use crate::stack::{Service, Stack};

fn lacks(text: &str, roles: &[Role]) -> Vec<(String, bool)> {
    let environment = BTreeMap::from([("DATA".to_owned(), "/opt/teradici".to_owned())]);
    let paths = Paths::under("/");
    let expected =
        Expected { roles, paths: &paths, account: Some((977, 976)), environment: &environment };
    let problems = check(text, &expected);
    problems.iter().map(|problem| (problem.to_string(), problem.is_error())).collect()
}

/// A file with one valid service.
const WHOLE: &str = r#"
version: "3.8"
x-common: &common
  user: "977:976"
  networks: [outside]
  environment: {SSL_CERT_FILE: /opt/teradici/pcoipcm_data/certs/a.crt}
services:
  sg:
    <<: *common
    image: ${PCOIP_SG_IMAGE}
    command: security-gateway --config=/opt/teradici/pcoipcm_data/data/SecurityGateway.conf
    cap_drop: [ALL]
    cap_add: [CAP_NET_BIND_SERVICE]
    volumes:
      - ${DATA:-/opt}:/opt/teradici
      - {type: bind, source: /var/log/Teradici/SecurityGateway, target: /var/log/Teradici/SecurityGateway}
  shipper: {image: fluentd}
networks:
  outside: {external: true, name: host}
"#;

#[test]
fn the_installers_own_file_has_no_problems() {
    let stack = Stack {
        paths: Paths::under("/"),
        account: (977, 976),
        version: "1.2.3".to_owned(),
        authorities: "/opt/teradici/pcoipcm_data/certs/host-authorities.crt".into(),
    };
    let services = [(Role::Cm, "r/pcoip-cm:1"), (Role::Sg, "r/sg:1")].map(|(role, image)| {
        Service { role, image: image.to_owned(), deployment: "first".to_owned(), memory: 900 }
    });

    assert_eq!(lacks(&stack.render(&services).unwrap(), &[Role::Cm, Role::Sg]), []);
    assert_eq!(lacks(WHOLE, &[Role::Sg]), []);
}

#[test]
fn the_example_in_the_documentation_has_no_problems() {
    let page = include_str!("../../../../../docs/compose-file.md");
    let (_, example) = page.split_once("## Example\n").unwrap();

    assert_eq!(lacks(example, &[Role::Sg]), []);
}

/// Replacements in the valid file, and the expected problem.
const CHANGES: &[(&str, &str, &str, bool)] = &[
    ("version: \"3.8\"", "", "the compose file has no `version`, e.g. `version: \"3.8\"`", true),
    ("\"3.8\"", "\"2.4\"", "the compose file has version `2.4`, not 3", true),
    (
        "\"3.8\"",
        "\"3.12\"",
        "the compose file has version `3.12`, which Docker 20.10 does not support",
        false,
    ),
    (
        "outside: {external: true, name: host}",
        "outside: {external: {name: host}}\n  network: {driver: overlay}",
        "the compose file creates the network `pcoipcm_network`, which the installer creates",
        true,
    ),
    (
        "${DATA:-/opt}",
        "${DATUM:?give it}",
        "the compose file uses the variable `DATUM`, which has no value",
        true,
    ),
    ("image: ${PCOIP_SG_IMAGE}", "", "the service `sg` has no `image`", true),
    (
        "${PCOIP_SG_IMAGE}",
        "${PCOIP_CM_IMAGE}",
        "the service `sg` has the other service's image `pcoipcm/pcoip-cm`",
        true,
    ),
    (
        "${PCOIP_SG_IMAGE}",
        "r:5000/gateway:1",
        "the service `sg` has an image whose name is not the product's: `r:5000/gateway:1`",
        false,
    ),
    (
        "security-gateway --config=",
        "security-gateway --configuration=",
        "the service `sg` does not run the command `security-gateway --config /opt/teradici/pcoipcm_data/data/SecurityGateway.conf`",
        true,
    ),
    (
        "user: \"977:976\"",
        "user: 0",
        "the service `sg` runs as `0`, who does not own the installed files",
        false,
    ),
    (
        "cap_add: [CAP_NET_BIND_SERVICE]",
        "",
        "the service `sg` drops capabilities without `cap_add: [NET_BIND_SERVICE]`, so it cannot start",
        true,
    ),
    (
        "cap_drop: [ALL]",
        "healthcheck: {test: curl -k https://localhost/health}",
        "the service `sg` has a health check that needs a shell, which the image does not have",
        true,
    ),
    ("cap_drop: [ALL]", "deploy: {replicas: 2}", "the service `sg` has 2 replicas, not one", true),
    (
        "cap_drop: [ALL]",
        "deploy: {update_config: {order: start-first}}",
        "the service `sg` has `order: start-first`, but two instances need the same ports",
        false,
    ),
    (
        "SSL_CERT_FILE",
        "OTHER",
        "the service `sg` has no `SSL_CERT_FILE`, so it trusts none of the host's authorities",
        false,
    ),
    (
        "cap_drop: [ALL]",
        "restart: always",
        "the service `sg` has `restart`, which `docker stack deploy` ignores",
        false,
    ),
    (
        "/SecurityGateway, target",
        "/Other, target",
        "the service `sg` mounts `/var/log/Teradici/Other` in place of `/var/log/Teradici/SecurityGateway`",
        true,
    ),
    (
        "target: /var/log/Teradici/SecurityGateway",
        "target: /var/log/Teradici/SecurityGateway, read_only: true",
        "the service `sg` cannot write to `/var/log/Teradici/SecurityGateway`",
        true,
    ),
    (
        "target: /var/log/Teradici/SecurityGateway",
        "target: /logs",
        "the service `sg` does not mount `/var/log/Teradici/SecurityGateway`",
        true,
    ),
];

#[test]
fn every_problem_of_a_file_is_reported() {
    for (part, other, problem, is_error) in CHANGES {
        let text = WHOLE.replacen(part, other, 1);
        assert_ne!(text, WHOLE, "{part}");

        let lacks = lacks(&text, &[Role::Sg]);

        let expected = ((*problem).to_owned(), *is_error);
        assert!(lacks.contains(&expected), "{part} -> {other}: {lacks:#?}");
        // A variable without a value also makes its mounts invalid.
        assert!(lacks.len() == 1 || problem.contains("variable"), "{lacks:#?}");
    }
}

#[test]
fn without_the_hosts_network_ports_are_on_the_host() {
    let published = |ports: &str| {
        let text = WHOLE.replace("networks: [outside]", &format!("ports: {ports}"));
        lacks(&text, &[Role::Sg]).into_iter().map(|(lack, _)| lack).collect::<Vec<_>>()
    };
    let none = "is neither attached to the network `host` nor publishes";
    let ingress = "without `mode: host`, which hides clients' addresses";
    let host =
        |carried| format!("{{target: 4172, published: 4172, protocol: {carried}, mode: host}}");

    assert_eq!(published(&format!("[{}, {}]", host("tcp"), host("udp"))), [""; 0]);
    assert_eq!(
        published(&format!("[{}, \"4172:4172/udp\"]", host("tcp"))),
        [format!("the service `sg` publishes 4172/udp {ingress}")]
    );
    assert_eq!(
        published("[\"0.0.0.0:4170-4175:4170-4175\", 4172, \"4172:443/udp\"]"),
        [
            format!("the service `sg` publishes 4172/tcp {ingress}"),
            format!("the service `sg` {none} 4172/udp with `mode: host`"),
        ]
    );
}

#[test]
fn the_services_must_match_the_installed_roles() {
    let missing = ("the service `cm` is missing".to_owned(), true);
    let unwanted = ("the service `sg` is for a role that is not installed".to_owned(), false);
    assert_eq!(lacks(WHOLE, &[Role::Cm, Role::Sg]), std::slice::from_ref(&missing));
    assert_eq!(lacks(WHOLE, &[Role::Cm]), [missing, unwanted]);
}

#[test]
fn an_invalid_compose_file_is_refused() {
    let bomb = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{0}: &a{0} [*a{n}, *a{n}]\n", n + 1)
    });
    for (text, expected) in [
        ("", "it is not a list of `name: value` pairs"),
        ("- a", "it is not a list of `name: value` pairs"),
        (&"[".repeat(100_000), "it has more than 1000 opening brackets"),
        (&"x".repeat(300_000), "it is larger than 256 KiB"),
        (&"- ".repeat(10_000), "recursion limit exceeded"),
        (&bomb, "repetition limit exceeded"),
        ("a: b: c", "mapping values are not allowed"),
    ] {
        let lacks = lacks(text, &[Role::Sg]);
        assert_eq!(lacks.len(), 1);
        assert!(lacks[0].1 && lacks[0].0.contains(expected), "{lacks:?}");
    }
}

#[test]
fn the_size_of_a_file_is_limited() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(load(file.path()).unwrap(), "");
    file.as_file().set_len(300 * 1024).unwrap();

    let error = load(file.path()).unwrap_err().to_string();

    assert!(error.ends_with("is larger than 256 KiB"), "{error}");
    assert!(load(Path::new("/proc")).unwrap_err().to_string().ends_with("is not a regular file"));
    assert!(load(Path::new("/nowhere")).is_err());
}
