//! The numbers that digits without a plus sign can be.

use crate::message::phone::{Phone, PhoneError, Region};

/// The digits before a country code in most countries, and in writing (ITU-T E.164, section 7).
const ZEROS: &[u8] = b"00";

/// What digits are in a region, in each way that they can be read.
#[derive(Clone, Copy)]
pub(super) struct Readings {
    /// As they are dialed nationally.
    national: Option<Phone>,
    /// Behind the digits that are dialed in the region before a country code.
    behind_prefix: Option<Phone>,
    /// Behind 00, also where it is not dialed.
    behind_zeros: Option<Phone>,
    /// As an international number of the region's country, whose plus sign is missing.
    without_plus: Option<Phone>,
    /// Why they are none of them.
    error: PhoneError,
}

impl Readings {
    /// Reads digits in a region.
    pub(super) fn of(digits: &[u8], region: &Region) -> Self {
        let country = region.country();
        let national = Phone::of_parts(country, digits);
        let behind_prefix = region
            .behind_international_prefix(digits)
            .map(Phone::international);
        let behind_zeros = digits.strip_prefix(ZEROS).map(Phone::international);
        let without_plus = country
            .behind_code(digits)
            .and_then(|national| Phone::of_parts(country, national).ok());
        let failed = |read: Option<Result<Phone, PhoneError>>| read.and_then(Result::err);
        Self {
            national: national.ok(),
            behind_prefix: behind_prefix.and_then(Result::ok),
            behind_zeros: behind_zeros.and_then(Result::ok),
            without_plus,
            error: failed(behind_prefix)
                .or_else(|| failed(behind_zeros))
                .or_else(|| national.err())
                .unwrap_or(PhoneError::NotANumber),
        }
    }

    /// Keeps the readings that are accepted.
    pub(super) fn filter(self, accepts: impl Fn(&Phone) -> bool) -> Self {
        Self {
            national: self.national.filter(&accepts),
            behind_prefix: self.behind_prefix.filter(&accepts),
            behind_zeros: self.behind_zeros.filter(&accepts),
            without_plus: self.without_plus.filter(&accepts),
            error: self.error,
        }
    }

    /// Returns the number if all readings are the same one. A message to a wrong number is worse
    /// than a refused entry, so that none of two is preferred.
    pub(super) fn only(self) -> Result<Phone, PhoneError> {
        let readings = [
            self.national,
            self.behind_prefix,
            self.behind_zeros,
            self.without_plus,
        ];
        let mut valid = readings.into_iter().flatten();
        let first = valid.next().ok_or(self.error)?;
        if valid.all(|other| other == first) {
            Ok(first)
        } else {
            Err(PhoneError::Ambiguous)
        }
    }
}
