// The system: whether it works, the carrier's limits and how much of them is used.
import { html } from "./preact.js";
import { get, patch } from "./api.js";
import { fromNow, number, time } from "./format.js";
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

export default function System({ can }) {
  const load = async () => {
    const [health, { carriers }] = await Promise.all([get("/health", { deep: true }), get("/v1/carriers")]);
    return { health, carriers };
  };
  const { data, error, reload } = useData(load, [], EVERY_MS);
  return html`<${Page} title=${T.pages.system} /><${ErrorBox} error=${error} />${!data && !error && html`<${Loading} />`}
    ${data && html`<dl><dt>${S.state}</dt><dd>${data.health.status === "ok" ? S.works : data.health.status}</dd>
        <dt>${S.database}</dt><dd>${data.health.database === "ok" ? S.works : data.health.database}</dd>
        <dt>${S.version}</dt><dd>${data.health.version} (${data.health.commit})</dd></dl>
      ${data.carriers.map((carrier) => html`<${Carrier} carrier=${carrier} can=${can} done=${reload} />`)}`}`;
}
