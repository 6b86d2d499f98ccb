//! The little of HTTP/1.1 that fetching a page takes: one GET per connection, bounded in size, time and number.

use super::pages::Pages;
use super::scrape::scrape;
use crate::handlers::Context;
use crate::log_limit::LogLimit;
use bytes::Bytes;
use futures_util::future::{Either, select};
use odradek_shards::runtime::net::{Accepted, Listener, Reaction, ReadHalf, WriteHalf, reaction};
use odradek_shards::runtime::sync::Notify;
use odradek_shards::runtime::{self, Class};
use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tracing::{debug, warn};

/// Of a request with all its headers.
const REQUEST_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
/// From the first byte to the last of the answer.
const TIME_MAX: Duration = Duration::from_secs(30);
const CONNECTIONS_MAX: usize = 16;
/// After the process ran out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Connections being answered.
#[derive(Default)]
struct Open {
    count: Cell<usize>,
    closed: Notify,
}

/// Answers as long as the shard runs. With as many connections open as may be, the next waits in the backlog.
pub async fn serve(listener: Listener, context: Rc<Context>) {
    let open = Rc::new(Open::default());
    let pages = Pages::new(move || Box::pin(scrape(context.clone())));
    let refused = LogLimit::default();
    loop {
        while open.count.get() == CONNECTIONS_MAX {
            open.closed.notified().await;
        }
        match listener.accept().await {
            Ok(accepted) => {
                open.count.set(open.count.get() + 1);
                let (open, pages) = (open.clone(), pages.clone());
                runtime::spawn_in(Class::Background, async move {
                    answer_in_time(accepted, &pages).await;
                    open.count.set(open.count.get() - 1);
                    open.closed.notify_all();
                });
            }
            Err(error) if reaction(&error) == Reaction::Continue => {}
            Err(error) => {
                if let Some(left_out) = refused.admit() {
                    warn!(%error, left_out, "cannot accept connections for metrics; raise the limit on open files (ulimit -n)");
                }
                runtime::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer_in_time(accepted: Accepted, pages: &Rc<Pages>) {
    let peer = accepted.peer();
    let answering = pin!(answer(accepted, pages));
    match select(answering, pin!(runtime::sleep(TIME_MAX))).await {
        Either::Left((Ok(()), _)) => {}
        Either::Left((Err(error), _)) => debug!(%peer, %error, "metrics were not fetched"),
        Either::Right(_) => debug!(%peer, "metrics were not fetched in time"),
    }
}

async fn answer(accepted: Accepted, pages: &Rc<Pages>) -> io::Result<()> {
    let (mut from, mut to) = accepted.adopt()?.split();
    let Some(request) = read_request(&mut from).await? else { return Ok(()) };
    let (status, body) = match wanted(&request) {
        Wanted::Metrics => {
            let Some(page) = pages.fetch().await else { return Ok(()) };
            return respond(&mut to, "200 OK", page.text.clone()).await;
        }
        Wanted::Nothing => ("404 Not Found", "metrics are at /metrics\n"),
        Wanted::Change => ("405 Method Not Allowed", "only GET is answered\n"),
        Wanted::Unclear => ("400 Bad Request", "this is not HTTP/1.1\n"),
    };
    respond(&mut to, status, Bytes::from_static(body.as_bytes())).await
}

/// Up to the end of its headers, or as much as is taken; None when there was nothing.
async fn read_request(from: &mut ReadHalf) -> io::Result<Option<Vec<u8>>> {
    let mut request = vec![0; REQUEST_BYTES_MAX];
    let mut filled = 0;
    while filled < request.len() {
        match from.read(&mut request[filled..]).await? {
            0 => break,
            read => filled += read,
        }
        if request[..filled].windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
    }
    request.truncate(filled);
    Ok((filled > 0).then_some(request))
}

#[derive(PartialEq, Eq, Debug)]
enum Wanted {
    Metrics,
    Nothing,
    Change,
    Unclear,
}

fn wanted(request: &[u8]) -> Wanted {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(_) => return Wanted::Unclear,
    }
    let path = parsed.path.and_then(|path| path.split('?').next());
    match (parsed.method, path) {
        (Some("GET"), Some("/metrics")) => Wanted::Metrics,
        (Some("GET"), _) => Wanted::Nothing,
        _ => Wanted::Change,
    }
}

async fn respond(to: &mut WriteHalf, status: &str, body: Bytes) -> io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {TEXT}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    to.write_pieces(vec![Bytes::from(head), body]).await?;
    to.shutdown()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_of_metrics_is_answered_with_them() {
        assert_eq!(wanted(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), Wanted::Metrics);
        assert_eq!(wanted(b"GET /metrics?name[]=a HTTP/1.0\r\n\r\n"), Wanted::Metrics);
        assert_eq!(wanted(b"GET / HTTP/1.1\r\n\r\n"), Wanted::Nothing);
        assert_eq!(wanted(b"POST /metrics HTTP/1.1\r\n\r\n"), Wanted::Change);
        assert_eq!(wanted(b"GET /metrics HTTP/1.1\r\n"), Wanted::Unclear);
        assert_eq!(wanted(b"\0\0\0\x1c\0\x12\0\x03"), Wanted::Unclear);
    }
}
