// Errors of a submit at their fields: the API's paths on one side, the form's elements on the other.

import { fieldId } from "./form_model.js";

/**
 * The API names a field by its place in the JSON, the form knows rows by keys that survive renaming:
 * `parameters.instances.mgmt.type` is `row.3.type` where row 3 is the group "mgmt".
 */
export function formPath(path, form) {
  const parts = String(path).replace(/\[(\w+)\]/g, ".$1").split(".");
  if (parts[0] !== "parameters") return path;
  if (parts[1] === "public_keys") return "parameters.public_keys";
  if (parts[1] === "instances" && parts.length > 2) {
    const group = form.groups.find(({ prefix }) => prefix.trim() === parts[2]);
    if (group) return `row.${group.key}.${["type", "tags", "count"].includes(parts[3]) ? parts[3] : "prefix"}`;
  }
  if (parts[1] === "volumes" && parts.length > 2) {
    const volume = form.volumes.find(({ tag, name }) => tag.trim() === parts[2] && (parts.length < 4 || name.trim() === parts[3]));
    if (volume) return `row.${volume.key}.${parts.length < 4 ? "tag" : ["size", "type"].includes(parts[4]) ? parts[4] : "name"}`;
  }
  return parts.slice(0, 2).join(".");
}

/** What stands in the summary on top: each message with the id of its field, if the form has one. */
export function summaryOf(errors, form) {
  return errors.map(({ field, message }, index) => {
    const path = formPath(field, form);
    const id = fieldId(path);
    const label = document.querySelector(`label[for="${id}"]`)?.textContent.trim() || groupLabel(id);
    return { key: index, path, id: document.getElementById(id) ? id : null, label: label || field, message };
  });
}

function groupLabel(id) {
  return document.getElementById(id)?.dataset.label || "";
}

/** Messages by path, for the fields themselves. */
export function byPath(summary) {
  const messages = {};
  for (const { path, message } of summary) messages[path] = messages[path] ? `${messages[path]} ${message}` : message;
  return messages;
}
