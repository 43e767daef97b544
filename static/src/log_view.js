// An operation's log, followed by byte offset: no byte is lost or shown twice, however often the connection breaks.
// Terraform writes one JSON object a line; a person reads its message. What is no JSON is shown as it is.

import { send } from "./api.js";
import { Poller } from "./poller.js";

const SHOWN = 5000;
const LEVELS = { error: "log-error", warn: "log-warning" };

/** One line of the log: its time, its words, how grave it is, and the diagnostic it carries. */
export function readLine(line) {
  if (!line.startsWith("{")) return { time: "", text: line, level: "" };
  try {
    const { "@timestamp": at, "@message": text, "@level": level, diagnostic } = JSON.parse(line);
    if (text === undefined) return { time: "", text: line, level: "" };
    return { time: at ? new Date(at).toLocaleTimeString() : "", text, level: LEVELS[level] || "", diagnostic };
  } catch {
    return { time: "", text: line, level: "" };
  }
}

export function logView() {
  // Not on the component: what a component does not declare is looked for, and written to, in the one around it.
  let poller = null;
  let decoder = new TextDecoder();
  let offset = 0;
  let rest = "";
  let behind = false;
  let diagnostics = [];

  return {
    path: "",
    count: 0,
    hidden: 0,
    following: true,
    complete: false,
    lost: false,

    /** Shows the log at `path`; called again with another path it starts anew. */
    follow(path) {
      if (path === this.path) return;
      this.path = path;
      poller?.stop();
      Object.assign(this, { count: 0, hidden: 0, following: true, complete: false, lost: false });
      [offset, rest, behind, diagnostics, decoder] = [0, "", false, [], new TextDecoder()];
      this.$refs.lines.replaceChildren();
      if (!path) return;
      poller = new Poller({
        read: () => this.read(path),
        interval: () => (behind ? 0 : 800),
        onFailure: (error) => (error.status === 404 ? poller.stop() : (this.lost = true)),
        onSuccess: () => (this.lost = false),
      });
      poller.start();
    },
    destroy() {
      poller?.stop();
    },

    async read(path) {
      const response = await send("GET", `${path}?offset=${offset}`, { headers: { Accept: "text/plain" } });
      const bytes = await response.arrayBuffer();
      if (path !== this.path) return;
      offset += bytes.byteLength;
      behind = bytes.byteLength > 0 && offset < Number(response.headers.get("X-Log-Size"));
      const ended = response.headers.get("X-Log-Complete") === "true" && offset >= Number(response.headers.get("X-Log-Size"));
      this.add(decoder.decode(bytes, { stream: !ended }), ended);
      if (ended) {
        this.complete = true;
        poller.stop();
      }
    },
    add(text, ended) {
      const lines = (rest + text).split("\n");
      rest = ended ? "" : lines.pop();
      const fresh = lines.filter((line) => line.trim() !== "").map(readLine);
      if (!fresh.length) return;
      const box = this.$refs.lines;
      box.append(...fresh.slice(-SHOWN).map(lineElement));
      this.count += fresh.length;
      while (box.childElementCount > SHOWN) box.firstElementChild.remove();
      this.hidden = this.count - box.childElementCount;
      if (this.following) this.$nextTick(() => (this.$refs.box.scrollTop = this.$refs.box.scrollHeight));
      this.tell(fresh);
    },
    tell(fresh) {
      const found = fresh.map(({ diagnostic }) => diagnostic).filter(Boolean);
      if (!found.length) return;
      diagnostics.push(...found);
      this.$dispatch("log-diagnostics", [...diagnostics]);
    },
    scrolled() {
      const { scrollTop, scrollHeight, clientHeight } = this.$refs.box;
      this.following = scrollHeight - scrollTop - clientHeight < 24;
    },
    toEnd() {
      this.following = true;
      this.$refs.box.scrollTop = this.$refs.box.scrollHeight;
    },
  };
}

function lineElement({ time, text, level }) {
  const row = Object.assign(document.createElement("div"), { className: `log-line ${level}` });
  row.append(Object.assign(document.createElement("span"), { className: "log-time", textContent: time }), text);
  return row;
}
