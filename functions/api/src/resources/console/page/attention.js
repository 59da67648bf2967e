// What needs an operator: each kind with its explanation, and with buttons for the calls that the
// API names for an entry.
import { html, useState } from "./preact.js";
import { get, request } from "./api.js";
import { fromNow, number, time } from "./format.js";
import { addressOf } from "./schedules.js";
import { T } from "./texts.js";
import { ActionButton, ErrorBox, Loading, Notice, Page, Table, useData } from "./ui.js";

const A = T.attention;
const EVERY_MS = 10_000;

// The permission that the call of each button needs. Calls that the console does not know, and those
// that only read, have no button.
const NEEDS = {
  "send-now": "attention:write", retry: "attention:write", sent: "attention:write", resend: "attention:write",
  redrive: "attention:write", discard: "attention:write", resume: "schedules:write", cancel: "schedules:write",
};

/** Says what a call has changed, and what it has left. */
export function outcomeOf(answer) {
  if (answer?.changed === undefined) return A.done;
  const left = Object.entries(answer.left ?? {})
    .map(([reason, what]) => [reason, Array.isArray(what) ? what.length : what])
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => A.left[reason]?.(number(count)) ?? `${reason}: ${count}`);
  return A.outcome(number(answer.changed), left.join("; "), answer.too_recent_until && time(answer.too_recent_until), answer.more);
}

function Buttons({ entry, can, done }) {
  const offered = entry.actions.filter(({ name }) => NEEDS[name] && can(NEEDS[name]));
  const act = ({ method, href, body }) => async () => {
    const response = await request(method, href, { body });
    done(outcomeOf(await response.json()));
  };
  return html`<span class="actions">${offered.map((action) => {
    const { label, question } = A.actions[action.name];
    return html`<${ActionButton} label=${label} title=${A.title(label)} confirm=${label} danger=${action.name === "cancel"}
      question=${[entry.people > 0 && A.people(number(entry.people)), question]} act=${act(action)} />`;
  })}</span>`;
}

const scheduleRow = (entry, can, done) => [
  html`<a href=${addressOf(entry.schedule_id, entry.schedule_status, can)}>${time(entry.run_at)}</a>`, T.scheduleStatus[entry.schedule_status], number(entry.people),
  entry.batches || "–", html`${entry.since ? fromNow(entry.since) : "–"}`, entry.reason ?? "–",
  html`<${Buttons} entry=${entry} can=${can} done=${done} />`,
];

const letterRow = (entry, can, done) => [
  entry.queue, time(entry.sent_at), entry.malformed ? A.malformed(entry.malformed.reason) : JSON.stringify(entry.names),
  html`<${Buttons} entry=${entry} can=${can} done=${done} />`,
];

function Kind({ name, kind, can, done }) {
  const [more, setMore] = useState({ entries: [], next: kind.next_cursor });
  const [error, setError] = useState(null);
  const isLetters = name === "dead-letters";
  const row = isLetters ? letterRow : scheduleRow;
  const entries = [...kind.entries, ...more.entries];
  const load = async () => {
    const page = await get(kind.href, { cursor: more.next });
    setMore((known) => ({ entries: [...known.entries, ...page.entries], next: page.next_cursor }));
  };
  const { title, text } = A.kinds[name];
  return html`<section><h2>${title} (${number(kind.count)})</h2><p>${text}</p>
    ${kind.unreachable?.length > 0 && html`<${Notice} kind="warning">${A.unreachable(kind.unreachable.join(", "))}<//>`}
    <${Table} caption=${title} head=${isLetters ? A.letterHead : A.head} numeric=${isLetters ? [] : [2, 3]}
      rows=${entries.map((entry) => row(entry, can, done))} />
    <${ErrorBox} error=${error} />
    ${more.next && html`<button type="button" onClick=${() => load().catch(setError)}>${T.more}</button>`}</section>`;
}

export default function Attention({ can }) {
  const [outcome, setOutcome] = useState(null);
  const { data, error, reload } = useData(() => get("/v1/attention"), [], EVERY_MS);
  const done = (text) => {
    setOutcome(text);
    reload();
  };
  const shown = Object.entries(data?.kinds ?? {}).filter(([, kind]) => kind.count > 0 || kind.unreachable?.length > 0);
  return html`<${Page} title=${T.pages.attention} /><${ErrorBox} error=${error} />
    ${outcome && html`<${Notice}>${outcome}<//>`}
    ${!data && !error && html`<${Loading} />`}
    ${data && shown.length === 0 && html`<p>${A.nothing}</p>`}
    ${shown.map(([name, kind]) => html`<${Kind} key=${name} name=${name} kind=${kind} can=${can} done=${done} />`)}`;
}
