//! Asks every shard and every coordinator how they are, and makes a page of it.

use crate::config::{BrokerConfig, TopicConfig};
use crate::group::{Lag, Lags, Reply, Request};
use crate::handlers::Context;
use crate::log_dirs::LogDirRow;
use crate::metadata::topics::TopicImage;
use crate::metadata::{Image, ResourceType};
use crate::metrics::{self, GroupLag, LogDirState, Page};
use odradek_protocol::messages::list_groups_response::ListedGroup;
use odradek_shards::message::{self, ShardMetrics};
use odradek_shards::runtime::blocking;
use odradek_shards::types::{NodeId, ShardId};
use std::rc::Rc;
use std::sync::Arc;

/// All that a page is made of.
struct Facts {
    image: Arc<Image>,
    config: Arc<BrokerConfig>,
    me: NodeId,
    log_dirs: Vec<LogDirState>,
    shards: Vec<ShardMetrics>,
    groups: Vec<ListedGroup>,
    lags: Lags,
}

/// The page of metrics. Written on a blocking thread: ten thousand partitions are megabytes of text.
pub async fn scrape(context: Rc<Context>) -> String {
    let image = context.image();
    let facts = Facts {
        config: context.config(),
        me: context.identity.node,
        log_dirs: log_dirs(&context),
        shards: shards(&context).await,
        groups: groups(&context).await,
        lags: context.groups.lags(&image, &context.shards).await,
        image,
    };
    blocking(move || page(&facts)).await
}

fn log_dirs(context: &Context) -> Vec<LogDirState> {
    let rows = context.identity.log_dirs.rows();
    let state = |row: &LogDirRow| LogDirState {
        path: row.path.display().to_string(),
        index: row.index,
        is_online: row.is_online(),
    };
    rows.map(state).collect()
}

async fn shards(context: &Context) -> Vec<ShardMetrics> {
    let mut told = Vec::new();
    for shard in (0..context.shards.count()).map(ShardId) {
        context.shards.ready().await;
        if let message::Reply::Metrics(metrics) = context.shards.call(shard, message::Request::Metrics).await {
            told.push(*metrics);
        }
    }
    told
}

async fn groups(context: &Context) -> Vec<ListedGroup> {
    let asked = context.groups.ask_all(&context.look(), &Request::List { states: Vec::new(), types: Vec::new() });
    let mut groups = Vec::new();
    for reply in asked.await {
        // Those that are still loading are told of next time.
        if let Reply::List(Ok(listed)) = reply {
            groups.extend(listed);
        }
    }
    groups
}

fn page(facts: &Facts) -> String {
    let mut page = Page::default();
    // The node that answers is the only voter, and ends when it cannot lead.
    let is_controller = true;
    let min_isr = |topic: &TopicImage| {
        let overrides = facts.image.configs().of(ResourceType::Topic, &topic.name);
        TopicConfig::resolve(overrides, &facts.config).min_insync_replicas as usize
    };
    metrics::cluster(&mut page, &facts.image, facts.me, is_controller, &min_isr);
    metrics::upkeep(&mut page, &facts.shards, &facts.log_dirs);
    let kinds = facts.groups.iter().map(|group| (&*group.group_type, &*group.group_state));
    let lags: Vec<GroupLag<'_>> = facts.lags.lags.iter().map(lag).collect();
    metrics::groups(&mut page, kinds, &lags, facts.lags.is_cut);
    let partitions: Vec<_> = facts.shards.iter().flat_map(|shard| &shard.partitions).collect();
    metrics::logs(&mut page, &partitions);
    page.into_text()
}

fn lag(lag: &Lag) -> GroupLag<'_> {
    let (committed, behind) = (lag.committed, lag.records());
    GroupLag { group: &lag.group, topic: &lag.topic, partition: lag.partition, committed, lag: behind }
}
