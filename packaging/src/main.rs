//! `cargo xtask …`: the project's own commands, one module each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod binaries;
mod demo;
mod dist;
mod images;
mod screen;
mod statics;
mod test;

/// Build, demonstrate and test the product
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the services under load
    Bench(bench::Options),
    /// Install both services in a temporary root and run a simulated session
    Demo(demo::Options),
    /// Create packages, repositories, bundles, checksums and the software bill of materials
    Dist(dist::Options),
    /// Create the container images
    Images(images::Options),
    /// Draw the pictures of the documentation
    Pictures,
    /// Run all tests
    Test(test::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Dist(options) => dist::run(&options),
        Command::Images(options) => images::run(&options),
        Command::Pictures => demo::pictures::run(),
        Command::Test(options) => test::run(&options),
    };
    outcome.unwrap_or_else(|error| {
        screen::error(&error);
        ExitCode::FAILURE
    })
}
