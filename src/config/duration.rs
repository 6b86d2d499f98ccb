//! Durations as ISO 8601 writes them, in the form Java reads: days and smaller, each with a sign of its own.

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// Units with their seconds, in the order they stand in; the first stands before the `T`.
const UNITS: [(char, i128); 4] = [('D', 86_400), ('H', 3600), ('M', 60), ('S', 1)];

/// Nanoseconds of `P1DT2H3M4.5S`, which may be negative; none for anything else, or more seconds than 64 bits hold.
pub fn from_iso(text: &str) -> Option<i128> {
    let text = text.to_ascii_uppercase();
    let (sign, rest) = sign(&text);
    let rest = rest.strip_prefix('P')?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    if time.is_some_and(str::is_empty) || (days.is_empty() && time.is_none()) {
        return None;
    }
    let nanoseconds = fields(days, &UNITS[..1])?.checked_add(fields(time.unwrap_or(""), &UNITS[1..])?)?;
    i64::try_from(nanoseconds / NANOSECONDS_PER_SECOND).ok()?;
    Some(sign * nanoseconds)
}

/// The sum of `5H3M`: each unit at most once, in order.
fn fields(mut text: &str, mut units: &[(char, i128)]) -> Option<i128> {
    let mut sum = 0_i128;
    while !text.is_empty() {
        let end = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, rest) = text.split_at(end);
        let place = units.iter().position(|(name, _)| rest.starts_with(*name))?;
        let (name, seconds) = units[place];
        sum = sum.checked_add(nanoseconds(number, name == 'S')?.checked_mul(seconds)?)?;
        (text, units) = (&rest[1..], &units[place + 1..]);
    }
    Some(sum)
}

/// A number that counts a unit of one second; only seconds may have a fraction, of nine digits at most.
fn nanoseconds(text: &str, may_have_fraction: bool) -> Option<i128> {
    let (sign, text) = sign(text);
    let (whole, fraction) = text.split_once(['.', ',']).map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    if whole.is_empty() || !is_digits(whole) || (fraction.is_some() && !may_have_fraction) {
        return None;
    }
    let fraction = fraction.unwrap_or("");
    if fraction.len() > 9 || !is_digits(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    Some(sign * (i128::from(whole) * NANOSECONDS_PER_SECOND + fraction))
}

fn sign(text: &str) -> (i128, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_the_sum_of_its_units() {
        for (text, seconds) in [("PT1H", 3600), ("p1dt1m", 86_460), ("PT-30M", -1800), ("-PT2S", -2), ("P0D", 0)] {
            assert_eq!(from_iso(text), Some(seconds * NANOSECONDS_PER_SECOND), "{text}");
        }
        assert_eq!(from_iso("PT-1.5S"), Some(-1_500_000_000));
        assert_eq!(from_iso("PT0.S"), Some(0));
    }

    #[test]
    fn what_java_does_not_read_is_none() {
        for text in
            ["", "P", "PT", "1H", "PT1", "P1H", "PT1D", "PT1M1H", "PT1.5H", "PT.5S", "P1DT", "PT1é", "PT1.0000000000S"]
        {
            assert_eq!(from_iso(text), None, "{text}");
        }
        assert_eq!(from_iso("P9223372036854775807D"), None);
    }
}
