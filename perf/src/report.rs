//! A run's figures, for people and for machines.

use crate::workload::Measured;
use serde::Serialize;
use std::process::ExitCode;

/// Times in the unit their names end in; a megabyte is 1,000,000 bytes.
#[derive(Serialize, Debug)]
pub struct Report {
    pub workload: &'static str,
    pub topic: String,
    pub connections: u32,
    pub seconds: f64,
    pub requests: u64,
    pub records: u64,
    pub requests_per_second: f64,
    pub records_per_second: f64,
    pub megabytes_per_second: f64,
    pub latency: Latency,
    pub client: Cost,
    pub broker: Option<BrokerCost>,
    pub errors: Vec<String>,
    /// What `--verify` found; `None` when it was not asked for.
    pub verified: Option<String>,
    /// Log end offsets by partition, as they were when reading began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<i64>,
    /// How long it took until all groups were stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_after_seconds: Option<f64>,
}

#[derive(Serialize, Debug)]
pub struct Latency {
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub p9999_us: f64,
    pub max_us: f64,
}

/// CPU time, user and system.
#[derive(Serialize, Debug)]
pub struct Cost {
    pub cpu_percent: f64,
    pub cpu_user_seconds: f64,
    pub cpu_system_seconds: f64,
    pub cpu_us_per_request: f64,
    pub cpu_seconds_per_gigabyte: f64,
}

#[derive(Serialize, Debug)]
pub struct BrokerCost {
    #[serde(flatten)]
    pub cost: Cost,
    pub resident_megabytes: f64,
}

impl Report {
    pub fn new(workload: &'static str, topic: &str, connections: u32, measured: &Measured) -> Self {
        let (totals, seconds) = (&measured.totals, measured.time.as_secs_f64());
        let cost = |usage: crate::process::Usage| Cost {
            cpu_percent: per(usage.total().as_secs_f64() * 100.0, seconds),
            cpu_user_seconds: usage.user.as_secs_f64(),
            cpu_system_seconds: usage.system.as_secs_f64(),
            cpu_us_per_request: per(usage.total().as_secs_f64() * 1e6, totals.requests as f64),
            cpu_seconds_per_gigabyte: per(usage.total().as_secs_f64() * 1e9, totals.bytes as f64),
        };
        Self {
            workload,
            topic: topic.to_owned(),
            connections,
            seconds,
            requests: totals.requests,
            records: totals.records,
            requests_per_second: per(totals.requests as f64, seconds),
            records_per_second: per(totals.records as f64, seconds),
            megabytes_per_second: per(totals.bytes as f64 / 1e6, seconds),
            latency: Latency::of(&totals.latency),
            client: cost(measured.client),
            broker: measured.broker.as_ref().map(|broker| BrokerCost {
                cost: cost(broker.usage),
                resident_megabytes: broker.resident_bytes as f64 / 1e6,
            }),
            errors: totals.told_errors(),
            verified: None,
            ends: Vec::new(),
            stable_after_seconds: None,
        }
    }

    pub fn print(&self, json: bool) -> ExitCode {
        if json {
            println!("{}", serde_json::to_string(self).expect("a report has no maps and no foreign types"));
        } else {
            self.print_text();
        }
        if self.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn print_text(&self) {
        let Self { workload, topic, connections, seconds, latency, client, .. } = self;
        let what = match *workload {
            "commits" => "offsets",
            "groups" => "heartbeats",
            _ => "records",
        };
        println!("{workload} on {topic}, {connections} connections, {seconds:.2} s");
        println!(
            "  {:.0} {}/s   {:.2} MB/s   {:.0} requests/s   ({} {}, {} requests)",
            self.records_per_second,
            what,
            self.megabytes_per_second,
            self.requests_per_second,
            self.records,
            what,
            self.requests
        );
        println!(
            "  latency ms   p50 {}   p90 {}   p99 {}   p99.9 {}   p99.99 {}   max {}",
            ms(latency.p50_us),
            ms(latency.p90_us),
            ms(latency.p99_us),
            ms(latency.p999_us),
            ms(latency.p9999_us),
            ms(latency.max_us)
        );
        print_cost("client", client);
        if let Some(broker) = &self.broker {
            print_cost("broker", &broker.cost);
            println!("  broker memory   {:.0} MB resident", broker.resident_megabytes);
        }
        if let Some(verified) = &self.verified {
            println!("  verified   {verified}");
        }
        if let Some(seconds) = self.stable_after_seconds {
            println!("  all groups stable after {seconds:.2} s");
        }
        for error in &self.errors {
            println!("  ERROR {error}");
        }
    }
}

impl Latency {
    fn of(histogram: &hdrhistogram::Histogram<u64>) -> Self {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            mean_us: histogram.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            p9999_us: at(0.9999),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

fn print_cost(whose: &str, cost: &Cost) {
    println!(
        "  {whose} CPU   {:.0} % of a core   {:.1} us/request   {:.2} s/GB   (user {:.2} s, system {:.2} s)",
        cost.cpu_percent,
        cost.cpu_us_per_request,
        cost.cpu_seconds_per_gigabyte,
        cost.cpu_user_seconds,
        cost.cpu_system_seconds
    );
}

fn per(what: f64, of: f64) -> f64 {
    if of > 0.0 { what / of } else { 0.0 }
}

fn ms(us: f64) -> String {
    format!("{:.3}", us / 1e3)
}
