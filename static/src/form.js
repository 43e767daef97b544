// The create form, which is the modify form too: loads the template and the cloud's offer, keeps a draft, submits once.

import { ApiError, call, clusterPath, get } from "./api.js";
import { demand, flavorObstacle, flavorText, quotaRows } from "./capacity.js";
import { Draft } from "./draft.js";
import { byPath, summaryOf } from "./form_errors.js";
import { focusOnceShown } from "./focus.js";
import { fieldId, formFrom, keysOf, newGroup, newVolume, parametersFrom, rowKey, tagsOf } from "./form_model.js";
import { ago } from "./time.js";

const TAGS = ["mgmt", "puppet", "nfs", "login", "public", "proxy", "node", "pool"];
const EMPTY = { images: [], flavors: [], volume_types: [], keypairs: [], quotas: {}, errors: [] };
const REFRESH = 30000;

export function clusterForm() {
  return {
    ready: false,
    failed: "",
    submitting: false,
    tags: TAGS,
    form: { groups: [], volumes: [], advanced: [], cluster_name: "", domain: "", image: "", keys: "", hieradata: "", guest_passwd: "", nb_users: 0 },
    template: { name: "", title: "", parameters: [] },
    cluster: null,
    offer: EMPTY,
    offerState: "loading",
    offerProblem: "",
    problem: null,
    summary: [],
    messages: {},
    draftAt: "",
    announcement: "",

    async init() {
      this.project = this.$root.dataset.project;
      this.hostname = this.$root.dataset.hostname || "";
      this.loadOffer();
      this.timer = setInterval(() => document.hidden || this.submitting || this.loadOffer(), REFRESH);
      addEventListener("pageshow", (event) => event.persisted && (this.submitting = false));
      await this.load();
    },
    destroy() {
      clearInterval(this.timer);
    },

    // Loading
    async load() {
      this.failed = "";
      try {
        if (this.hostname) this.cluster = await get(clusterPath(this.hostname));
        const name = this.cluster?.template || this.$root.dataset.template;
        this.template = await get(`/api/templates/${encodeURIComponent(name)}`);
      } catch (error) {
        this.failed = error.message;
        return;
      }
      this.draft = new Draft(this.hostname ? `edit.${this.hostname}.${this.cluster.version}` : `create.${this.template.name}`);
      this.fill(this.draft.read());
      this.ready = true;
      this.$nextTick(() => this.$watch("form", () => this.keepDraft()));
    },
    pristine() {
      return formFrom(this.cluster?.parameters || this.template.defaults || {}, this.template.parameters || [], TAGS);
    },
    fill(draft) {
      const form = this.pristine();
      if (draft?.form) {
        const advanced = form.advanced.map((field) => ({ ...field, ...draft.form.advanced.find(({ name }) => name === field.name), initial: field.initial, given: field.given }));
        Object.assign(form, draft.form, { advanced });
        for (const row of [...form.groups, ...form.volumes]) row.key = rowKey();
        this.draftAt = draft.at;
      }
      this.form = form;
    },
    keepDraft() {
      clearTimeout(this.draftTimer);
      this.draftTimer = setTimeout(() => !this.submitting && this.draft.keep(this.form), 300);
    },
    startOver() {
      this.draftAt = "";
      this.clearErrors();
      this.form = this.pristine();
      this.$nextTick(() => {
        clearTimeout(this.draftTimer);
        this.draft.drop();
      });
    },
    async loadOffer() {
      const query = new URLSearchParams({ project: this.project });
      if (this.hostname) query.set("hostname", this.hostname);
      try {
        this.offer = { ...EMPTY, ...(await get(`/api/available-resources?${query}`)) };
        this.offerProblem = this.offer.errors.map((error) => error.message || String(error)).join(" ");
        this.offerKey();
        this.offerState = "loaded";
      } catch (error) {
        this.offerProblem = error.message;
        this.offerState = this.offerState === "loaded" ? "loaded" : "failed";
      }
    },

    // Whoever has one key pair in the cloud means that one.
    offerKey() {
      if (this.offerState === "loaded" || this.cluster || this.form.keys.trim() || this.offeredKeys.length !== 1) return;
      this.addKey(this.offeredKeys[0]);
    },

    // What the form shows of itself
    has(name) {
      return (this.template.parameters || []).some((parameter) => parameter.name === name) || name in (this.template.defaults || {});
    },
    get fullName() {
      return `${this.form.cluster_name || "name"}.${this.form.domain || "domain"}`;
    },
    get demand() {
      return demand(this.form, this.offer.flavors);
    },
    get quotas() {
      return quotaRows(this.offer.quotas, this.demand);
    },
    get fits() {
      return !this.quotas.some((row) => row.short);
    },
    get images() {
      const names = this.offer.images.map((image) => image.name || image);
      return !this.form.image || names.includes(this.form.image) ? names : [this.form.image, ...names];
    },
    get volumeTypes() {
      return this.offer.volume_types.map((type) => type.name || type);
    },
    get draftAge() {
      return this.draftAt ? ago(this.draftAt) : "";
    },
    flavors(group) {
      const known = this.offer.flavors.map((flavor) => {
        const obstacle = flavorObstacle(flavor, group);
        return { name: flavor.name, text: obstacle ? `${flavorText(flavor)} (${obstacle})` : flavorText(flavor), obstacle };
      });
      if (known.some(({ name }) => name === group.type) || !group.type) return known;
      const text = this.offerState === "loaded" ? `${group.type} (not offered by this cloud)` : group.type;
      return [{ name: group.type, text, obstacle: "" }, ...known];
    },
    obstacle(group) {
      return this.flavors(group).find(({ name }) => name === group.type)?.obstacle || "";
    },
    ownTagsWarning(group) {
      return group.ownTags.trim() ? "Tags of your own do nothing unless your Puppet configuration knows them." : "";
    },
    groupHosts(group) {
      const count = Number(group.count) || 0;
      if (!group.prefix || count < 1) return "";
      return count === 1 ? `${group.prefix}1` : `${group.prefix}1 to ${group.prefix}${count}`;
    },
    volumeTags(volume) {
      return [...new Set([...(volume.tag ? [volume.tag] : []), ...this.form.groups.flatMap(tagsOf)])];
    },

    // Rows
    toggleTag(group, tag) {
      group.tags = group.tags.includes(tag) ? group.tags.filter((own) => own !== tag) : [...group.tags, tag];
    },
    addGroup() {
      const taken = new Set(this.form.groups.map(({ prefix }) => prefix));
      let prefix = "node";
      for (let index = 2; taken.has(prefix); index += 1) prefix = `node-${"abcdefghijklmnopqrstuvwxyz"[index - 2] || index}`;
      const like = this.form.groups.find(({ tags }) => tags.includes("node"));
      this.addRow("groups", newGroup(prefix, like?.type || "", ["node"], 1), "prefix");
    },
    addVolume() {
      this.addRow("volumes", newVolume("nfs", "", 20), "name");
    },
    addRow(list, row, field) {
      this.form[list].push(row);
      this.$nextTick(() => document.getElementById(this.rowId(row, field))?.focus());
    },
    removeRow(list, row, name) {
      const index = this.form[list].indexOf(row);
      this.form[list].splice(index, 1);
      this.announcement = `${name || "Row"} removed.`;
      this.$nextTick(() => document.getElementById(`add-${list}`)?.focus());
    },
    rowId(row, field) {
      return fieldId(`row.${row.key}.${field}`);
    },
    rowError(row, field) {
      return this.messages[`row.${row.key}.${field}`] || "";
    },
    hasKey(pair) {
      return Boolean(pair.public_key) && keysOf(this.form).includes(pair.public_key.trim());
    },
    addKey(pair) {
      if (!this.hasKey(pair)) this.form.keys = [...keysOf(this.form), pair.public_key.trim()].join("\n");
      this.announcement = `Key ${pair.name} added.`;
    },
    async addKeyFiles(event) {
      for (const file of event.target.files) this.addKey({ name: file.name, public_key: await file.text() });
      event.target.value = "";
    },
    get offeredKeys() {
      // Clusters bring key pairs of their own into the cloud, with the same keys.
      const known = new Set();
      return this.offer.keypairs.filter(({ public_key: key }) => {
        const content = (key || "").split(" ").slice(0, 2).join(" ");
        return content && !known.has(content) && known.add(content);
      });
    },

    // Submit
    error(path) {
      return this.messages[path] || "";
    },
    clearErrors() {
      this.problem = null;
      this.summary = [];
      this.messages = {};
    },
    async submit() {
      if (this.submitting || !this.ready) return;
      this.clearErrors();
      const { parameters, errors } = parametersFrom(this.form, { has: (name) => this.has(name) || name in (this.cluster?.parameters || {}) });
      if (errors.length) return this.refuse(new ApiError({ status: 422, title: "Some values are not right", errors }));
      this.submitting = true;
      this.draft.keep(this.form);
      try {
        const answer = await this.send(parameters);
        clearTimeout(this.draftTimer);
        this.draft.drop();
        location.assign(`/clusters/${encodeURIComponent(answer.hostname || this.hostname)}`);
      } catch (error) {
        this.submitting = false;
        this.refuse(error);
      }
    },
    send(parameters) {
      if (this.hostname) return call("PUT", clusterPath(this.hostname), { body: { version: this.cluster.version, parameters } });
      const body = { template: this.template.name, project: this.project, expires_at: null, parameters };
      return call("POST", "/api/clusters", { body });
    },
    refuse(error) {
      this.problem = { title: error.problem?.title || "Not sent", detail: error.errors?.length ? "" : error.message };
      this.summary = summaryOf(error.errors || [], this.form);
      this.messages = byPath(this.summary);
      if (this.summary.some(({ path }) => this.form.advanced.some(({ name }) => path === `parameters.${name}`))) this.$refs.advanced.open = true;
      focusOnceShown(this.$refs.problem);
    },
    goTo(event, id) {
      event.preventDefault();
      const element = document.getElementById(id);
      element?.closest("details")?.setAttribute("open", "");
      element?.focus();
      element?.scrollIntoView({ block: "center" });
    },
  };
}
