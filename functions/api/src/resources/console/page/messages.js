// Messages by number: what somebody got, from which schedule, with all attempts.
import { html, useState } from "./preact.js";
import { get, remove } from "./api.js";
import { number, time } from "./format.js";
import { linkTo, open } from "./router.js";
import { T } from "./texts.js";
import { ActionButton, BusyButton, ErrorBox, Input, Loading, Notice, Page, saveFile, Select, Table, useData } from "./ui.js";

const M = T.messages;

/** Returns a number with its plus sign: people also write numbers with spaces. */
const cleaned = (phone) => phone.replace(/[\s().-]/g, "");

function Attempts({ message }) {
  const { earlier_attempts: earlier } = message;
  if (earlier.length === 0) return number(message.attempt);
  return html`<details><summary>${M.attempts(number(message.attempt))}</summary><ol>${earlier.map(
    (one) => html`<li>${time(one.sent_at)}: ${T.status[one.status]} ${one.carrier_status && `(${one.carrier_status})`} ${one.error}</li>`,
  )}</ol></details>`;
}

const row = (message) => [
  message.phone ?? M.erasedNumber,
  html`${T.status[message.status]}${message.carrier_status && ` (${message.carrier_status})`}
    ${message.error && html`<span class="hint">${message.error}</span>`}`,
  time(message.sent_at), time(message.final_at),
  html`<span class="message">${message.text}</span>`,
  html`<${Attempts} message=${message} />`,
  html`<a href=${linkTo(`schedules/${message.schedule_id}`)}>${M.schedule}</a>`,
];

/** Fetches everything that is known of a number, all pages of it, as a file. */
async function exportPerson(path) {
  const person = await get(path, { limit: 200 });
  let { next_cursor: cursor } = person;
  while (cursor) {
    const page = await get(path, { limit: 200, cursor });
    person.messages.push(...page.messages);
    cursor = page.next_cursor;
  }
  delete person.next_cursor;
  saveFile(new Blob([JSON.stringify(person, null, 2)], { type: "application/json" }), "person.json");
}

/** Erases what it can, in as many calls as it takes. Returns the sums. */
async function erasePerson(path, suppression) {
  const sums = {};
  let last;
  do {
    last = await remove(path, { suppression });
    for (const name of ["cancelled", "messages"]) sums[name] = (sums[name] ?? 0) + last[name];
  } while (last.more);
  return { ...sums, left: last.not_yet, suppressed: last.suppressed };
}

function Person({ phone, can, done }) {
  const [erased, setErased] = useState(null);
  const path = `/v1/people/${encodeURIComponent(phone)}`;
  const options = Object.entries(M.suppressions);
  const fields = (values, set) => html`<${Select} label=${M.suppression} value=${values.suppression} options=${options} onValue=${set("suppression")} />
    <${Input} label=${M.repeat} required pattern=${phone.replace("+", "\\+")} value=${values.repeated} onValue=${set("repeated")} />`;
  const act = async ({ suppression }) => {
    setErased(await erasePerson(path, suppression));
    done();
  };
  return html`<p class="actions">${can("people:read") && html`<${BusyButton} label=${M.export} act=${() => exportPerson(path)} />`}
      ${can("people:erase") && html`<${ActionButton} label=${M.erase} title=${M.eraseTitle(phone)} question=${M.eraseText} confirm=${M.eraseConfirm}
        danger initial=${{ suppression: "keep", repeated: "" }} fields=${fields} act=${act} />`}</p>
    ${erased && html`<${Notice}><p>${M.erased(number(erased.messages), number(erased.cancelled))}</p>
      ${erased.left > 0 && html`<p>${M.left(number(erased.left))}</p>`}${erased.suppressed && html`<p>${M.suppressed}</p>`}<//>`}`;
}

export default function Messages({ route, can }) {
  const { phone = "", status = "", cursor } = route.query;
  const [typed, setTyped] = useState(phone);
  const load = () => get("/v1/messages", { phone, status, cursor, limit: 20 });
  const { data, error, reload } = useData(load, [phone, status, cursor]);
  const submit = (event) => {
    event.preventDefault();
    open("messages", { phone: cleaned(typed), status });
  };
  const states = ["", ...Object.keys(T.status)].map((one) => [one, one ? `${one}: ${T.status[one]}` : T.schedules.all]);
  return html`<${Page} title=${T.pages.messages} />
    <form class="filters" role="search" onSubmit=${submit}>
      <${Input} label=${M.number} type="tel" value=${typed} onValue=${setTyped} />
      <${Select} label=${T.schedules.state} value=${status} options=${states}
        onValue=${(chosen) => open("messages", { phone, status: chosen })} />
      <button type="submit">${T.schedules.find}</button></form><${ErrorBox} error=${error} />
    ${phone && data && html`<${Person} key=${phone} phone=${phone} can=${can} done=${reload} />`}
    ${!data && !error && html`<${Loading} />`}
    ${data && html`<${Table} caption=${T.pages.messages} head=${M.head} rows=${data.messages.map(row)} empty=${M.none} />
      ${data.next_cursor && html`<p><a href=${linkTo("messages", { phone, status, cursor: data.next_cursor })}>${T.more}</a></p>`}`}`;
}
