// Nodes and services as rows: the words, shapes and colours of their states. Pure: knows no page.

const SERVERS = {
  ACTIVE: { word: "running", tone: "success", icon: "circle-check" },
  BUILD: { word: "booting", tone: "progress", icon: null },
  ERROR: { word: "error", tone: "error", icon: "circle-x" },
  SHUTOFF: { word: "stopped", tone: "attention", icon: "stop" },
  ABSENT: { word: "not there", tone: "idle", icon: "dots" },
  DELETED: { word: "deleted", tone: "idle", icon: "trash" },
};
const SERVICES = { jupyterhub: "JupyterHub", freeipa: "FreeIPA" };

export function nodeState(node) {
  return SERVERS[node.status] || { word: String(node.status || "unknown").toLowerCase(), tone: "idle", icon: "dots" };
}

export function nodeAddresses(node) {
  return [...(node.public_addresses || []), ...(node.addresses || [])].join("\n");
}

export function probeState(probe) {
  if (probe.ok) return { word: "answers", tone: "success", icon: "circle-check" };
  return { word: "not yet", tone: "progress", icon: "clock" };
}

export function serviceTitle(name) {
  return SERVICES[String(name).toLowerCase()] || name;
}
