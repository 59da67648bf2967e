// Numbers that have opted out: search, add, remove, import and export.
import { html, useState } from "./preact.js";
import { get, put, remove, requestPatiently } from "./api.js";
import { FileInput } from "./file-choice.js";
import { time, number } from "./format.js";
import { PagedTable, usePages } from "./paged.js";
import { isSpreadsheet } from "./spreadsheet.js";
import { T } from "./texts.js";
import { ActionButton, BusyButton, ErrorBox, Input, Notice, Page, saveFile } from "./ui.js";

const S = T.suppressions;
const PATH = "/v1/suppressions";
const MOST_BYTES = 4 * 1024 * 1024; // of one call

const addressOf = (phone) => `${PATH}/${encodeURIComponent(phone.replace(/[\s().-]/g, ""))}`;

function Search({ mayRemove, done }) {
  const [phone, setPhone] = useState("");
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const search = async (event) => {
    event?.preventDefault();
    setError(null);
    setFound(null);
    try {
      setFound(await get(addressOf(phone)));
    } catch (problem) {
      if (problem.status === 404) setFound({ none: true });
      else setError(problem);
    }
  };
  const fields = (values, set) => html`<${Input} label=${S.reason} required value=${values.reason} onValue=${set("reason")} />`;
  const act = async (values) => {
    await remove(addressOf(found.phone), { reason: values.reason });
    await search();
    done();
  };
  return html`<form class="filters" role="search" onSubmit=${search}>
      <${Input} label=${S.number} type="tel" required value=${phone} onValue=${setPhone} /><button type="submit">${S.search}</button></form>
    <${ErrorBox} error=${error} />
    ${found?.none && html`<${Notice}>${S.none}<//>`}
    ${found?.phone && html`<${Notice}><p>${S.found(found.phone, time(found.created_at), found.source, found.reason ?? "–")}</p>
      ${found.notes.map((note) => html`<p>${time(note.created_at)}: ${note.source}, ${note.reason}</p>`)}
      ${mayRemove && html`<${ActionButton} label=${S.remove} title=${S.removeTitle(found.phone)} question=${[S.removeText]} confirm=${S.remove}
        danger initial=${{ reason: "" }} fields=${fields} act=${act} />`}<//>`}`;
}

function Add({ done }) {
  const fields = (values, set) => html`<${Input} label=${S.number} type="tel" required value=${values.phone} onValue=${set("phone")} />
    <${Input} label=${S.reason} value=${values.reason} onValue=${set("reason")} />`;
  const act = async ({ phone, reason }) => {
    await put(addressOf(phone), { reason: reason || undefined, source: "console" });
    done();
  };
  return html`<${ActionButton} label=${S.add} question=${[S.addText]} confirm=${S.add} initial=${{ phone: "", reason: "" }} fields=${fields} act=${act} />`;
}

function Import({ done }) {
  const [result, setResult] = useState(null);
  const [error, setError] = useState(null);
  const [country, setCountry] = useState("");
  const read = async (file) => {
    setResult(null);
    setError(null);
    if (file.size > MOST_BYTES) return setError({ title: S.tooLarge, message: S.tooLargeText });
    try {
      const query = { source: "console", format: isSpreadsheet(file) ? "spreadsheet" : "csv", default_country: country.toUpperCase() };
      const response = await requestPatiently("POST", `${PATH}/import`, { body: file, type: "application/octet-stream", query });
      setResult(await response.json());
      return done();
    } catch (problem) {
      return setError(problem);
    }
  };
  return html`<section><h2>${S.import}</h2><${Input} label=${T.file.country} maxlength="2" value=${country} onValue=${setCountry} />
    <${FileInput} label=${S.file} hint=${S.fileHint} onFile=${read} /><${ErrorBox} error=${error} />
    ${result && html`<${Notice}><p>${S.imported(number(result.added), number(result.already), number(result.invalid_count))}</p>
      <ul>${result.invalid.slice(0, 20).map((one) => html`<li>${S.line(one.position)}: ${one.input} – ${one.detail}</li>`)}</ul><//>`}</section>`;
}

/** Fetches all numbers as a file. */
async function exportAll() {
  const parts = ["phone,source,created_at\r\n"];
  let cursor;
  do {
    const response = await requestPatiently("GET", PATH, { query: { limit: 1000, cursor } });
    const page = await response.json();
    const quoted = (text) => `"${(/^[=+\-@]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
    parts.push(page.suppressions.map((one) => `${one.phone},${quoted(one.source)},${one.created_at}\r\n`).join(""));
    cursor = page.next_cursor;
  } while (cursor);
  saveFile(new Blob(parts, { type: "text/csv" }), "opted-out.csv");
}

const row = (one) => [one.phone, time(one.created_at), one.source, one.reason ?? "–"];

export default function Suppressions({ can }) {
  const list = usePages(PATH, "suppressions", { limit: 50 });
  const mayWrite = can("suppressions:write");
  const actions = html`${mayWrite && html`<${Add} done=${list.reload} />`}<${BusyButton} label=${S.export} act=${exportAll} />`;
  return html`<${Page} title=${T.pages.suppressions} actions=${actions} /><p>${S.intro}</p>
    <${Search} mayRemove=${can("suppressions:delete")} done=${list.reload} />
    <${PagedTable} list=${list} caption=${T.pages.suppressions} head=${S.head} row=${row} />
    ${mayWrite && html`<${Import} done=${list.reload} />`}`;
}
