// Nodes and services as rows: the words, shapes and colours of their states. Pure: knows no page.

const SERVERS = {
  ACTIVE: { word: "running", tone: "success", icon: "circle-check" },
  BUILD: { word: "booting", tone: "progress", icon: null },
  ERROR: { word: "error", tone: "error", icon: "circle-x" },
  SHUTOFF: { word: "stopped", tone: "attention", icon: "stop" },
  DELETED: { word: "deleted", tone: "idle", icon: "trash" },
};
const SERVICES = { jupyterhub: "JupyterHub", freeipa: "FreeIPA" };

export function nodeState(node) {
  return SERVERS[node.status] || { word: String(node.status || "unknown").toLowerCase(), tone: "idle", icon: "dots" };
}

export function nodeAddresses(node) {
  const all = [...(node.floating_addresses || []), ...(node.addresses || [])];
  return all.map((one) => (typeof one === "string" ? one : one.addr || one.address || "")).join("  ");
}

export function faultText(node) {
  return typeof node.fault === "string" ? node.fault : node.fault?.message || "";
}

export function probeState(probe) {
  if (probe.ok) return { word: "answers", tone: "success", icon: "circle-check" };
  return { word: "not yet", tone: "progress", icon: "clock" };
}

export function serviceTitle(name) {
  return SERVICES[String(name).toLowerCase()] || name;
}
