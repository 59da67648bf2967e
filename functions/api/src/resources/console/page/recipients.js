// The people of one schedule: found by number or reference. Each can be changed or cancelled until it
// is sent to, and decided about if it is uncertain whether it was.
import { html, useState } from "./preact.js";
import { patch, post, remove } from "./api.js";
import { outcomeOf } from "./attention.js";
import { time } from "./format.js";
import { PagedTable, usePages } from "./paged.js";
import { T } from "./texts.js";
import { ActionButton, Input, Notice, Select } from "./ui.js";

const R = T.recipients;
const ENDED = ["finished", "cancelled"];

/** Returns the query for what was typed: a number begins with a plus sign. */
function searched(typed) {
  const text = typed.trim();
  return text.startsWith("+") ? { phone: text.replace(/[\s().-]/g, "") } : { reference: text };
}

/** Does it, and says whether it was in time. */
async function inTime(act, done, text) {
  try {
    await act();
    done(text);
  } catch (problem) {
    if (problem.slug !== "recipient-too-late") throw problem;
    done(R.tooLate);
  }
}

/** Returns the body of a change: what differs from before; what was emptied is removed. */
function changesOf(message, { phone, reference, group, ...vars }) {
  const body = {};
  if (phone.trim() !== message.phone) body.phone = phone.trim();
  for (const [name, value] of Object.entries({ reference, group })) {
    if (value.trim() !== (message[name] ?? "")) body[name] = value.trim() || null;
  }
  const given = Object.entries(vars).map(([name, value]) => [name.slice(1), value]);
  if (given.some(([name, value]) => value !== message.variables[name])) {
    body.vars = Object.fromEntries(given.filter(([, value]) => value !== ""));
  }
  return body;
}

function Change({ message, path, done }) {
  // A variable may be called "phone": those of the dialog have another prefix.
  const vars = Object.fromEntries(Object.entries(message.variables ?? {}).map(([name, value]) => [`$${name}`, value]));
  const initial = { phone: message.phone, reference: message.reference ?? "", group: message.group ?? "", ...vars };
  const fields = (values, set) => html`<${Input} label=${R.phone} type="tel" required value=${values.phone} onValue=${set("phone")} />
    <${Input} label=${R.reference} maxlength="64" value=${values.reference} onValue=${set("reference")} />
    <${Input} label=${R.group} maxlength="64" value=${values.group} onValue=${set("group")} />
    ${Object.keys(vars).map((name) => html`<${Input} label=${R.variable(name.slice(1))} value=${values[name]} onValue=${set(name)} />`)}`;
  const act = (values) => {
    const body = changesOf(message, values);
    if (Object.keys(body).length === 0) return undefined;
    return inTime(() => patch(path, body), done, R.changed(message.phone));
  };
  return html`<${ActionButton} label=${R.change} title=${R.changeTitle(message.phone)} confirm=${T.save} initial=${initial} fields=${fields} act=${act} />`;
}

function Cancel({ message, path, done }) {
  const act = () => inTime(() => remove(path), done, R.cancelled(message.phone));
  return html`<${ActionButton} label=${R.cancel} title=${R.cancelTitle(message.phone)} question=${[R.cancelText]} danger act=${act} />`;
}

function Resolve({ message, path, outcome, done }) {
  const { label, title, text } = R.outcomes[outcome];
  const act = async () => done(outcomeOf(await post(`${path}/resolve`, { outcome })));
  return html`<${ActionButton} label=${label} title=${title(message.phone)} question=${[text]} confirm=${label} act=${act} />`;
}

function Buttons({ message, schedule, can, done }) {
  const path = `/v1/schedules/${schedule.id}/recipients/${message.seq}`;
  const shared = { message, path, done };
  const isWaiting = message.status === "PENDING" && message.phone && !ENDED.includes(schedule.status);
  return html`<span class="actions">
    ${isWaiting && can("schedules:write") && html`<${Change} ...${shared} /><${Cancel} ...${shared} />`}
    ${message.status === "UNCERTAIN" && can("attention:write") &&
      ["sent", "resend"].map((outcome) => html`<${Resolve} ...${shared} outcome=${outcome} />`)}</span>`;
}

export default function Recipients({ schedule, can, reload }) {
  const initial = { typed: "", status: schedule.attention.uncertain > 0 ? "UNCERTAIN" : "" };
  const [filter, setFilter] = useState(initial);
  const [typed, setTyped] = useState("");
  const [outcome, setOutcome] = useState(null);
  const { phone, reference } = searched(filter.typed);
  const shared = { include: "variables", limit: 20 };
  // Messages are found by a number or by a schedule: those to a number are few.
  const query = phone ? { phone, ...shared, limit: 200 } : { schedule_id: schedule.id, reference, status: filter.status, ...shared };
  const found = usePages("/v1/messages", "messages", query);
  const isWanted = (message) => message.schedule_id === schedule.id && (!filter.status || message.status === filter.status);
  const list = phone ? { ...found, rows: found.rows?.filter(isWanted) } : found;
  const submit = (event) => {
    event.preventDefault();
    setFilter({ ...filter, typed });
  };
  const done = (text) => {
    setOutcome(text);
    list.reload();
    reload();
  };
  const states = ["", ...Object.keys(T.status).filter((one) => one !== "INVALID")];
  const row = (message) => [
    message.phone ?? "–", message.reference ?? "–", message.group ?? "–",
    html`${T.status[message.status]}${message.error && html`<span class="hint">${message.error}</span>`}`,
    time(message.sent_at), time(message.final_at),
    html`<${Buttons} key=${message.seq} message=${message} schedule=${schedule} can=${can} done=${done} />`,
  ];
  return html`<form class="filters" role="search" onSubmit=${submit}>
      <${Input} label=${R.search} hint=${R.searchHint} value=${typed} onValue=${setTyped} />
      <${Select} label=${T.schedules.state} value=${filter.status} options=${states.map((one) => [one, one ? `${one}: ${T.status[one]}` : T.schedules.all])}
        onValue=${(status) => setFilter({ ...filter, status })} />
      <button type="submit">${T.schedules.find}</button></form>
    ${outcome && html`<${Notice}>${outcome}<//>`}
    <${PagedTable} list=${list} caption=${R.title} head=${R.head} row=${row} empty=${R.none} />`;
}
