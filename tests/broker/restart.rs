//! What outlives the process.

use crate::batches::{batch, fetch, produce, records};
use crate::harness::Broker;
use odradek_shards::record::Codec;
use std::time::Duration;

fn fill(broker: &Broker) {
    broker.create_topic("t", 3);
    let mut wire = broker.connect();
    for turn in 0..30 {
        let told = produce(&mut wire, "t", turn % 3, batch(Codec::Lz4, &[&turn.to_string()]));
        assert_eq!(told.error_code, 0);
    }
}

fn check(broker: &Broker) {
    let mut wire = broker.connect();
    for partition in 0..3 {
        let mut found = Vec::new();
        while found.len() < 10 {
            found.extend(records(&fetch(&mut wire, "t", partition, found.len() as i64)));
        }
        let expected: Vec<(i64, String)> = (0..10).map(|n| (n, (n * 3 + i64::from(partition)).to_string())).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_clean_stop_keeps_everything_and_says_so() {
    let mut broker = Broker::start();
    fill(&broker);
    let took = broker.stop();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(broker.data().join(".kafka_cleanshutdown").exists());
    broker.restart();
    assert!(!broker.data().join(".kafka_cleanshutdown").exists());
    check(&broker);
}

#[test]
fn kill_nine_keeps_what_was_acknowledged() {
    let mut broker = Broker::start();
    fill(&broker);
    broker.kill();
    assert!(!broker.data().join(".kafka_cleanshutdown").exists());
    broker.restart();
    check(&broker);
    assert_eq!(produce(&mut broker.connect(), "t", 0, batch(Codec::None, &["next"])).base_offset, 10);
}

#[test]
fn a_second_broker_on_the_same_data_or_port_is_refused_with_the_remedy() {
    let broker = Broker::start();
    let start = |overrides: [String; 2]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_odradek"));
        command.arg("start");
        for setting in overrides {
            command.args(["--override", &setting]);
        }
        let output = command.output().expect("the binary was built for this test");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let log_dirs = format!("log.dirs={}", broker.data().display());
    let said = start([log_dirs, "listeners=PLAINTEXT://127.0.0.1:0".into()]);
    assert!(said.contains("is held by another process"), "{said}");
    let elsewhere = format!("log.dirs={}-2", broker.data().display());
    let said = start([elsewhere, format!("listeners=PLAINTEXT://{}", broker.address())]);
    assert!(said.contains("another process listens there"), "{said}");
}
