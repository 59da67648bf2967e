// The audit log: who changed what, the newest first.
import { html, useState } from "./preact.js";
import { time } from "./format.js";
import { open } from "./router.js";
import { PagedTable, usePages } from "./paged.js";
import { T } from "./texts.js";
import { Input, Page } from "./ui.js";

const A = T.audit;
const FILTERS = ["actor", "resource", "action"];

const details = (entry) => html`<details><summary>${A.details}</summary><pre>${JSON.stringify({ before: entry.before, after: entry.after }, null, 1)}</pre>
  <p class="hint">${A.from(entry.address, entry.request_id)}</p></details>`;

const row = (entry) => [time(entry.at), `${entry.actor_name} (${entry.actor})`, entry.action, entry.resource, details(entry)];

export default function Audit({ route }) {
  const query = Object.fromEntries(FILTERS.map((name) => [name, route.query[name] ?? ""]));
  const [typed, setTyped] = useState(query);
  const list = usePages("/v1/audit", "entries", { ...query, limit: 50 });
  const submit = (event) => {
    event.preventDefault();
    open("audit", typed);
  };
  return html`<${Page} title=${T.pages.audit} /><form class="filters" role="search" onSubmit=${submit}>
      ${FILTERS.map((name) => html`<${Input} label=${A.filters[name]} placeholder=${A.examples[name]} value=${typed[name]}
        onValue=${(value) => setTyped((known) => ({ ...known, [name]: value }))} />`)}
      <button type="submit">${T.schedules.find}</button></form>
    <${PagedTable} list=${list} caption=${T.pages.audit} head=${A.head} row=${row} />`;
}
