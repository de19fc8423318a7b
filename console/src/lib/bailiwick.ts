// SPDX-License-Identifier: Apache-2.0 OR MIT
// The SDK, with its worker as the bundler found it.

import { Bailiwick } from "@bailiwick/sdk";
import workerUrl from "@bailiwick/sdk/worker?worker&url";

interface Policies {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): {
    createScriptURL(url: string): unknown;
  };
}

/** The one script that this page may start, for browsers that ask (Trusted Types). */
function trustedWorkerUrl(): string {
  const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes;
  if (!policies) return workerUrl;
  const policy = policies.createPolicy("bailiwick", {
    createScriptURL: (url) => {
      if (url !== workerUrl) throw new TypeError("this page starts its own worker alone");
      return url;
    },
  });
  // Browsers that have Trusted Types take them where the types of TypeScript say text.
  return policy.createScriptURL(workerUrl) as string;
}

const url = trustedWorkerUrl();

export const bailiwick = new Bailiwick({
  server: location.origin,
  worker: () => new Worker(url, { type: "module", name: "bailiwick" }),
});
