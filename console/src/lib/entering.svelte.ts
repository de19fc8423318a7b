// SPDX-License-Identifier: Apache-2.0 OR MIT
// A step on the way in, where nobody can be asked for a fresh proof yet: what is under way, or why it went no further.

import { Failure } from "@bailiwick/sdk";

export class Entering {
  /** What is said meanwhile. */
  busy = $state<string>();
  failure = $state<Failure>();

  async do(what: string, act: () => Promise<unknown>): Promise<void> {
    this.busy = what;
    this.failure = undefined;
    try {
      await act();
    } catch (thrown) {
      this.failure = Failure.of(thrown);
    } finally {
      this.busy = undefined;
    }
  }
}
