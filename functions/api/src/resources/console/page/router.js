// The address of a page is in the hash of the URL: `#/schedules/ID?tab=batches`. So a reload stays
// on the page, and the function serves one page only.
import { useEffect, useState } from "./preact.js";

function parse() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/").map(decodeURIComponent);
  return { page: page || "schedules", rest, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** Returns the route of now, and renders again when it changes. */
export function useRoute() {
  const [route, setRoute] = useState(parse);
  useEffect(() => {
    const changed = () => setRoute(parse());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

/** Returns the address of a page. */
export function linkTo(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return `#/${path}${text && `?${text}`}`;
}

/** Opens a page; `replace` leaves no entry in the history. */
export function open(path, query, replace = false) {
  if (replace) location.replace(linkTo(path, query));
  else location.hash = linkTo(path, query);
}
