// Choosing a file with a list: by a dialog or by dropping it. Shows its columns and first rows.
import { html, useState } from "./preact.js";
import { get } from "./api.js";
import { number, time } from "./format.js";
import { CHARSETS, inspect, readHead } from "./list-file.js";
import { linkTo } from "./router.js";
import { convert, isOther, isSpreadsheet } from "./spreadsheet.js";
import { T } from "./texts.js";
import { Checkbox, ErrorBox, Field, Input, Notice, Select, Table } from "./ui.js";

const F = T.file;
const DAY_MS = 86_400_000;

/** Lets a file be chosen that was chosen before: browsers report only another choice, also if the file was corrected. */
const forget = (event) => {
  event.target.value = "";
};

/** An input for a file, onto which a file can also be dropped. */
export function FileInput({ label, hint, onFile }) {
  const [over, setOver] = useState(false);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    const [file] = event.dataTransfer.files;
    if (file) onFile(file);
  };
  const hover = (event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`<div class=${`drop${over ? " over" : ""}`} onDragOver=${hover} onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <${Field} label=${label} hint=${hint}>${(attributes) => html`<input ...${attributes} type="file" onClick=${forget}
      accept=".csv,.tsv,.txt,.xlsx,.ods,text/csv,text/tab-separated-values,text/plain"
      onChange=${(event) => event.target.files[0] && onFile(event.target.files[0])} />`}<//></div>`;
}

/** Returns the schedules of the last day that were made from the same file. */
async function sentBefore(fingerprint) {
  if (!fingerprint) return [];
  const { schedules } = await get("/v1/schedules", { reference: referenceOf(fingerprint), limit: 5 });
  const isRecent = ({ status, created_at }) => status !== "cancelled" && new Date(created_at) > Date.now() - DAY_MS;
  return schedules.filter(isRecent);
}

export const referenceOf = (fingerprint) => (fingerprint ? `file-${fingerprint}` : undefined);

/** Reads a file; returns it with its layout, or throws what is wrong with it. */
async function readList(source, { charset, sheet }, progress) {
  if (isOther(source)) throw { title: F.wrong, message: F.otherProgram };
  const converted = isSpreadsheet(source) && (await convert(source, sheet));
  const found = await inspect(source, progress);
  const { file, sheets = [] } = converted || { file: source };
  const used = converted ? "utf-8" : charset ?? found.charset;
  const head = file.size && (await readHead(file, used));
  if (!head) throw { title: F.wrong, message: F.empty, source, sheet: converted.sheet, sheets };
  // The sheets of a file are different lists.
  const place = sheets.indexOf(converted.sheet);
  const fingerprint = found.fingerprint && found.fingerprint + (place > 0 ? `-${place + 1}` : "");
  const before = await sentBefore(fingerprint);
  return { file, source, sheet: converted.sheet, sheets, fingerprint, layout: { ...head, charset: used }, before };
}

/** Chooses the column with the numbers, which has neither references nor groups. */
function withoutColumn({ reference, group }, column) {
  const other = (at) => (at === column ? null : at);
  return { column, reference: other(reference), group: other(group) };
}

/** The choice of a sheet, also if the first one is empty. */
function Sheet({ of: { sheet, sheets }, onValue }) {
  return sheets.length > 1 && html`<${Select} label=${F.sheet} value=${sheet} options=${sheets.map((one) => [one, one])} onValue=${onValue} />`;
}

function Layout({ list, change }) {
  const { layout } = list;
  const columns = layout.names.map((name, at) => [String(at), name]);
  const set = (changes) => change({ ...list, layout: { ...layout, ...changes } });
  const others = [["", F.noColumn], ...columns.filter(([at]) => Number(at) !== layout.column)];
  const named = (name) => html`<${Select} label=${F.named[name]} value=${String(layout[name] ?? "")} options=${others}
    onValue=${(at) => set({ [name]: at === "" ? null : Number(at) })} />`;
  return html`<div class="grid">
      <${Select} label=${F.column} hint=${F.columnHint} value=${String(layout.column)} options=${columns}
        onValue=${(at) => set(withoutColumn(layout, Number(at)))} />
      ${list.sheet === undefined && html`<${Select} label=${F.charset} hint=${F.charsetHint} value=${layout.charset}
        options=${CHARSETS.map((one) => [one, F.charsets[one]])} onValue=${(charset) => change(null, { charset })} />`}
      <${Sheet} of=${list} onValue=${(sheet) => change(null, { sheet })} />
      ${named("reference")}${named("group")}</div>
    <p>${layout.hasHeader ? F.withHeader : F.withoutHeader}</p>
    <${Table} caption=${F.firstRows} head=${layout.names} rows=${layout.samples.map((row) => layout.names.map((_, at) => row[at] ?? ""))} />`;
}

/** The part of the form that chooses the list. `list` is what was chosen; `setReading` says whether a file is being read. */
export function FileChoice({ list, setList, setReading, values, set }) {
  const [busy, setBusy] = useState(null);
  const [error, setError] = useState(null);
  const read = async (file, how = {}) => {
    setError(null);
    setList(null);
    setBusy(0);
    setReading(true);
    try {
      setList(await readList(file, how, setBusy));
    } catch (problem) {
      setError(problem);
    }
    setBusy(null);
    setReading(false);
  };
  const change = (changed, how) => (how ? read(list.source, how) : setList(changed));
  return html`<fieldset><legend>${F.title}</legend>
    <${FileInput} label=${F.choose} hint=${F.chooseHint} onFile=${(file) => read(file)} />
    ${busy !== null && html`<p role="status">${F.reading} <progress aria-label=${F.reading} value=${busy} max="1"></progress></p>`}
    <${ErrorBox} error=${error} />
    ${error?.sheets && html`<${Sheet} of=${error} onValue=${(sheet) => read(error.source, { sheet })} />`}
    ${list && html`<p><strong>${list.file.name}</strong>, ${F.size(number(Math.ceil(list.source.size / 1024)))}</p>
      ${list.before.map((one) => html`<${Notice} kind="warning">${F.before(time(one.created_at))}
        <a href=${linkTo(`schedules/${one.id}`)}>${one.name ?? one.id}</a><//>`)}
      <${Layout} list=${list} change=${change} />`}
    <div class="grid"><${Input} label=${F.country} hint=${F.countryHint} maxlength="2" pattern="[A-Za-z]{2}" autocomplete="off"
      value=${values.country} onValue=${set("country")} />
      <div class="field"><${Checkbox} label=${F.mobile} checked=${values.mobile} onValue=${set("mobile")} /></div>
      <${Select} label=${F.duplicates} value=${values.duplicates} options=${Object.entries(F.onDuplicate)} onValue=${set("duplicates")} /></div></fieldset>`;
}
