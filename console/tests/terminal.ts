// SPDX-License-Identifier: Apache-2.0 OR MIT

import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "./fixtures";
import { binary, inherited, type Server } from "./server";

/** The command line as a new device. */
export class Terminal {
  output = "";
  readonly config = mkdtempSync(join(tmpdir(), "bailiwick-device."));
  readonly #child;
  readonly ended: Promise<number | null>;

  constructor(server: Server) {
    // A terminal of its own: the program asks for the code as it would ask a person.
    const command = `${binary()} login --pair --server ${server.url}`;
    this.#child = spawn("script", ["-qefc", command, "/dev/null"], {
      env: { ...inherited(), BAILIWICK_CONFIG_DIR: this.config, BAILIWICK_KEYCHAIN: "off", COLUMNS: "400" },
    });
    this.#child.stdout.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    this.ended = new Promise((resolve) => this.#child.on("exit", resolve));
  }

  async shows(what: RegExp): Promise<RegExpMatchArray> {
    await expect.poll(() => what.test(this.output), { timeout: 30_000, message: this.output }).toBe(true);
    return this.output.match(what) as RegExpMatchArray;
  }

  type(text: string): void {
    this.#child.stdin.write(`${text}\n`);
  }
}
