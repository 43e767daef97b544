// Where a cluster stands on its way: the steps on top of its page. Pure: knows no page.

const BUILD = ["Plan", "Review", "Build", "Services", "Ready"];
const DESTROY = ["Plan", "Review", "Destroy", "Gone"];
const PLACE = {
  created: 0, plan_running: 0, plan_error: 0, plan_ready: 1,
  build_running: 2, build_error: 2, provisioning_running: 3, provisioning_error: 3,
  build_success: 4, provisioning_success: 4,
  destroy_running: 2, destroy_error: 2, destroyed: 3,
};

/** The steps with their state: done, now, failed or ahead. */
export function stepsOf(status, destroying) {
  const titles = destroying ? DESTROY : BUILD;
  const place = PLACE[status] ?? 0;
  const arrived = ["build_success", "provisioning_success", "destroyed"].includes(status);
  return titles.map((title, index) => {
    if (index < place || (index === place && arrived)) return { title, state: "done", word: "done" };
    if (index > place) return { title, state: "ahead", word: "ahead" };
    return status.endsWith("_error") ? { title, state: "failed", word: "failed" } : { title, state: "now", word: "now" };
  });
}
