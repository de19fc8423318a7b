// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a page shows: loading, there, or what went wrong; and again after something was changed.

import { Failure } from "@bailiwick/sdk";

import { session } from "./session.svelte";

export class Loaded<T> {
  value = $state.raw<T | undefined>();
  failure = $state<Failure | undefined>();
  loading = $state(false);
  readonly #load: () => Promise<T>;
  #asked = 0;

  constructor(load: () => Promise<T>) {
    this.#load = load;
    void this.again();
  }

  /** Loads it once more; what is there stays until the new is. */
  async again(): Promise<void> {
    const asked = ++this.#asked;
    this.loading = true;
    try {
      const value = await session.act(this.#load);
      // An answer that was overtaken is not the newest.
      if (asked !== this.#asked) return;
      this.value = value;
      this.failure = undefined;
    } catch (thrown) {
      if (asked === this.#asked) this.failure = Failure.of(thrown);
    } finally {
      if (asked === this.#asked) this.loading = false;
    }
  }
}
