//! `meta.properties`: which cluster, node and directory the data belongs to.

use super::error::MetaFault;
use crate::config::Properties;
use odradek_shards::log::partition_metadata::{from_base64, to_base64};
use odradek_shards::types::{NodeId, TopicId};
use uuid::Uuid;

pub const FILE: &str = "meta.properties";
const VERSION: i32 = 1;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: NodeId,
    /// None in directories of before KIP-858.
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    pub fn parse(text: &str) -> Result<Self, MetaFault> {
        let properties = Properties::parse(FILE, text);
        let get = |key: &'static str| {
            let found = properties.entries.iter().rev().find(|property| property.key == key);
            found.map(|property| property.value.trim().to_string())
        };
        match number("version", get("version"))? {
            VERSION => {}
            version if version < VERSION => return Err(MetaFault::OldVersion(version)),
            version => return Err(MetaFault::NewVersion(version)),
        }
        let cluster_id = get("cluster.id").filter(|id| !id.is_empty()).ok_or(MetaFault::Missing("cluster.id"))?;
        let node_id = NodeId(number("node.id", get("node.id"))?);
        let directory_id = get("directory.id").map(directory_id).transpose()?;
        Ok(Self { cluster_id, node_id, directory_id })
    }

    pub fn text(&self) -> String {
        let directory_id = self.directory_id.map_or_else(String::new, |id| format!("directory.id={}\n", id_text(id)));
        format!("node.id={}\n{directory_id}version={VERSION}\ncluster.id={}\n", self.node_id, self.cluster_id)
    }
}

/// A new id as Kafka makes them: not one of the few that mean something, and no dash first, which tools take for an option.
pub fn new_id() -> Uuid {
    loop {
        let id = Uuid::new_v4();
        let is_reserved = id.as_u128() < 100;
        if !is_reserved && !id_text(id).starts_with('-') {
            return id;
        }
    }
}

/// URL-safe base64 without padding.
pub fn id_text(id: Uuid) -> String {
    to_base64(TopicId(id))
}

fn number(key: &'static str, value: Option<String>) -> Result<i32, MetaFault> {
    let value = value.ok_or(MetaFault::Missing(key))?;
    value.parse().map_err(|_| MetaFault::NotA { key, value, expected: "number" })
}

fn directory_id(value: String) -> Result<Uuid, MetaFault> {
    match from_base64(&value) {
        Some(TopicId(id)) => Ok(id),
        None => Err(MetaFault::NotA { key: "directory.id", value, expected: "id of 22 letters" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKAS: &str = "#\n#Sun Nov 22 21:38:23 UTC 2026\nnode.id=1\ndirectory.id=WEnX-TmHwsvD7osp92tt5w\nversion=1\n\
                          cluster.id=ZcV1w0tjriqI1256jXecNg\n";

    #[test]
    fn what_kafka_writes_is_read_and_written_alike() {
        let meta = MetaProperties::parse(KAFKAS).unwrap();
        assert_eq!(meta.cluster_id, "ZcV1w0tjriqI1256jXecNg");
        assert_eq!(meta.node_id, NodeId(1));
        let pairs =
            |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_string).collect::<Vec<_>>();
        assert_eq!(pairs(&meta.text()), pairs(KAFKAS));
    }

    #[test]
    fn a_directory_from_before_directory_ids_is_read() {
        let meta = MetaProperties::parse("version=1\nnode.id=3\ncluster.id=x").unwrap();
        assert_eq!(meta.directory_id, None);
        assert_eq!(MetaProperties::parse(&meta.text()), Ok(meta));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fault = |text: &str| MetaProperties::parse(text).unwrap_err().to_string();
        assert_eq!(fault(""), "version is missing");
        assert!(fault("version=0\nbroker.id=1").contains("ZooKeeper"));
        assert!(fault("version=2").contains("later release"));
        assert_eq!(fault("version=1\nnode.id=1"), "cluster.id is missing");
        assert_eq!(fault("version=1\ncluster.id=x\nnode.id=y"), "node.id=y is no number");
        assert_eq!(
            fault("version=1\ncluster.id=x\nnode.id=1\ndirectory.id=?"),
            "directory.id=? is no id of 22 letters"
        );
    }

    #[test]
    fn new_ids_differ() {
        assert_ne!(new_id(), new_id());
        assert_eq!(id_text(new_id()).len(), 22);
    }
}
