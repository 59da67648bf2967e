// A list that is loaded page by page, in the way that all lists of the API are.
import { html, useEffect, useRef, useState } from "./preact.js";
import { get } from "./api.js";
import { T } from "./texts.js";
import { ErrorBox, Loading, Table } from "./ui.js";

/**
 * Loads the pages of a list. Returns its rows, and `more` if there is another page. `reload` loads as
 * many pages as are shown, so that a row that was changed stays in sight.
 */
export function usePages(path, member, query = {}) {
  const [pages, setPages] = useState(null);
  const [error, setError] = useState(null);
  const [round, setRound] = useState(0);
  const identity = JSON.stringify([path, query]);
  const load = async (cursor) => {
    const page = await get(path, { ...query, cursor });
    return { rows: page[member], next: page.next_cursor };
  };
  const shown = useRef({ identity: null, count: 1 });
  const loadShown = async () => {
    const loaded = [await load()];
    while (loaded.length < shown.current.count && loaded.at(-1).next) loaded.push(await load(loaded.at(-1).next));
    return loaded;
  };
  useEffect(() => {
    let live = true;
    setError(null);
    const isSame = shown.current.identity === identity;
    shown.current = { identity, count: isSame ? pages?.length ?? 1 : 1 };
    loadShown().then((loaded) => live && setPages(loaded), (problem) => live && setError(problem));
    return () => {
      live = false;
    };
  }, [identity, round]);
  const next = pages?.at(-1).next;
  const more = next && (() => load(next).then((page) => setPages((known) => [...known, page]), setError));
  return { rows: pages?.flatMap((page) => page.rows), error, more, reload: () => setRound((known) => known + 1) };
}

/** Shows such a list as a table. */
export function PagedTable({ list, caption, head, row, numeric, empty }) {
  const { rows, error, more } = list;
  return html`<${ErrorBox} error=${error} />${!rows && !error && html`<${Loading} />`}
    ${rows && html`<${Table} caption=${caption} head=${head} rows=${rows.map(row)} numeric=${numeric} empty=${empty} />`}
    ${more && html`<p><button type="button" onClick=${more}>${T.more}</button></p>`}`;
}
