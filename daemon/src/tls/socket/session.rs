//! What the client's and the server's side of the library have in common.

use rustls::{
    CommonState,
    client::{ClientConnectionData, UnbufferedClientConnection},
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::UnbufferedStatus,
};

/// One side of the protocol.
pub(crate) trait Session {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn common(&self) -> &CommonState;
}

/// Both types have these methods, but no trait for them.
macro_rules! session {
    ($connection:ty, $data:ty) => {
        impl Session for $connection {
            type Data = $data;

            fn process<'c, 'i>(
                &'c mut self,
                incoming: &'i mut [u8],
            ) -> UnbufferedStatus<'c, 'i, Self::Data> {
                self.process_tls_records(incoming)
            }

            fn common(&self) -> &CommonState {
                self
            }
        }
    };
}

session!(UnbufferedServerConnection, ServerConnectionData);
session!(UnbufferedClientConnection, ClientConnectionData);
