// How to reach a cluster that is ready: links, the SSH command, the line for /etc/hosts, who signs in with what. Pure: knows no page.

/** The services' links. */
export function linksOf(cluster) {
  return (cluster?.links || []).filter(({ url }) => url);
}

/** The command that opens a shell on the cluster; empty while it has no public address. */
export function sshCommand(cluster) {
  return (cluster?.links || []).find(({ command }) => command)?.command || "";
}

/** The line that makes the services' names known to a machine whose name servers don't have them. */
export function hostsLine(cluster) {
  return (cluster?.links || []).find(({ line }) => line)?.line || "";
}

const ACCOUNTS = { freeipa: "FreeIPA administrator", guests: "Guests", sudoer: "Administrator" };

/** One row per account that has a password: "Guests (user[01-10])". */
export function secretRows(secrets) {
  return Object.entries(secrets || {})
    .filter(([, account]) => account?.password)
    .map(([name, account]) => ({ name, title: `${ACCOUNTS[name] || name}${users(account)}`, value: account.password }));
}

/** Magic Castle writes the guests' names as one text, such as "user[01-10]". */
function users({ username, usernames }) {
  const names = Array.isArray(usernames) ? usernames.join(", ") : usernames || username;
  return names ? ` (${names})` : "";
}
