// SPDX-License-Identifier: Apache-2.0 OR MIT
// A provider that knows nothing of Bailiwick: `oidc-provider` for Node, as `tests/node` pins it.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import type { Page } from "@playwright/test";

import { freePort, inherited } from "./server";

const FOLDER = join(import.meta.dirname, "../../tests/node");

export interface Somebody {
  email: string;
  email_verified: boolean;
  name: string;
  groups: string[];
}

export class Upstream {
  #child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    readonly secret: string,
    readonly people: Record<string, Somebody>,
  ) {}

  static async prepared(people: Record<string, Somebody>): Promise<Upstream> {
    return new Upstream(await freePort(), "a secret: of two parts%", people);
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it, for whoever sends browsers back to there. */
  async start(callback: string): Promise<void> {
    if (!existsSync(join(FOLDER, "node_modules/oidc-provider"))) {
      execFileSync("npm", ["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: FOLDER, stdio: "pipe" });
    }
    const child = spawn("node", [join(FOLDER, "upstream.mjs")], {
      env: {
        ...inherited(),
        PORT: String(this.port),
        PEOPLE: JSON.stringify(this.people),
        CLIENT_SECRET: this.secret,
        REDIRECT_URI: callback,
        ALGORITHM: "ES256",
      },
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => line === "ready" && resolve());
      child.on("exit", (code) => reject(new Error(`the provider ended (${code})`)));
    });
  }

  /** Whoever comes there with this page is this person. */
  async is(page: Page, who: string): Promise<void> {
    await page.unroute(`${this.issuer}/auth?*`);
    await page.route(`${this.issuer}/auth?*`, (route) => route.continue({ url: `${route.request().url()}&login_hint=${who}` }));
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    const ended = new Promise((resolve) => child.on("exit", resolve));
    child.kill();
    await ended;
  }
}
