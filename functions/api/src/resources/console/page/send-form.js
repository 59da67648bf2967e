// The form of a new list. It makes a draft: nothing is sent before somebody confirms it.
import { html, useEffect, useState } from "./preact.js";
import { get, post } from "./api.js";
import { FileChoice, referenceOf } from "./file-choice.js";
import { open } from "./router.js";
import { INITIAL_TIMES, Times, timesOf } from "./send-times.js";
import { TextEditor } from "./text-editor.js";
import { T } from "./texts.js";
import { ErrorBox, Input, Page, useData } from "./ui.js";
import { begin } from "./upload.js";

const KEPT = "sms-console-form"; // what was typed, so that a reload does not lose it
const INITIAL = { name: "", labels: "", sender: "", message: "", country: "", mobile: false, duplicates: "skip", ...INITIAL_TIMES };

function kept() {
  try {
    return { ...INITIAL, ...JSON.parse(sessionStorage.getItem(KEPT)) };
  } catch {
    return INITIAL;
  }
}

/** Returns the body of the call that makes the draft. */
function draftOf(values, list) {
  const labels = values.labels.split(",").map((label) => label.trim()).filter(Boolean);
  return {
    draft: true, on_invalid: "skip", message: values.message, ...timesOf(values),
    name: values.name.trim() || list.file.name.slice(0, 100),
    reference: referenceOf(list.fingerprint),
    default_country: values.country.toUpperCase() || undefined,
    on_duplicate: values.duplicates,
    types: values.mobile ? "mobile" : undefined,
    sender: values.sender.trim() || undefined,
    labels: labels.length ? labels : undefined,
  };
}

export default function SendForm({ can }) {
  const [values, setValues] = useState(kept);
  const [list, setList] = useState(null);
  const [busy, setBusy] = useState(false);
  const [reading, setReading] = useState(false);
  const [error, setError] = useState(null);
  const set = (name) => (value) => setValues((known) => ({ ...known, [name]: value }));
  const { data: registered } = useData(() => get("/v1/senders"), []);
  useEffect(() => sessionStorage.setItem(KEPT, JSON.stringify(values)), [values]);
  const submit = async (event) => {
    event.preventDefault();
    if (!list) return setError({ title: T.send.notComplete, message: T.send.noFile });
    setBusy(true);
    try {
      const { id } = await post("/v1/schedules", draftOf(values, list));
      begin(id, list, { when: values.when, zone: values.zone });
      sessionStorage.removeItem(KEPT);
      return open(`send/${id}`);
    } catch (problem) {
      setError(problem);
      return setBusy(false);
    }
  };
  return html`<${Page} title=${T.pages.send} /><p>${T.send.intro}</p><form onSubmit=${submit}>
    <${FileChoice} list=${list} setList=${setList} setReading=${setReading} values=${values} set=${set} />
    <fieldset><legend>${T.text.title}</legend>
      <${TextEditor} value=${values.message} onValue=${set("message")} columns=${list?.layout.names} /></fieldset>
    <${Times} values=${values} set=${set} can=${can} />
    <fieldset><legend>${T.send.names}</legend><div class="grid">
      <${Input} label=${T.send.name} hint=${T.send.nameHint} maxlength="100" value=${values.name} onValue=${set("name")} />
      <${Input} label=${T.send.labels} hint=${T.send.labelsHint} value=${values.labels} onValue=${set("labels")} />
      <${Input} label=${T.schedule.sender} hint=${T.send.senderHint} maxlength="16" list="senders" value=${values.sender} onValue=${set("sender")} />
      <datalist id="senders">${registered?.senders.map(({ sender }) => html`<option value=${sender}></option>`)}</datalist></div></fieldset>
    <${ErrorBox} error=${error} />
    <div class="buttons"><button type="submit" class="primary" disabled=${busy || reading}>${busy ? T.working : T.send.upload}</button></div></form>`;
}
