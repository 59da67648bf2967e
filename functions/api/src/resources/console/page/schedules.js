// The list of schedules with their live progress.
import { html, useState } from "./preact.js";
import { get } from "./api.js";
import { fromNow, nameOf, number, time } from "./format.js";
import { linkTo, open } from "./router.js";
import Schedule from "./schedule.js";
import { T } from "./texts.js";
import { Badge, Bar, ErrorBox, Input, Loading, Page, Select, Table, useData } from "./ui.js";

const EVERY_MS = 4000;
const STATUSES = ["", "running", "scheduled", "awaiting-approval", "paused", "missed", "draft", "finished", "cancelled"];
const SORTS = ["-created_at", "run_at", "-run_at"];

/** Returns where a schedule is shown: to those who may send it, a draft in the page that sends lists. */
export const addressOf = (id, status, can) =>
  linkTo(`${status === "draft" && can("schedules:write") ? "send" : "schedules"}/${id}`);

function Filters({ query }) {
  const [search, setSearch] = useState(query.search ?? "");
  const change = (changes) => open("schedules", { ...query, cursor: "", ...changes });
  const submit = (event) => {
    event.preventDefault();
    change({ search });
  };
  return html`<form class="filters" role="search" onSubmit=${submit}>
    <${Select} label=${T.schedules.state} value=${query.status ?? ""} onValue=${(status) => change({ status })}
      options=${STATUSES.map((status) => [status, status ? T.scheduleStatus[status] : T.schedules.all])} />
    <${Select} label=${T.schedules.sort} value=${query.sort ?? SORTS[0]} onValue=${(sort) => change({ sort })}
      options=${SORTS.map((sort) => [sort, T.schedules.sorts[sort]])} />
    <${Input} label=${T.schedules.search} type="search" value=${search} onValue=${setSearch} />
    <button type="submit">${T.schedules.find}</button></form>`;
}

function Progress({ schedule }) {
  return html`<${Bar} counts=${schedule.counts} />
    ${schedule.attention.kinds.length > 0 && html`<p class="warn">${T.schedules.needs(schedule.attention.kinds.map((kind) => T.attention.kinds[kind].title))}</p>`}`;
}

const row = (schedule, can) => [
  html`<a href=${addressOf(schedule.id, schedule.status, can)}>${nameOf(schedule)}</a>
    ${schedule.labels.map((label) => html` <span class="label">${label}</span>`)}`,
  html`<${Badge} status=${schedule.status} />`,
  html`<time datetime=${schedule.run_at}>${time(schedule.run_at)}</time>
    <span class="hint">${fromNow(schedule.run_at)}</span>`,
  number(schedule.recipients.total),
  html`<${Progress} schedule=${schedule} />`,
];

function List({ route, can }) {
  const { status, sort, search, cursor } = route.query;
  const load = () => get("/v1/schedules", { status, sort, search, cursor, limit: 20 });
  const { data, error } = useData(load, [status, sort, search, cursor], EVERY_MS);
  const create = can("schedules:write") && html`<a class="button primary" href=${linkTo("send")}>${T.pages.send}</a>`;
  return html`<${Page} title=${T.pages.schedules} actions=${create} />
    <${Filters} query=${route.query} /><${ErrorBox} error=${error} />
    ${!data && !error && html`<${Loading} />`}
    ${data && html`<${Table} caption=${T.pages.schedules} head=${T.schedules.head} numeric=${[3]}
        rows=${data.schedules.map((schedule) => row(schedule, can))} empty=${T.schedules.none} />
      <p class="pages">${cursor && html`<a href=${linkTo("schedules", { ...route.query, cursor: "" })}>${T.first}</a> `}
        ${data.next_cursor && html`<a href=${linkTo("schedules", { ...route.query, cursor: data.next_cursor })}>
          ${T.more}</a>`}</p>`}`;
}

/** The list, or the schedule that the address names. */
export default function Schedules({ route, can }) {
  const [id] = route.rest;
  return id ? html`<${Schedule} id=${id} can=${can} />` : html`<${List} route=${route} can=${can} />`;
}
