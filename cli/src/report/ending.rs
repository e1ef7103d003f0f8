//! What stands at the end of a change that succeeded.

use cmsg_config::Paths;

use super::clients::{self, When};
use crate::{
    host::Facts,
    installation::layout,
    screen::wrap::{self, Width},
    wanted::{Certificate, Wanted},
};

/// Where everything is, and what an administrator does next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) facts: &'a Facts,
    /// Whether it is the end of an `install`.
    pub(crate) is_install: bool,
    /// Whether gateways on other hosts are explained though there are none.
    pub(crate) is_verbose: bool,
}

impl Ending<'_> {
    /// As wide as that.
    pub(crate) fn lines(&self, width: Width) -> String {
        let Self { wanted, facts, is_install, .. } = *self;
        let paths = wanted.place.paths();
        let row = |name: &str, value: String| (name.to_owned(), value);
        let mut rows = Vec::new();
        let gateway = || clients::gateway(wanted, facts, When::Installed);
        rows.extend(
            clients::url(wanted, facts, When::Installed)
                .or_else(gateway)
                .map(|it| row("Clients", it)),
        );
        rows.push(row("Logs", paths.logs().display().to_string()));
        rows.push(row("Certificates", paths.certs().display().to_string()));
        let mut text = wrap::table(&rows, 2, width);
        if is_install {
            text += &self.next(width);
        }
        text
    }

    /// What to do next.
    fn next(&self, width: Width) -> String {
        let Self { wanted, facts, .. } = *self;
        let words = layout::words(&wanted.place.paths(), wanted.place.runtime);
        let mut steps = Vec::new();
        if clients::url(wanted, facts, When::Installed).is_some() {
            steps.push(("Log on with a PCoIP client", None));
        }
        if wanted.certificate == Certificate::SelfSigned {
            let command = "--ssl-cert FILE --ssl-key FILE --ca-cert FILE";
            let command = format!("pcoip-cmsg-setup configure{words} {command}");
            steps.push(("Replace the self-signed certificate:", Some(command)));
        }
        let status = format!("pcoip-cmsg-setup status{words}");
        steps.push(("Check the services at any time:", Some(status)));
        let mut text = "\n\nNext steps".to_owned();
        for (what, command) in steps {
            text = format!("{text}\n{}", wrap::text(&format!("  - {what}"), width));
            if let Some(command) = command {
                text = format!("{text}\n{}", wrap::command(&command, 4, width));
            }
        }
        text + &self.gateways(&words, width) + &self.manager(width)
    }

    /// How gateways on other hosts and this Connection Manager come to trust each other.
    fn gateways(&self, words: &str, width: Width) -> String {
        let Some(manager) = &self.wanted.connection_manager else { return String::new() };
        if manager.external_gateways.is_empty() && !self.is_verbose {
            return String::new();
        }
        let paths = self.wanted.place.paths();
        let verifying = layout::verifying_certificates(&paths);
        // The other host has no such directory.
        let there = if self.wanted.place.is_swarm() { "" } else { " --runtime=host" };
        let install = format!(
            "pcoip-cmsg-setup install{there} --enable-connection-manager=false \
             --external-pcoip-ip IP --jwt-verifying-cert FILE --self-signed --accept-policies"
        );
        let fingerprint = fingerprint();
        let configure = format!(
            "pcoip-cmsg-setup configure{words} --external-sg-ip IP --external-sg-pin \
             IP=sha256:FINGERPRINT"
        );
        let steps = [
            (format!("Copy `{}` to the gateway's host and run:", verifying.display()), install),
            (
                "On the gateway's host, print the fingerprint of its certificate:".to_owned(),
                fingerprint,
            ),
            ("On this host, trust that fingerprint:".to_owned(), configure),
        ];
        let mut text = "\n\nFor each Security Gateway on another host".to_owned();
        for (index, (what, command)) in steps.iter().enumerate() {
            let what = wrap::text(&format!("  {}. {what}", index + 1), width);
            text = format!("{text}\n{what}\n{}", wrap::command(command, 5, width));
        }
        text
    }

    /// How a Connection Manager on another host comes to use this gateway.
    fn manager(&self, width: Width) -> String {
        if self.wanted.connection_manager.is_some() {
            return String::new();
        }
        let external = self.wanted.security_gateway.iter().flat_map(|it| &it.external);
        let ip = external.map(ToString::to_string).next().unwrap_or_else(|| "IP".to_owned());
        let configure = format!(
            "pcoip-cmsg-setup configure --external-sg-ip {ip} --external-sg-pin \
             {ip}=sha256:FINGERPRINT"
        );
        let print = wrap::text("  - Print the fingerprint of this gateway's certificate:", width);
        let there = wrap::text("  - On the Connection Manager's host, use this gateway:", width);
        format!(
            "\n{print}\n{}\n{there}\n{}",
            wrap::command(&fingerprint_of(&self.wanted.place.paths()), 4, width),
            wrap::command(&configure, 4, width)
        )
    }
}

fn fingerprint() -> String {
    fingerprint_of(&Paths::under("/"))
}

fn fingerprint_of(paths: &Paths) -> String {
    let certificate = layout::certificate(paths);
    format!("openssl x509 -noout -fingerprint -sha256 -in {}", certificate.display())
}
