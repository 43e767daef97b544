// Bundles static/src into static/dist under fingerprinted names, and writes manifest.json: plain name -> built name.
// The hub's asset() reads that manifest; a file named after its content may be cached for ever. Beside each text stands
// its gzip, which the hub serves to whoever takes it.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const source = path.join(here, "src");
const target = path.join(here, "dist");
const watching = process.argv.includes("--watch");
const texts = new Set([".css", ".js", ".svg", ".txt"]);

const options = {
  entryPoints: ["app.js", "theme.js", "app.css"].map((name) => path.join(source, name)),
  outdir: target,
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  minify: !watching,
  sourcemap: watching,
  legalComments: "linked",
  target: ["es2022", "chrome115", "firefox115", "safari16"],
  metafile: true,
  logLevel: "warning",
  plugins: [{ name: "manifest", setup: (build) => build.onEnd(writeManifest) }],
};

async function copyFingerprinted(name) {
  const file = path.join(source, name);
  const hash = createHash("sha256").update(await readFile(file)).digest("hex").slice(0, 8).toUpperCase();
  const { name: stem, ext } = path.parse(name);
  const built = `${stem}-${hash}${ext}`;
  await copyFile(file, path.join(target, built));
  return built;
}

async function writeManifest(result) {
  if (result.errors.length > 0) return;
  const manifest = {};
  for (const drawing of ["icons.svg", "favicon.svg"]) manifest[drawing] = await copyFingerprinted(drawing);
  for (const [output, { entryPoint }] of Object.entries(result.metafile.outputs)) {
    if (entryPoint) manifest[path.basename(entryPoint)] = path.basename(output);
  }
  const current = new Set(Object.values(manifest));
  if (!watching) await compressTexts(current);
  await writeWhole("manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
  await removeWhatIsOld(current);
}

function builtName(name) {
  return name.replace(/(\.LEGAL\.txt|\.map)?(\.gz)?$/, "");
}

async function compressTexts(current) {
  const names = (await readdir(target)).filter((name) => texts.has(path.extname(name)) && current.has(builtName(name)));
  for (const name of names) {
    const content = await readFile(path.join(target, name));
    const packed = await promisify(gzip)(content, { level: constants.Z_BEST_COMPRESSION });
    await writeWhole(`${name}.gz`, packed);
  }
}

async function writeWhole(name, content) {
  const unfinished = path.join(target, `${name}.${process.pid}`);
  await writeFile(unfinished, content);
  await rename(unfinished, path.join(target, name));
}

async function removeWhatIsOld(current) {
  for (const name of await readdir(target)) {
    if (name !== "manifest.json" && !current.has(builtName(name))) await rm(path.join(target, name), { force: true });
  }
}

await mkdir(target, { recursive: true });
if (watching) {
  const context = await esbuild.context(options);
  await context.watch();
} else {
  await esbuild.build(options);
}
