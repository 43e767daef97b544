// A cluster's page: one component driven by the status, which is polled; everything shown follows from what the hub says.

import { ApiError, Versioned, call, clusterPath, get, send } from "./api.js";
import { quotaRows } from "./capacity.js";
import { hostsLine, linksOf, secretRows, sshCommand } from "./connection.js";
import { focusOnceShown } from "./focus.js";
import { nodeAddresses, nodeState, probeState, serviceTitle } from "./nodes.js";
import { changesOf, countsOf, groupsOf, losesData } from "./plan_review.js";
import { Poller } from "./poller.js";
import { progressRows, progressShare } from "./progress.js";
import { stepsOf } from "./steps.js";
import { ago, elapsed, moment } from "./time.js";

const SUCCESS = ["build_success", "provisioning_success"];
const WITH_NODES = ["plan_error", "build_error", "build_success", "provisioning_running", "provisioning_success", "provisioning_error", "destroy_error"];

export function clusterPage() {
  let status = null;
  let poller = null;
  let nodesPoller = null;
  let clock = null;
  let settled = false;

  return {
    hostname: "",
    words: {},
    loaded: false,
    cluster: null,
    doc: null,
    plan: null,
    nodes: [],
    nodesProblem: "",
    consoles: {},
    offer: null,
    offerAt: "",
    secrets: null,
    logDiagnostics: [],
    gone: false,
    lost: false,
    action: "",
    problem: null,
    stale: false,
    confirmation: "",
    mustTypeToDelete: false,
    now: Date.now(),

    init() {
      this.hostname = this.$root.dataset.hostname;
      this.words = JSON.parse(document.getElementById("status-words").textContent);
      status = new Versioned(clusterPath(this.hostname, "/status"));
      poller = new Poller({
        read: () => this.readStatus(),
        interval: () => (this.isMoving ? 1000 : 4000),
        onFailure: (error) => this.statusFailed(error),
        onSuccess: () => (this.lost = false),
      });
      poller.start();
      nodesPoller = new Poller({ read: () => this.readNodes(), interval: () => (this.isMoving ? 4000 : 20000), onFailure: (error) => (this.nodesProblem = error.message) });
      clock = setInterval(() => (this.now = Date.now()), 1000);
      this.$watch("title", (title) => (document.title = title));
    },
    destroy() {
      poller.stop();
      nodesPoller.stop();
      clearInterval(clock);
    },

    // Reading
    async readStatus() {
      const doc = await status.read().catch((error) => {
        throw error.status === 404 ? Object.assign(error, { isGone: true }) : error;
      });
      const before = this.doc?.status;
      if (doc) {
        settled = settled && before === doc.status && (doc.plan || null) === (this.plan?.id || null);
        this.doc = doc;
      }
      if (settled) return;
      await this.arrived(before, this.doc.status);
      settled = true;
    },
    /** The status is new to this page: what belongs to it is loaded. */
    async arrived(before, status) {
      if (before && before !== status) this.forget();
      if (status === "destroyed") this.gone = true;
      if (this.gone) return;
      this.cluster = await get(clusterPath(this.hostname));
      this.plan = status === "plan_ready" ? await this.pendingPlan() : null;
      this.loaded = true;
      const hasNodes = WITH_NODES.includes(status) && this.cluster.has_resources;
      if (hasNodes) nodesPoller.start();
      else nodesPoller.stop();
      if (hasNodes) this.readOffer();
      nodesPoller.now();
      const justNow = ["build_running", "provisioning_running"].includes(before);
      if (SUCCESS.includes(status) && (justNow || !this.hasSeenSuccess())) this.$nextTick(() => this.showSuccess());
    },
    forget() {
      Object.assign(this, { problem: null, stale: false, confirmation: "", secrets: null, logDiagnostics: [] });
    },
    statusFailed(error) {
      if (error.isGone) {
        this.gone = true;
        poller.stop();
        nodesPoller.stop();
        return;
      }
      this.lost = true;
      if (!(error instanceof ApiError)) console.error(error);
    },
    /** The pending plan, or none when it was dropped or applied a moment ago. */
    async pendingPlan() {
      try {
        return await get(clusterPath(this.hostname, "/plan"));
      } catch (error) {
        if (error.status === 404) return null;
        throw error;
      }
    },
    async readNodes() {
      const answer = await get(clusterPath(this.hostname, "/nodes"));
      this.nodes = answer.items || answer;
      this.nodesProblem = "";
    },
    async readOffer() {
      try {
        this.offer = await get(`/api/available-resources?${new URLSearchParams({ project: this.cluster.project })}`);
      } catch (error) {
        this.offer = { quotas: {}, errors: [error.message] };
      }
    },
    toggleConsole(name) {
      if (this.consoles[name] === undefined) this.readConsole(name);
      else delete this.consoles[name];
    },
    async readConsole(name) {
      this.consoles[name] = "Loading…";
      try {
        const response = await send("GET", clusterPath(this.hostname, `/nodes/${encodeURIComponent(name)}/console?lines=200`), { headers: { Accept: "text/plain" } });
        this.consoles[name] = (await response.text()) || "The console is still empty.";
      } catch (error) {
        this.consoles[name] = error.message;
      }
    },

    // What is so
    is(...statuses) {
      return Boolean(this.doc) && statuses.includes(this.doc.status);
    },
    get isMoving() {
      return !this.doc || this.doc.indicator === "in_progress";
    },
    get known() {
      const status = this.doc?.status || "created";
      return { status, ...(this.words[status] || { word: status, tone: "idle", icon: "dots" }) };
    },
    get operation() {
      return this.doc?.operation || null;
    },
    get isStopping() {
      return Boolean(this.operation?.cancel_requested_at);
    },
    get isDestroying() {
      return Boolean(this.doc?.status.startsWith("destroy") || this.plan?.kind === "destroy" || (this.doc?.status.startsWith("plan_") && this.operation?.plan_kind === "destroy"));
    },
    get steps() {
      return stepsOf(this.doc?.status || "created", this.isDestroying);
    },
    get logPath() {
      return this.operation?.id ? clusterPath(this.hostname, `/operations/${this.operation.id}/log`) : "";
    },
    get rows() {
      return progressRows(this.doc?.progress || [], !this.isMoving);
    },
    get share() {
      return progressShare(this.doc);
    },
    get title() {
      const share = this.is("build_running", "destroy_running") ? ` ${this.share.percent} %` : "";
      return `${this.known.word}${share} · ${this.hostname}`;
    },
    get diagnostics() {
      const given = this.operation?.diagnostics?.length ? this.operation.diagnostics : this.logDiagnostics;
      const errors = given.filter(({ severity }) => severity !== "warning");
      if (errors.length) return errors.map((one, key) => ({ key, ...one }));
      const error = this.operation?.error || this.doc?.detail;
      return error ? [{ key: 0, summary: error, detail: "" }] : [];
    },
    get links() {
      return linksOf(this.cluster);
    },
    get ssh() {
      return sshCommand(this.cluster);
    },
    get hosts() {
      return hostsLine(this.cluster);
    },
    /** Why the last plan left the cluster as it was: nothing to change, dropped, cancelled. */
    get planNote() {
      const kind = this.operation?.kind || "";
      return kind.includes("plan") && !this.doc.status.startsWith("plan_") && !this.isMoving ? this.doc.detail || "" : "";
    },
    get quotas() {
      return quotaRows(this.offer?.quotas, null);
    },
    get losesData() {
      return losesData(this.plan);
    },
    get mayApply() {
      return Boolean(this.plan) && !this.plan.stale && !this.action && !this.stale && (!this.losesData || this.confirmation.trim() === this.hostname);
    },
    planGroups() {
      return groupsOf(this.plan);
    },
    planCounts() {
      return countsOf(this.plan);
    },
    changes(resource) {
      return changesOf(resource);
    },
    elapsed(start, end) {
      return elapsed(start, end, this.now);
    },
    ago(iso) {
      return ago(iso, this.now);
    },
    moment,
    nodeState,
    nodeAddresses,
    probeState,
    serviceTitle,

    // Doing
    async act(name, deed) {
      if (this.action) return null;
      this.action = name;
      this.problem = null;
      try {
        return await deed();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.stale = this.stale || error.type === "plan-stale";
        this.problem = { title: error.problem.title || "Refused", detail: error.message };
        focusOnceShown(this.$refs.problem);
        return null;
      } finally {
        this.action = "";
        poller.now();
      }
    },
    apply() {
      if (!this.mayApply) return;
      const body = { plan: this.plan.id, ...(this.losesData ? { confirm: this.confirmation.trim() } : {}) };
      this.act("apply", () => call("POST", clusterPath(this.hostname, "/apply"), { body }));
    },
    async drop() {
      await this.act("drop", () => call("DELETE", clusterPath(this.hostname, "/plan")));
    },
    cancel() {
      this.act("cancel", () => call("POST", clusterPath(this.hostname, "/cancel"), { body: {} }));
    },
    planAgain() {
      if (this.isDestroying) return this.planDestroy();
      const { version, parameters } = this.cluster;
      return this.act("plan", () => call("PUT", clusterPath(this.hostname), { body: { version, parameters } }));
    },
    askDelete() {
      this.mustTypeToDelete = false;
      this.confirmation = "";
      this.problem = null;
      this.$refs.delete.showModal();
    },
    /** A destroy plan; a cluster that holds nothing is deleted at once, which the hub wants confirmed by its name. */
    async planDestroy() {
      const query = this.mustTypeToDelete ? `?${new URLSearchParams({ confirm: this.confirmation.trim() })}` : "";
      this.action = "delete";
      this.problem = null;
      try {
        const answer = await call("DELETE", clusterPath(this.hostname) + query);
        this.$refs.delete.close();
        if (!answer) this.gone = true;
        else poller.now();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 422 && !this.mustTypeToDelete) {
          this.mustTypeToDelete = true;
          if (!this.$refs.delete.open) this.$refs.delete.showModal();
          focusOnceShown(document.getElementById("delete-confirmation"));
        } else {
          this.problem = { title: error.problem.title || "Refused", detail: error.message };
        }
      } finally {
        this.action = "";
      }
    },
    async reveal() {
      this.secrets = await this.act("secrets", () => get(clusterPath(this.hostname, "/secrets")));
    },
    get secretRows() {
      return secretRows(this.secrets);
    },

    // Success
    successKey() {
      return `mchub.seen.${this.cluster.id}`;
    },
    hasSeenSuccess() {
      return localStorage.getItem(this.successKey()) !== null;
    },
    showSuccess() {
      localStorage.setItem(this.successKey(), new Date().toISOString());
      if (!this.$refs.success.open) this.$refs.success.showModal();
    },
  };
}
