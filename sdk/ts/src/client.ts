// SPDX-License-Identifier: Apache-2.0 OR MIT
// The page's side: calls go to the worker, and the worker's questions for passkeys are answered here.

import { Failure } from "./failure.js";
import type { Question, ToPage, ToWorker } from "./messages.js";
import { createPasskey, getPasskey } from "./passkey.js";
import type { Calls, Progress } from "./types.js";

export interface Options {
  /** The server's address: the page's own origin, for the session's cookie. */
  server: string;
  /** Starts the worker of this package (`@bailiwick/sdk/worker`), as the page's bundler finds it. */
  worker: () => Worker;
}

interface Waiting {
  resolve: (value: never) => void;
  reject: (failure: Failure) => void;
  progress: Progress | undefined;
}

/** One person's account in this page. */
export class Bailiwick {
  readonly #options: Options;
  #worker: Worker | undefined;
  #waiting = new Map<number, Waiting>();
  #last = 0;
  /** Ends what the browser offers. */
  #offering: AbortController | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Has the worker do something. A function among the arguments is told of progress. */
  call<K extends keyof Calls>(name: K, ...args: Parameters<Calls[K]>): Promise<ReturnType<Calls[K]>> {
    const worker = this.#running();
    const id = ++this.#last;
    const progress = args.find((arg): arg is Progress & typeof arg => typeof arg === "function");
    const plain = args.filter((arg) => typeof arg !== "function");
    return new Promise<ReturnType<Calls[K]>>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress });
      worker.postMessage({ kind: "call", id, name, args: plain } satisfies ToWorker);
    });
  }

  /**
   * Takes the account's keys away: the worker ends, and its memory with it. The session lives on, and may be unlocked.
   * Calls under way fail as `locked`.
   */
  lock(): void {
    this.stopOffering();
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#giveUp(new Failure({ kind: "locked", code: "locked", message: "the account was locked" }));
  }

  /** Has the browser offer no passkeys any more; a `passkeySignIn` that waits for one fails as `passkey_not_given`. */
  stopOffering(): void {
    this.#offering?.abort();
    this.#offering = undefined;
  }

  /** Ends the session and takes the keys away, also when the server cannot be reached: then it throws. */
  async signOut(): Promise<void> {
    try {
      await this.call("signOut");
    } finally {
      this.lock();
    }
  }

  #running(): Worker {
    if (this.#worker) return this.#worker;
    const worker = this.#options.worker();
    worker.onmessage = (event: MessageEvent<ToPage>) => void this.#heard(worker, event.data);
    worker.onerror = () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      worker.terminate();
      const message = "what works with your keys could not be started: reload the page";
      this.#giveUp(new Failure({ kind: "failed", code: "worker", message }));
    };
    worker.postMessage({ kind: "start", server: this.#options.server } satisfies ToWorker);
    this.#worker = worker;
    return worker;
  }

  async #heard(worker: Worker, message: ToPage): Promise<void> {
    if (message.kind === "ask") {
      const reply: ToWorker = await this.#passkey(message.name, message.options).then(
        (value) => ({ kind: "answer", id: message.id, value }),
        (error: unknown) => ({ kind: "refusal", id: message.id, name: error instanceof Error ? error.name : "" }),
      );
      worker.postMessage(reply);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    if (message.kind === "progress") {
      waiting.progress?.(message.done);
      return;
    }
    this.#waiting.delete(message.id);
    if (message.kind === "done") waiting.resolve(message.value as never);
    else waiting.reject(new Failure(message.failure));
  }

  /** Browsers take one question for a passkey at a time. */
  #passkey(question: Question, options: unknown): Promise<unknown> {
    this.stopOffering();
    if (question === "create") return createPasskey(options);
    if (question === "get") return getPasskey(options);
    this.#offering = new AbortController();
    return getPasskey(options, this.#offering.signal);
  }

  #giveUp(why: Failure): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(why);
  }
}
