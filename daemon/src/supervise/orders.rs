//! Orders about a role, which arrive on the supervisor's socket and are answered when they are
//! carried out.

use std::{future::pending, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use cmsg_config::socket::{Role, Supervised, SupervisedRole};
use tokio::sync::{mpsc, oneshot, watch};
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

/// The orders about one role, and what is reported about it.
#[derive(Debug)]
pub(super) struct Orders {
    orders: mpsc::Receiver<Order>,
    reported: watch::Sender<SupervisedRole>,
}

impl Orders {
    pub(super) async fn next(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            None => pending().await,
        }
    }

    /// Publishes the state of the role for `GET /roles`.
    pub(super) fn report(&self, runs: bool, crashes: u32) {
        self.reported.send_replace(SupervisedRole { runs, crashes });
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
pub(super) struct OrderRouter(Vec<Entry>);

type Entry = (Role, mpsc::Sender<Order>, watch::Receiver<SupervisedRole>);

impl OrderRouter {
    /// A new queue of orders about this role.
    pub(super) fn orders_for(&mut self, role: Role) -> Orders {
        let (sender, orders) = mpsc::channel(1);
        let (reported, state) = watch::channel(SupervisedRole::default());
        self.0.push((role, sender, state));
        Orders { orders, reported }
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
        let router = Router::new()
            .route("/{order}/{role}", post(take))
            .route("/roles", get(roles))
            .with_state(Arc::new(self));
        local::serve(socket, router, shutdown).await
    }

    async fn give(&self, role: Role, runs: bool) -> Option<()> {
        let (_, sender, _) = self.0.iter().find(|(other, ..)| *other == role)?;
        let (done, is_done) = oneshot::channel();
        sender.send(Order { runs, done }).await.ok()?;
        is_done.await.ok()
    }
}

async fn roles(State(router): State<Arc<OrderRouter>>) -> Json<Supervised> {
    let state = |role| {
        let entry = router.0.iter().find(|(other, ..)| *other == role);
        entry.map(|(.., state)| *state.borrow()).unwrap_or_default()
    };
    Json(Supervised { cm: state(Role::Cm), sg: state(Role::Sg) })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cmsg_config::socket::supervised;

    use super::*;

    #[tokio::test]
    async fn the_supervisor_reports_which_role_crashes() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().to_owned();
        let mut router = OrderRouter::default();
        let gateway = router.orders_for(Role::Sg);
        gateway.report(true, 3);
        let shutdown = CancellationToken::new();
        let socket = local::Socket::bind_supervisor(&folder).unwrap();
        let answering = tokio::spawn(router.answer(socket, shutdown.clone()));

        let ask = move || supervised(&folder, Duration::from_secs(5));
        let reported = tokio::task::spawn_blocking(ask).await.unwrap().unwrap();

        let sg = SupervisedRole { runs: true, crashes: 3 };
        assert_eq!(reported, Supervised { sg, ..Supervised::default() });
        shutdown.cancel();
        answering.await.unwrap().unwrap();
    }
}
