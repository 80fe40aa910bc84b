//! Default names: `heapdump-<ms>.<ns>.heapsnapshot`, as node-heapdump makes them.

use std::time::Duration;

/// `heapdump-%lu.%lu.heapsnapshot` of the clock's whole milliseconds and nanoseconds modulo 10⁶ (node-heapdump's
/// `heapdump.cc`), followed by `extension`.
pub(crate) fn default_name(clock: Duration, extension: &str) -> String {
    let nanoseconds = clock.as_nanos();
    format!(
        "heapdump-{}.{}.heapsnapshot{extension}",
        nanoseconds / 1_000_000,
        nanoseconds % 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_milliseconds_and_the_rest() {
        assert_eq!(
            default_name(Duration::new(12, 345_678_901), ""),
            "heapdump-12345.678901.heapsnapshot"
        );
    }

    #[test]
    fn the_rest_is_not_padded() {
        assert_eq!(default_name(Duration::new(1, 42), ".gz"), "heapdump-1000.42.heapsnapshot.gz");
    }
}
