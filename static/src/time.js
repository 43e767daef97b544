// Moments and durations in the words and the time zone of the person who looks.

const locale = document.documentElement.lang || "en";
const exact = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "long" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

export function moment(iso) {
  return iso ? exact.format(new Date(iso)) : "";
}

/** "3 minutes ago", "in 2 hours". */
export function ago(iso, now = Date.now()) {
  if (!iso) return "";
  const seconds = (new Date(iso).getTime() - now) / 1000;
  const [unit, length] = STEPS.find(([, size]) => Math.abs(seconds) >= size) || STEPS.at(-1);
  return relative.format(Math.trunc(seconds / length), unit);
}

/** "8 s", "2 min 05 s", "1 h 12 min" between two ISO times; an end that is missing is now. */
export function elapsed(start, end, now = Date.now()) {
  if (!start) return "";
  const until = end ? new Date(end).getTime() : now;
  const seconds = Math.max(0, Math.floor((until - new Date(start).getTime()) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")} min`;
}

/** Fills <time datetime> elements that the server wrote: words inside, the exact moment as title. */
export function fillTimes(root = document) {
  for (const element of root.querySelectorAll("time[data-ago]")) {
    element.textContent = ago(element.dateTime);
    element.title = moment(element.dateTime);
  }
}
