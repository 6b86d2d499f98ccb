//! The log on a simulated disk.

mod appending;
mod deleting;
mod faults;
mod fixture;
mod formats;
mod looking_up;
mod model;
mod opening;
mod producing;
mod reading;
mod rolling;
mod truncating;
