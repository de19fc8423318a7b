// SPDX-License-Identifier: Apache-2.0 OR MIT
// What page and worker say to each other.

import type { FailureParts } from "./failure.js";
import type { Calls } from "./types.js";

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
  | { kind: "ask"; id: number; name: "create" | "get"; options: unknown };
