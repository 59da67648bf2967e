// When a list is sent: the time, the hours of the day, the end, and how fast.
import { html } from "./preact.js";
import { fromNow, time, timeIn, zoneHere } from "./format.js";
import { T } from "./texts.js";
import { Checkbox, Input, Select } from "./ui.js";
import { instantOf, zones } from "./zones.js";

const W = T.times;
const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DRAFT_TIME_MS = 3_600_000;

export const INITIAL_TIMES = {
  when: "now", at: "", zone: zoneHere, limited: false, days: DAYS.slice(0, 5), from: "09:00", to: "20:00",
  until: "", priority: "", rate: "", canary: "", canaryShare: "90", canaryMinutes: "10",
};

/**
 * Returns the time of a draft that is to be sent at once: the API wants one, and the confirmation
 * moves it. It is before the end of the schedule, if there is one.
 */
export function draftTime(until) {
  const left = until ? (new Date(until) - Date.now()) / 2 : DRAFT_TIME_MS;
  return new Date(Date.now() + Math.max(Math.min(left, DRAFT_TIME_MS), 1000));
}

/** Returns the fields of a schedule. */
export function timesOf(values) {
  const until = instantOf(values.until, values.zone);
  const at = values.when === "now" ? draftTime(until) : instantOf(values.at, values.zone);
  const fields = { run_at: at?.toISOString() };
  if (values.limited) fields.window = { days: values.days, from: values.from, to: values.to, zone: values.zone };
  if (until) fields.send_until = until.toISOString();
  if (values.priority) fields.priority = values.priority;
  if (values.canary) {
    fields.canary = {
      recipients: Number(values.canary), delivered_share: Number(values.canaryShare) / 100,
      within_s: Number(values.canaryMinutes) * 60,
    };
  }
  if (values.rate) fields.rate = Number(values.rate);
  return fields;
}

/** The time with its zone; says when that is. */
export function TimeChoice({ values, set }) {
  const at = values.when === "at" && instantOf(values.at, values.zone);
  const radio = (when) => html`<label class="checkbox"><input type="radio" name="when" value=${when} checked=${values.when === when}
    onChange=${() => set("when")(when)} /> ${W.when[when]}</label>`;
  return html`${radio("now")}${radio("at")}
    ${values.when === "at" && html`<div class="grid">
      <${Input} label=${W.at} type="datetime-local" required name="at" value=${values.at} onValue=${set("at")} />
      <${Select} label=${W.zone} value=${values.zone} onValue=${set("zone")} options=${zones().map((zone) => [zone, zone])} /></div>
      ${at && html`<p>${W.thatIs(timeIn(at, values.zone), fromNow(at), time(at), zoneHere)}</p>`}`}`;
}

function Hours({ values, set }) {
  const toggle = (day) => (on) => set("days")(DAYS.filter((one) => (one === day ? on : values.days.includes(one))));
  return html`<${Checkbox} label=${W.limited} checked=${values.limited} onValue=${set("limited")} />
    ${values.limited && html`<fieldset><legend>${W.hours}</legend><div class="actions">${DAYS.map((day) => html`<${Checkbox}
        label=${W.days[day]} checked=${values.days.includes(day)} onValue=${toggle(day)} />`)}</div>
      <div class="grid"><${Input} label=${W.from} type="time" required value=${values.from} onValue=${set("from")} />
        <${Input} label=${W.to} type="time" required value=${values.to} onValue=${set("to")} /></div>
      <p class="hint">${W.inZone(values.zone)}</p></fieldset>`}`;
}

/** The part of the form with time, hours, end, priority and rate. */
export function Times({ values, set, can }) {
  const priorities = ["", "normal", "bulk", ...(can("schedules:high") ? ["high"] : [])];
  return html`<fieldset><legend>${W.title}</legend><${TimeChoice} values=${values} set=${set} />
    <${Hours} values=${values} set=${set} />
    <div class="grid"><${Input} label=${W.until} hint=${W.untilHint} type="datetime-local" value=${values.until} onValue=${set("until")} />
      <${Select} label=${T.schedule.priority} value=${values.priority} onValue=${set("priority")}
        options=${priorities.map((one) => [one, one ? T.priorities[one] : W.usual])} />
      <${Input} label=${W.rate} hint=${W.rateHint} type="number" min="1" max="10000" value=${values.rate} onValue=${set("rate")} />
      <${Input} label=${W.canary} hint=${W.canaryHint} type="number" min="1" max="100000" value=${values.canary} onValue=${set("canary")} />
      ${values.canary && html`<${Input} label=${W.canaryShare} type="number" min="1" max="100" required
          value=${values.canaryShare} onValue=${set("canaryShare")} />
        <${Input} label=${W.canaryMinutes} type="number" min="1" max="1380" required
          value=${values.canaryMinutes} onValue=${set("canaryMinutes")} />`}</div></fieldset>`;
}
