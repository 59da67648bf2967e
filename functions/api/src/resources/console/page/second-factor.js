// The second factor of the person: set up with a QR code, recovery codes, and its removal.
import { html, useState } from "./preact.js";
import { get, logOut, post } from "./api.js";
import { number, time } from "./format.js";
import { T } from "./texts.js";
import { ActionButton, ErrorBox, Input, Notice, saveFile, useData } from "./ui.js";

const F = T.secondFactor;
const PATH = "/v1/auth/second-factor";

function CodeInput({ value, onValue }) {
  return html`<${Input} label=${T.login.code} name="code" autocomplete="one-time-code" inputmode="numeric" required value=${value} onValue=${onValue} />`;
}

function QrCode({ qr }) {
  return html`<svg class="qr" role="img" aria-label=${F.qr} viewBox=${`0 0 ${qr.size} ${qr.size}`}>
    <rect width=${qr.size} height=${qr.size} fill="#fff" /><path d=${qr.path} fill="#000" /></svg>`;
}

function Confirm({ begun, done }) {
  const [code, setCode] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      done((await post(`${PATH}/confirm`, { code })).recovery_codes);
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<form onSubmit=${submit}><p>${F.scan}</p><${QrCode} qr=${begun.qr} />
    <p>${F.typed} <code>${begun.secret.match(/.{1,4}/g).join(" ")}</code></p>
    <${CodeInput} value=${code} onValue=${setCode} /><${ErrorBox} error=${error} />
    <div class="buttons"><button type="submit" class="primary">${F.confirm}</button></div></form>`;
}

function RecoveryCodes({ codes, onClose }) {
  const text = `${codes.join("\n")}\n`;
  return html`<${Notice} kind="warning"><p>${F.recoveryText}</p><ul class="codes">${codes.map((code) => html`<li><code>${code}</code></li>`)}</ul>
    <div class="buttons"><button type="button" onClick=${() => saveFile(new Blob([text], { type: "text/plain" }), "recovery-codes.txt")}>${F.save}</button>
      <button type="button" class="primary" onClick=${onClose}>${F.kept}</button></div><//>`;
}

function password(values, set) {
  return html`<${Input} label=${T.account.current} type="password" name="current" autocomplete="current-password" required
    value=${values.current_password} onValue=${set("current_password")} />`;
}

function SetUp({ onBegun }) {
  return html`<${ActionButton} label=${F.setUp} question=${[F.setUpText]} confirm=${F.next} initial=${{ current_password: "" }} fields=${password}
    act=${async (values) => onBegun(await post(PATH, values))} primary />`;
}

function Remove({ done }) {
  const fields = (values, set) => html`${password(values, set)}<${CodeInput} value=${values.code} onValue=${set("code")} />`;
  const act = async (values) => done(await post(`${PATH}/remove`, values));
  return html`<${ActionButton} label=${F.remove} question=${[F.removeText]} initial=${{ current_password: "", code: "" }} fields=${fields}
    act=${act} danger />`;
}

/** The section of the account's page. A person who needs a second factor logs in again with it. */
export function SecondFactor() {
  const { data, error, reload } = useData(() => get(PATH), []);
  const [begun, setBegun] = useState(null);
  const [codes, setCodes] = useState(null);
  const confirmed = (recovery) => {
    setBegun(null);
    setCodes(recovery);
    reload();
  };
  // The permissions of the session changed with the second factor.
  const closed = () => (data?.required ? logOut(false) : setCodes(null));
  return html`<section><h2>${F.title}</h2><p>${F.text}</p><${ErrorBox} error=${error} />
    ${data?.required && !data.enabled && html`<${Notice} kind="warning">${F.required}<//>`}
    ${codes && html`<${RecoveryCodes} codes=${codes} onClose=${closed} />`}
    ${data?.enabled && html`<dl><dt>${F.since}</dt><dd>${time(data.confirmed_at)}</dd>
      <dt>${F.left}</dt><dd>${number(data.recovery_codes_left)}</dd></dl><${Remove} done=${reload} />`}
    ${data && !data.enabled && (begun ? html`<${Confirm} begun=${begun} done=${confirmed} />` : html`<${SetUp} onBegun=${setBegun} />`)}</section>`;
}
