use super::*;
use crate::runtime::executors::tests::on_executor;
use crate::runtime::{sleep, spawn, spawn_joined};
use bytes::Bytes;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Both ends of a fresh connection: (client, server).
async fn connected() -> (Stream, Stream) {
    let listener = Listener::bind(any_port(), Options::default()).unwrap();
    let client = connect(listener.local_address()).await.unwrap();
    (client, listener.accept().await.unwrap().adopt().unwrap())
}

async fn read_to_end(mut from: ReadHalf) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 10_000]);
    loop {
        match from.read(&mut buffer).await.unwrap() {
            0 => return all,
            read => all.extend_from_slice(&buffer[..read]),
        }
    }
}

#[test]
fn bytes_arrive_in_order_and_the_end_after_them() {
    on_executor(|| async {
        let (client, server) = connected().await;
        let (reading, _writing) = server.split();
        let received = spawn_joined(read_to_end(reading));
        let (_reading, mut writing) = client.split();
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        writing.write_all(&sent).await.unwrap();
        writing.shutdown().unwrap();
        assert!(received.await == sent);
    });
}

#[test]
fn a_frame_in_pieces_arrives_whole_even_at_a_slow_reader() {
    on_executor(|| async {
        let (client, server) = connected().await;
        let pieces: Vec<Bytes> = (0..500usize).map(|n| Bytes::from(vec![n as u8; n * 37 % 50_000])).collect();
        let expected = pieces.concat();
        let (_reading, mut writing) = client.split();
        spawn(async move {
            writing.write_pieces(pieces).await.unwrap();
            writing.write_pieces(vec![]).await.unwrap();
            writing.write_pieces(vec![Bytes::new()]).await.unwrap();
            writing.shutdown().unwrap();
        });
        sleep(Duration::from_millis(5)).await;
        assert!(read_to_end(server.split().0).await == expected);
    });
}

#[test]
fn both_halves_work_at_once_in_two_tasks() {
    on_executor(|| async {
        let (client, server) = connected().await;
        let (mut echo_reading, mut echo_writing) = server.split();
        spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok(read @ 1..) = echo_reading.read(&mut buffer).await {
                echo_writing.write_all(&buffer[..read]).await.unwrap();
            }
        });
        let (reading, mut writing) = client.split();
        let echoed = spawn_joined(read_to_end(reading));
        // More than the sockets buffer: it only ends when reading goes on meanwhile.
        writing.write_all(&vec![7; 20_000_000]).await.unwrap();
        writing.shutdown().unwrap();
        assert_eq!(echoed.await.len(), 20_000_000);
    });
}

#[test]
fn a_closer_ends_a_read_in_another_task() {
    on_executor(|| async {
        let (_client, server) = connected().await;
        let closer = server.closer();
        let (mut reading, writing) = server.split();
        let read = spawn_joined(async move { reading.read(&mut [0; 10]).await.unwrap() });
        sleep(Duration::from_millis(1)).await;
        closer.close();
        assert_eq!(read.await, 0);
        drop(writing);
        closer.close();
    });
}

#[test]
fn dropping_both_halves_closes_the_connection() {
    on_executor(|| async {
        let (client, server) = connected().await;
        let (reading, writing) = server.split();
        drop(reading);
        drop(writing);
        assert!(read_to_end(client.split().0).await.is_empty());
    });
}

#[test]
fn dropping_what_was_accepted_closes_the_connection() {
    on_executor(|| async {
        let listener = Listener::bind(any_port(), Options::default()).unwrap();
        let client = connect(listener.local_address()).await.unwrap();
        drop(listener.accept().await.unwrap());
        assert!(read_to_end(client.split().0).await.is_empty());
    });
}

#[test]
fn an_accepted_connection_is_served_by_another_thread() {
    on_executor(|| async {
        let listener = Listener::bind(any_port(), Options::default()).unwrap();
        let (reading, mut writing) = connect(listener.local_address()).await.unwrap().split();
        let accepted = listener.accept().await.unwrap();
        assert!(accepted.peer().ip().is_loopback());
        let server = std::thread::spawn(move || {
            on_executor(|| async {
                let (reading, mut writing) = accepted.adopt().unwrap().split();
                writing.write_all(b"hello").await.unwrap();
                writing.shutdown().unwrap();
                read_to_end(reading).await
            })
        });
        writing.write_all(b"from afar").await.unwrap();
        writing.shutdown().unwrap();
        assert_eq!(read_to_end(reading).await, b"hello");
        assert_eq!(server.join().unwrap(), b"from afar");
    });
}

#[test]
fn accepting_and_closing_leaks_no_descriptor() {
    on_executor(|| async {
        let listener = Listener::bind(any_port(), Options::default()).unwrap();
        let mut ports = std::collections::BTreeSet::new();
        for _ in 0..2_000 {
            let client = connect(listener.local_address()).await.unwrap();
            ports.insert(client.peer().port());
            drop(listener.accept().await.unwrap().adopt().unwrap());
            drop(client);
        }
        // Lowest free number first: a leak of one per round would have used them up.
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(std::os::fd::AsRawFd::as_raw_fd(&file) < 1_500);
    });
}

#[test]
fn a_taken_port_is_an_error_with_the_remedy() {
    on_executor(|| async {
        let first = Listener::bind(any_port(), Options::default()).unwrap();
        let error = Listener::bind(first.local_address(), Options::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains("listeners"), "{error}");
    });
}

#[test]
fn the_unspecified_address_serves_both_families() {
    on_executor(|| async {
        let options = Options { backlog: 5, send_buffer_bytes: Some(65_536), receive_buffer_bytes: Some(65_536) };
        let Ok(listener) = Listener::bind("[::]:0".parse().unwrap(), options) else {
            return; // A machine without IPv6.
        };
        let port = listener.local_address().port();
        connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
        assert!(listener.accept().await.unwrap().peer().ip().to_canonical().is_loopback());
    });
}

#[test]
fn acceptors_learn_when_to_pause_and_when_to_stop() {
    let react = |errno| reaction(&io::Error::from_raw_os_error(errno));
    assert_eq!(react(libc::EMFILE), Reaction::Pause);
    assert_eq!(react(libc::ECONNABORTED), Reaction::Continue);
    assert_eq!(react(libc::EBADF), Reaction::Stop);
}
