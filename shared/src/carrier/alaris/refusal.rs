//! What a refusal (4xx) concerns: the account, so that every request would be refused, or this
//! request only.
//!
//! A refusal of the account pauses the schedule at once, so the table contains only what cannot
//! concern a single number. What is not in it is found out by smaller requests. A missing route is
//! not in it: it may concern all numbers, or one.

use crate::carrier::SendError;

/// Codes that concern the account: no login, no credit, no permission.
const ACCOUNT_CODES: [u16; 3] = [401, 402, 403];

/// Parts of texts, in lower case, that concern the account.
const ACCOUNT_TEXTS: [&str; 14] = [
    "credit",
    "balance",
    "funds",
    "payment",
    "prepaid",
    "billing",
    "account",
    "permission",
    "not permitted",
    "authori",
    "authentic",
    "password",
    "suspended",
    "ip address",
];

/// Parts of texts, in lower case, that concern a number, whatever else the text contains.
const NUMBER_TEXTS: [&str; 6] = [
    "number",
    "destination",
    "dnis",
    "msisdn",
    "recipient",
    "subscriber",
];

/// Returns the error of a request that was refused with `code`, for a `reason` without digits.
pub(super) fn refusal(code: u16, reason: String) -> SendError {
    if concerns_account(code, &reason.to_lowercase()) {
        SendError::AccountRefused { reason }
    } else {
        SendError::Refused { reason }
    }
}

fn concerns_account(code: u16, reason: &str) -> bool {
    let contains = |texts: &[&str]| texts.iter().any(|text| reason.contains(text));
    // Without a login or credit nothing is accepted, whatever the text.
    if matches!(code, 401 | 402) {
        return true;
    }
    !contains(&NUMBER_TEXTS) && (ACCOUNT_CODES.contains(&code) || contains(&ACCOUNT_TEXTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_or_one_request_is_refused() {
        #[rustfmt::skip]
        let table = [
            (401, "HTTP 401", true),
            (401, "401 wrong number or password", true),
            (402, "HTTP 402", true),
            (402, "402 Not enough credit", true),
            (403, "HTTP 403", true),
            (403, "403 Forbidden", true),
            (403, "403 destination not allowed", false),
            (400, "400 Insufficient balance", true),
            (400, "400 OUT OF CREDIT", true),
            (400, "400 no funds left", true),
            (400, "400 account suspended", true),
            (400, "400 no permission for this sender", true),
            (400, "400 not authorized (check login and password)", true),
            (400, "400 your IP address is not on the list", true),
            (400, "400 Bad Request (Destination number is too long)", false),
            (400, "400 number is blocked for this account", false),
            (400, "400 NO ROUTES", false),
            (400, "400", false),
            (404, "HTTP 404", false),
            (413, "HTTP 413", false),
        ];
        for (code, reason, is_account) in table {
            let error = refusal(code, reason.to_owned());
            let found = matches!(error, SendError::AccountRefused { .. });
            assert_eq!(found, is_account, "{code} {reason}");
        }
    }
}
