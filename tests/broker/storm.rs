//! Requests of every kind and version with values nobody would send, and the same frames damaged, for a while.
//! `ODRADEK_STORM_SECONDS` says how long (5), `ODRADEK_STORM_SEED` which ones.

use crate::batches::{PRODUCE, batch, batch_of, produce, produce_request};
use crate::harness::Broker;
use crate::model::Message;
use crate::sample::{self, Random};
use crate::schema;
use crate::wire::Wire;
use odradek_protocol::api::ApiKey;
use odradek_protocol::frame;
use odradek_shards::record::Codec;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

const STORMERS: u64 = 4;
const FRAMES_PER_CONNECTION: usize = 12;
/// A stormer that takes no answers would only meet the broker's back pressure.
const ANSWERS_PATIENCE: Duration = Duration::from_millis(3);
/// What the process may grow by.
const GROWTH_MAX: usize = 64 << 20;

#[test]
fn a_storm_of_strange_requests_leaves_the_broker_as_it_was() {
    let mut broker = Broker::start_with(&["auto.create.topics.enable=false"]);
    broker.create_topic("t", 2);
    let until = Duration::from_secs(setting("ODRADEK_STORM_SECONDS", 5));
    let seed = setting("ODRADEK_STORM_SEED", 1);
    let requests = requests();
    let address = broker.address();
    let before = broker.resident_bytes();
    let mut bystander = broker.connect();
    let mut grown = 0;
    let sent: u64 = std::thread::scope(|scope| {
        let began = Instant::now();
        let requests = &requests;
        let stormers: Vec<_> = (0..STORMERS)
            .map(|nth| scope.spawn(move || storm(address, requests, Random(seed * STORMERS + nth), began + until)))
            .collect();
        while began.elapsed() < until {
            assert_eq!(produce(&mut bystander, "t", 0, batch(Codec::None, &["x"])).error_code, 0, "seed {seed}");
            grown = grown.max(broker.resident_bytes().saturating_sub(before));
            std::thread::sleep(Duration::from_millis(100));
        }
        stormers.into_iter().map(|stormer| stormer.join().expect("a stormer ends")).sum()
    });
    println!("{sent} frames sent, grown by {} KiB at most", grown / 1024);
    assert!(broker.is_alive(), "seed {seed}");
    assert!(!broker.log().contains("panicked"), "seed {seed}");
    assert!(grown < GROWTH_MAX, "grown by {grown}, seed {seed}");
    broker.restart();
    assert_eq!(produce(&mut broker.connect(), "t", 0, batch(Codec::None, &["y"])).error_code, 0, "seed {seed}");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The field tables of every request.
fn requests() -> Vec<Message> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/protocol/schemas/rpc");
    let files = fs::read_dir(folder).expect("the field tables are part of the source");
    let messages = files.map(|file| Message::new(schema::read(&file.expect("a readable directory").path())));
    messages.filter(|message| message.kind == "request").collect()
}

/// Connection after connection; returns how many frames went out.
fn storm(address: SocketAddr, requests: &[Message], mut random: Random, until: Instant) -> u64 {
    let mut sent = 0;
    while Instant::now() < until {
        let mut wire = Wire::connect(address);
        wire.set_patience(ANSWERS_PATIENCE);
        for _ in 0..1 + random.below(FRAMES_PER_CONNECTION) {
            let mut frame = whole(requests, &mut random);
            if random.below(2) == 0 {
                damage(&mut frame, &mut random);
            }
            wire.send_until_closed(&frame);
            sent += 1;
            let _ = wire.receive_frame();
        }
    }
    sent
}

/// A frame that parses, prefix included.
fn whole(requests: &[Message], random: &mut Random) -> Vec<u8> {
    if random.below(6) == 0 {
        return produce_frame(random);
    }
    let message = &requests[random.below(requests.len())];
    let key = message.api_key.expect("a request has a key");
    let versions = i32::from(message.valid.last) - i32::from(message.valid.first) + 1;
    let version = message.valid.first + i16::try_from(random.below(versions.max(1) as usize)).expect("few versions");
    let mut bytes = vec![0; 4];
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(b"\0\0\0\x07\xff\xff");
    let flexible = ApiKey::try_from(key).is_ok_and(|key| key.request_header_version(version) == 2);
    if flexible {
        bytes.push(0);
    }
    bytes.extend(sample::random(message, version, random.next()));
    sized(bytes)
}

/// Records with anything wrong but their checksum.
fn produce_frame(random: &mut Random) -> Vec<u8> {
    let values = ["storm", "of", "records"];
    let codec = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][random.below(5)];
    let mut records = match random.below(2) {
        0 => batch(codec, &values).to_vec(),
        _ => batch_of(random.below(8) as i64, random.below(4) as i32, &values).to_vec(),
    };
    for _ in 0..random.below(4) {
        let at = random.below(records.len());
        records[at] = random.next() as u8;
    }
    const CRC: std::ops::Range<usize> = 17..21;
    if random.below(4) > 0 {
        let sum = crc32c::crc32c(&records[CRC.end..]);
        records[CRC].copy_from_slice(&sum.to_be_bytes());
    }
    let acks = [0, 1, -1][random.below(3)];
    let request = produce_request("t", random.below(3) as i32, acks, records.into());
    frame::request(&request, PRODUCE, 7, None).expect("a request that encodes").concat()
}

fn damage(frame: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = 4 + random.below(frame.len() - 4);
        match random.below(5) {
            0 => frame[at] = random.next() as u8,
            1 => frame.truncate(at.max(5)),
            2 => frame.splice(at..at, [0xff; 5].into_iter().take(1 + random.below(5))).for_each(drop),
            3 => frame[at..].iter_mut().take(4).for_each(|byte| *byte = 0x7f),
            _ => {
                let copy = frame[at..].to_vec();
                frame.extend(copy);
            }
        }
    }
    // One in eight lies about its size, too.
    if random.below(8) > 0 {
        *frame = sized(std::mem::take(frame));
    }
}

fn sized(mut frame: Vec<u8>) -> Vec<u8> {
    let size = u32::try_from(frame.len() - 4).expect("a small frame");
    frame[..4].copy_from_slice(&size.to_be_bytes());
    frame
}
