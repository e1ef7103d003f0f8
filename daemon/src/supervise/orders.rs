//! Orders about a role, which arrive on the supervisor's socket and are answered when they are
//! carried out.

use std::{future::pending, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use cmsg_config::socket::Role;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::local;

/// An order about a role.
#[derive(Debug)]
pub(super) struct Order {
    /// Whether the role should run.
    pub(super) runs: bool,
    done: oneshot::Sender<()>,
}

impl Order {
    /// Reports that the order is carried out.
    pub(super) fn done(self) {
        // The client may have disconnected.
        let _ = self.done.send(());
    }
}

/// The orders about one role.
#[derive(Debug)]
pub(super) struct Orders(mpsc::Receiver<Order>);

impl Orders {
    pub(super) async fn next(&mut self) -> Order {
        match self.0.recv().await {
            Some(order) => order,
            None => pending().await,
        }
    }

    /// The next order to stop. An order to start a running role is answered immediately.
    pub(super) async fn next_stop(&mut self) -> Order {
        loop {
            let order = self.next().await;
            if !order.runs {
                return order;
            }
            order.done();
        }
    }
}

/// Where orders come in.
#[derive(Debug, Default, Clone)]
pub(super) struct OrderRouter(Vec<(Role, mpsc::Sender<Order>)>);

impl OrderRouter {
    /// A new queue of orders about this role.
    pub(super) fn orders_for(&mut self, role: Role) -> Orders {
        let (sender, receiver) = mpsc::channel(1);
        self.0.push((role, sender));
        Orders(receiver)
    }

    /// Serves orders until the shutdown.
    ///
    /// # Errors
    ///
    /// If the socket cannot be served.
    pub(super) async fn answer(
        self,
        socket: local::Socket,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let router = Router::new().route("/{order}/{role}", post(take)).with_state(Arc::new(self));
        local::serve(socket, router, shutdown).await
    }

    async fn give(&self, role: Role, runs: bool) -> Option<()> {
        let (_, sender) = self.0.iter().find(|(other, _)| *other == role)?;
        let (done, is_done) = oneshot::channel();
        sender.send(Order { runs, done }).await.ok()?;
        is_done.await.ok()
    }
}

async fn take(
    State(router): State<Arc<OrderRouter>>,
    Path((order, role)): Path<(String, String)>,
) -> StatusCode {
    let runs = match order.as_str() {
        "start" => true,
        "stop" => false,
        _ => return StatusCode::NOT_FOUND,
    };
    let role = match role.as_str() {
        "cm" => Role::Cm,
        "sg" => Role::Sg,
        _ => return StatusCode::NOT_FOUND,
    };
    match router.give(role, runs).await {
        Some(()) => StatusCode::OK,
        None => StatusCode::SERVICE_UNAVAILABLE,
    }
}
