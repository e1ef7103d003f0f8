//! Runs one of the simulators, and prints its events as lines of JSON.

mod args;
mod lines;
mod stop;

use std::num::NonZeroU16;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use pcoip_sim::events::Events;
use pcoip_sim::{agent, broker, client};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use args::{AgentArguments, Arguments, BrokerArguments, Command};
use stop::InputEnd;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            lines::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Runs a command, and returns whether it succeeded.
async fn run(command: Command) -> anyhow::Result<bool> {
    let input_end = match &command {
        Command::Broker(BrokerArguments { stay: true, .. })
        | Command::Agent(AgentArguments { stay: true, .. }) => InputEnd::MeansNothing,
        Command::Broker(_) | Command::Agent(_) => InputEnd::Counts,
        Command::Client(_) => InputEnd::CountsIfHeld,
    };
    let stop = stop::when_told(input_end).context("failed to watch for signals")?;
    match command {
        Command::Broker(options) => {
            let mut broker = broker::start(options.into()).await?;
            relay(&mut broker.events, &stop).await;
            broker.stop().await;
            drain(&mut broker.events);
        }
        Command::Agent(options) => {
            let mut agent = agent::start(options.into()).await?;
            relay(&mut agent.events, &stop).await;
            agent.stop().await;
            drain(&mut agent.events);
        }
        Command::Client(options) => {
            let count = options.count;
            return walk(&options.try_into()?, count, stop).await;
        }
    }
    Ok(true)
}

async fn walk(
    options: &client::Options,
    count: NonZeroU16,
    stop: CancellationToken,
) -> anyhow::Result<bool> {
    let (sink, mut events) = Events::channel();
    let mut clients = JoinSet::new();
    for _ in 0..count.get() {
        let (options, sink, token) = (options.clone(), sink.clone(), stop.clone());
        clients.spawn(async move { client::walk_watched(&options, &sink, &token).await.ok });
    }
    drop(sink);
    let print = async {
        while let Some(event) = events.recv().await {
            if lines::print(&event).is_err() {
                stop.cancel();
            }
        }
    };
    let (all, ()) = tokio::join!(clients.join_all(), print);
    Ok(all.into_iter().all(|is_ok| is_ok))
}

/// Prints events until the stop signal, or until standard output is closed.
async fn relay<E: Serialize>(events: &mut UnboundedReceiver<E>, stop: &CancellationToken) {
    let print = async {
        while let Some(event) = events.recv().await {
            if lines::print(&event).is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = print => {}
    }
}

fn drain<E: Serialize>(events: &mut UnboundedReceiver<E>) {
    while let Ok(event) = events.try_recv() {
        if lines::print(&event).is_err() {
            return;
        }
    }
}
