// Terraform's progress per resource, as rows and as one share. Pure: knows no page.

const ORDER = { failed: 0, running: 1, queued: 2, done: 3 };
const STATES = {
  queued: { word: "waiting", tone: "idle", icon: "dots" },
  running: { word: "working", tone: "progress", icon: null },
  done: { word: "done", tone: "success", icon: "check" },
  failed: { word: "failed", tone: "error", icon: "circle-x" },
};

/** What failed first, then what is being worked on, what waits, what is done. Once the work has ended nothing waits any more. */
export function progressRows(progress, ended) {
  const words = ended ? { ...STATES, queued: { ...STATES.queued, word: "not reached" } } : STATES;
  return progress
    .map((row, index) => ({ ...row, index, ...(words[row.state] || words.queued), problem: diagnosticText(row.diagnostic) }))
    .sort((a, b) => ORDER[a.state] - ORDER[b.state] || a.index - b.index);
}

function diagnosticText(diagnostic) {
  if (!diagnostic) return "";
  return typeof diagnostic === "string" ? diagnostic : [diagnostic.summary, diagnostic.detail].filter(Boolean).join(": ");
}

export function progressShare(doc) {
  const { done = 0, total = 0 } = doc?.operation?.progress || {};
  return { done, total, percent: total ? Math.floor((done / total) * 100) : 0 };
}
