// One bundle per folder of ../widgets, into ../tokprof/static. `node build.mjs [--watch]`
// `--demo` builds demo/dist/demo.js instead, for demo/index.html.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

// A bundle is part of the state of every widget instance, so its size is paid once per cell.
// The graph of steps brings its layout engine, the flame graph three orders, filters, export, details and the parts of prompts.
const limitOf = (name) => ({ dag: 130, flamegraph: 86 })[name] * 1024 || 60 * 1024;

const here = dirname(fileURLToPath(import.meta.url));
const widgets = join(here, "..", "widgets");
const out = join(here, "..", "tokprof", "static");
mkdirSync(out, { recursive: true });

const names = readdirSync(widgets).filter((name) => existsSync(join(widgets, name, "index.ts")));
const entryPoints = names.flatMap((name) => {
  const style = join(widgets, name, "style.css");
  const entry = [{ in: join(widgets, name, "index.ts"), out: name }];
  return existsSync(style) ? [...entry, { in: style, out: name }] : entry;
});

const sizes = {
  name: "sizes",
  setup(build) {
    build.onEnd((result) => {
      if (result.errors.length > 0) return;
      for (const name of names) {
        for (const ext of ["js", "css"]) {
          const file = join(out, `${name}.${ext}`);
          if (!existsSync(file)) continue;
          const size = statSync(file).size;
          const gzip = gzipSync(readFileSync(file)).length;
          console.log(`${name}.${ext}  ${(size / 1024).toFixed(1)} KB  (gzip ${(gzip / 1024).toFixed(1)} KB)`);
          if (ext === "js" && size > limitOf(name)) {
            console.error(`${name}.js is over the limit of ${limitOf(name) / 1024} KB`);
            process.exitCode = 1;
          }
        }
      }
    });
  },
};

const options = {
  entryPoints,
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  define: { "define.amd": "false" },
  alias: { "@tokprof": join(here, "src") },
  plugins: [sizes],
  logLevel: "warning",
};

const demo = {
  ...options,
  entryPoints: [join(here, "demo", "demo.ts")],
  outdir: join(here, "demo", "dist"),
  // A classic script: modules do not load from file://.
  format: "iife",
  minify: false,
  plugins: [],
};

if (process.argv.includes("--demo")) {
  await esbuild.build(demo);
} else if (process.argv.includes("--watch")) {
  await (await esbuild.context(options)).watch();
} else {
  await esbuild.build(options);
}
