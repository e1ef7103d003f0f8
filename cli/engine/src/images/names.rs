//! Names of images, on this host and in a registry.

use cmsg_config::socket::Role;

/// Registry part of the names of images from an archive. No such registry exists, so the engine
/// never looks for them elsewhere.
pub const LOCAL: &str = "localhost/pcoip-cmsg";

/// Last part of the name of a role's image, as in the administrators' guide: its commands that
/// remove images look for `*/pcoip-cm` and `*/sg`.
pub fn image_name(role: Role) -> &'static str {
    match role {
        Role::Cm => "pcoip-cm",
        Role::Sg => "sg",
    }
}

/// The name of a role's image in the registry `HOST[:PORT][/PATH]`.
pub fn reference(registry: &str, role: Role, version: &str) -> String {
    let (host, path) = match registry.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (registry, String::new()),
    };
    // The engine takes a first part without a dot or port for a user of its default registry.
    let port = if host == "localhost" || host.contains(['.', ':']) { "" } else { ":443" };
    format!("{host}{port}{path}/{}:{version}", image_name(role))
}

/// The registry's host and port in the name of an image, by which the engine looks up certificates.
pub(super) fn host(reference: &str) -> &str {
    reference.split('/').next().unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_never_mistaken_for_a_user_of_the_default_one() {
        for (registry, expected) in [
            ("registry.example:5000", "registry.example:5000/pcoip-cm:1.2.3"),
            ("registry.example/team/a", "registry.example/team/a/pcoip-cm:1.2.3"),
            ("localhost", "localhost/pcoip-cm:1.2.3"),
            ("mirror", "mirror:443/pcoip-cm:1.2.3"),
            ("mirror/a", "mirror:443/a/pcoip-cm:1.2.3"),
            ("mirror:5000/a", "mirror:5000/a/pcoip-cm:1.2.3"),
        ] {
            let reference = reference(registry, Role::Cm, "1.2.3");
            assert_eq!(reference, expected);
        }
        assert_eq!(reference("r.example", Role::Sg, "1"), "r.example/sg:1");
        assert_eq!(host("mirror:443/a/sg:1"), "mirror:443");
    }
}
