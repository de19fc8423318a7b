// SPDX-License-Identifier: Apache-2.0 OR MIT
// What page and worker say to each other.

import type { FailureParts } from "./failure.js";
import type { Calls } from "./types.js";

/** What the worker asks the page for: a new passkey, one at once, or one that the browser offers where an address is typed. */
export type Question = "create" | "get" | "offer";

/** To the worker. */
export type ToWorker =
  | { kind: "start"; server: string }
  | { kind: "call"; id: number; name: keyof Calls; args: unknown[] }
  | { kind: "answer"; id: number; value: unknown }
  | { kind: "refusal"; id: number; name: string };

/** To the page. */
export type ToPage =
  | { kind: "done"; id: number; value: unknown }
  | { kind: "failed"; id: number; failure: FailureParts }
  | { kind: "progress"; id: number; done: number }
  | { kind: "ask"; id: number; name: Question; options: unknown };
