// SPDX-License-Identifier: Apache-2.0 OR MIT

import { authenticator, withoutOffers } from "./authenticator";
import { asksDevice } from "./device";
import { expect, test } from "./fixtures";
import { House } from "./house";
import { Person } from "./person";

test("somebody comes in by their organisation's provider, gets an account, and unlocks it the next time", async ({ page, watched, context }) => {
  test.slow();
  const house = await House.founded(page, watched);
  const other = await context.browser()!.newContext();
  const there = await other.newPage();
  watched.watch(other);
  const ada = new Person(there, watched);
  await ada.open();
  await there.getByRole("button", { name: "Sign in through your organisation" }).click();
  await there.getByLabel("Your address at work").fill("nobody at all");
  await there.getByRole("button", { name: "Continue" }).click();
  await expect(there.getByText("This is neither an address, nor a domain, nor the id of a tenant.")).toBeVisible();
  await there.getByLabel("Your address at work").fill("ada@no-such-domain.example");
  await there.getByRole("button", { name: "Continue" }).click();
  await expect(there.getByText("No organisation signs people in here by that name.")).toBeVisible();
  await watched.looksRight(there, "sign-in-provider");
  await there.getByRole("button", { name: "Back" }).click();

  await house.comes(there, "ada");
  await expect(there.getByRole("heading", { name: "No account yet" })).toBeVisible({ timeout: 60_000 });
  expect(there.url()).not.toContain("state=");
  await expect(there.getByText(`ada@${house.domain}`)).toBeVisible();
  await watched.looksRight(there, "provider-new");
  await there.getByRole("button", { name: "Make my account" }).click();
  await expect(there.getByRole("heading", { name: "A key of your own" })).toBeVisible({ timeout: 60_000 });
  await watched.looksRight(there, "provider-offer");
  await there.getByRole("button", { name: "Make a recovery key" }).click();
  await ada.keepRecoveryKey();
  await there.getByRole("button", { name: "Enter" }).click();
  await ada.arrived();
  await ada.goTo("Data");
  await there.locator("input[type=file]").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") });
  await expect(there.getByRole("button", { name: "Open a.txt" })).toBeVisible();
  await ada.goTo("Tenants");
  await expect(there.getByRole("link", { name: "Acme" })).toBeVisible();

  // The same browser the next time: in, and nothing of one's own is open.
  await there.getByRole("button", { name: "Sign out" }).click();
  await house.comes(there, "ada");
  await expect(there.getByRole("heading", { name: "You are signed in" })).toBeVisible({ timeout: 60_000 });
  await expect(there.getByText("This browser is new to your account.")).toBeHidden();
  await watched.looksRight(there, "provider-unlock");
  await there.getByRole("button", { name: "Go on without unlocking" }).click();
  await expect(there.getByRole("heading", { name: "Acme" })).toBeVisible();
  await expect(there.getByRole("link", { name: "Data" })).toBeHidden();
  await watched.looksRight(there, "provider-closed");
  // Also after a reload.
  await there.reload();
  await expect(there.getByRole("heading", { name: "You are signed in" })).toBeVisible();
  await there.getByRole("button", { name: "Sign in with a recovery key" }).click();
  await there.getByLabel("Recovery key").fill(ada.recoveryKey);
  await there.getByRole("button", { name: "Unlock", exact: true }).click();
  await ada.goTo("Data");
  await there.getByRole("button", { name: "Open a.txt" }).click();
  await expect(there.getByLabel("Text")).toHaveValue("a");
  await other.close();

  // A browser that the account does not know is let into the tenant alone, until it is unlocked.
  const third = await context.browser()!.newContext();
  watched.watch(third);
  const elsewhere = await third.newPage();
  await elsewhere.goto(watched.server.url);
  await house.comes(elsewhere, "ada", house.tenant);
  await expect(elsewhere.getByText("This browser is new to your account.")).toBeVisible({ timeout: 60_000 });
  await watched.looksRight(elsewhere, "provider-confined");
  await elsewhere.getByRole("button", { name: "Go on without unlocking" }).click();
  await expect(elsewhere.getByRole("heading", { name: "Acme" })).toBeVisible();
  await elsewhere.getByRole("button", { name: "Unlock" }).click();
  await elsewhere.getByRole("button", { name: "Sign in with a recovery key" }).click();
  await elsewhere.getByLabel("Recovery key").fill(ada.recoveryKey);
  await elsewhere.getByRole("button", { name: "Unlock", exact: true }).click();
  await expect(elsewhere.getByRole("link", { name: "Data" })).toBeVisible({ timeout: 60_000 });
  await third.close();

  await house.upstream.stop();
});

test("a provider is added to an account, lets in, and is taken away again", async ({ page, watched, context }) => {
  test.slow();
  const house = await House.founded(page, watched);
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const there = await other.newPage();
  const bob = new Person(there, watched, "bob");
  await bob.signUp();
  await there.getByRole("button", { name: "Sign out" }).click();

  // An address is never enough.
  await house.comes(there, "bob", house.tenant);
  await expect(there.getByText("No account is linked to that sign-in.")).toBeVisible({ timeout: 60_000 });
  await watched.looksRight(there, "provider-not-linked");
  await there.getByRole("button", { name: "Sign in another way" }).click();

  await bob.signIn();
  await bob.arrived();
  await bob.goTo("Security");
  await there.getByRole("button", { name: "Add a provider" }).click();
  const dialog = there.getByRole("dialog", { name: "Sign in through another provider" });
  await dialog.getByLabel("Your address at work").fill(house.tenant);
  await watched.looksRight(there, "provider-add");
  await dialog.getByRole("button", { name: "Continue" }).click();
  await expect(there.getByText("Acme ID lets you in from now on.")).toBeVisible({ timeout: 60_000 });
  await watched.looksRight(there, "provider-linked");
  await there.getByRole("button", { name: "Continue" }).click();
  await bob.signIn();
  await bob.arrived();
  await bob.goTo("Security");
  await expect(there.getByText(`bob at ${house.upstream.issuer}`)).toBeVisible();
  await watched.looksRight(there, "security-provider");

  // By it and a password: the same session, unlocked.
  await there.getByRole("button", { name: "Sign out" }).click();
  await house.comes(there, "bob", house.tenant);
  await expect(there.getByRole("heading", { name: "You are signed in" })).toBeVisible({ timeout: 60_000 });
  await bob.signIn();
  await bob.arrived();
  await there.getByRole("button", { name: "Sign out" }).click();

  await bob.signIn();
  await bob.arrived();
  await bob.goTo("Security");
  await there.getByRole("button", { name: "Revoke Acme ID" }).click();
  await there.getByRole("dialog").getByRole("button", { name: "Revoke", exact: true }).click();
  await expect(there.getByText(`bob at ${house.upstream.issuer}`)).toBeHidden();

  // Nobody stands before a blank page because a provider is down.
  await there.getByRole("button", { name: "Sign out" }).click();
  await house.upstream.stop();
  await watched.server.restart();
  await house.comes(there, "bob", house.tenant);
  await expect(there.getByText("The provider does not answer.")).toBeVisible({ timeout: 60_000 });
  await watched.looksRight(there, "provider-down");
  watched.forgive(/^502 /);
  await other.close();
});

test("a browser is let in by another device, by a code", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const there = await other.newPage();
  await there.goto(watched.server.url);
  const right = await asksDevice(there, page, (step) => watched.looksRight(there, step));
  const digits = there.getByLabel("Six digits");
  await digits.fill(right === "000000" ? "000001" : "000000");
  await there.keyboard.press("Enter");
  await expect(there.getByText("That was not the code.")).toBeVisible({ timeout: 30_000 });
  await digits.fill(right);
  await there.keyboard.press("Enter");
  await expect(there.locator("dd.number")).toHaveText(ada.number, { timeout: 60_000 });

  // Once more, for what is locked there: a session of its own, in place of the one before.
  await there.reload();
  await expect(there.getByRole("heading", { name: "Unlock your account" })).toBeVisible();
  const code = await asksDevice(there, page);
  await digits.fill(code);
  await there.keyboard.press("Enter");
  await expect(there.locator("dd.number")).toHaveText(ada.number, { timeout: 60_000 });
  await new Person(there, watched).hasSessions(2);
  await other.close();
});

test("a tenant that wants its provider sends its members there, and who came by it stays so after unlocking", async ({ page, watched, context }) => {
  test.slow();
  const house = await House.founded(page, watched);
  const link = await house.owner.invites("viewer");
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const there = await other.newPage();
  const bob = new Person(there, watched, "bob");
  await bob.signUp();
  await bob.joins(link, "Bob");
  await bob.goTo("Security");
  await house.upstream.is(there, "bob");
  await there.getByRole("button", { name: "Add a provider" }).click();
  await there.getByRole("button", { name: "The provider of Acme" }).click();
  await expect(there.getByText("Acme ID lets you in from now on.")).toBeVisible({ timeout: 60_000 });
  await there.getByRole("button", { name: "Continue" }).click();
  await bob.signIn();
  await bob.arrived();

  await house.requires();
  // It is not listed for who came another way; a link says why.
  await there.evaluate((id) => (location.hash = `#/tenants/${id}`), house.tenant);
  await expect(there.getByText("This tenant lets its members in through its own provider only.", { exact: false })).toBeVisible();
  await watched.looksRight(there, "tenant-provider-required");
  await there.getByRole("button", { name: "Sign in through it" }).click();
  await expect(there.getByRole("heading", { name: "You are signed in" })).toBeVisible({ timeout: 60_000 });
  await bob.signIn();
  await bob.arrived();
  await bob.goTo("Tenants");
  await there.getByRole("link", { name: "Acme" }).click();
  await expect(there.getByRole("heading", { name: "Acme" })).toBeVisible();
  await other.close();
  await house.upstream.stop();
});

test("who came by a provider unlocks by a passkey, in that session and after a reload", async ({ page, watched, context }) => {
  test.slow();
  const house = await House.founded(page, watched);
  const link = await house.owner.invites("viewer");
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const there = await other.newPage();
  const bob = new Person(there, watched, "bob");
  const withPasskey = there.getByRole("button", { name: "Sign in with a passkey" });
  await withoutOffers(there);
  await bob.open();
  await authenticator(there, true);
  await bob.signUp();
  await bob.joins(link, "Bob");
  await bob.goTo("Security");
  await there.getByRole("button", { name: "Add a passkey" }).click();
  await expect(there.getByText("It signs you in and opens your data.")).toBeVisible({ timeout: 30_000 });
  await house.upstream.is(there, "bob");
  await there.getByRole("button", { name: "Add a provider" }).click();
  await there.getByRole("button", { name: "The provider of Acme" }).click();
  await expect(there.getByText("Acme ID lets you in from now on.")).toBeVisible({ timeout: 60_000 });
  await there.getByRole("button", { name: "Continue" }).click();
  await withPasskey.click();
  await bob.arrived();
  await bob.goTo("Data");
  await there.locator("input[type=file]").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") });
  await expect(there.getByRole("button", { name: "Open a.txt" })).toBeVisible();
  await house.requires();

  await there.getByRole("button", { name: "Sign out" }).click();
  await house.comes(there, "bob", house.tenant);
  await expect(there.getByRole("heading", { name: "You are signed in" })).toBeVisible({ timeout: 60_000 });
  for (const again of [false, true]) {
    if (again) await there.reload();
    await withPasskey.click();
    await bob.goTo("Data");
    await there.getByRole("button", { name: "Open a.txt" }).click();
    await expect(there.getByLabel("Text")).toHaveValue("a");
    await there.keyboard.press("Escape");
    // The tenant lets in who came by its provider, and nobody else.
    await bob.goTo("Tenants");
    await there.getByRole("link", { name: "Acme" }).click();
    await expect(there.getByRole("heading", { name: "Acme" })).toBeVisible();
    await bob.hasSessions(1);
  }
  await other.close();
  await house.upstream.stop();
});
