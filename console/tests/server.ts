// SPDX-License-Identifier: Apache-2.0 OR MIT
// The real program, with a data folder of its own, on a port of its own.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { Zone } from "./zone";

export class Server {
  readonly url: string;
  readonly folder: string;
  readonly #settings: Record<string, string>;
  #process: ChildProcess | undefined;
  /** What the program logged. */
  log = "";

  private constructor(
    port: number,
    folder: string,
    /** The name server that it asks. */
    readonly zone: Zone,
    settings: Record<string, string>,
  ) {
    // Passkeys are bound to names: this machine's is localhost.
    this.url = `http://localhost:${port}`;
    this.folder = folder;
    this.#settings = {
      BAILIWICK_LISTEN: `127.0.0.1:${port}`,
      BAILIWICK_PUBLIC_URL: this.url,
      // Other identity providers of these tests are on this machine.
      BAILIWICK_PROVIDER_NETWORKS: "127.0.0.0/8",
      BAILIWICK_NAME_SERVER: zone.address,
      ...settings,
    };
  }

  static async start(settings: Record<string, string> = {}): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "bailiwick-console."));
    const server = new Server(await freePort(), folder, await Zone.start(), settings);
    await server.#run();
    return server;
  }

  async #run(): Promise<void> {
    const child = spawn(binary(), ["serve"], {
      env: {
        ...inherited(),
        BAILIWICK_DATA: join(this.folder, "data"),
        BAILIWICK_LOG_FORMAT: "json",
        // Playwright's pages come from one address.
        BAILIWICK_SIGNIN_TRIES_PER_ADDRESS: "10000",
        ...this.#settings,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    child.stderr.on("data", (chunk: Buffer) => (this.log += chunk.toString()));
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => line.startsWith("ready ") && resolve());
      child.on("exit", (code) => reject(new Error(`the server ended (${code}):\n${this.log}`)));
    });
  }

  /** Whether it is being stopped and started by the test: what a page asks then finds nobody. */
  isAway = false;

  /** Does something while the server is stopped, and tells those who watch its pages. */
  async #away(meanwhile: () => void): Promise<void> {
    this.isAway = true;
    await this.#end();
    meanwhile();
    await this.#run();
    // What failed meanwhile is told by the browser a moment later.
    await new Promise((resolve) => setTimeout(resolve, 300));
    this.isAway = false;
  }

  async #end(): Promise<void> {
    const process = this.#process;
    const ended = new Promise((resolve) => process?.on("exit", resolve));
    process?.kill("SIGTERM");
    await ended;
  }

  /** Starts it anew: it forgets what it remembered of others. */
  async restart(): Promise<void> {
    await this.#away(() => undefined);
  }

  async stop(): Promise<void> {
    await this.#end();
    this.zone.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The letters that were sent, the newest last. */
  letters(): string[] {
    const outbox = join(this.folder, "data", "outbox");
    return readdirSync(outbox)
      .sort()
      .map((name) => readFileSync(join(outbox, name), "utf8"));
  }

  /** What an operator does at the machine, while the server is stopped: one program at a time has the embedded engine's files. */
  async admin(args: string[]): Promise<void> {
    const env = { ...inherited(), BAILIWICK_DATA: join(this.folder, "data") };
    await this.#away(() => execFileSync(binary(), ["admin", ...args], { env, stdio: "pipe" }));
  }

  /** Whether a text stands in any file of the data folder. */
  holds(text: string): boolean {
    const data = join(this.folder, "data");
    return readdirSync(data, { recursive: true, encoding: "utf8" })
      .map((name) => join(data, name))
      .some((file) => statSync(file).isFile() && readFileSync(file).includes(text));
  }

  /** Runs the command line, as another device of somebody's. */
  command(config: string, args: string[], input = ""): string {
    return execFileSync(binary(), [...args, "--server", this.url], {
      env: { ...inherited(), BAILIWICK_CONFIG_DIR: config, BAILIWICK_KEYCHAIN: "off" },
      input,
      encoding: "utf8",
    });
  }
}

/** The environment without settings of Bailiwick's: a test says all of them itself. */
export function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("BAILIWICK_")));
}

export function binary(): string {
  const named = process.env["BAILIWICK_BIN"];
  if (!named) throw new Error("BAILIWICK_BIN names the program to test");
  return named;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const listener = createServer();
    listener.on("error", reject);
    listener.listen(0, "127.0.0.1", () => {
      const address = listener.address();
      listener.close(() => (address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}
