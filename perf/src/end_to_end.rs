//! `end-to-end`: writers at a fixed rate and readers that wait, on the same clock.

use crate::arguments::EndToEndArguments;
use crate::cluster::{End, Topic};
use crate::consumer::{Consumer, Look, Position};
use crate::event_loop::Peer;
use crate::failure::Failure;
use crate::link::Link;
use crate::producer::Producer;
use crate::report::Report;
use crate::source::Source;
use crate::workload::{Span, measure};
use std::time::{Duration, Instant};

pub fn run(arguments: &EndToEndArguments) -> Result<Report, Failure> {
    if arguments.records.record_size < 8 {
        return Err(Failure::Arguments("a time needs a --record-size of 8 or more".to_owned()));
    }
    let topic = Topic::open(&arguments.target)?;
    let ends = topic.offsets(End::Latest)?;
    let writers = topic.spread(arguments.run.connections, false)?;
    let readers = topic.spread(arguments.consumers, true)?;
    let (run, epoch) = (&arguments.run, Instant::now());
    let span = Span::of(run, Some(Duration::from_secs(10)));
    let measured = measure(run, span, |thread, recorder| {
        let mine = |nth: usize| nth as u32 % run.threads == thread;
        let mut peers: Vec<Box<dyn Peer>> = Vec::new();
        for (_, (leader, partitions)) in readers.iter().enumerate().filter(|(nth, _)| mine(*nth)) {
            let from = |index: &i32| {
                let end = ends[*index as usize];
                Position { index: *index, start: end, next: end, end: i64::MAX }
            };
            let positions = partitions.iter().map(from).collect();
            let link = Link::connect(*leader)?;
            let consumer = Consumer::new(link, &topic, positions, &arguments.fetching, recorder)?;
            peers.push(Box::new(consumer.looking(Look::Time(epoch))));
        }
        for (nth, (leader, partitions)) in writers.iter().enumerate().filter(|(nth, _)| mine(*nth)) {
            let source = Source::stamped(&topic, partitions, &arguments.records)?;
            let producer = Producer::new(Link::connect(*leader)?, source, &arguments.records, recorder);
            let mut producer = producer.stamped_from(epoch);
            producer.counts_errors_only = true;
            producer.rate = Some((arguments.rate, nth as u32, run.connections));
            peers.push(Box::new(producer));
        }
        Ok(peers)
    })?;
    Ok(Report::new("end-to-end", &topic.name, run.connections, &measured))
}
