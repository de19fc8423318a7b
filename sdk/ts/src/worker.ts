// SPDX-License-Identifier: Apache-2.0 OR MIT
// The worker: the account's keys are in its memory, and nowhere else.

/// <reference lib="webworker" />

import init, { Core } from "../wasm/bailiwick.js";
import { Failure, type FailureParts } from "./failure.js";
import { recall, remember, type Name } from "./memory.js";
import type { Question, ToPage, ToWorker } from "./messages.js";
import type { Calls } from "./types.js";

const page = self as unknown as DedicatedWorkerGlobalScope;
const asked = new Map<number, { resolve: (value: unknown) => void; reject: (why: unknown) => void }>();
let lastQuestion = 0;
let core: Promise<Core> | undefined;

page.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  switch (message.kind) {
    case "start":
      core = start(message.server);
      // Each call says why.
      core.catch(() => undefined);
      break;
    case "call":
      void carryOut(message.id, message.name, message.args);
      break;
    case "answer":
      asked.get(message.id)?.resolve(message.value);
      asked.delete(message.id);
      break;
    case "refusal":
      asked.get(message.id)?.reject({ name: message.name });
      asked.delete(message.id);
      break;
  }
};

async function start(server: string): Promise<Core> {
  await init({ module_or_path: new URL("../wasm/bailiwick_bg.wasm", import.meta.url) });
  const [pins, device] = await Promise.all([recall("pins"), recall("device")]);
  const host = {
    create: (options: unknown) => ask("create", options),
    get: (options: unknown) => ask("get", options),
    offer: (options: unknown) => ask("offer", options),
    keep: (name: Name, text: string) => void remember(name, text),
  };
  return new Core(server, host, pins, device);
}

/** Asks the page for a passkey. */
function ask(name: Question, options: unknown): Promise<unknown> {
  const id = ++lastQuestion;
  return new Promise((resolve, reject) => {
    asked.set(id, { resolve, reject });
    say({ kind: "ask", id, name, options });
  });
}

async function carryOut(id: number, name: keyof Calls, args: unknown[]): Promise<void> {
  try {
    if (!core) throw new Failure({ kind: "failed", code: "worker", message: "it was not started" });
    say({ kind: "done", id, value: await does(await core, id, name, args) });
  } catch (thrown) {
    say({ kind: "failed", id, failure: parts(Failure.of(thrown)) });
  }
}

/** What takes or gives files, or tells how far it is, goes by functions, which cannot be sent from the page. */
async function does(core: Core, id: number, name: keyof Calls, args: unknown[]): Promise<unknown> {
  let [done, told] = [0, 0];
  // A page that is told of each record of a long history does nothing else.
  const progress = (more: number) => {
    done += more;
    if (performance.now() - told < 100) return;
    told = performance.now();
    say({ kind: "progress", id, done });
  };
  switch (name) {
    case "putFile": {
      const [collection, path, content] = args as [string | undefined, string, Blob];
      const modified = content instanceof File ? content.lastModified : undefined;
      const read = async (from: number, to: number) => new Uint8Array(await content.slice(from, to).arrayBuffer());
      return core.putFile(collection, path, content.size, modified, read, progress);
    }
    case "getFile": {
      const [collection, path] = args as [string | undefined, string];
      return gathered((write) => core.getFile(collection, path, write, progress));
    }
    case "getVersion": {
      const [collection, path, version] = args as [string | undefined, string, number];
      return gathered((write) => core.getVersion(collection, path, version, write, progress));
    }
    case "verify":
      return core.verify(args[0] as string | undefined, progress);
    default: {
      const call = core[name] as (...args: unknown[]) => unknown;
      return call.apply(core, args);
    }
  }
}

/** What `give` writes, in one piece. */
async function gathered(give: (write: (bytes: Uint8Array<ArrayBuffer>) => void) => Promise<unknown>) {
  const pieces: Blob[] = [];
  const file = await give((bytes) => void pieces.push(new Blob([bytes])));
  return { file, content: new Blob(pieces) };
}

function say(message: ToPage): void {
  page.postMessage(message);
}

/** Errors lose their fields on the way to another thread; plain objects do not. */
function parts(failure: Failure): FailureParts {
  const { kind, code, message, field, action, retryAfter, request } = failure;
  return {
    kind,
    code,
    message,
    ...(field !== undefined && { field }),
    ...(action !== undefined && { action }),
    ...(retryAfter !== undefined && { retry_after: retryAfter }),
    ...(request !== undefined && { request }),
  };
}
