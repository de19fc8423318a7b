// SPDX-License-Identifier: Apache-2.0 OR MIT

import { authenticator, withoutOffers } from "./authenticator";
import { expect, test } from "./fixtures";
import { Person } from "./person";

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
  await ada.hasSessions(1);
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
  // What opens it opens that session.
  await ada.signIn();
  await ada.arrived();
  await ada.hasSessions(1);
});

test("a browser offers the passkey where the address is typed, to sign in and to unlock", async ({ page, watched }) => {
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
  await page.reload();
  await ada.arrived();
  await ada.hasSessions(1);
});
