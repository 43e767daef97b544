// A plan as a person reads it: counts, groups of resources, and each change before and after. Pure: knows no page.

const ACTIONS = [
  { name: "delete", title: "Deleted", tone: "error", sign: "−" },
  { name: "replace", title: "Replaced", tone: "attention", sign: "±" },
  { name: "update", title: "Changed in place", tone: "progress", sign: "~" },
  { name: "create", title: "Created", tone: "success", sign: "+" },
];

/** The groups of a plan that hold something, the gravest first. */
export function groupsOf(plan) {
  const resources = plan?.resources || [];
  return ACTIONS.map((action) => ({ ...action, resources: resources.filter((resource) => resource.action === action.name) })).filter(
    ({ resources: found }) => found.length,
  );
}

export function countsOf(plan) {
  return [...ACTIONS].reverse().map((action) => ({ ...action, count: plan?.actions?.[action.name] || 0 }));
}

export function losesData(plan) {
  return Boolean(plan && (plan.kind === "destroy" || (plan.summary || []).some((line) => line.data_loss)));
}

/** One row per changed attribute, in words. */
export function changesOf(resource) {
  const changes = resource.changes || [];
  return changes.map((change, index) => ({
    key: index,
    path: change.path || "(all of it)",
    before: change.sensitive ? "(secret)" : valueText(change.before),
    after: change.known === false ? "known after the build" : change.sensitive ? "(secret)" : valueText(change.after),
  }));
}

function valueText(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "string" ? value || '""' : JSON.stringify(value);
}
