//! What a message between shards costs without the wake of a sleeping thread: both ends on one simulated executor.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use odradek_shards::mailbox::{Mesh, Port};
use odradek_shards::runtime::simulation::simulate;
use odradek_shards::runtime::spawn;
use odradek_shards::types::ShardId;

const CALLS: u64 = 1024;

async fn echo(port: Port<u64, u64>) {
    loop {
        let (envelope, number) = port.receive().await;
        envelope.reply(number);
    }
}

async fn calls(at_once: u64) {
    let mut berths = Mesh::<u64, u64>::new(2).into_iter();
    let (asks, answers) = (berths.next().expect("two"), berths.next().expect("two"));
    spawn(echo(answers.attach()));
    let port = asks.attach();
    for _ in 0..CALLS / at_once {
        let replies = join_all((0..at_once).map(|number| port.call(ShardId(1), number))).await;
        assert!(replies.iter().all(Result::is_ok));
    }
}

fn round_trips(c: &mut Criterion) {
    let mut group = c.benchmark_group("calls to another shard");
    group.throughput(Throughput::Elements(CALLS));
    for at_once in [1, 16, 128] {
        group.bench_function(format!("{at_once} at once"), |b| b.iter(|| simulate(1, calls(at_once))));
    }
    group.finish();
}

criterion_group!(mailbox, round_trips);
criterion_main!(mailbox);
