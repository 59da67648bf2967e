// Choosing a file with a list: by a dialog or by dropping it. Shows its columns and first rows.
import { html, useState } from "./preact.js";
import { get } from "./api.js";
import { number, time } from "./format.js";
import { CHARSETS, inspect, readHead } from "./list-file.js";
import { linkTo } from "./router.js";
import { T } from "./texts.js";
import { Checkbox, ErrorBox, Field, Input, Notice, Select, Table } from "./ui.js";

const F = T.file;
const DAY_MS = 86_400_000;

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
    <${Field} label=${label} hint=${hint}>${(attributes) => html`<input ...${attributes} type="file"
      accept=".csv,.tsv,.txt,text/csv,text/tab-separated-values,text/plain"
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
async function readList(file, charset, progress) {
  if (/\.(xlsx?|ods)$/i.test(file.name)) throw { title: F.wrong, message: F.spreadsheet };
  const { charset: found, fingerprint } = await inspect(file, progress);
  const used = charset ?? found;
  const head = file.size && (await readHead(file, used));
  if (!head) throw { title: F.wrong, message: F.empty };
  return { file, fingerprint, layout: { ...head, charset: used }, before: await sentBefore(fingerprint) };
}

function Layout({ list, change }) {
  const { layout } = list;
  const columns = layout.names.map((name, at) => [String(at), name]);
  const set = (changes) => change({ ...list, layout: { ...layout, ...changes } });
  return html`<div class="grid">
      <${Select} label=${F.column} hint=${F.columnHint} value=${String(layout.column)} options=${columns}
        onValue=${(column) => set({ column: Number(column) })} />
      <${Select} label=${F.charset} hint=${F.charsetHint} value=${layout.charset} options=${CHARSETS.map((one) => [one, F.charsets[one]])}
        onValue=${(charset) => change(null, charset)} /></div>
    <p>${layout.hasHeader ? F.withHeader : F.withoutHeader}</p>
    <${Table} caption=${F.firstRows} head=${layout.names} rows=${layout.samples.map((row) => layout.names.map((_, at) => row[at] ?? ""))} />`;
}

/** The part of the form that chooses the list. `list` is what was chosen. */
export function FileChoice({ list, setList, values, set }) {
  const [busy, setBusy] = useState(null);
  const [error, setError] = useState(null);
  const read = async (file, charset) => {
    setError(null);
    setList(null);
    setBusy(0);
    try {
      setList(await readList(file, charset, setBusy));
    } catch (problem) {
      setError(problem);
    }
    setBusy(null);
  };
  const change = (changed, charset) => (charset ? read(list.file, charset) : setList(changed));
  return html`<fieldset><legend>${F.title}</legend>
    <${FileInput} label=${F.choose} hint=${F.chooseHint} onFile=${read} />
    ${busy !== null && html`<p role="status">${F.reading} <progress aria-label=${F.reading} value=${busy} max="1"></progress></p>`}
    <${ErrorBox} error=${error} />
    ${list && html`<p><strong>${list.file.name}</strong>, ${F.size(number(Math.ceil(list.file.size / 1024)))}</p>
      ${list.before.map((one) => html`<${Notice} kind="warning">${F.before(time(one.created_at))}
        <a href=${linkTo(`schedules/${one.id}`)}>${one.name ?? one.id}</a><//>`)}
      <${Layout} list=${list} change=${change} />`}
    <div class="grid"><${Input} label=${F.country} hint=${F.countryHint} maxlength="2" pattern="[A-Za-z]{2}" autocomplete="off"
      value=${values.country} onValue=${set("country")} />
      <div class="field"><${Checkbox} label=${F.mobile} checked=${values.mobile} onValue=${set("mobile")} /></div></div></fieldset>`;
}
