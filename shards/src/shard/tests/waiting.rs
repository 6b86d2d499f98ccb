use super::*;

#[test]
fn a_parked_fetch_counts_bytes_over_its_partitions() {
    simulate(7, async {
        let shard = shard_with(&Disk::new(7), 2).await;
        let size = batch(100).bytes.len();
        append(&shard, 0, 100).await.unwrap();
        let parked = await_data(&shard, &[(0, 0), (1, 0)], 2 * size, 10_000);
        let writer = shard.clone();
        spawn(async move {
            sleep(Duration::from_secs(1)).await;
            append(&writer, 1, 100).await.unwrap();
        });
        let start = now();
        assert_eq!(outcome(parked.await), Awaited::Ready);
        assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&(now() - start)));
        assert_eq!(shard.replica(partition(0)).unwrap().machine().fetches_parked(), 0);
    });
}

#[test]
fn a_fetch_with_enough_to_read_is_not_parked() {
    simulate(8, async {
        let shard = shard_with(&Disk::new(8), 1).await;
        append(&shard, 0, 100).await.unwrap();
        let start = now();
        assert_eq!(outcome(await_data(&shard, &[(0, 0)], 1, 1_000).await), Awaited::Ready);
        assert_eq!(
            outcome(await_data(&shard, &[(5, 0)], 1, 1_000).await),
            Awaited::Ready,
            "the read says what is wrong"
        );
        assert_eq!(outcome(await_data(&shard, &[(0, 1)], 1, 0).await), Awaited::Expired);
        assert_eq!(now(), start);
    });
}

#[test]
fn parked_fetches_expire_each_at_its_deadline() {
    simulate(9, async {
        let shard = shard_with(&Disk::new(9), 1).await;
        let start = now();
        let late = await_data(&shard, &[(0, 0)], 1, 300);
        let early = await_data(&shard, &[(0, 0)], 1, 100);
        assert_eq!(outcome(early.await), Awaited::Expired);
        assert_eq!(now() - start, Duration::from_millis(100));
        assert_eq!(outcome(late.await), Awaited::Expired);
        assert_eq!(now() - start, Duration::from_millis(300));
    });
}

#[test]
fn a_cancelled_fetch_is_answered_at_once() {
    simulate(10, async {
        let shard = shard_with(&Disk::new(10), 1).await;
        let parked = await_data(&shard, &[(0, 0)], 1, 300);
        let start = now();
        shard.submit_local(Request::CancelAwait(AWAIT)).await;
        assert_eq!(outcome(parked.await), Awaited::Cancelled);
        assert_eq!(now(), start);
    });
}
