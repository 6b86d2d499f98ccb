use super::*;
use crate::config::BrokerConfig;
use crate::controller::bootstrap_features;
use crate::metadata::features::SUPPORTED;
use crate::raft::{Formatting, RaftSettings, VoterSet};
use odradek_protocol::messages::create_topics_request::CreatableTopic;
use odradek_protocol::messages::{
    AllocateProducerIdsRequest, BrokerHeartbeatRequest, BrokerRegistrationRequest, CreateTopicsRequest,
    broker_registration_request,
};
use odradek_protocol::primitives::Str;
use odradek_shards::runtime::memory::Disk;
use odradek_shards::runtime::simulation::simulate;
use odradek_shards::runtime::{Directory, sleep, spawn};
use odradek_shards::types::NodeId;
use uuid::Uuid;

/// One node's controller on a disk of its own, with what it published last.
struct Node {
    controller: Controller,
    raft: Raft,
    image: Rc<RefCell<Arc<Image>>>,
}

impl Node {
    async fn start(disk: &Disk) -> Self {
        let settings = RaftSettings {
            node: NodeId(1),
            directory_id: Uuid::from_u128(500),
            formatting: Formatting::Static(VoterSet::from_ids([NodeId(1)])),
            bootstrap: bootstrap_features(),
            segment_bytes: 1 << 20,
            segment_ms: 604_800_000,
            clean: false,
        };
        let raft = Raft::open(&Directory::memory(disk), &settings).await.unwrap();
        raft.start();
        let controller = mesh(1).remove(0).attach();
        let image = Rc::new(RefCell::new(Arc::default()));
        let (lead, led, shown) = (controller.clone(), raft.clone(), image.clone());
        spawn(async move {
            let settings = Settings {
                cluster_id: Str::from_static("cluster"),
                node: NodeId(1),
                config: Arc::new(BrokerConfig::for_tests("")),
            };
            let publish = |_, image| async {
                sleep(Duration::from_millis(5)).await;
                shown.replace(image);
            };
            let _ = lead.lead(led, settings, publish).await;
        });
        Self { controller, raft, image }
    }

    async fn register(&self) -> i64 {
        let feature = |(name, range): (&'static str, crate::metadata::cluster::VersionRange)| {
            broker_registration_request::Feature {
                name: Str::from_static(name),
                min_supported_version: range.min,
                max_supported_version: range.max,
            }
        };
        let request = BrokerRegistrationRequest {
            broker_id: 1,
            cluster_id: Str::from_static("cluster"),
            incarnation_id: Uuid::from_u128(u128::from(random_u64())),
            features: SUPPORTED.into_iter().map(feature).collect(),
            log_dirs: vec![Uuid::from_u128(500)],
            ..Default::default()
        };
        let reply = self.controller.call(ControllerRequest::BrokerRegistration(request)).await;
        let ControllerReply::BrokerRegistration(response) = reply else { panic!("{reply:?}") };
        assert_eq!(response.error_code, 0);
        let request = BrokerHeartbeatRequest {
            broker_id: 1,
            broker_epoch: response.broker_epoch,
            current_metadata_offset: self.image.borrow().offset().0,
            ..Default::default()
        };
        let reply = self.controller.call(ControllerRequest::BrokerHeartbeat(request)).await;
        assert!(matches!(reply, ControllerReply::BrokerHeartbeat(response) if !response.is_fenced));
        response.broker_epoch
    }

    async fn create(&self, name: &str, num_partitions: i32) -> i16 {
        let topic = CreatableTopic { name: name.into(), num_partitions, replication_factor: 1, ..Default::default() };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        match self.controller.call(ControllerRequest::CreateTopics(request)).await {
            ControllerReply::CreateTopics(response) => response.topics[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    fn partitions(&self, topic: &str) -> usize {
        self.image.borrow().topics().by_name(topic).map_or(0, |topic| topic.partition_count())
    }
}

#[test]
fn a_reply_leaves_only_when_its_effects_are_in_force() {
    simulate(1, async {
        let node = Node::start(&Disk::new(1)).await;
        node.register().await;
        assert_eq!(node.create("foo", 3).await, 0);
        assert_eq!(node.partitions("foo"), 3);
        let both = futures_util::join!(node.create("a", 1), node.create("b", 1), node.create("a", 1));
        assert_eq!((both.0, both.1), (0, 0));
        assert_ne!(both.2, 0, "a request sees what was asked before it, committed or not");
    });
}

#[test]
fn a_broker_epoch_is_the_offset_of_its_registration() {
    simulate(2, async {
        let node = Node::start(&Disk::new(2)).await;
        let epoch = node.register().await;
        let batches = node.raft.committed(Offset::ZERO).await.unwrap();
        let holds = |batch: &&CommittedBatch| batch.base_offset.0 <= epoch && epoch <= batch.last.offset.0;
        let batch = batches.iter().find(holds).unwrap();
        let record = &batch.records[(epoch - batch.base_offset.0) as usize];
        assert!(matches!(record, MetadataRecord::RegisterBroker(broker) if broker.broker_epoch == epoch));
    });
}

#[test]
fn more_records_than_a_batch_holds_are_one_change_all_the_same() {
    simulate(3, async {
        let node = Node::start(&Disk::new(3)).await;
        node.register().await;
        assert_eq!(node.create("big", 10_000).await, 0);
        assert_eq!(node.partitions("big"), 10_000);
        let digest = node.image.borrow().digest();
        assert_eq!(node.create("big", 1).await, odradek_protocol::error::ErrorCode::TopicAlreadyExists.code());
        assert_eq!(node.image.borrow().digest(), digest);
    });
}

#[test]
fn a_restart_finds_topics_and_producer_ids_as_they_were() {
    for (seed, crash) in [(4, false), (5, true), (6, true)] {
        simulate(seed, async move {
            let disk = Disk::new(seed);
            let node = Node::start(&disk).await;
            let epoch = node.register().await;
            node.create("foo", 2).await;
            let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch: epoch };
            node.controller.call(ControllerRequest::AllocateProducerIds(request)).await;
            let digest = node.image.borrow().digest();
            match crash {
                true => disk.power_cut(),
                false => node.raft.close().await.unwrap(),
            }
            drop(node);
            let again = Node::start(&disk).await;
            while again.image.borrow().is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(again.image.borrow().digest(), digest);
            assert_eq!(again.image.borrow().producer_ids().next().0, 1000);
            again.register().await;
            assert_eq!(again.create("bar", 1).await, 0);
        });
    }
}

#[test]
fn requests_after_the_log_is_closed_are_sent_elsewhere() {
    simulate(7, async {
        let node = Node::start(&Disk::new(7)).await;
        node.register().await;
        node.raft.close().await.unwrap();
        let request = ControllerRequest::CreateTopics(CreateTopicsRequest::default());
        assert_eq!(node.controller.call(request).await, ControllerReply::NotController);
    });
}
