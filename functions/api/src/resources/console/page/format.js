// Numbers, times and durations as people read them, and the groups of states.
import { T } from "./texts.js";

const numbers = new Intl.NumberFormat();
const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const zoneHere = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export const number = (value) => (value === null || value === undefined ? "–" : numbers.format(value));
export const percent = (value) => `${Math.round(value * 100)} %`;

/** Returns a time in the zone of this browser. */
export const time = (text) => (text ? times.format(new Date(text)) : "–");

/** Returns a time in another zone, with the zone. */
export function timeIn(text, zone) {
  if (!text) return "–";
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short", timeZone: zone });
  return `${format.format(new Date(text))} (${zone})`;
}

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** Returns how far a time is from now: "in 3 minutes", "2 days ago". */
export function fromNow(text, now = Date.now()) {
  if (!text) return "–";
  const seconds = Math.round((new Date(text) - now) / 1000);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? UNITS.at(-1);
  return relative.format(Math.round(seconds / size), unit);
}

/** Returns a duration: "1 h 20 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return T.units.seconds(Math.ceil(seconds));
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return T.units.minutes(minutes);
  return T.units.hours(Math.floor(minutes / 60), minutes % 60);
}

/** Returns a duration in milliseconds. */
export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1000) return T.units.milliseconds(numbers.format(value));
  return value < 60_000 ? T.units.seconds(numbers.format(Math.round(value / 100) / 10)) : duration(value / 1000);
}

/** The groups in which counts are shown, in the order of a message's life. */
export const GROUPS = {
  waiting: ["PENDING", "SENDING"],
  underway: ["ACCEPTD", "ENROUTE"],
  delivered: ["DELIVRD"],
  failed: ["UNDELIV", "EXPIRED", "DELETED", "REJECTD"],
  unknown: ["UNCERTAIN", "UNKNOWN"],
  skipped: ["CANCELLED", "SUPPRESSED", "INVALID"],
};

/** Returns the sum of each group. */
export function grouped(counts) {
  const sum = (states) => states.reduce((total, state) => total + (counts[state] ?? 0), 0);
  return Object.fromEntries(Object.entries(GROUPS).map(([name, states]) => [name, sum(states)]));
}

/** Returns what a schedule is called: its name, else the beginning of its text. */
export function nameOf(schedule) {
  if (schedule.name) return schedule.name;
  const text = schedule.message.replace(/\s+/g, " ");
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
