//! What operators reach by HTTP: metrics, so far.

mod http;
mod pages;
mod scrape;

pub use http::serve;
