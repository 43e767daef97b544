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
      this.poller?.stop();
      Object.assign(this, { count: 0, hidden: 0, following: true, complete: false, lost: false });
      this.offset = 0;
      this.rest = "";
      this.decoder = new TextDecoder();
      this.diagnostics = [];
      this.$refs.lines.replaceChildren();
      if (!path) return;
      this.poller = new Poller({
        read: () => this.read(path),
        interval: () => (this.behind ? 0 : 800),
        onFailure: (error) => (error.status === 404 ? this.poller.stop() : (this.lost = true)),
        onSuccess: () => (this.lost = false),
      });
      this.poller.start();
    },
    destroy() {
      this.poller?.stop();
    },

    async read(path) {
      const response = await send("GET", `${path}?offset=${this.offset}`, { headers: { Accept: "text/plain" } });
      const bytes = await response.arrayBuffer();
      if (path !== this.path) return;
      this.offset += bytes.byteLength;
      this.behind = bytes.byteLength > 0 && this.offset < Number(response.headers.get("X-Log-Size"));
      const ended = response.headers.get("X-Log-Complete") === "true" && this.offset >= Number(response.headers.get("X-Log-Size"));
      this.add(this.decoder.decode(bytes, { stream: !ended }), ended);
      if (ended) {
        this.complete = true;
        this.poller.stop();
      }
    },
    add(text, ended) {
      const lines = (this.rest + text).split("\n");
      this.rest = ended ? "" : lines.pop();
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
      this.diagnostics.push(...found);
      this.$dispatch("log-diagnostics", [...this.diagnostics]);
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
