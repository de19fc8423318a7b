// SPDX-License-Identifier: Apache-2.0 OR MIT
// What every test gets: a server, and pages that are watched. A page that breaks the content-security policy, writes an error to
// its console, throws, or asks another server, fails its test; and so does a secret that is found where none belongs.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { test as base, expect, type BrowserContext, type Page } from "@playwright/test";

import { Server } from "./server";

export { expect };

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Refusals that belong to a flow: a wrong code, a proof that is asked for. The browser writes each to its console. */
const REFUSALS = new Set([401, 403, 404, 409, 410, 422]);

export class Watched {
  readonly complaints: string[] = [];
  /** What must not be found anywhere. */
  readonly secrets: string[] = [];
  /** Other servers that a flow sends the browser to. */
  readonly origins: string[] = [];

  constructor(
    readonly context: BrowserContext,
    readonly server: Server,
  ) {
    this.watch(context);
  }

  /** Watches another browser as well. */
  watch(context: BrowserContext): void {
    for (const page of context.pages()) this.#watch(page);
    context.on("page", (page) => this.#watch(page));
  }

  /** Takes back complaints about what a test brought about itself. */
  forgive(which: RegExp): void {
    this.complaints.splice(0, this.complaints.length, ...this.complaints.filter((one) => !which.test(one)));
  }

  #watch(page: Page): void {
    page.on("pageerror", (error) => this.complaints.push(`an exception: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      if (/^Failed to load resource/.test(message.text())) return;
      this.complaints.push(`the console: ${message.text()}`);
    });
    page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText ?? "";
      // A page that is left, or locked, gives up what it waits for; and the test itself may have stopped the server.
      if (why !== "net::ERR_ABORTED" && !this.server.isAway) this.complaints.push(`a request failed: ${request.url()} ${why}`);
    });
    page.on("response", (response) => {
      const status = response.status();
      if (status >= 400 && !REFUSALS.has(status)) this.complaints.push(`${status} for ${response.url()}`);
    });
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol.startsWith("http") && ![this.server.url, ...this.origins].includes(origin)) this.complaints.push(`a foreign request: ${request.url()}`);
    });
  }

  /** Looks for every secret wherever something outlives the page, or goes elsewhere. */
  async nothingLeaked(page: Page): Promise<void> {
    const kept = await page.evaluate(async () => {
      const found: string[] = [location.href, document.referrer, document.cookie, JSON.stringify(history.state)];
      for (const storage of [localStorage, sessionStorage]) found.push(JSON.stringify({ ...storage }));
      for (const { name } of await indexedDB.databases()) {
        if (!name) continue;
        const database = await new Promise<IDBDatabase>((resolve, reject) => {
          const request = indexedDB.open(name);
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
        for (const store of Array.from(database.objectStoreNames)) {
          found.push(
            await new Promise<string>((resolve) => {
              const request = database.transaction(store).objectStore(store).getAll();
              request.onsuccess = () => resolve(JSON.stringify(request.result));
            }),
          );
        }
        database.close();
      }
      found.push(...(await caches.keys()));
      return found.join("\n");
    });
    const logged = this.server.log;
    for (const secret of this.secrets) {
      expect(kept.includes(secret), `a secret of ${secret.length} characters is kept by the page`).toBe(false);
      expect(logged.includes(secret), `a secret of ${secret.length} characters is in the server's log`).toBe(false);
    }
    // No script ever has the session's token, nor a key.
    expect(kept).not.toMatch(/bw[sk]_/);
  }

  /** Looks for every secret in what is left of a page that somebody signed out of. */
  async nothingLeft(page: Page): Promise<void> {
    await expect(page.getByRole("heading", { name: "Sign in", exact: true })).toBeVisible();
    const left = await page.evaluate(() => {
      const typed = Array.from(document.querySelectorAll("input, textarea"), (input) => (input as HTMLInputElement).value);
      return [document.documentElement.outerHTML, location.hash, ...typed].join("\n");
    });
    for (const secret of this.secrets) expect(left.includes(secret), `a secret of ${secret.length} characters is left in the page`).toBe(false);
    await this.nothingLeaked(page);
  }

  /** Whether the page can be used by everybody, as far as a program can tell; and a picture of it, in both themes. */
  async looksRight(page: Page, name: string): Promise<void> {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      // By the debugger's door: the page's own policy runs no script of a test.
      await page.evaluate(axe);
      const found = await page.evaluate(async () => {
        const { axe } = window as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
        interface Violation {
          id: string;
          impact: string;
          nodes: { html: string; failureSummary: string }[];
        }
        const { violations } = await axe.run();
        return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => `${node.html}\n  ${node.failureSummary}`).join("\n")}`);
      });
      expect(found, `${name}, ${colorScheme}`).toEqual([]);
      for (const [size, width] of [["wide", 1280], ["phone", 390]] as const) {
        await page.setViewportSize({ width, height: 900 });
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        expect(overflow, `${name} is wider than a ${size} screen`).toBeLessThanOrEqual(0);
        // What is out of sight is drawn for the picture as well.
        await page.evaluate(() => {
          for (const row of document.querySelectorAll<HTMLElement>(".list.long > li")) row.style.contentVisibility = "visible";
        });
        await page.screenshot({ path: `pictures/${name}-${colorScheme}-${size}.png`, fullPage: true });
      }
      await page.setViewportSize({ width: 1280, height: 900 });
    }
    await page.emulateMedia({ colorScheme: "light", reducedMotion: null });
  }
}

export const test = base.extend<{ watched: Watched }, { server: Server }>({
  server: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
  watched: async ({ context, server }, use) => {
    const watched = new Watched(context, server);
    await use(watched);
    for (const page of context.pages()) if (page.url().startsWith(server.url)) await watched.nothingLeaked(page);
    expect(watched.complaints).toEqual([]);
  },
});
