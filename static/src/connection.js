// How to reach a cluster that is ready: links, the SSH command, the line for /etc/hosts, who signs in with what. Pure: knows no page.

import { serviceTitle as titleOf } from "./nodes.js";

/** The services' links, whether the hub gives them as a list or by name. */
export function linksOf(cluster, probes = []) {
  const given = cluster?.links;
  if (Array.isArray(given) && given.length) return given.map((link) => ({ ...link, title: titleOf(link.title || link.name) }));
  if (given && Object.keys(given).length) {
    return Object.entries(given)
      .filter(([, url]) => typeof url === "string" && /^https?:/.test(url))
      .map(([name, url]) => ({ name, title: titleOf(name), url }));
  }
  return probes.filter(({ url }) => url).map(({ name, url }) => ({ name, title: titleOf(name), url }));
}

/** The address by which a person can reach the cluster: a login node's first, else any public one. */
export function publicAddress(cluster) {
  const addresses = cluster?.outputs?.public_ip;
  if (!addresses || typeof addresses !== "object") return "";
  const [name] = Object.keys(addresses).sort((a, b) => Number(b.startsWith("login")) - Number(a.startsWith("login")));
  return name ? addresses[name] : "";
}

export function sshCommand(cluster) {
  const address = publicAddress(cluster);
  if (!address) return "";
  const user = cluster.outputs?.accounts?.sudoer?.username || cluster.parameters?.sudoer_username || "centos";
  return `ssh ${user}@${address}`;
}

/** The line that makes the services' names known to a machine whose name servers don't have them. */
export function hostsLine(cluster, links) {
  const address = publicAddress(cluster);
  if (!address) return "";
  const names = links.map(({ url }) => new URL(url).hostname).filter((name) => name !== address);
  return [address, ...new Set([...names, cluster.hostname])].join(" ");
}

const ACCOUNTS = { freeipa: "FreeIPA administrator", guests: "Guests", sudoer: "Administrator" };

/** One row per account that has a password: "Guests (user01 to user10)". */
export function secretRows(secrets) {
  return Object.entries(secrets || {})
    .filter(([, account]) => account?.password)
    .map(([name, account]) => ({ name, title: `${ACCOUNTS[name] || name}${users(account)}`, value: account.password }));
}

function users({ username, usernames }) {
  const names = usernames || (username ? [username] : []);
  if (!names.length) return "";
  return names.length === 1 ? ` (${names[0]})` : ` (${names[0]} to ${names.at(-1)})`;
}
