use super::*;

const SMALL: Limits = Limits { bytes: 60, rows: 2 };

fn pieces_of(
    bytes: &[u8],
    reading: &Reading,
    limits: Limits,
) -> Result<Vec<(String, Piece, &'static str)>, Failure> {
    let file = Box::new(io::Cursor::new(bytes.to_vec()));
    let mut list = List::new(file, "list", reading, limits)?;
    let mut pieces = Vec::new();
    while let Some(piece) = list.piece()? {
        let format = list.sent_as(&piece);
        pieces.push((
            String::from_utf8_lossy(&piece.text).into_owned(),
            piece,
            format,
        ));
    }
    Ok(pieces)
}

fn texts(text: &str) -> Vec<String> {
    let pieces = pieces_of(text.as_bytes(), &Reading::default(), SMALL).unwrap();
    pieces.into_iter().map(|(text, ..)| text).collect()
}

#[test]
fn a_table_is_split_between_rows_and_each_piece_has_the_header() {
    let table = [
        (
            "phone,name\n+1,A\n+2,B\n+3,C\n",
            vec!["phone,name\n+1,A\n+2,B\n", "phone,name\n+3,C\n"],
        ),
        (
            "phone;n\r\n+1;A\r\n+2;B\r\n+3;C",
            vec!["phone;n\r\n+1;A\r\n+2;B\r\n", "phone;n\r\n+3;C"],
        ),
        (
            "phone\r+1\r+2\r+3\r",
            vec!["phone\r+1\r+2\r", "phone\r+3\r"],
        ),
        // A line end within quotes is none, and a quote within a field is none.
        (
            "phone,n\n+1,\"A\nB\"\n+2,5\" x\n+3,C\n",
            vec!["phone,n\n+1,\"A\nB\"\n+2,5\" x\n", "phone,n\n+3,C\n"],
        ),
        (
            "phone,n\n+1,\"A\"\"\n,B\"\n+2,B\n+3,C\n",
            vec!["phone,n\n+1,\"A\"\"\n,B\"\n+2,B\n", "phone,n\n+3,C\n"],
        ),
        (
            "sep=;\nphone;n\n+1;\"A,\"\n+2;B\n+3;C\n",
            vec![
                "sep=;\nphone;n\n+1;\"A,\"\n+2;B\n",
                "sep=;\nphone;n\n+3;C\n",
            ],
        ),
        // Without a header nothing is repeated.
        (
            "+60111\n+60112\n+60113\n",
            vec!["+60111\n+60112\n", "+60113\n"],
        ),
        (
            "\u{feff}\n;;\nphone\n+1\n",
            vec!["\u{feff}\n;;\nphone\n+1\n"],
        ),
        // A list without rows is refused by the API, not ignored here.
        ("phone\n", vec!["phone\n"]),
        ("", vec![]),
    ];
    for (text, expected) in table {
        assert_eq!(texts(text), expected, "{text:?}");
    }
}

#[test]
fn no_byte_of_a_large_list_is_lost() {
    let rows: Vec<_> = (0..1000)
        .map(|at| format!("+6012{at:07},\"Ana, {at}\"\r\n"))
        .collect();
    let text = format!("phone,name\r\n{}", rows.concat());
    let limits = Limits {
        bytes: 1000,
        rows: 70,
    };
    let pieces = pieces_of(text.as_bytes(), &Reading::default(), limits).unwrap();
    assert!(pieces.len() > 10 && pieces.iter().all(|(text, ..)| text.len() <= 1000));
    let sent: String = pieces
        .iter()
        .map(|(text, ..)| text.strip_prefix("phone,name\r\n").unwrap())
        .collect();
    assert_eq!(sent, rows.concat());
    // The line of the file that a position of a piece is.
    for (text, piece, _) in &pieces {
        let first = text.lines().nth(1).unwrap();
        let line = piece.positions.place(2) as usize;
        assert_eq!(format!("{first}\r\n"), rows[line - 2]);
    }
    assert_eq!(
        pieces.iter().map(|(_, piece, _)| piece.rows).sum::<u64>(),
        1000
    );
}

#[test]
fn json_is_sent_as_it_is_or_as_lines() {
    let short = r#"["+60111", {"phone": "+60112"}]"#;
    let pieces = pieces_of(short.as_bytes(), &Reading::default(), SMALL).unwrap();
    assert_eq!(
        (pieces[0].0.as_str(), pieces[0].2, pieces.len()),
        (short, "json", 1)
    );
    let long = "{\"recipients\": [\"+60111\",\n {\"phone\": \"+60112\",\n \"vars\": {\"n\": 1.50}}, \"+60113\"]}";
    let pieces = pieces_of(long.as_bytes(), &Reading::default(), SMALL).unwrap();
    let sent: Vec<_> = pieces
        .iter()
        .map(|(text, _, format)| (text.as_str(), *format))
        .collect();
    assert_eq!(
        sent,
        [
            (
                "\"+60111\"\n{\"phone\": \"+60112\",  \"vars\": {\"n\": 1.50}}\n",
                "ndjson"
            ),
            ("\"+60113\"\n", "ndjson")
        ]
    );
    assert_eq!(pieces[1].1.positions.describe(1), "line 3");
    assert_eq!(
        texts("{\"phone\": \"+1\"}\n\"+60112\"\n\"+60113\"").len(),
        2
    );
}

#[test]
fn a_list_is_read_in_its_encoding() {
    let mut utf_16 = vec![0xff, 0xfe];
    utf_16.extend("phone,n\n+1,é\n".encode_utf16().flat_map(u16::to_le_bytes));
    let pieces = pieces_of(&utf_16, &Reading::default(), SMALL).unwrap();
    assert_eq!(pieces[0].0, "phone,n\n+1,é\n");
    // Half of a pair.
    utf_16.extend([0x00, 0xd8, 0x0a, 0x00]);
    assert_eq!(
        pieces_of(&utf_16, &Reading::default(), SMALL)
            .unwrap_err()
            .code(),
        2
    );

    let reading = Reading {
        charset: Some("latin1".to_owned()),
        ..Reading::default()
    };
    let list = List::new(
        Box::new(&b"phone,n\n+1,\xe9\n"[..]),
        "list",
        &reading,
        SMALL,
    )
    .unwrap();
    assert_eq!(list.charset.as_deref(), Some("windows-1252"));
    let reading = Reading {
        charset: Some("none".to_owned()),
        ..Reading::default()
    };
    assert_eq!(pieces_of(b"", &reading, SMALL).unwrap_err().code(), 2);
}

#[test]
fn a_compressed_list_is_read_and_a_broken_one_refused() {
    let piece = Piece {
        text: b"phone\n+1\n".to_vec(),
        positions: Positions::default(),
        rows: 1,
    };
    let mut gzip = piece.compressed().unwrap();
    let pieces = pieces_of(&gzip, &Reading::default(), SMALL).unwrap();
    assert_eq!(pieces[0].0, "phone\n+1\n");
    gzip.truncate(gzip.len() - 4);
    assert_eq!(
        pieces_of(&gzip, &Reading::default(), SMALL)
            .unwrap_err()
            .code(),
        2
    );
}
