// A draft: its upload, what it would send, and the last confirmation.
import { html, useEffect, useState } from "./preact.js";
import { get, patch, post } from "./api.js";
import { FileInput } from "./file-choice.js";
import { nameOf, number } from "./format.js";
import { open } from "./router.js";
import { Check, Preview } from "./send-check.js";
import { draftTime, INITIAL_TIMES, TimeChoice } from "./send-times.js";
import { TextEditor } from "./text-editor.js";
import { T } from "./texts.js";
import { ActionButton, BusyButton, ErrorBox, Loading, Notice, Page, saveFile, useData } from "./ui.js";
import { changeUpload, continueWith, fileOf, recall, refusedRows, upload } from "./upload.js";
import { instantOf, localOf } from "./zones.js";

const D = T.draft;

/** Runs the upload while the page is open, and warns a person who leaves it. */
function useUpload(id) {
  const [state, setState] = useState(() => recall(id));
  const [error, setError] = useState(null);
  const [hasFile, setHasFile] = useState(Boolean(fileOf(id)));
  const [round, setRound] = useState(0);
  const isOpen = state && !state.done && hasFile;
  useEffect(() => {
    if (!isOpen) return undefined;
    const stop = new AbortController();
    const warn = (event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    upload(id, setState, stop.signal).catch((problem) => stop.signal.aborted || setError(problem));
    return () => {
      stop.abort();
      removeEventListener("beforeunload", warn);
    };
  }, [id, isOpen, round]);
  const choose = async (file) => {
    try {
      const same = await continueWith(id, file);
      setError(same ? null : { title: D.otherFile, message: D.otherFileText(state.file.name) });
      setHasFile(same);
    } catch (problem) {
      setError(problem);
    }
  };
  const again = () => {
    setError(null);
    setRound((known) => known + 1);
  };
  return { state, error, hasFile, choose, again };
}

function UploadProgress({ uploading }) {
  const { state, error, hasFile, choose, again } = uploading;
  const share = state.offset / Math.max(state.file.size, 1);
  return html`<section><h2>${D.uploading}</h2>
    <progress aria-label=${D.uploading} value=${share} max="1"></progress>
    <p role="status">${D.progress(Math.floor(share * 100), number(state.sums.rows), state.file.name)}</p>
    ${!hasFile && html`<${Notice} kind="warning">${D.chooseAgain(state.file.name)}<//>
      <${FileInput} label=${T.file.choose} onFile=${choose} />`}
    <${ErrorBox} error=${error} />
    ${error && hasFile && html`<button type="button" onClick=${again}>${T.again}</button>`}</section>`;
}

function Refused({ id, schedule }) {
  const count = schedule.counts.INVALID;
  if (!count) return null;
  const download = async () => saveFile(await refusedRows(id), D.refusedFile);
  return html`<${Notice} kind="warning"><p>${D.refused(number(count))}</p>
    <${BusyButton} label=${D.refusedDownload} act=${download} /><//>`;
}

function ChangeText({ schedule, done }) {
  const fields = (values, set) => html`<${TextEditor} value=${values.message} onValue=${set("message")} />`;
  const act = async ({ message }) => {
    await patch(`/v1/schedules/${schedule.id}`, { message });
    done();
  };
  return html`<${ActionButton} label=${D.changeText} confirm=${T.save} initial=${{ message: schedule.message }} fields=${fields} act=${act} />`;
}

function ChangeTime({ schedule, when, zone, done }) {
  const initial = { ...INITIAL_TIMES, when, zone, at: localOf(schedule.run_at, zone) };
  const fields = (values, set) => html`<${TimeChoice} values=${values} set=${set} />`;
  const act = async (values) => {
    const at = values.when === "now" ? draftTime(schedule.send_until) : instantOf(values.at, values.zone);
    await patch(`/v1/schedules/${schedule.id}`, { run_at: at?.toISOString() });
    changeUpload(schedule.id, { when: values.when, zone: values.zone });
    done();
  };
  return html`<${ActionButton} label=${D.changeTime} confirm=${T.save} initial=${initial} fields=${fields} act=${act} />`;
}

function Discard({ schedule }) {
  const act = async () => {
    await post(`/v1/schedules/${schedule.id}/cancel`, {});
    open("schedules");
  };
  return html`<${ActionButton} label=${D.discard} question=${[D.discardText]} confirm=${D.discard} danger act=${act} />`;
}

function Draft({ schedule, reload, uploading, can }) {
  const state = recall(schedule.id) ?? {};
  const when = state.when ?? "at";
  const zone = state.zone ?? INITIAL_TIMES.zone;
  const isUploaded = !state.file || state.done;
  const mayChange = can("schedules:write");
  const buttons = mayChange && html`<${ChangeText} schedule=${schedule} done=${reload} />
    <${ChangeTime} schedule=${schedule} when=${when} zone=${zone} done=${reload} /><${Discard} schedule=${schedule} />`;
  return html`<${Page} title=${nameOf(schedule)} actions=${buttons} />
    ${!isUploaded && html`<${UploadProgress} uploading=${uploading} />`}
    ${schedule.reason && html`<${Notice} kind="warning">${D.rejected(schedule.reason)}<//>`}
    <${Refused} id=${schedule.id} schedule=${schedule} />
    ${isUploaded && html`<${Check} schedule=${schedule} when=${when} zone=${zone} can=${can} />`}
    <section><h2>${T.schedule.text}</h2><p class="message">${schedule.message}</p></section>
    ${isUploaded && html`<${Preview} id=${schedule.id} key=${schedule.message} />`}`;
}

export default function SendDraft({ id, can }) {
  const uploading = useUpload(id);
  const done = uploading.state?.done ?? false;
  const { data, error, reload } = useData(() => get(`/v1/schedules/${id}`), [id, done]);
  useEffect(() => {
    // Somebody has sent it meanwhile.
    if (data && data.status !== "draft") open(`schedules/${id}`, {}, true);
  }, [data?.status]);
  if (!data) return html`<${Page} title=${T.pages.send} /><${ErrorBox} error=${error} />${!error && html`<${Loading} />`}`;
  return html`<${ErrorBox} error=${error} /><${Draft} schedule=${data} reload=${reload} uploading=${uploading} can=${can} />`;
}
