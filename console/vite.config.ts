import { brotliCompressSync, constants } from "node:zlib";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const from = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [svelte(), compressed()],
  resolve: {
    alias: [
      { find: /^@bailiwick\/sdk$/, replacement: from("../sdk/ts/src/index.ts") },
      { find: /^@bailiwick\/sdk\//, replacement: `${from("../sdk/ts/src")}/` },
    ],
  },
  worker: { format: "es" },
  build: {
    target: "es2022",
    // The folder has a file of its own, so that cargo finds it in a fresh clone; `scripts/build-console` clears the rest.
    outDir: "dist",
    emptyOutDir: false,
    // Nothing inlined: a data: URL is no file of this server's.
    assetsInlineLimit: 0,
    // The policy allows scripts of this server alone, and this one would be written into the page.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});

/** Each file once more, compressed, for the server to send as it is. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      const folder = from("dist");
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        const file = join(folder, name);
        if (!statSync(file).isFile() || !/\.(html|js|css|wasm|svg)$/.test(name)) continue;
        const bytes = readFileSync(file);
        const small = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } });
        if (small.length < bytes.length) writeFileSync(`${file}.br`, small);
      }
    },
  };
}
