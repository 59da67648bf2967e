// Sending a list: a form, or the draft that the address names.
import { html } from "./preact.js";
import SendDraft from "./send-draft.js";
import SendForm from "./send-form.js";

export default function Send({ route, can }) {
  const [id] = route.rest;
  return id ? html`<${SendDraft} id=${id} can=${can} />` : html`<${SendForm} can=${can} />`;
}
