// Messages by number: what somebody got, from which schedule, with all attempts.
import { html, useState } from "./preact.js";
import { get } from "./api.js";
import { number, time } from "./format.js";
import { linkTo, open } from "./router.js";
import { T } from "./texts.js";
import { ErrorBox, Input, Loading, Page, Select, Table, useData } from "./ui.js";

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
  message.phone ?? "–",
  html`${T.status[message.status]}${message.carrier_status && ` (${message.carrier_status})`}
    ${message.error && html`<span class="hint">${message.error}</span>`}`,
  time(message.sent_at), time(message.final_at),
  html`<span class="message">${message.text}</span>`,
  html`<${Attempts} message=${message} />`,
  html`<a href=${linkTo(`schedules/${message.schedule_id}`)}>${M.schedule}</a>`,
];

export default function Messages({ route }) {
  const { phone = "", status = "", cursor } = route.query;
  const [typed, setTyped] = useState(phone);
  const load = () => get("/v1/messages", { phone, status, cursor, limit: 20 });
  const { data, error } = useData(load, [phone, status, cursor]);
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
    ${!data && !error && html`<${Loading} />`}
    ${data && html`<${Table} caption=${T.pages.messages} head=${M.head} rows=${data.messages.map(row)} empty=${M.none} />
      ${data.next_cursor && html`<p><a href=${linkTo("messages", { phone, status, cursor: data.next_cursor })}>${T.more}</a></p>`}`}`;
}
