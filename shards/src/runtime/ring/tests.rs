use super::*;
use crate::runtime::executors::tests::{TempDir, on_executor};
use crate::runtime::net::{Listener, Options, ReadHalf, Stream, connect};
use crate::runtime::sync::oneshot;
use crate::runtime::{Class, Directory, OpenMode, blocking, sleep, spawn_in, spawn_joined, yield_now};
use futures_util::future::join_all;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Pending once, handing its waker to `to`.
fn hand_out_waker(to: mpsc::Sender<Waker>) -> impl Future<Output = ()> {
    let mut handed = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut handed, true) {
            return Poll::Ready(());
        }
        to.send(cx.waker().clone()).unwrap();
        Poll::Pending
    })
}

#[test]
fn another_thread_wakes_an_executor_that_sleeps_every_time() {
    let (to, from) = mpsc::channel::<Waker>();
    let other = std::thread::spawn(move || from.into_iter().for_each(Waker::wake));
    on_executor(move || async move {
        for _ in 0..2000 {
            hand_out_waker(to.clone()).await;
        }
    });
    other.join().unwrap();
}

#[test]
fn another_thread_wakes_a_task_of_an_executor_that_is_busy() {
    let (to, from) = mpsc::channel::<Waker>();
    let other = std::thread::spawn(move || from.into_iter().for_each(Waker::wake));
    on_executor(move || async move {
        let done = Rc::new(Cell::new(false));
        let seen = done.clone();
        spawn_in(Class::Background, async move {
            for _ in 0..100 {
                hand_out_waker(to.clone()).await;
            }
            seen.set(true);
        });
        while !done.get() {
            yield_now().await;
        }
    });
    other.join().unwrap();
}

#[test]
fn a_wake_after_the_end_of_the_executor_is_harmless() {
    let (to, from) = mpsc::channel::<Waker>();
    on_executor(move || async move {
        spawn_in(Class::Data, hand_out_waker(to));
        yield_now().await;
    });
    from.recv().unwrap().wake();
}

#[test]
fn tasks_that_wait_at_the_end_are_dropped() {
    let waited = on_executor(|| async {
        struct Tell(mpsc::Sender<&'static str>, &'static str);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.send(self.1).unwrap();
            }
        }
        let (to, from) = mpsc::channel();
        let listener = listener();
        let (timer, socket, ready) = (Tell(to.clone(), "timer"), Tell(to.clone(), "socket"), Tell(to, "ready"));
        spawn_in(Class::Data, async move {
            sleep(Duration::from_secs(3600)).await;
            drop(timer);
        });
        spawn_in(Class::Data, async move {
            let _ = listener.accept().await;
            drop(socket);
        });
        yield_now().await;
        spawn_in(Class::Data, async move { drop(ready) });
        from
    });
    let mut dropped: Vec<_> = waited.into_iter().collect();
    dropped.sort_unstable();
    assert_eq!(dropped, ["ready", "socket", "timer"]);
}

#[test]
fn a_port_is_free_when_its_executor_has_ended() {
    let address = on_executor(|| async {
        let listener = listener();
        let address = listener.local_address();
        spawn_in(Class::Data, async move {
            let _ = listener.accept().await;
        });
        yield_now().await;
        address
    });
    assert!(std::net::TcpListener::bind(address).is_ok());
}

fn listener() -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap(), Options::default()).unwrap()
}

/// A connection to this executor whose other end blocks, on a thread that runs `body`.
async fn with_peer(body: impl FnOnce(std::net::TcpStream) + Send + 'static) -> (Stream, std::thread::JoinHandle<()>) {
    let listener = listener();
    let address = listener.local_address();
    let peer = std::thread::spawn(move || body(std::net::TcpStream::connect(address).unwrap()));
    (listener.accept().await.unwrap().adopt().unwrap(), peer)
}

/// Reads `count` times three bytes of a peer that waits for an answer each time, after doing `before` with them.
async fn answer_threes(count: u8, before: impl Fn(&mut ReadHalf, u8)) -> (ReadHalf, std::thread::JoinHandle<()>) {
    let (stream, peer) = with_peer(move |mut peer| {
        for n in 0..count {
            peer.write_all(&[n; 3]).unwrap();
            peer.read_exact(&mut [0; 1]).unwrap();
        }
    })
    .await;
    let (mut reading, mut writing) = stream.split();
    let mut into = [0; 100];
    for n in 0..count {
        before(&mut reading, n);
        let mut got = 0;
        while got < 3 {
            got += reading.read(&mut into[got..]).await.unwrap();
        }
        assert_eq!(into[..3], [n; 3]);
        writing.write_all(b"!").await.unwrap();
    }
    (reading, peer)
}

/// A connection that dozes, whose other end waits for it to close.
async fn dozing() -> (ReadHalf, std::thread::JoinHandle<()>) {
    let (stream, peer) = with_peer(|mut peer| {
        peer.write_all(b"here").unwrap();
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    })
    .await;
    let mut reading = stream.split().0;
    reading.read(&mut [0; 10]).await.unwrap();
    reading.doze(true);
    (reading, peer)
}

#[test]
fn an_end_that_came_together_with_the_last_bytes_is_seen() {
    on_executor(|| async {
        for _ in 0..50 {
            let (stream, peer) = with_peer(|mut peer| peer.write_all(b"last").unwrap()).await;
            let mut reading = stream.split().0;
            peer.join().unwrap();
            let mut into = [0; 100];
            assert_eq!(reading.read(&mut into).await.unwrap(), 4);
            assert_eq!(reading.read(&mut into).await.unwrap(), 0);
        }
    });
}

#[test]
fn what_arrives_after_a_short_read_is_seen() {
    on_executor(|| async {
        let (mut reading, peer) = answer_threes(250, |_, _| {}).await;
        assert_eq!(reading.read(&mut [0; 1]).await.unwrap(), 0);
        peer.join().unwrap();
    });
}

#[test]
fn a_reader_dropped_while_it_waits_loses_nothing() {
    on_executor(|| async {
        let (go, gone) = mpsc::channel::<()>();
        let (stream, peer) = with_peer(move |mut peer| {
            gone.recv().unwrap();
            peer.write_all(b"here").unwrap();
        })
        .await;
        let mut reading = stream.split().0;
        let mut into = [0; 10];
        {
            let mut read = std::pin::pin!(reading.read(&mut into));
            assert!(poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
        }
        go.send(()).unwrap();
        assert_eq!(reading.read(&mut into).await.unwrap(), 4);
        peer.join().unwrap();
    });
}

#[test]
fn a_connection_closes_though_its_writer_waits_for_room() {
    on_executor(|| async {
        let (stream, peer) = with_peer(|mut peer| {
            // Reads nothing until the other side has given up.
            std::thread::sleep(Duration::from_millis(20));
            while peer.read(&mut [0; 65536]).is_ok_and(|read| read > 0) {}
        })
        .await;
        let (reading, mut writing) = stream.split();
        let full = vec![0; 64 << 20];
        {
            let mut write = std::pin::pin!(writing.write_all(&full));
            assert!(poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx).is_pending())).await);
        }
        drop((reading, writing));
        blocking(move || peer.join().unwrap()).await;
    });
}

#[test]
fn what_comes_while_a_connection_dozes_is_read_and_so_is_what_was_there_before() {
    on_executor(|| async {
        // Falls asleep and rises while the next bytes are on their way, or there.
        let (mut reading, peer) = answer_threes(40, |reading, n| reading.doze(n % 8 >= 3)).await;
        reading.doze(true);
        assert_eq!(reading.read(&mut [0; 1]).await.unwrap(), 0, "the end is heard of, too");
        peer.join().unwrap();
    });
}

#[test]
fn a_crowd_that_dozes_is_heard_whole() {
    const CROWD: usize = 600;
    on_executor(|| async {
        let listener = listener();
        let (mut peers, mut heard) = (Vec::new(), Vec::new());
        for _ in 0..CROWD {
            peers.push(connect(listener.local_address()).await.unwrap().split());
            let mut reading = listener.accept().await.unwrap().adopt().unwrap().split().0;
            heard.push(spawn_joined(async move {
                let mut read = Vec::new();
                for _ in 0..2 {
                    let mut into = [0; 10];
                    let got = reading.read(&mut into).await.unwrap();
                    read.extend_from_slice(&into[..got]);
                    reading.doze(true);
                }
                read
            }));
        }
        for text in [b"a", b"b"] {
            for (_, writing) in &mut peers {
                writing.write_all(text).await.unwrap();
            }
            // Until all have read the first, and doze.
            sleep(Duration::from_millis(30)).await;
        }
        assert!(join_all(heard).await.iter().all(|read| read == b"ab"));
    });
}

#[test]
fn a_connection_dropped_while_it_dozes_closes() {
    on_executor(|| async {
        let (reading, peer) = dozing().await;
        drop(reading);
        blocking(move || peer.join().unwrap()).await;
    });
}

#[test]
fn a_task_that_dozes_at_the_end_is_dropped() {
    let (to, from) = mpsc::channel::<()>();
    let peer = on_executor(move || async move {
        let (mut reading, peer) = dozing().await;
        spawn_in(Class::Data, async move {
            let _ = reading.read(&mut [0; 10]).await;
            drop(to);
        });
        yield_now().await;
        peer
    });
    assert!(from.recv().is_err());
    peer.join().unwrap();
}

const WRITE: OpenMode = OpenMode::Write { create: true, synced: false };

#[test]
fn more_operations_than_the_ring_takes_at_once_all_finish() {
    let dir = TempDir::new();
    let path = dir.path().to_owned();
    on_executor(move || async move {
        let file = Directory::open(&path).await.unwrap().open_file("f", WRITE).await.unwrap();
        file.pre_allocate(2000 * 4096).await.unwrap();
        let written = (0..2000u64).map(|block| {
            let mut buffer = file.allocate(4096);
            buffer.fill(block as u8);
            file.write_at(buffer, block * 4096)
        });
        assert!(join_all(written).await.iter().all(Result::is_ok));
        let read = file.read_at(0, 2000 * 4096).await.unwrap();
        assert!(read.chunks(4096).enumerate().all(|(block, bytes)| bytes == [block as u8; 4096]));
    });
}

#[test]
fn what_nobody_waits_for_any_more_is_finished_and_let_go() {
    let dir = TempDir::new();
    let path = dir.path().to_owned();
    on_executor(move || async move {
        let dir = Directory::open(&path).await.unwrap();
        let file = dir.open_file("f", WRITE).await.unwrap();
        let mut buffer = file.allocate(1 << 20);
        buffer.fill(7);
        file.write_at(buffer, 0).await.unwrap();
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        for _ in 0..50 {
            let mut read = Box::pin(file.read_at(0, 1 << 20));
            let mut opening = Box::pin(dir.open_file("f", OpenMode::Read));
            poll_fn(|cx| Poll::Ready((read.as_mut().poll(cx).is_ready(), opening.as_mut().poll(cx).is_ready()))).await;
        }
        let mut left = usize::MAX;
        for _ in 0..1000 {
            sleep(Duration::from_millis(1)).await;
            left = super::executor::current().ring.borrow().in_flight();
            // The bell of the executor is polled for ever.
            if left == 1 {
                break;
            }
        }
        assert_eq!(left, 1);
        assert!(open() < 500, "descriptors opened for nobody are closed");
        assert_eq!(file.read_at(0, 10).await.unwrap()[..], [7; 10]);
    });
}

#[test]
fn a_task_that_always_has_work_does_not_keep_io_from_being_seen() {
    let dir = TempDir::new();
    let path = dir.path().to_owned();
    on_executor(move || async move {
        let file = Directory::open(&path).await.unwrap().open_file("f", WRITE).await.unwrap();
        let (done, is_done) = oneshot();
        spawn_in(Class::Background, async move {
            let buffer = file.allocate(4096);
            done.send(file.write_at(buffer, 0).await.is_ok());
        });
        let busy = Rc::new(Cell::new(true));
        let goes_on = busy.clone();
        let worker = spawn_joined(async move {
            while goes_on.get() {
                yield_now().await;
            }
        });
        assert_eq!(is_done.await, Ok(true));
        busy.set(false);
        worker.await;
    });
}

#[test]
#[should_panic(expected = "on a blocking thread panicked")]
fn who_waits_for_blocking_work_hears_of_its_panic() {
    let waiter = std::thread::spawn(|| {
        let setup = Setup { spin: Duration::ZERO, blocking_threads: 1, prepare: || {} };
        run(setup, || crate::runtime::blocking(|| panic!("planned"))).unwrap()
    });
    std::panic::resume_unwind(waiter.join().unwrap_err());
}

#[test]
fn blocking_work_runs_in_the_order_of_arrival_and_all_of_it_before_the_end() {
    let (to, from) = mpsc::channel();
    let setup = Setup { spin: Duration::ZERO, blocking_threads: 1, prepare: || {} };
    let body = move || {
        run(setup, || async move {
            for n in 0..100 {
                let to = to.clone();
                drop(super::blocking(move || to.send(n).unwrap()));
            }
        })
    };
    std::thread::spawn(body).join().unwrap().unwrap();
    assert!(from.into_iter().eq(0..100));
}

#[test]
fn connecting_to_nobody_fails() {
    on_executor(|| async {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = connect(free).await.err().unwrap();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}
