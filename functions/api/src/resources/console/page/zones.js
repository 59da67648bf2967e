// Times in a zone: what somebody types as a local time becomes an instant.
import { zoneHere } from "./format.js";

/** Returns the names of all zones, that of this browser first. */
export function zones() {
  const known = Intl.supportedValuesOf?.("timeZone") ?? [];
  return [...new Set([zoneHere, "UTC", ...known])];
}

function offsetMs(instant, zone) {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
    hour: "numeric", minute: "numeric", second: "numeric",
  });
  const part = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
  const local = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
  return local - Math.floor(instant / 1000) * 1000;
}

/** Returns the instant of a local time such as 2027-01-01T09:00; null if it is not complete. */
export function instantOf(local, zone) {
  const asUtc = Date.parse(`${local}Z`);
  if (!local || Number.isNaN(asUtc)) return null;
  // The offset at the time itself: the first guess may be on the other side of a clock change.
  const guess = asUtc - offsetMs(asUtc, zone);
  return new Date(asUtc - offsetMs(guess, zone));
}

/** Returns the local time of an instant, as an input of the type datetime-local has it. */
export function localOf(instant, zone) {
  const at = new Date(instant).getTime();
  return new Date(at + offsetMs(at, zone)).toISOString().slice(0, 16);
}
