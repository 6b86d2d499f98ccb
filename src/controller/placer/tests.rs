use super::*;
use crate::metadata::{Image, Replayer};
use odradek_protocol::records::metadata::{MetadataRecord, RegisterBrokerRecord};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Brokers as (id, rack, fenced).
fn cluster(brokers: &[(i32, Option<&'static str>, bool)]) -> Arc<Image> {
    let mut replayer = Replayer::new(Arc::default());
    for (broker_id, rack, fenced) in brokers {
        let rack = rack.map(Str::from_static);
        let record = RegisterBrokerRecord { broker_id: *broker_id, rack, fenced: *fenced, ..Default::default() };
        replayer.replay(&MetadataRecord::from(record)).unwrap();
    }
    Arc::new(replayer.latest().clone())
}

fn placed(image: &Image, count: usize, factor: i16) -> Vec<Vec<i32>> {
    let places = place(image.cluster(), count, factor, &mut Dice::new([1, 2])).unwrap();
    places.iter().map(|replicas| replicas.iter().map(|node| node.0).collect()).collect()
}

#[test]
fn leaders_and_followers_spread_evenly_over_brokers_of_one_rack() {
    let image = cluster(&[(1, None, false), (2, None, false), (3, None, false)]);
    let places = placed(&image, 9, 2);
    for id in 1..=3 {
        assert_eq!(places.iter().filter(|replicas| replicas[0] == id).count(), 3);
        assert_eq!(places.iter().filter(|replicas| replicas[1] == id).count(), 3);
    }
}

#[test]
fn replicas_of_a_partition_stand_on_as_many_racks_as_there_are() {
    let racks = ["a", "b", "c"];
    let brokers: Vec<_> = (0..6).map(|id| (id, Some(racks[id as usize % 3]), false)).collect();
    let image = cluster(&brokers);
    let places = placed(&image, 12, 3);
    for replicas in &places {
        let on: BTreeSet<i32> = replicas.iter().map(|id| id % 3).collect();
        assert_eq!(on.len(), 3, "{replicas:?}");
    }
    for id in 0..6 {
        assert_eq!(places.iter().filter(|replicas| replicas[0] == id).count(), 2);
    }
}

#[test]
fn a_fenced_broker_follows_only_when_no_other_is_left() {
    let image = cluster(&[(1, None, false), (2, None, true), (3, None, false)]);
    assert!(placed(&image, 8, 2).iter().flatten().all(|id| *id != 2));
    assert!(placed(&image, 8, 3).iter().all(|replicas| replicas[2] == 2));
}

#[test]
fn what_cannot_be_placed_is_refused_in_kafkas_words() {
    let refusal = |image: &Image, factor| place(image.cluster(), 1, factor, &mut Dice::new([1, 2])).unwrap_err();
    let lone = cluster(&[(1, None, false)]);
    assert_eq!(
        refusal(&lone, 3),
        "The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some brokers \
         have all their log directories cordoned."
    );
    let fenced = cluster(&[(1, None, true)]);
    let message = "All brokers are currently fenced, or have all their log directories cordoned.";
    assert_eq!(refusal(&fenced, 1), message);
}
