// SPDX-License-Identifier: Apache-2.0 OR MIT
// Something that a person asked for: under way, done, or why not.

import { Failure } from "@bailiwick/sdk";

import { session } from "./session.svelte";

export class Doing {
  busy = $state(false);
  failure = $state<Failure | undefined>();

  /** Does it, asking for a fresh proof where one is needed. Whether it was done. */
  async do(act: () => Promise<unknown>, needsProof = false): Promise<boolean> {
    this.busy = true;
    this.failure = undefined;
    try {
      await session.act(act, needsProof);
      return true;
    } catch (thrown) {
      this.failure = Failure.of(thrown);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
