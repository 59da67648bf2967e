// The system: whether it works and sends, the carrier's limits and how much of them is used.
import { html } from "./preact.js";
import { get, patch, post } from "./api.js";
import { fromNow, number, time } from "./format.js";
import { Senders } from "./senders.js";
import { T } from "./texts.js";
import { ActionButton, ErrorBox, Input, Loading, Notice, Page, Table, useData } from "./ui.js";

const S = T.system;
const EVERY_MS = 5000;
const LIMITS = ["parts_per_second", "requests_per_second", "queries_per_second"];

function ChangeLimits({ carrier, done }) {
  const initial = Object.fromEntries(LIMITS.map((name) => [name, carrier[name].configured ?? ""]));
  const fields = (values, set) => LIMITS.map((name) => html`<${Input} label=${S.limits[name]} hint=${S.limitHint} type="number" min="1"
    max="1000000" value=${values[name]} onValue=${set(name)} />`);
  const act = async (values) => {
    const body = Object.fromEntries(LIMITS.map((name) => [name, values[name] === "" ? null : Number(values[name])]));
    await patch(`/v1/carriers/${carrier.name}`, body);
    done();
  };
  return html`<${ActionButton} label=${S.change} question=${[S.changeText]} confirm=${T.save} initial=${initial} fields=${fields} act=${act} />`;
}

function Carrier({ carrier, can, done }) {
  const limitRow = (name) => {
    const { configured, default: usual, learned, effective, source } = carrier[name];
    const rounded = (value) => (value === null ? "–" : number(Math.round(value)));
    return [S.limits[name], rounded(effective), S.sources[source], rounded(configured), rounded(usual), rounded(learned)];
  };
  const blocked = [carrier.submit, carrier.query].map((use) => use.blocked_until).find((until) => until && new Date(until) > new Date());
  return html`<section><h2>${S.carrier(carrier.name)}</h2>
    ${blocked && html`<${Notice} kind="warning">${S.blocked(time(blocked))}<//>`}
    ${carrier.last_outage && html`<${Notice} kind="warning">${S.outage(time(carrier.last_outage.from), time(carrier.last_outage.until))}<//>`}
    <dl><dt>${S.accepted}</dt><dd>${carrier.last_accepted_at ? fromNow(carrier.last_accepted_at) : "–"}</dd>
      <dt>${S.response}</dt><dd>${number(carrier.submit.response_ms)} ms</dd>
      <dt>${S.booked}</dt><dd>${number(carrier.submit.booked_ms)} ms</dd></dl>
    <${Table} caption=${S.limitsTitle} head=${S.limitHead} numeric=${[1, 3, 4, 5]} rows=${LIMITS.map(limitRow)} />
    ${can("carriers:write") && html`<p><${ChangeLimits} carrier=${carrier} done=${done} /></p>`}
    <${Table} caption=${S.waiting} head=${S.waitingHead} numeric=${[1, 2]} rows=${Object.entries(carrier.waiting).map(
      ([priority, { batches, parts }]) => [T.priorities[priority], number(batches), number(parts)],
    )} /></section>`;
}

function Brake({ sending, can, done }) {
  const fields = (values, set) => html`<${Input} label=${S.reason} required maxlength="255" value=${values.reason} onValue=${set("reason")} />`;
  const act = (move) => async (values) => {
    await post(`/v1/system/${move}`, values);
    done();
  };
  const shared = { initial: { reason: "" }, fields };
  return html`${sending.stopped && html`<${Notice} kind="warning">${S.stopped(time(sending.since), sending.by, sending.reason)}<//>`}
    ${can("system:stop") && html`<p>${sending.stopped
      ? html`<${ActionButton} label=${S.resume} question=${[S.resumeText]} act=${act("resume")} primary ...${shared} />`
      : html`<${ActionButton} label=${S.stop} question=${[S.stopText]} act=${act("stop")} danger ...${shared} />`}</p>`}`;
}

export default function System({ can }) {
  const load = async () => {
    const [health, { carriers }, { sending }] = await Promise.all([get("/health", { deep: true }), get("/v1/carriers"), get("/v1/system")]);
    return { health, carriers, sending };
  };
  const { data, error, reload } = useData(load, [], EVERY_MS);
  return html`<${Page} title=${T.pages.system} /><${ErrorBox} error=${error} />${!data && !error && html`<${Loading} />`}
    ${data && html`<dl><dt>${S.state}</dt><dd>${data.health.status === "ok" ? S.works : data.health.status}</dd>
        <dt>${S.database}</dt><dd>${data.health.database === "ok" ? S.works : data.health.database}</dd>
        <dt>${S.version}</dt><dd>${data.health.version} (${data.health.commit})</dd></dl>
      <${Brake} sending=${data.sending} can=${can} done=${reload} />
      ${data.carriers.map((carrier) => html`<${Carrier} carrier=${carrier} can=${can} done=${reload} />`)}`}
    <${Senders} can=${can} />`;
}
