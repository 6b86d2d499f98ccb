//! `partition.metadata`: which topic a log directory belongs to (KIP-516).

use super::checkpoint::{Malformed, read_text};
use super::error::{Doing, StorageError};
use super::names::PARTITION_METADATA;
use crate::runtime::Directory;
use crate::types::TopicId;
use uuid::Uuid;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Letters of 16 bytes, unpadded.
const LETTERS: usize = 22;

/// The topic id written in a log's directory; `None` when there is no file, as before Kafka 2.8, or when the power went
/// before it was durable.
pub async fn read_topic_id(dir: &Directory) -> Result<Option<Result<TopicId, Malformed>>, StorageError> {
    let text = read_text(dir, PARTITION_METADATA).await?;
    Ok(text.filter(|text| text.iter().any(|byte| *byte != 0)).map(|text| parse(&text)))
}

/// Not synced: that is for the [`super::Footing`] of the log to do.
pub async fn put_topic_id(dir: &Directory, topic: TopicId) -> Result<(), StorageError> {
    dir.put_whole(PARTITION_METADATA, text(topic).as_bytes()).await.doing("writing partition.metadata")
}

/// Durable when this returns.
pub async fn write_topic_id(dir: &Directory, topic: TopicId) -> Result<(), StorageError> {
    dir.write_whole(PARTITION_METADATA, text(topic).as_bytes()).await.doing("writing partition.metadata")
}

pub fn text(topic: TopicId) -> String {
    format!("version: 0\ntopic_id: {}", to_base64(topic))
}

pub fn parse(text: &[u8]) -> Result<TopicId, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix("version: ")).ok_or(Malformed)?;
    let id = lines.next().and_then(|line| line.strip_prefix("topic_id: ")).ok_or(Malformed)?;
    if version.trim() != "0" {
        return Err(Malformed);
    }
    from_base64(id.trim()).ok_or(Malformed)
}

/// Kafka's way to write an id: URL-safe base64 without padding.
pub fn to_base64(topic: TopicId) -> String {
    let number = topic.0.as_u128();
    // 128 bits in 6-bit letters: the last letter holds two bits, shifted up by four.
    let letter = |at: usize| match at {
        21 => (number & 0x3) << 4,
        _ => number >> (122 - 6 * at) & 0x3f,
    };
    (0..LETTERS).map(|at| char::from(ALPHABET[letter(at) as usize])).collect()
}

pub fn from_base64(text: &str) -> Option<TopicId> {
    if text.len() != LETTERS {
        return None;
    }
    let mut number = 0u128;
    for (at, byte) in text.bytes().enumerate() {
        let value = ALPHABET.iter().position(|&letter| letter == byte)? as u128;
        number = if at == LETTERS - 1 { number << 2 | value >> 4 } else { number << 6 | value };
    }
    Some(TopicId(Uuid::from_u128(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_kafka_writes_it() {
        // Kafka's own id of __cluster_metadata.
        assert_eq!(to_base64(TopicId(Uuid::from_u128(1))), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(from_base64("AAAAAAAAAAAAAAAAAAAAAQ"), Some(TopicId(Uuid::from_u128(1))));
    }

    #[test]
    fn ids_come_back() {
        for number in [0, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677, 1 << 127] {
            let id = TopicId(Uuid::from_u128(number));
            assert_eq!(parse(text(id).as_bytes()), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ", "version: 0\ntopic_id: AAA", "version: 0"] {
            assert_eq!(parse(text.as_bytes()), Err(Malformed), "{text:?}");
        }
    }
}
