// The upload of a file to a draft. What is uploaded is remembered in this tab, so that a reload
// continues where it stopped, once the same file is chosen again: browsers do not keep files.
import { get, requestPatiently } from "./api.js";
import { readPiece } from "./list-file.js";
import { convert, isSpreadsheet } from "./spreadsheet.js";
import { T } from "./texts.js";

const files = new Map(); // the chosen file of each draft, until the page is loaded again
const keyOf = (id) => `sms-console-upload-${id}`;
// In front of the first row of each piece are the line with the separator and the header.
const LINES_IN_FRONT = 2;

export const fileOf = (id) => files.get(id);

/** Returns what is known in this tab about the upload to a draft. */
export function recall(id) {
  try {
    return JSON.parse(sessionStorage.getItem(keyOf(id)));
  } catch {
    return null;
  }
}

function remember(id, state) {
  sessionStorage.setItem(keyOf(id), JSON.stringify(state));
}

export const changeUpload = (id, changes) => remember(id, { ...recall(id), ...changes });

/** Begins an upload. `list` is the chosen file with its layout; `choice` what else was chosen. */
export function begin(id, list, choice) {
  const { file, layout, source, sheet } = list;
  files.set(id, file);
  remember(id, {
    file: { name: file.name, size: file.size, lastModified: file.lastModified },
    sourceSize: source.size, sheet, layout, offset: layout.offset, line: layout.line, calls: [],
    sums: { rows: 0, accepted: 0, duplicates: 0, invalid: 0 }, done: false, ...choice,
  });
}

/** Takes a file that was chosen after a reload; returns whether it is the same one. */
export async function continueWith(id, source) {
  const { file, sourceSize, sheet } = recall(id) ?? {};
  const same = file?.name === source.name && file.lastModified === source.lastModified && sourceSize === source.size;
  if (same) files.set(id, isSpreadsheet(source) ? (await convert(source, sheet)).file : source);
  return same;
}

async function packed(text) {
  const plain = new Blob([text]);
  if (!globalThis.CompressionStream) return { body: plain, type: "text/csv" };
  const stream = plain.stream().pipeThrough(new CompressionStream("gzip"));
  return { body: await new Response(stream).blob(), type: "application/gzip" };
}

/** Uploads the next piece; a repeated piece adds nothing. Returns the new state. */
async function uploadPiece(id, file, state) {
  const piece = await readPiece(file, state.layout, state.offset);
  if (!piece) throw { title: T.upload.failed, message: T.upload.longRow(state.line) };
  const { column, reference, group } = state.layout;
  const place = (at) => (at === null || at === undefined ? undefined : at + 1);
  const query = { column: column + 1, reference_column: place(reference), group_column: place(group), format: "csv" };
  const response = await requestPatiently("POST", `/v1/schedules/${id}/recipients`, { query, ...(await packed(piece.text)) });
  const answer = await response.json();
  const sums = {
    rows: state.sums.rows + piece.rows,
    accepted: state.sums.accepted + answer.accepted,
    duplicates: state.sums.duplicates + answer.duplicates,
    invalid: state.sums.invalid + answer.invalid_count,
  };
  const calls = [...state.calls, { call: answer.call, line: state.line }];
  return { ...state, sums, calls, offset: piece.end, line: state.line + piece.lines, done: piece.end >= file.size };
}

/** Uploads what is left, and calls `progress(state)` after each piece. */
export async function upload(id, progress, signal) {
  const file = files.get(id);
  let state = recall(id);
  while (!state.done && !signal.aborted) {
    const next = await uploadPiece(id, file, state);
    // The text or the time may have been changed meanwhile; only the progress is ours.
    state = { ...recall(id), ...next };
    remember(id, state);
    progress(state);
  }
}

// An apostrophe precedes what a spreadsheet would execute, as in the API's reports.
function cell(value) {
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r\n]/.test(text) && !/^\+?\d+$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Returns the rows that were refused as a table: the line in the file, what it has, and why. */
export async function refusedRows(id) {
  const calls = new Map((recall(id)?.calls ?? []).map(({ call, line }) => [call, line]));
  const parts = [`${T.upload.refusedHead.join(",")}\r\n`];
  let cursor;
  do {
    const page = await get(`/v1/schedules/${id}/recipients`, { status: "INVALID", limit: 1000, cursor });
    for (const { call, position, input, error } of page.recipients) {
      const line = calls.has(call) ? calls.get(call) + position - LINES_IN_FRONT - 1 : "";
      parts.push(`${[line, input, error].map(cell).join(",")}\r\n`);
    }
    cursor = page.next_cursor;
  } while (cursor);
  return new Blob(parts, { type: "text/csv" });
}
