//! The log on a simulated disk.

mod aborting;
mod appending;
mod compacting;
mod deleting;
mod faults;
mod fixture;
mod formats;
mod histories;
mod journaling;
mod looking_up;
mod model;
mod noting;
mod opening;
mod power_cuts;
mod producing;
mod reading;
mod retaining;
mod rolling;
mod truncating;
mod waypoint;
