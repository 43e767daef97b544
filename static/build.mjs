// Bundles static/src into static/dist under fingerprinted names, and writes manifest.json: plain name -> built name.
// The hub's asset() reads that manifest; a file named after its content may be cached for ever.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const source = path.join(here, "src");
const target = path.join(here, "dist");
const watching = process.argv.includes("--watch");

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
  const unfinished = path.join(target, `manifest.json.${process.pid}`);
  await writeFile(unfinished, `${JSON.stringify(manifest, null, 2)}\n`);
  await rename(unfinished, path.join(target, "manifest.json"));
  await removeWhatIsOld(new Set(Object.values(manifest)));
}

async function removeWhatIsOld(current) {
  for (const name of await readdir(target)) {
    const built = name.replace(/(\.LEGAL\.txt|\.map)$/, "");
    if (name !== "manifest.json" && !current.has(built)) await rm(path.join(target, name), { force: true });
  }
}

await mkdir(target, { recursive: true });
if (watching) {
  const context = await esbuild.context(options);
  await context.watch();
} else {
  await esbuild.build(options);
}
