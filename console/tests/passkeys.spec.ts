// SPDX-License-Identifier: Apache-2.0 OR MIT

import type { Page } from "@playwright/test";

import { expect, test } from "./fixtures";
import { Person } from "./person";

/** Gives the page's browser an authenticator that verifies its user; with `hasPrf`, one that keeps a secret which unlocks. */
async function authenticator(page: Page, hasPrf: boolean): Promise<void> {
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
async function withoutOffers(page: Page): Promise<void> {
  await page.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = () => Promise.resolve(false);
  });
}

test("a passkey is added, signs in, unlocks, and gives a fresh proof", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await withoutOffers(page);
  await ada.open();
  await authenticator(page, true);
  await ada.signUp();
  await ada.goTo("Security");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await expect(page.getByText("It signs you in and opens your data.")).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Sign out" }).click();

  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await ada.arrived();
  await ada.goTo("Data");
  await page.locator("input[type=file]").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") });
  await expect(page.getByRole("button", { name: "Open a.txt" })).toBeVisible();

  await page.reload();
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await ada.goTo("Data");
  await expect(page.getByRole("button", { name: "Open a.txt" })).toBeVisible();
});

test("somebody signs up with a passkey and no password", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await withoutOffers(page);
  await ada.open("#/sign-up");
  await authenticator(page, true);
  await page.getByLabel("Email address").fill(ada.email);
  await page.getByRole("button", { name: "Sign up with a passkey instead" }).click();
  await expect(page.getByText("Your passkey is the only way in.")).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Make a recovery key" }).click();
  await ada.keepRecoveryKey();
  await page.getByRole("button", { name: "Enter" }).click();
  await ada.arrived();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await ada.arrived();
});

test("a passkey without PRF signs in and says that it cannot open anything", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await withoutOffers(page);
  await ada.open();
  await authenticator(page, false);
  await ada.signUp();
  await ada.goTo("Security");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await expect(page.getByText("It signs you in, but cannot open your data")).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await expect(page.getByText("Signed in, but locked")).toBeVisible();
});

test("a browser offers the passkey where the address is typed", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.open();
  await authenticator(page, true);
  await ada.signUp();
  await ada.goTo("Security");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await expect(page.getByText("It signs you in and opens your data.")).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Sign out" }).click();
  expect(await page.getByLabel("Email address").getAttribute("autocomplete")).toContain("webauthn");
  // Nobody presses anything: the authenticator of this test says yes to what it is offered.
  await ada.arrived();
});
