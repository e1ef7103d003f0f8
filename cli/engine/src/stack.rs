//! The stack file: both services in the host's network, as a user without privileges, with only the
//! documented directories of the host.

pub mod compose;

use anyhow::anyhow;
use cmsg_config::{
    Paths,
    socket::{DEPLOYMENT, Role},
};
use serde_json::{Map, Value, json};

use crate::{LABEL, LABEL_VALUE, STACK};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Directories on the host, which are the same in the containers.
    pub paths: Paths,
    /// User id and group id of the services.
    pub account: (u32, u32),
    /// Version of the product; informational.
    pub version: String,
    /// File with the CA certificates of the host.
    pub authorities: std::path::PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub role: Role,
    pub image: String,
    /// Name of the deployment: the service restarts if it changes.
    pub deployment: String,
    /// Memory limit in MiB.
    pub memory: u64,
}

/// Name of a role's service in the stack file.
pub fn service(role: Role) -> &'static str {
    match role {
        Role::Cm => "cm",
        Role::Sg => "sg",
    }
}

/// Name of a role's service at the engine, with the prefix of the stack.
#[must_use]
pub fn service_name(role: Role) -> String {
    format!("{STACK}_{}", service(role))
}

/// Name of the network with the range of `--docker-network-cidr`.
pub const NETWORK: &str = "pcoipcm_network";

const WRITTEN: &str = "# Written by pcoip-cmsg-setup.\n";
/// Label with the image that replaced the variables of a compose file.
const IMAGE_LABEL: &str = "pcoip-cmsg.image";

/// The variables with which the compose file below this overlay is deployed; none for a complete
/// stack.
#[must_use]
pub fn variables(overlay: &str) -> Vec<(&'static str, String)> {
    let file: Value = serde_yaml::from_str(overlay).unwrap_or_default();
    let variable = |role| {
        let image = &file["services"][service(role)]["deploy"]["labels"][IMAGE_LABEL];
        Some((compose::image_variable(role), image.as_str()?.to_owned()))
    };
    [Role::Cm, Role::Sg].into_iter().filter_map(variable).collect()
}

impl Stack {
    /// The overlay of an administrator's own compose file: the labels of the installer, and what
    /// the compose file does not define itself.
    ///
    /// # Errors
    ///
    /// If the compose file cannot be read.
    pub fn overlay(&self, services: &[Service], compose: &str) -> anyhow::Result<String> {
        let compose::Outline { version, services: theirs } =
            compose::outline(compose).map_err(|why| anyhow!("the compose file: {why}"))?;
        let mut all = Map::new();
        for theirs in theirs {
            let ours = services.iter().find(|it| service(it.role) == theirs.name);
            let marked = self.marked(ours, &theirs);
            all.insert(theirs.name, marked);
        }
        let overlay = json!({ "version": version, "services": all });
        Ok(format!("{WRITTEN}{}", serde_yaml::to_string(&overlay)?))
    }

    fn marked(&self, ours: Option<&Service>, theirs: &compose::Theirs) -> Value {
        let Some(Service { image, deployment, .. }) = ours else {
            return json!({ "deploy": { "labels": { LABEL: LABEL_VALUE } } });
        };
        let labels = json!({
            LABEL: LABEL_VALUE,
            "pcoip-cmsg.version": self.version,
            IMAGE_LABEL: image,
        });
        let mut marked = json!({
            "environment": { DEPLOYMENT: deployment },
            "deploy": { "labels": labels },
        });
        // A compose file from before this directory existed remains valid.
        if !theirs.has_folder(&self.paths.state()) {
            marked["volumes"] = json!([mount(&self.paths.state(), false)]);
        }
        if !theirs.has_user {
            let (user, group) = self.account;
            marked["user"] = json!(format!("{user}:{group}"));
        }
        marked
    }

    /// The stack file.
    ///
    /// # Errors
    ///
    /// If a path is not UTF-8.
    pub fn render(&self, services: &[Service]) -> Result<String, serde_yaml::Error> {
        let services: Map<_, _> =
            services.iter().map(|it| (service(it.role).to_owned(), self.service(it))).collect();
        let stack = json!({
            "version": "3.8",
            "services": services,
            "networks": { "hostnet": { "external": true, "name": "host" } },
        });
        Ok(format!("{WRITTEN}{}", serde_yaml::to_string(&stack)?))
    }

    fn service(&self, Service { role, image, deployment, memory }: &Service) -> Value {
        let role = *role;
        let (conf, logs) = match role {
            Role::Cm => {
                (self.paths.connection_manager_conf(), self.paths.connection_manager_logs())
            }
            Role::Sg => (self.paths.security_gateway_conf(), self.paths.security_gateway_logs()),
        };
        let (user, group) = self.account;
        let run = self.paths.run();
        let labels = json!({ LABEL: LABEL_VALUE, "pcoip-cmsg.version": self.version });
        json!({
            "image": image,
            "command": [role.command(), "--config", conf],
            "user": format!("{user}:{group}"),
            "read_only": true,
            // The file in the image requires the remaining capability; without it the kernel would not
            // even start the program.
            "cap_drop": ["ALL"],
            "cap_add": ["NET_BIND_SERVICE"],
            "networks": ["hostnet"],
            "environment": { "SSL_CERT_FILE": self.authorities, DEPLOYMENT: deployment },
            "volumes": [
                mount(&self.paths.certs(), true),
                // In the order in which the `docker` command sorts them when it merges files.
                mount(&self.paths.data(), true),
                mount(&run, false),
                mount(&self.paths.state(), false),
                mount(&logs, false),
            ],
            "healthcheck": {
                "test": ["CMD", "/pcoip-cmsgd", "healthcheck", "--run", run, "--role", service(role)],
                "interval": "10s",
                "timeout": "6s",
                "retries": 3,
                "start_period": "20s",
            },
            "stop_grace_period": "20s",
            "logging": { "driver": "json-file", "options": { "max-size": "10m", "max-file": "3" } },
            "deploy": {
                "replicas": 1,
                "labels": labels,
                "resources": { "limits": { "memory": format!("{memory}M") } },
                "restart_policy": { "condition": "any", "delay": "1s" },
                // Two tasks would use the same ports.
                "update_config": { "order": "stop-first", "failure_action": "continue" },
            },
        })
    }
}

fn mount(folder: &std::path::Path, is_read_only: bool) -> Value {
    json!({ "type": "bind", "source": folder, "target": folder, "read_only": is_read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> Stack {
        Stack {
            paths: Paths::under("/"),
            account: (977, 976),
            version: "1.2.3".to_owned(),
            authorities: "/opt/teradici/pcoipcm_data/certs/host-authorities.crt".into(),
        }
    }

    fn services(images: &[(Role, &str)]) -> Vec<Service> {
        let service = |(role, image): &(Role, &str)| Service {
            role: *role,
            image: (*image).to_owned(),
            deployment: format!("d-{image}"),
            memory: 1762,
        };
        images.iter().map(service).collect()
    }

    fn rendered(images: &[(Role, &str)]) -> Value {
        serde_yaml::from_str(&stack().render(&services(images)).unwrap()).unwrap()
    }

    #[test]
    fn both_services_run_unprivileged_in_the_hosts_network_with_only_their_directories() {
        let images = [(Role::Cm, "sha256:c"), (Role::Sg, "sha256:5")];

        let stack = rendered(&images);

        assert_eq!(stack["networks"]["hostnet"], json!({ "external": true, "name": "host" }));
        let base = "/opt/teradici/pcoipcm_data";
        for (name, image, conf, logs) in [
            ("cm", "sha256:c", "ConnectionManager.conf", "ConnectionManager"),
            ("sg", "sha256:5", "SecurityGateway.conf", "SecurityGateway"),
        ] {
            let service = &stack["services"][name];
            assert_eq!(service["image"], image);
            assert_eq!(service["environment"][DEPLOYMENT], format!("d-{image}"));
            assert_eq!(service["user"], "977:976");
            assert_eq!(service["read_only"], true);
            assert_eq!(service["cap_drop"], json!(["ALL"]));
            assert_eq!(service["cap_add"], json!(["NET_BIND_SERVICE"]));
            assert_eq!(service["networks"], json!(["hostnet"]));
            assert_eq!(service["command"][2], format!("{base}/data/{conf}"));
            assert_eq!(service["deploy"]["labels"][LABEL], LABEL_VALUE);
            assert_eq!(service["deploy"]["resources"]["limits"]["memory"], "1762M");
            let volumes = service["volumes"].as_array().unwrap();
            let mounted: Vec<_> = volumes
                .iter()
                .map(|volume| {
                    assert_eq!(volume["source"], volume["target"]);
                    (volume["source"].as_str().unwrap(), volume["read_only"].as_bool().unwrap())
                })
                .collect();
            let [certs, data, state] = ["certs", "data", "state"].map(|it| format!("{base}/{it}"));
            let (run, logs) = (format!("{base}/run"), format!("/var/log/Teradici/{logs}"));
            let expected = [
                (certs.as_str(), true),
                (&data, true),
                (&run, false),
                (&state, false),
                (&logs, false),
            ];
            assert_eq!(mounted, expected);
        }
    }

    #[test]
    fn a_role_that_is_not_installed_has_no_service() {
        let stack = rendered(&[(Role::Sg, "sha256:5")]);

        let names: Vec<_> = stack["services"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["sg"]);
    }

    #[test]
    fn an_overlay_does_not_repeat_the_compose_file() {
        let file = "version: '3.7'\nx-user: &user {user: '1:1'}\nservices:\n  cm: {image: x}\n  \
                    sg: {<<: *user, deploy: {labels: [a=b]}, volumes: ['/opt:/opt']}\n  shipper: {image: y}\n";
        let images = [(Role::Cm, "sha256:c"), (Role::Sg, "sha256:5")];

        let text = stack().overlay(&services(&images), file).unwrap();

        let labels = |image: &str| json!({ LABEL: LABEL_VALUE, "pcoip-cmsg.version": "1.2.3", IMAGE_LABEL: image });
        let expected = json!({
            "version": "3.7",
            "services": {
                "cm": {
                    "environment": { DEPLOYMENT: "d-sha256:c" },
                    "deploy": { "labels": labels("sha256:c") },
                    "user": "977:976",
                    "volumes": [mount(&Paths::under("/").state(), false)],
                },
                "sg": {
                    "environment": { DEPLOYMENT: "d-sha256:5" },
                    "deploy": { "labels": labels("sha256:5") },
                },
                "shipper": { "deploy": { "labels": { LABEL: LABEL_VALUE } } },
            },
        });
        assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap(), expected);
        let set = variables(&text);
        let pairs: Vec<_> = set.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(pairs, [("PCOIP_CM_IMAGE", "sha256:c"), ("PCOIP_SG_IMAGE", "sha256:5")]);
    }

    #[test]
    fn without_a_compose_file_no_variable_is_set() {
        let text = stack().render(&services(&[(Role::Cm, "sha256:c")])).unwrap();

        assert_eq!(variables(&text), []);
        assert_eq!(variables("["), []);
        assert!(
            stack().overlay(&[], "[").is_err() && stack().overlay(&[], "services: {}").is_err()
        );
    }
}
