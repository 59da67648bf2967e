//! Splits a text into the parts that are transmitted.
//!
//! A single message holds 160 septets of GSM 03.38 or 70 units of UCS-2. Each part of a longer text
//! holds 153 or 67. The scheduler has its own code for this: the two count independently and so
//! check each other.
//!
//! A part never ends inside an escape sequence or a surrogate pair (3GPP TS 23.040, 9.2.3.24.1). A
//! text with such a character at the border of two parts can therefore need one part more than its
//! length divided by 153 or 67.

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
    abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

struct Alphabet {
    max_single: usize,
    max_part: usize,
    weight: fn(char) -> usize,
}

const GSM: Alphabet = Alphabet {
    max_single: 160,
    max_part: 153,
    weight: septets,
};
const UCS2: Alphabet = Alphabet {
    max_single: 70,
    max_part: 67,
    weight: char::len_utf16,
};

/// Splits `text` into its parts, in order. A short text is one part. Concatenated, the parts are
/// the text.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let alphabet = alphabet(text);
    if length(text, &alphabet) <= alphabet.max_single {
        return vec![text];
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(fitting(rest, alphabet.max_part, alphabet.weight));
        parts.push(part);
        rest = after;
    }
    parts
}

/// Returns the beginning of `text` that fits into one message.
pub(crate) fn cut(text: &str) -> &str {
    let alphabet = alphabet(text);
    &text[..fitting(text, alphabet.max_single, alphabet.weight)]
}

fn alphabet(text: &str) -> Alphabet {
    if text.chars().all(|character| septets(character) > 0) {
        GSM
    } else {
        UCS2
    }
}

fn length(text: &str, alphabet: &Alphabet) -> usize {
    text.chars().map(alphabet.weight).sum()
}

/// Returns how many bytes of `text` fit into `limit`.
fn fitting(text: &str, limit: usize, weight: fn(char) -> usize) -> usize {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += weight(character);
        if used > limit {
            return at;
        }
    }
    text.len()
}

/// Returns 1 for a character of the basic table, 2 for one of the extension table, 0 for any other.
fn septets(character: char) -> usize {
    // Nearly all characters of a text are letters and digits: no search is needed for them.
    if character.is_ascii_alphanumeric() || character == ' ' || BASIC.contains(character) {
        1
    } else if EXTENSION.contains(character) {
        2
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_complete() {
        // 128 codes, one of which is the escape to the extension table.
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
    }

    #[test]
    fn texts_are_split_at_the_limits_of_their_alphabet() {
        let table = [
            ("", 0, 1),
            ("a", 160, 1),
            ("a", 161, 2),
            ("a", 306, 2),
            ("a", 307, 3),
            ("€", 80, 1),
            ("€", 81, 2),
            ("ж", 70, 1),
            ("ж", 71, 2),
            ("ж", 134, 2),
            ("ж", 135, 3),
            ("😀", 35, 1),
            ("😀", 36, 2),
        ];
        for (character, count, parts) in table {
            let text = character.repeat(count);
            assert_eq!(split(&text).len(), parts, "{count} × {character}");
            assert_eq!(split(&text).concat(), text);
        }
    }

    #[test]
    fn a_character_of_two_units_is_never_split() {
        let euro = format!("{}€{}", "a".repeat(152), "a".repeat(50));
        assert_eq!(split(&euro)[0].len(), 152);
        let smile = format!("{}😀{}", "ж".repeat(66), "ж".repeat(50));
        assert_eq!(split(&smile)[0].chars().count(), 66);
    }

    #[test]
    fn a_cut_text_fills_one_message() {
        assert_eq!(cut(&"a".repeat(500)).len(), 160);
        assert_eq!(cut(&"ж".repeat(500)).chars().count(), 70);
        assert_eq!(cut("short"), "short");
    }
}
