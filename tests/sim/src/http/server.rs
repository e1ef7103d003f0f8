//! Serves HTTP/1.1 on one connection.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use super::HttpError;
use super::body::{read_body, read_head};
use super::message::{Request, Response};
use crate::faults::Faults;

/// Responds to the requests of a connection, or plays faults, until either end closes it.
pub(crate) async fn serve<S>(stream: S, faults: &Faults, answer: impl Fn(&Request) -> Response)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    while let Ok(request) = timeout(IDLE, read_request(&mut stream)).await {
        let (response, closes) = match request {
            Ok(Some(request)) => {
                let (fault, own) = (faults.take(&request), answer(&request));
                if let Some(fault) = fault {
                    if faults.play(fault, &mut stream, own).await {
                        continue;
                    }
                    break;
                }
                (own, request.headers.closes())
            }
            Ok(None) | Err(HttpError::Io(_) | HttpError::Truncated) => break,
            Err(error) => (Response::xml(400, error.to_string()), true),
        };
        if stream.write_all(response.render().as_bytes()).await.is_err()
            || stream.flush().await.is_err()
            || closes
        {
            break;
        }
    }
    // The peer may have closed the connection already.
    let _ = stream.shutdown().await;
}

async fn read_request<S>(stream: &mut BufReader<S>) -> Result<Option<Request>, HttpError>
where
    S: AsyncRead + Unpin,
{
    let Some(head) = read_head(stream).await? else { return Ok(None) };
    let body = read_body(stream, &head.headers).await?;
    let [method, path, _] = head.start;
    Ok(Some(Request { method, path, headers: head.headers, body }))
}

/// Maximum time between two requests on a connection.
const IDLE: Duration = Duration::from_secs(300);
