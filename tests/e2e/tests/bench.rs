//! Runs `cargo xtask bench abuse` and `bench cm` at a small scale, without checking the results.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use e2e::binaries;
use serde_json::Value;

/// Runs two of the attacks with a few connections and temporary files in this directory.
fn bench(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = binaries::command("xtask");
    command.args(["bench", "abuse", "--seconds", "1", "--scale", "0.01"]).arg("--binaries");
    command.arg(binaries::folder()).args(["--only", "hello-flood", "--only", "gateway-lockout"]);
    command.args(arguments).env("TMPDIR", folder).stdin(Stdio::null());
    command.output().expect("it can be run")
}

#[test]
fn a_scaled_down_run_finishes_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();

    let output = bench(folder.path(), &[]);

    let errors = String::from_utf8_lossy(&output.stderr);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{errors}");
    let first: Vec<_> = table.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(first, ["attack", "hello-flood", "gateway-lockout"], "{table}");
    let widths: Vec<_> = table.lines().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn its_document_has_figures_of_users_and_services() {
    let folder = tempfile::tempdir().unwrap();

    let output = bench(folder.path(), &["--output", "json"]);

    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], 1);
    let rows = document["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        for users in ["calm", "attacked"] {
            assert!(row[users]["attempted"].as_u64() > Some(0), "{row:#}");
        }
        assert!(row["calm"]["p99_ms"].as_f64() >= row["calm"]["p50_ms"].as_f64(), "{row:#}");
        assert!(row["kept"]["sent"].as_u64() > Some(0), "{row:#}");
        for service in ["connection_manager", "security_gateway"] {
            assert!(row[service]["rss_before_kib"].as_u64() > Some(0), "{row:#}");
        }
    }
    assert_eq!(rows[0]["second_factor"]["users"], 50);
    assert!(rows[0]["attackers"]["answered"].as_u64() > Some(0));
}

#[test]
fn log_ons_through_the_connection_manager_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = binaries::command("xtask");
    command.args(["bench", "cm", "--rounds", "1", "--seconds", "1", "--clients", "2"]);
    command.args(["--server", "manager", "--mode", "keep-alive", "--output", "json"]);
    command.args(["--only", "saturation", "--only", "half-load", "--binaries"]);
    command.arg(binaries::folder()).env("TMPDIR", folder.path()).stdin(Stdio::null());

    let output = command.output().expect("it can be run");

    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rounds = document["rounds"].as_array().unwrap();

    let expected = [("saturation", "manager"), ("half-load", "manager"), ("half-load", "direct")];
    assert_eq!(rounds.len(), expected.len(), "{document:#}");
    for ((stage, server), round) in expected.into_iter().zip(rounds) {
        assert_eq!((&round["stage"], &round["server"]), (&stage.into(), &server.into()));
        assert_eq!(round["errors"], 0, "{round:#}");
        assert!(round["log_ons"].as_u64() > Some(0), "{round:#}");
        assert!(round["allocate_us"][1].as_u64() >= round["allocate_us"][0].as_u64());
        assert_eq!(round["cpu_ms"].as_f64() > Some(0.0), server == "manager", "{round:#}");
    }
    assert!(document["disk"][0][0].as_u64() > Some(0), "{document:#}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}
