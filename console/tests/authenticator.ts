// SPDX-License-Identifier: Apache-2.0 OR MIT
// Passkeys of a browser, without a person.

import type { Page } from "@playwright/test";

/** Gives the page's browser an authenticator that verifies its user; with `hasPrf`, one that keeps a secret which unlocks. */
export async function authenticator(page: Page, hasPrf: boolean): Promise<void> {
  const browser = await page.context().newCDPSession(page);
  await browser.send("WebAuthn.enable");
  await browser.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      ctap2Version: "ctap2_1",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      hasPrf,
    },
  });
}

/** A browser that offers no passkeys where the address is typed: they have to be asked for. */
export async function withoutOffers(page: Page): Promise<void> {
  await page.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = () => Promise.resolve(false);
  });
}
