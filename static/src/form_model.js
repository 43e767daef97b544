// The create form's values and the API's `parameters`, one made from the other. Pure: knows no page.

export const CORE = new Set(["cluster_name", "domain", "image", "instances", "volumes", "public_keys", "nb_users", "guest_passwd", "hieradata"]);

let lastKey = 0;
/** A key for a row that stays while its prefix or name is typed. */
export const rowKey = () => ++lastKey;

export function newGroup(prefix = "", type = "", tags = [], count = 1, rest = {}) {
  return { key: rowKey(), prefix, type, tags: [...tags], ownTags: "", count, rest };
}

export function newVolume(tag = "", name = "", size = 20, type = "", rest = {}) {
  return { key: rowKey(), tag, name, size, type, rest };
}

/** The form's values for `parameters`; `declared` are the template's parameters with their defaults. */
export function formFrom(parameters, declared, knownTags) {
  const groups = Object.entries(parameters.instances || {}).map(([prefix, { type, tags = [], count = 1, ...rest }]) => {
    const group = newGroup(prefix, type, tags.filter((tag) => knownTags.includes(tag)), count, rest);
    group.ownTags = tags.filter((tag) => !knownTags.includes(tag)).join(" ");
    return group;
  });
  const volumes = Object.entries(parameters.volumes || {}).flatMap(([tag, named]) =>
    Object.entries(named).map(([name, { size, type = "", ...rest }]) => newVolume(tag, name, size, type || "", rest)),
  );
  return {
    cluster_name: parameters.cluster_name || "",
    domain: parameters.domain || "",
    image: parameters.image || "",
    nb_users: parameters.nb_users ?? 0,
    guest_passwd: "",
    hieradata: parameters.hieradata || "",
    keys: (parameters.public_keys || []).join("\n"),
    groups,
    volumes,
    advanced: declared
      .filter(({ name }) => !CORE.has(name))
      .map((parameter) => advancedField(parameter, parameters)),
  };
}

function advancedField(parameter, parameters) {
  const given = parameter.name in parameters;
  const value = given ? parameters[parameter.name] : parameter.default;
  const kind = fieldKind(parameter);
  return {
    name: parameter.name,
    title: parameter.title || parameter.name,
    help: parameter.help || "",
    secret: Boolean(parameter.secret),
    kind,
    given,
    optional: parameter.default === null || parameter.default === undefined,
    initial: textOf(kind, value),
    value: textOf(kind, value),
  };
}

function fieldKind({ type, default: value }) {
  const words = String(type || typeof value).toLowerCase();
  if (words.startsWith("bool")) return "bool";
  if (/^(number|integer|int|float)/.test(words)) return "number";
  if (/^(str|string|text|password)/.test(words)) return "text";
  return "json";
}

function textOf(kind, value) {
  if (kind === "bool") return Boolean(value);
  if (kind === "json") return value === null || value === undefined ? "" : JSON.stringify(value, null, 2);
  return value ?? "";
}

export function tagsOf(group) {
  return [...group.tags, ...group.ownTags.split(/[\s,]+/).filter(Boolean)];
}

export function keysOf(form) {
  return form.keys.split("\n").map((line) => line.trim()).filter(Boolean);
}

/**
 * The API's parameters for the form's values, with the errors that only the form can see
 * (two groups of one name can't both stand in the JSON; a number that is no number).
 */
export function parametersFrom(form, { has }) {
  const errors = [];
  const parameters = { cluster_name: form.cluster_name.trim(), domain: form.domain.trim(), image: form.image };
  parameters.nb_users = number(form.nb_users);
  if (form.guest_passwd !== "") parameters.guest_passwd = form.guest_passwd;
  parameters.instances = instancesFrom(form, errors);
  parameters.volumes = volumesFrom(form, errors);
  parameters.public_keys = keysOf(form);
  parameters.hieradata = form.hieradata;
  for (const field of form.advanced) addAdvanced(parameters, field, errors);
  for (const name of Object.keys(parameters)) if (!has(name)) delete parameters[name];
  return { parameters, errors };
}

function number(value) {
  const text = String(value).trim();
  return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

function instancesFrom(form, errors) {
  const instances = {};
  form.groups.forEach((group) => {
    const prefix = group.prefix.trim();
    const field = `row.${group.key}.prefix`;
    if (!prefix) errors.push({ field, message: "Give this group of instances a name, for example node." });
    else if (prefix in instances) errors.push({ field, message: `Two groups are called "${prefix}": each needs a name of its own.` });
    else instances[prefix] = { ...group.rest, type: group.type, tags: tagsOf(group), count: number(group.count) };
  });
  return instances;
}

function volumesFrom(form, errors) {
  const volumes = {};
  form.volumes.forEach((volume) => {
    const tag = volume.tag.trim();
    const name = volume.name.trim();
    const named = (volumes[tag] ??= {});
    const field = `row.${volume.key}.name`;
    if (!tag) errors.push({ field: `row.${volume.key}.tag`, message: "Say which tag's instances get this volume, for example nfs." });
    if (!name) errors.push({ field, message: "Give this volume a name, for example home." });
    else if (name in named) errors.push({ field, message: `Two volumes of ${tag} are called "${name}".` });
    else named[name] = { ...volume.rest, size: number(volume.size), ...(volume.type ? { type: volume.type } : {}) };
  });
  return volumes;
}

function addAdvanced(parameters, field, errors) {
  const changed = field.value !== field.initial;
  if (!changed && (!field.given || field.secret)) return;
  if (field.kind === "text" && field.value === "" && field.optional) parameters[field.name] = null;
  else if (field.kind === "bool" || field.kind === "text") parameters[field.name] = field.value;
  else if (field.kind === "number") parameters[field.name] = number(field.value);
  else if (String(field.value).trim() === "") parameters[field.name] = null;
  else {
    try {
      parameters[field.name] = JSON.parse(field.value);
    } catch (error) {
      errors.push({ field: `parameters.${field.name}`, message: `This is not valid JSON: ${error.message}` });
    }
  }
}

/** Id of the element that a field path of the API stands for; the same in the templates' macros. */
export function fieldId(path) {
  return `f-${path.replace(/[^A-Za-z0-9_-]+/g, "-")}`;
}
