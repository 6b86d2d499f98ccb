//! The cluster as the metadata has it, and this broker's part in it.

use super::Page;
use crate::metadata::Image;
use crate::metadata::topics::{PartitionImage, TopicImage};
use odradek_shards::types::NodeId;

/// Of one partition that this broker leads, or of all together.
#[derive(Default)]
struct Counts {
    leaders: u64,
    replicas: u64,
    under_replicated: u64,
    under_min_isr: u64,
    at_min_isr: u64,
    offline_replicas: u64,
    offline: u64,
    not_preferred: u64,
    reassigning: u64,
}

/// `min_isr` is `min.insync.replicas` of a topic; `is_controller`, that this node leads the metadata quorum.
pub fn cluster(
    page: &mut Page,
    image: &Image,
    me: NodeId,
    is_controller: bool,
    min_isr: &dyn Fn(&TopicImage) -> usize,
) {
    let counts = partitions(page, image, me, min_isr);
    let mut gauge = |name, help, value: u64| page.gauge(name, help).row(&[], value);
    gauge("kafka_server_replicamanager_partitioncount", "Replicas here.", counts.replicas);
    gauge("kafka_server_replicamanager_leadercount", "Partitions led from here.", counts.leaders);
    gauge(
        "kafka_server_replicamanager_underreplicatedpartitions",
        "Led, with replicas behind.",
        counts.under_replicated,
    );
    gauge("kafka_server_replicamanager_underminisrpartitioncount", "Led, taking no acks=all.", counts.under_min_isr);
    gauge("kafka_server_replicamanager_atminisrpartitioncount", "Led, one replica from that.", counts.at_min_isr);
    gauge("kafka_server_replicamanager_offlinereplicacount", "In failed log directories.", counts.offline_replicas);
    gauge("kafka_server_replicamanager_reassigningpartitions", "Led, being reassigned.", counts.reassigning);
    gauge(
        "kafka_controller_kafkacontroller_activecontrollercount",
        "1 on the active controller.",
        is_controller.into(),
    );
    if is_controller {
        controller(page, image, &counts);
    }
}

fn controller(page: &mut Page, image: &Image, counts: &Counts) {
    let partitions: usize = image.topics().iter().map(TopicImage::partition_count).sum();
    let fenced = image.cluster().brokers().filter(|broker| broker.fenced).count();
    let leaving = image.cluster().brokers().filter(|broker| !broker.fenced && broker.in_controlled_shutdown).count();
    let active = image.cluster().brokers().len() - fenced;
    let mut gauge = |name, help, value: i64| page.gauge(name, help).row(&[], value);
    gauge("kafka_controller_kafkacontroller_globaltopiccount", "Topics.", image.topics().len() as i64);
    gauge("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions.", partitions as i64);
    gauge("kafka_controller_kafkacontroller_offlinepartitionscount", "Without a leader.", counts.offline as i64);
    let name = "kafka_controller_kafkacontroller_preferredreplicaimbalancecount";
    gauge(name, "Not led by their first replica.", counts.not_preferred as i64);
    gauge("kafka_controller_kafkacontroller_activebrokercount", "Brokers that take part.", active as i64);
    gauge("kafka_controller_kafkacontroller_fencedbrokercount", "Brokers that do not.", fenced as i64);
    gauge("kafka_controller_kafkacontroller_controlledshutdownbrokercount", "Leaving.", leaving as i64);
    let name = "kafka_controller_kafkacontroller_lastappliedrecordoffset";
    gauge(name, "Of the metadata log.", image.offset().0);
}

fn partitions(page: &mut Page, image: &Image, me: NodeId, min_isr: &dyn Fn(&TopicImage) -> usize) -> Counts {
    let mut counts = Counts::default();
    let mut led: Vec<(&TopicImage, String, &PartitionImage, usize)> = Vec::new();
    for topic in image.topics().iter() {
        let min_isr = min_isr(topic);
        for (index, partition) in topic.partitions() {
            counts.add(image, me, partition, min_isr);
            if partition.leader == me {
                led.push((topic, index.0.to_string(), partition, min_isr));
            }
        }
    }
    let mut gauge = |name, help, value: fn(&PartitionImage, usize) -> usize| {
        let mut family = page.gauge(name, help);
        for (topic, index, partition, min_isr) in &led {
            family.row(&[("topic", &topic.name), ("partition", index)], value(partition, *min_isr));
        }
    };
    gauge("kafka_cluster_partition_replicascount", "Replicas of a partition.", |partition, _| partition.replicas.len());
    gauge("kafka_cluster_partition_insyncreplicascount", "Those in sync.", |partition, _| partition.isr.len());
    gauge("kafka_cluster_partition_underreplicated", "Whether some are not.", |partition, _| {
        usize::from(is_under_replicated(partition))
    });
    gauge("kafka_cluster_partition_underminisr", "Whether too few are for acks=all.", |partition, min_isr| {
        usize::from(partition.isr.len() < effective(min_isr, partition))
    });
    gauge("kafka_cluster_partition_atminisr", "Whether just enough are.", |partition, min_isr| {
        usize::from(partition.isr.len() == effective(min_isr, partition))
    });
    counts
}

impl Counts {
    fn add(&mut self, image: &Image, me: NodeId, partition: &PartitionImage, min_isr: usize) {
        self.offline += u64::from(!partition.has_leader());
        self.not_preferred += u64::from(partition.replicas.first() != Some(&partition.leader));
        if let Some(dir) = partition.directory_of(me) {
            let registered = image.cluster().broker(me);
            self.replicas += 1;
            self.offline_replicas += u64::from(registered.is_some_and(|me| !me.has_online_dir(dir)));
        }
        if partition.leader == me {
            let (isr, enough) = (partition.isr.len(), effective(min_isr, partition));
            self.leaders += 1;
            self.under_replicated += u64::from(is_under_replicated(partition));
            self.under_min_isr += u64::from(isr < enough);
            self.at_min_isr += u64::from(isr == enough);
            let is_reassigning = !(partition.adding_replicas.is_empty() && partition.removing_replicas.is_empty());
            self.reassigning += u64::from(is_reassigning);
        }
    }
}

fn is_under_replicated(partition: &PartitionImage) -> bool {
    partition.isr.len() < partition.replicas.len()
}

/// A topic with fewer replicas than `min.insync.replicas` needs all of them.
fn effective(min_isr: usize, partition: &PartitionImage) -> usize {
    min_isr.min(partition.replicas.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Provenance, Replayer};
    use odradek_protocol::records::metadata::{MetadataRecord, PartitionRecord, TopicRecord};
    use odradek_shards::types::Offset;
    use std::sync::Arc;
    use uuid::Uuid;

    /// A topic of partitions with these replicas, in-sync replicas and leaders.
    fn image(partitions: &[(&[i32], &[i32], i32)]) -> Arc<Image> {
        let topic_id = Uuid::from_u128(1);
        let mut replayer = Replayer::new(Arc::default());
        let topic = TopicRecord { name: "t".into(), topic_id };
        replayer.replay(&MetadataRecord::Topic(topic)).unwrap();
        for (index, (replicas, isr, leader)) in partitions.iter().enumerate() {
            let (replicas, isr) = (replicas.to_vec(), isr.to_vec());
            let partition_id = index as i32;
            let partition =
                PartitionRecord { topic_id, partition_id, replicas, isr, leader: *leader, ..Default::default() };
            replayer.replay(&MetadataRecord::Partition(partition)).unwrap();
        }
        replayer.end_batch(Provenance { offset: Offset(5), ..Default::default() });
        replayer.publish().unwrap().1
    }

    fn text(image: &Image, is_controller: bool) -> String {
        let mut page = Page::default();
        cluster(&mut page, image, NodeId(1), is_controller, &|_| 2);
        page.into_text()
    }

    #[test]
    fn what_is_behind_is_counted_by_its_leader_and_what_is_lost_by_the_controller() {
        let image = image(&[(&[1, 2, 3], &[1, 2], 1), (&[1, 2, 3], &[1], 1), (&[2, 1], &[2, 1], 2), (&[3], &[], -1)]);
        let text = text(&image, true);
        for row in [
            "kafka_server_replicamanager_leadercount 2\n",
            "kafka_server_replicamanager_partitioncount 3\n",
            "kafka_server_replicamanager_underreplicatedpartitions 2\n",
            "kafka_server_replicamanager_underminisrpartitioncount 1\n",
            "kafka_server_replicamanager_atminisrpartitioncount 1\n",
            "kafka_cluster_partition_insyncreplicascount{topic=\"t\",partition=\"0\"} 2\n",
            "kafka_cluster_partition_underminisr{topic=\"t\",partition=\"1\"} 1\n",
            "kafka_controller_kafkacontroller_offlinepartitionscount 1\n",
            "kafka_controller_kafkacontroller_globalpartitioncount 4\n",
            "kafka_controller_kafkacontroller_preferredreplicaimbalancecount 1\n",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
    }

    #[test]
    fn a_node_that_is_not_the_controller_tells_nothing_of_the_cluster() {
        let text = text(&image(&[(&[1], &[1], 1)]), false);
        assert!(text.contains("activecontrollercount 0\n") && !text.contains("globaltopiccount"));
    }
}
