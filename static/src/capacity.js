// What the cloud offers and what a form would take of it. Pure: knows no page.
// The hub's own preflight decides; this is the same sum made early, so that a person sees it while typing.

import { tagsOf } from "./form_model.js";

const GIB = 1024;
const AMOUNT = new Intl.NumberFormat(document.documentElement.lang || "en", { maximumFractionDigits: 1 });

/** Rows of the quota table: the name under `quotas`, a person's word, and how an amount is written. */
export const QUOTAS = [
  { name: "instances", title: "Instances" },
  { name: "vcpus", title: "vCPUs" },
  { name: "ram_mb", title: "Memory", unit: "GB", scale: GIB },
  { name: "volumes", title: "Volumes" },
  { name: "volume_gb", title: "Volume space", unit: "GB" },
  { name: "floating_ips", title: "Public IPs" },
  { name: "ports", title: "Ports" },
  { name: "security_groups", title: "Security groups" },
  { name: "security_group_rules", title: "Security group rules" },
];

export function amount(value, { scale = 1, unit = "" } = {}) {
  if (value === null || value === undefined) return "";
  if (value < 0) return "unlimited";
  return `${AMOUNT.format(value / scale)}${unit ? ` ${unit}` : ""}`;
}

/** GB of the root volume that an instance boots from, 0 where the flavor's own disk is large enough (Magic Castle: 20 GB for mgmt, 10 GB else). */
function bootVolume(flavor, group) {
  const least = tagsOf(group).includes("mgmt") ? 20 : 10;
  const wanted = Number(group.rest.disk_size) || least;
  return flavor.disk_gb < wanted ? wanted : 0;
}

/** What the form's cluster takes of each quota that can be told from the form alone. */
export function demand(form, flavors) {
  const total = { instances: 0, vcpus: 0, ram_mb: 0, volumes: 0, volume_gb: 0, floating_ips: 0, ports: 0 };
  const carriers = {};
  for (const group of form.groups) {
    const count = Math.max(0, Math.floor(Number(group.count)) || 0);
    const flavor = flavors.find(({ name }) => name === group.type);
    const tags = tagsOf(group);
    total.instances += count;
    total.ports += count;
    if (tags.includes("public")) total.floating_ips += count;
    for (const tag of tags) carriers[tag] = (carriers[tag] || 0) + count;
    if (!flavor) continue;
    total.vcpus += count * flavor.vcpus;
    total.ram_mb += count * flavor.ram_mb;
    const root = bootVolume(flavor, group);
    if (root) {
      total.volumes += count;
      total.volume_gb += count * root;
    }
  }
  for (const volume of form.volumes) {
    const copies = carriers[volume.tag.trim()] || 0;
    total.volumes += copies;
    total.volume_gb += copies * (Number(volume.size) || 0);
  }
  return total;
}

/** The quota table: per row limit, used, free, taken, and whether it does not fit. */
export function quotaRows(quotas, taken) {
  return QUOTAS.filter(({ name }) => quotas?.[name]).map((row) => {
    const { limit, used, free } = quotas[row.name];
    const take = taken?.[row.name] ?? 0;
    const unlimited = limit < 0;
    return {
      ...row,
      known: Boolean(taken && row.name in taken),
      take,
      unlimited,
      short: !unlimited && take > free,
      limitText: amount(limit, row),
      usedText: amount(used, row),
      freeText: unlimited ? "unlimited" : amount(free, row),
      takeText: taken && row.name in taken ? amount(take, row) : "",
      share: unlimited || limit === 0 ? 0 : Math.min(100, Math.round(((used + take) / limit) * 100)),
    };
  });
}

/** Why a flavor can't be used for a group, in words; empty when it can. */
export function flavorObstacle(flavor, group) {
  const reasons = tagsOf(group).map((tag) => flavor.reasons?.[tag]).filter(Boolean);
  return [...new Set(reasons)].join("; ");
}

export function flavorText(flavor) {
  return `${flavor.name} · ${flavor.vcpus} vCPU · ${amount(flavor.ram_mb, { scale: GIB, unit: "GB" })}`;
}
