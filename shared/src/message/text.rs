//! The number of SMS parts of a text, which is what the carrier bills.
//!
//! GSM 03.38 as in 3GPP TS 23.038 section 6.2.1 (without national shift tables: carriers seldom
//! support them), and UCS-2 as it is used in practice, that is UTF-16, for all other texts.

/// The most parts of a text: a longer text is more often a mistake than intended, and the ids of
/// ten parts fit into `recipients.message_id`.
pub const MAX_PARTS: usize = 10;

/// A part has 140 octets: 160 septets or 70 code units. The header that joins several parts takes 6
/// octets of each.
const GSM: PartSize = PartSize {
    alone: 160,
    joined: 153,
};
const UCS2: PartSize = PartSize {
    alone: 70,
    joined: 67,
};

/// The default alphabet in the order of its codes, without the escape (0x1B).
const GSM_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table: each character is preceded by an escape, so it takes two septets.
const GSM_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The number of units of a part.
struct PartSize {
    /// If the text has one part.
    alone: usize,
    /// If it has several.
    joined: usize,
}

/// The encoding of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// GSM 03.38, in septets.
    Gsm7,
    /// UCS-2, in UTF-16 code units.
    Ucs2,
}

/// The values of an encoding in the API; null if it may differ from text to text.
pub const ENCODINGS: [Option<&str>; 3] = [
    Some(Encoding::Gsm7.as_str()),
    Some(Encoding::Ucs2.as_str()),
    None,
];

impl Encoding {
    /// Returns the value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }
}

/// The size of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The encoding.
    pub encoding: Encoding,
    /// The length in septets or UTF-16 code units.
    pub units: usize,
    /// The parts that are sent and billed; 1 for an empty text.
    pub parts: usize,
    /// The first character that GSM 03.38 lacks: without such characters the text might have fewer
    /// parts.
    pub forced_by: Option<char>,
}

/// Counts the parts of a text.
pub fn parts(text: &str) -> Parts {
    let forced_by = text.chars().find(|&character| septets(character).is_none());
    let (encoding, size) = if forced_by.is_some() {
        (Encoding::Ucs2, UCS2)
    } else {
        (Encoding::Gsm7, GSM)
    };
    let sizes = text.chars().map(|character| match encoding {
        Encoding::Gsm7 => septets(character).unwrap_or_default(),
        Encoding::Ucs2 => character.len_utf16(),
    });
    let units = sizes.clone().sum();
    let parts = if units <= size.alone {
        1
    } else {
        joined_parts(sizes, size.joined)
    };
    Parts {
        encoding,
        units,
        parts,
        forced_by,
    }
}

/// Counts the parts of a long text. A character of two units that does not fit into a part moves to
/// the next part as a whole, so a division is not enough.
fn joined_parts(sizes: impl Iterator<Item = usize>, part_size: usize) -> usize {
    let (parts, _) = sizes.fold((1, 0), |(parts, used), size| {
        if used + size > part_size {
            (parts + 1, size)
        } else {
            (parts, used + size)
        }
    });
    parts
}

/// Returns the septets of a character, or `None` if the alphabet lacks it.
fn septets(character: char) -> Option<usize> {
    if character.is_ascii_alphanumeric() || GSM_BASIC.contains(character) {
        Some(1)
    } else if GSM_EXTENSION.contains(character) {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_127_characters_and_10_extensions() {
        assert_eq!(
            (GSM_BASIC.chars().count(), GSM_EXTENSION.chars().count()),
            (127, 10)
        );
        assert!(
            GSM_BASIC
                .chars()
                .all(|character| septets(character) == Some(1))
        );
        assert!(
            GSM_EXTENSION
                .chars()
                .all(|character| septets(character) == Some(2))
        );
    }

    #[test]
    fn parts_are_counted_as_the_carrier_counts_them() {
        use Encoding::{Gsm7, Ucs2};
        let a = |count| "a".repeat(count);
        let han = |count| "漢".repeat(count);
        #[rustfmt::skip]
        let table = [
            // text, encoding, units, parts, forced by
            (String::new(), Gsm7, 0, 1, None),
            ("Hello World!\r\n@£¥ÄÖñü_ΔΩ".into(), Gsm7, 24, 1, None),
            (a(160), Gsm7, 160, 1, None),
            (a(161), Gsm7, 161, 2, None),
            (a(306), Gsm7, 306, 2, None),
            (a(307), Gsm7, 307, 3, None),
            ("€".repeat(80), Gsm7, 160, 1, None),
            ("€".repeat(81), Gsm7, 162, 2, None),
            (a(159) + "€", Gsm7, 161, 2, None),
            (a(152) + "€" + &a(152), Gsm7, 306, 3, None),       // € would straddle 153: 152 + 153 + 1
            (a(151) + "€" + &a(153), Gsm7, 306, 2, None),       // € ends with 153
            ("[]{}\\~^|\u{c}".into(), Gsm7, 18, 1, None),
            (han(70), Ucs2, 70, 1, Some('漢')),
            (han(71), Ucs2, 71, 2, Some('漢')),
            (han(134), Ucs2, 134, 2, Some('漢')),
            (han(135), Ucs2, 135, 3, Some('漢')),
            (a(69) + "😀", Ucs2, 71, 2, Some('😀')),             // 70 units alone, and an emoji takes two
            (a(68) + "😀", Ucs2, 70, 1, Some('😀')),
            (a(66) + "😀" + &a(66), Ucs2, 134, 3, Some('😀')),   // the pair would straddle 67: 66 + 67 + 1
            (a(65) + "😀" + &a(67), Ucs2, 134, 2, Some('😀')),
            ("👩‍👩‍👧".into(), Ucs2, 8, 1, Some('👩')),
            ("çÇ`".into(), Ucs2, 3, 1, Some('ç')),              // only the upper case is in the alphabet
            ("don’t".into(), Ucs2, 5, 1, Some('’')),
            ("tab\t".into(), Ucs2, 4, 1, Some('\t')),
            ("café €5".into(), Gsm7, 8, 1, None),
            ("cafe\u{301}".into(), Ucs2, 5, 1, Some('\u{301}')), // a combining accent counts as a character
        ];
        for (text, encoding, units, count, forced_by) in table {
            assert_eq!(
                parts(&text),
                Parts {
                    encoding,
                    units,
                    parts: count,
                    forced_by
                },
                "{text:?}"
            );
        }
    }
}
