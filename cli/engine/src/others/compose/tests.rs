use super::*;

/// Two services of the documented product, with one additional field of each kind.
fn stack() -> Others {
    let own = json!({ NAMESPACE: STACK });
    let manager = json!({ "ID": "s1", "Spec": {
        "Name": "pcoipcm_cm",
        "Labels": {
            NAMESPACE: STACK, "com.docker.stack.image": "vendor/pcoip-cm:25.03", "mine": "$1",
        },
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "vendor/pcoip-cm:25.03@sha256:1",
                "Labels": own,
                "Args": ["--fast"],
                "Command": ["/run", "${HOME}"],
                "Env": ["BROKER_URL=https://b", "PASSWORD=a$b"],
                "Mounts": [
                    { "Type": "bind", "Source": "/opt/certs", "Target": "/certs", "ReadOnly": true },
                    { "Type": "volume", "Source": "pcoipcm_data", "Target": "/data",
                      "VolumeOptions": { "Labels": own } },
                    { "Type": "volume", "Source": "theirs", "Target": "/theirs" },
                ],
                "StopGracePeriod": 10_000_000_000_u64,
                "Healthcheck": { "Test": ["CMD", "true"], "Interval": 5_000_000_000_u64 },
                "Hosts": ["192.0.2.1 broker b"],
                "DNSConfig": {},
                "Isolation": "default",
                "Init": false,
                "Secrets": [{ "SecretName": "token", "SecretID": "x",
                              "File": { "Name": "token", "UID": "0", "GID": "0", "Mode": 292 } }],
                "Privileges": { "CredentialSpec": null, "NoNewPrivileges": true },
            },
            "Resources": { "Limits": { "NanoCPUs": 1_500_000_000_u64, "MemoryBytes": 1024 } },
            "RestartPolicy": { "Condition": "any", "MaxAttempts": 0 },
            "Placement": { "Constraints": ["node.role==manager"], "Platforms": [{ "OS": "linux" }] },
            "Networks": [{ "Target": "n1", "Aliases": ["cm", "manager"] }],
            "LogDriver": { "Name": "json-file", "Options": { "max-size": "1m" } },
            "ForceUpdate": 3, "Runtime": "container",
        },
        "Mode": { "Replicated": { "Replicas": 1 } },
        "EndpointSpec": { "Mode": "vip", "Ports": [
            { "Protocol": "tcp", "TargetPort": 8443, "PublishedPort": 443, "PublishMode": "host" },
        ] },
    } });
    Others { services: vec![manager, gateway()], networks: networks(), containers: Vec::new() }
}

fn gateway() -> Value {
    json!({ "Spec": {
        "Name": "pcoipcm_sg",
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "vendor/sg:23.04",
                "Privileges": { "CredentialSpec": null, "SELinuxContext": null },
            },
            "Networks": [{ "Target": "n2" }],
        },
        "Mode": { "Global": {} },
    } })
}

fn networks() -> Vec<Value> {
    let own = json!({ NAMESPACE: STACK });
    vec![
        json!({ "Id": "n1", "Name": "pcoipcm_net", "Driver": "overlay", "Labels": own,
                "Attachable": true, "Options": { networks_given(): "4097", "encrypted": "" },
                "IPAM": { "Driver": "default", "Config": [
                    { "Subnet": "10.101.0.0/24", "Gateway": "10.101.0.1" } ] } }),
        json!({ "Id": "n2", "Name": "host", "Driver": "host" }),
    ]
}

fn networks_given() -> &'static str {
    "com.docker.network.driver.overlay.vxlanid_list"
}

fn rendered() -> (Value, Vec<String>) {
    let Written { text, lost } = stack().render().unwrap();
    (serde_yaml::from_str(&text).unwrap(), lost)
}

#[test]
fn a_stack_is_written_as_deployed() {
    let (file, _) = rendered();

    assert_eq!(
        file["services"]["cm"],
        json!({
            "image": "vendor/pcoip-cm:25.03@sha256:1",
            "command": ["--fast"],
            "entrypoint": ["/run", "$${HOME}"],
            "environment": ["BROKER_URL=https://b", "PASSWORD=a$$b"],
            "volumes": [
                { "type": "bind", "source": "/opt/certs", "target": "/certs", "read_only": true },
                { "type": "volume", "source": "data", "target": "/data" },
                { "type": "volume", "source": "theirs", "target": "/theirs" },
            ],
            "stop_grace_period": "10000000000ns",
            "healthcheck": { "test": ["CMD", "true"], "interval": "5000000000ns" },
            "extra_hosts": ["broker:192.0.2.1", "b:192.0.2.1"],
            "init": false,
            "secrets": [{ "source": "token", "target": "token", "uid": "0", "gid": "0",
                          "mode": 292 }],
            "logging": { "driver": "json-file", "options": { "max-size": "1m" } },
            "networks": { "net": { "aliases": ["manager"] } },
            "ports": [{ "target": 8443, "published": 443, "protocol": "tcp", "mode": "host" }],
            "deploy": {
                "labels": { "mine": "$$1" },
                "replicas": 1,
                "restart_policy": { "condition": "any", "max_attempts": 0 },
                "resources": { "limits": { "cpus": "1.500000000", "memory": "1024b" } },
                "placement": { "constraints": ["node.role==manager"] },
                "endpoint_mode": "vip",
            },
        })
    );
    assert_eq!(
        file["services"]["sg"],
        json!({ "image": "vendor/sg:23.04", "networks": { "host": null },
                "deploy": { "mode": "global" } })
    );
}

#[test]
fn own_networks_and_volumes_are_defined_and_others_referenced() {
    let (file, _) = rendered();

    assert_eq!(
        file["networks"],
        json!({
            "host": { "name": "host", "external": true },
            "net": { "name": "pcoipcm_net", "driver": "overlay", "attachable": true,
                     "driver_opts": { "encrypted": "" },
                     "ipam": { "config": [{ "subnet": "10.101.0.0/24" }] } },
        })
    );
    assert_eq!(
        file["volumes"],
        json!({ "data": { "name": "pcoipcm_data" },
                "theirs": { "name": "theirs", "external": true } })
    );
    assert_eq!(file["secrets"], json!({ "token": { "name": "token", "external": true } }));
    assert_eq!(stack().own_networks(), ["pcoipcm_net"]);
}

#[test]
fn unsupported_fields_are_reported_by_name() {
    let (_, lost) = rendered();

    assert_eq!(lost, ["pcoipcm_cm.TaskTemplate.ContainerSpec.Privileges"]);
}

#[test]
fn a_service_without_a_name_is_refused() {
    let stack = Others { services: vec![json!({ "Spec": {} })], ..Others::default() };

    assert_eq!(stack.render().unwrap_err().to_string(), "a service has no name");
}
