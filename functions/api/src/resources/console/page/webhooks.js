// Webhooks: new ones, whose secret is shown once, tests, and what was posted to them.
import { html, useState } from "./preact.js";
import { patch, post, remove } from "./api.js";
import { time } from "./format.js";
import { linkTo } from "./router.js";
import { PagedTable, usePages } from "./paged.js";
import { T } from "./texts.js";
import { ActionButton, BusyButton, Checkbox, Input, Notice, Page } from "./ui.js";

const W = T.webhooks;
const PATH = "/v1/webhooks";
const EVENTS = [
  "schedule.started", "schedule.paused", "schedule.resumed", "schedule.finished", "schedule.cancelled", "schedule.missed",
  "schedule.awaiting-approval", "schedule.approved", "schedule.rejected",
  "messages.final", "budget.warning", "budget.reached",
];

const fields = (values, set) => html`<${Input} label=${W.url} type="url" required value=${values.url} onValue=${set("url")} />
  <${Input} label=${W.description} value=${values.description} onValue=${set("description")} />
  <fieldset><legend>${W.events}</legend>${EVENTS.map((one) => html`<${Checkbox} label=${one} checked=${values[one] ?? false}
    onValue=${set(one)} />`)}</fieldset>`;

const bodyOf = (values) => ({
  url: values.url, description: values.description || null, events: EVENTS.filter((one) => values[one]),
});

const valuesOf = (hook) => ({
  url: hook.url, description: hook.description ?? "", ...Object.fromEntries(hook.events.map((one) => [one, true])),
});

function NewWebhook({ done }) {
  const act = async (values) => done(await post(PATH, bodyOf(values)));
  return html`<${ActionButton} label=${W.add} confirm=${W.add} initial=${{ url: "", description: "" }} fields=${fields} act=${act} />`;
}

function Moves({ hook, done }) {
  const path = `${PATH}/${hook.id}`;
  const disabled = Boolean(hook.disabled_at);
  return html`<span class="actions">
    <${ActionButton} label=${W.change} title=${W.changeTitle(hook.url)} confirm=${T.save} initial=${valuesOf(hook)} fields=${fields}
      act=${async (values) => done(await patch(path, bodyOf(values)))} />
    ${!disabled && html`<${BusyButton} label=${W.test} act=${async () => done(await post(`${path}/test`))} />`}
    <${ActionButton} label=${disabled ? W.enable : W.disable} title=${W.disableTitle(hook.url)} question=${[disabled ? W.enableText : W.disableText]}
      confirm=${disabled ? W.enable : W.disable} act=${async () => done(await patch(path, { disabled: !disabled }))} />
    <${ActionButton} label=${W.rotate} title=${W.rotateTitle(hook.url)} question=${[W.rotateText]} confirm=${W.rotate}
      act=${async () => done(await post(`${path}/rotate-secret`))} />
    <${ActionButton} label=${W.remove} title=${W.removeTitle(hook.url)} question=${[W.removeText]} confirm=${W.remove} danger
      act=${async () => done(await remove(path))} /></span>`;
}

const stateOf = (hook) =>
  hook.disabled_at ? W.disabled(hook.disabled_reason ?? "") : hook.suspended_until ? W.suspended(time(hook.suspended_until))
    : hook.failures ? W.failing(hook.failures) : W.active;

function Webhooks({ can }) {
  const list = usePages(PATH, "webhooks", { limit: 100 });
  const [answer, setAnswer] = useState(null);
  const mayWrite = can("webhooks:write");
  const done = (given) => {
    setAnswer(given);
    list.reload();
  };
  const row = (hook) => [
    html`<a href=${linkTo(`webhooks/${hook.id}`)}>${hook.url}</a>${hook.description && html`<span class="hint">${hook.description}</span>`}`,
    hook.events.join(", "), stateOf(hook), time(hook.accepted_at), mayWrite ? html`<${Moves} hook=${hook} done=${done} />` : "",
  ];
  return html`<${Page} title=${T.pages.webhooks} actions=${mayWrite && html`<${NewWebhook} done=${done} />`} />
    ${answer?.secret && html`<${Notice}><p>${W.secret} <code>${answer.secret}</code></p><p>${W.secretText}</p><//>`}
    ${answer?.type === "webhook.test" && html`<${Notice}>${W.tested}<//>`}
    <${PagedTable} list=${list} caption=${T.pages.webhooks} head=${W.head} row=${row} />`;
}

function Deliveries({ id, can }) {
  const path = `${PATH}/${id}/deliveries`;
  const list = usePages(path, "deliveries", { limit: 50 });
  const repeat = (one) => async () => {
    await post(`${path}/${one.event_id}/repeat`);
    list.reload();
  };
  const row = (one) => [
    time(one.created_at), one.type, W.deliveryStates[one.status], one.tries, one.http_status ?? "–", one.error ?? "–",
    can("webhooks:write") ? html`<${BusyButton} label=${W.repeat} act=${repeat(one)} />` : "",
  ];
  return html`<${Page} title=${W.deliveries} actions=${html`<${BusyButton} label=${T.again} act=${async () => list.reload()} />`} />
    <p><a href=${linkTo("webhooks")}>${T.pages.webhooks}</a></p>
    <${PagedTable} list=${list} caption=${W.deliveries} head=${W.deliveryHead} row=${row} numeric=${[3, 4]} />`;
}

/** All webhooks, or what was posted to the one that the address names. */
export default function WebhookPages({ route, can }) {
  const [id] = route.rest;
  return id ? html`<${Deliveries} id=${id} can=${can} />` : html`<${Webhooks} can=${can} />`;
}
