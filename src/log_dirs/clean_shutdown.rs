//! `.kafka_cleanshutdown`: the logs were closed in order, by the broker of this epoch.

use serde::{Deserialize, Serialize};

pub const FILE: &str = ".kafka_cleanshutdown";

#[derive(Serialize, Deserialize)]
struct Text {
    version: i32,
    #[serde(rename = "brokerEpoch")]
    broker_epoch: i64,
}

/// The epoch the file tells; none when it tells none, as the empty file of older releases.
pub fn parse(bytes: &[u8]) -> Option<i64> {
    let text: Text = serde_json::from_slice(bytes).ok()?;
    Some(text.broker_epoch)
}

pub fn text(broker_epoch: i64) -> String {
    serde_json::to_string(&Text { version: 0, broker_epoch }).expect("two numbers can always be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kafkas() {
        assert_eq!(text(12), r#"{"version":0,"brokerEpoch":12}"#);
        assert_eq!(parse(br#"{"version":0,"brokerEpoch":12}"#), Some(12));
    }

    #[test]
    fn a_file_that_tells_no_epoch_is_clean_all_the_same() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"{"), None);
    }
}
