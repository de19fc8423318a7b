// SPDX-License-Identifier: Apache-2.0 OR MIT
/**
 * Bailiwick for a page.
 *
 * The account's keys live in a Web Worker, so that the page never stands still while a password is hashed, and so that nothing
 * that runs in the page holds them. The session itself is in a cookie that no script can read.
 *
 * ```ts
 * import { Bailiwick } from "@bailiwick/sdk";
 *
 * const bailiwick = new Bailiwick({
 *   server: location.origin,
 *   worker: () => new Worker(new URL("@bailiwick/sdk/worker", import.meta.url), { type: "module" }),
 * });
 * await bailiwick.call("signInStart", email, password);
 * const who = await bailiwick.call("signInFinish", code, false, thisBrowser());
 * for (const file of (await bailiwick.call("files")).files) console.log(file.path, file.size);
 * ```
 *
 * A call that fails throws a {@link Failure}.
 */

export { Bailiwick, type Options } from "./client.js";
export { thisBrowser } from "./browser.js";
export { offersPasskeys } from "./passkey.js";
export { Failure, type FailureKind } from "./failure.js";
export type * from "./types.js";
