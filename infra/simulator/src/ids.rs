//! Message ids: `alss-` and sixteen hex digits, such as `alss-a1b2c3d4-e5f67890`.
//!
//! An id is the scrambled serial number of its message. So ids look random and never repeat within
//! one run. They are not stored: the serial number is computed from the id.

use crate::random::{entropy, scramble, unscramble};

/// Converts serial numbers to ids and back, for one run of the ledger.
pub(crate) struct Ids {
    // Differs from run to run, so that two simulators behind one database use different ids.
    base: u64,
}

impl Ids {
    /// Creates a mapping that differs from those of earlier runs.
    pub(crate) fn new() -> Self {
        Self { base: entropy() }
    }

    /// Returns the id of the message with this serial number.
    pub(crate) fn id(&self, serial: u64) -> String {
        let scrambled = scramble(self.base.wrapping_add(serial));
        format!(
            "alss-{:08x}-{:08x}",
            scrambled >> 32,
            scrambled & 0xffff_ffff
        )
    }

    /// Returns the serial number of an id. Every id of the right form has one, so the caller checks
    /// whether that number was ever issued.
    pub(crate) fn serial(&self, id: &str) -> Option<u64> {
        let (high, low) = id.strip_prefix("alss-")?.split_once('-')?;
        Some(unscramble((hex(high)? << 32) | hex(low)?).wrapping_sub(self.base))
    }
}

fn hex(digits: &str) -> Option<u64> {
    let plain = digits.len() == 8
        && digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    plain
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_converts_back_to_its_serial_number() {
        let ids = Ids::new();
        for serial in [0, 1, 2, 1_000_000, 1 << 40] {
            let id = ids.id(serial);
            assert_eq!(id.len(), "alss-a1b2c3d4-e5f67890".len());
            assert_eq!(ids.serial(&id), Some(serial));
        }
    }

    #[test]
    fn other_strings_have_no_serial_number() {
        let ids = Ids::new();
        for text in [
            "",
            "alss-",
            "alss-a1b2c3d4",
            "alss-A1B2C3D4-e5f67890",
            "alss-+1b2c3d4-e5f67890",
            "a1b2c3d4-e5f67890",
        ] {
            assert_eq!(ids.serial(text), None, "{text}");
        }
    }
}
