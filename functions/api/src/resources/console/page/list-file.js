// Reads a list of recipients in a file, piece by piece: a file may be larger than the memory.
//
// The API takes a list in many calls, each a table with a header. So a file is cut between rows, and
// each piece gets the header in front.

export const CHUNK_BYTES = 1024 * 1024;
const LONGEST_ROW = 4 * CHUNK_BYTES;
const HEAD_BYTES = 64 * 1024;
const SLICE_BYTES = 4 * 1024 * 1024;
const SEPARATORS = [",", ";", "\t"];
const PHONE_NAME = /phone|mobil|tel|msisdn|cell|handy|rufnummer|nomor|nohp|movil|móvil|celular|gsm|sms|^numbers?$|手机|电话|電話|携帯|전화|휴대|телефон/i;
const REFERENCE_NAME = /^(reference|ref(erence)?[ _-]?(no|number|id)|(customer|member|order|appointment|client|patient)[ _-]?(id|no|number))$/i;
const GROUP_NAME = /^(group|region|store|branch|department)$/i;
const PHONE_VALUE = /^['"=\s(]*\+?[\d\s()./-]{6,24}(\.0+)?["'\s]*$/;

export const CHARSETS = ["utf-8", "windows-1252", "utf-16le", "utf-16be"];

function markedCharset([first, second]) {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return first === 0xfe && second === 0xff ? "utf-16be" : null;
}

async function digest(previous, bytes) {
  if (!crypto.subtle) return null;
  const both = new Uint8Array(previous.length + bytes.length);
  both.set(previous);
  both.set(bytes, previous.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", both));
}

/**
 * Reads a file once, in slices: returns its encoding, and a fingerprint by which the same file is
 * recognised. What is not UTF-8 and has no mark is taken for windows-1252, as Excel writes it.
 */
export async function inspect(file, progress) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let [hash, charset] = [new Uint8Array(), null];
  for (let at = 0; at < file.size; at += SLICE_BYTES) {
    const bytes = new Uint8Array(await file.slice(at, at + SLICE_BYTES).arrayBuffer());
    if (at === 0) charset = markedCharset(bytes);
    try {
      if (!charset) decoder.decode(bytes, { stream: true });
    } catch {
      charset = "windows-1252";
    }
    hash = hash && (await digest(hash, bytes));
    progress?.(Math.min(at + SLICE_BYTES, file.size) / file.size);
  }
  const hex = hash && Array.from(hash.slice(0, 12), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { charset: charset ?? "utf-8", fingerprint: hex };
}

/**
 * Parses a text as rows of fields, as far as rows are complete. `ends` has the end of each row in the
 * text. A quote opens a field at its beginning only.
 */
export function parseRows(text, separator, isLast, most = Infinity) {
  const rows = [];
  const ends = [];
  let [fields, field, quoted, fresh] = [[], "", false, true];
  const endField = () => {
    fields.push(field);
    [field, fresh] = ["", true];
  };
  for (let at = 0; at < text.length && rows.length < most; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character !== '"') field += character;
      else if (text[at + 1] === '"') field += text[(at += 1)];
      else quoted = false;
    } else if (character === '"' && fresh) [quoted, fresh] = [true, false];
    else if (character === separator) endField();
    else if (character === "\n" || character === "\r") {
      if (character === "\r" && at + 1 === text.length && !isLast) break; // its LF may be in the next piece
      if (character === "\r" && text[at + 1] === "\n") at += 1;
      endField();
      rows.push(fields);
      ends.push(at + 1);
      fields = [];
    } else [field, fresh] = [field + character, false];
  }
  if (isLast && (field || fields.length) && rows.length < most) {
    endField();
    rows.push(fields);
    ends.push(text.length);
  }
  return { rows, ends };
}

/** Returns the end of the last complete row, and the number of rows and of line ends before it. */
export function lastRowEnd(text, separator) {
  let [end, lines, linesAtEnd, rows, quoted, fresh] = [0, 0, 0, 0, false, true];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    const isEnd = character === "\n" || (character === "\r" && at + 1 < text.length && text[at + 1] !== "\n");
    if (isEnd) lines += 1;
    if (quoted) quoted = character !== '"';
    else if (character === '"' && (fresh || text[at - 1] === '"')) quoted = true; // also the second of two
    else if (isEnd) [end, linesAtEnd, rows, fresh] = [at + 1, lines, rows + 1, true];
    else fresh = character === separator;
  }
  return { end, lines: linesAtEnd, rows };
}

const isBlank = (row) => row.every((field) => field.trim() === "");
export const letterOf = (at) => (at < 26 ? String.fromCharCode(97 + at) : letterOf(Math.floor(at / 26) - 1) + letterOf(at % 26));

function separatorOf(line) {
  const count = (separator) => line.replace(/"[^"]*"/g, "").split(separator).length;
  return SEPARATORS.reduce((best, one) => (count(one) > count(best) ? one : best));
}

function phoneColumn(names, rows, hasHeader) {
  const named = names.flatMap((name, at) => (PHONE_NAME.test(name) ? [at] : []));
  const score = (at) => rows.filter((row) => PHONE_VALUE.test(row[at] ?? "")).length;
  const candidates = hasHeader && named.length ? named : names.map((_, at) => at);
  return candidates.reduce((best, at) => (score(at) > score(best) ? at : best), candidates[0]);
}

/**
 * Reads the beginning of a file: its separator, its columns, the first rows, which column seems to
 * have the phone numbers, and at which byte and line the rows begin.
 */
export async function readHead(file, charset) {
  const bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  let text = new TextDecoder(charset, { ignoreBOM: true }).decode(bytes);
  const mark = text.startsWith("\ufeff") ? 1 : 0;
  const given = /^\ufeff?"?sep=(.)"?[ ]?(\r\n|\n|\r)/i.exec(text);
  const firstRow = given ? given[0].length : mark;
  const begin = text.slice(firstRow).search(/[^\s,;"]/) === -1 ? "" : text.slice(firstRow).split(/[\r\n]/).find((line) => !isBlank([line])) ?? "";
  const separator = given ? given[1] : separatorOf(begin);
  const isWhole = file.size <= HEAD_BYTES;
  const { rows, ends } = parseRows(text.slice(firstRow), separator, isWhole, 200);
  const at = rows.findIndex((row) => !isBlank(row));
  if (at < 0) return null;
  const hasHeader = !rows[at].some((cell) => PHONE_VALUE.test(cell));
  const names = rows[at].map((name, column) => (hasHeader && name.trim() ? name.trim() : `column_${letterOf(column)}`));
  const samples = rows.slice(hasHeader ? at + 1 : at).filter((row) => !isBlank(row));
  const column = phoneColumn(names, samples, hasHeader);
  const named = (pattern) => names.findIndex((name, place) => hasHeader && place !== column && pattern.test(name));
  const [reference, group] = [REFERENCE_NAME, GROUP_NAME].map(named).map((place) => (place < 0 ? null : place));
  const bodyAt = firstRow + (hasHeader ? ends[at] : at > 0 ? ends[at - 1] : 0);
  const before = text.slice(0, bodyAt);
  return {
    separator, hasHeader, names, samples: samples.slice(0, 5), column, reference, group,
    offset: encodedLength(before, charset), line: before.split(/\r\n|\n|\r/).length,
  };
}

/** Returns how many bytes a text takes in a file of an encoding. */
function encodedLength(text, charset) {
  if (charset === "utf-8") return new TextEncoder().encode(text).length;
  return charset.startsWith("utf-16") ? 2 * text.length : text.length;
}

/** Returns the line that names the columns, in front of each piece. */
export function headerOf({ separator, names }) {
  const quoted = names.map((name) => `"${name.replace(/[\r\n]+/g, " ").replaceAll('"', '""')}"`);
  return `sep=${separator}\r\n${quoted.join(separator)}\r\n`;
}

/**
 * Reads the piece of a file that begins at a byte. Returns its rows as a text with the header in
 * front, where it ends, and how many lines and rows it has.
 */
export async function readPiece(file, layout, offset) {
  for (let size = CHUNK_BYTES; ; size *= 2) {
    const bytes = await file.slice(offset, offset + size).arrayBuffer();
    const text = new TextDecoder(layout.charset, { ignoreBOM: true }).decode(bytes);
    const isLast = offset + size >= file.size;
    const found = lastRowEnd(isLast && !/[\r\n]$/.test(text) ? `${text}\n` : text, layout.separator);
    const end = isLast ? text.length : found.end;
    if (end > 0) {
      const rows = text.slice(0, end);
      return { text: headerOf(layout) + rows, end: offset + encodedLength(rows, layout.charset), lines: found.lines, rows: found.rows };
    }
    if (isLast || size >= LONGEST_ROW) return null;
  }
}
