// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("files are shared with whoever's fingerprint was compared, changed there, and taken away", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  const other = await context.browser()!.newContext();
  const there = await other.newPage();
  const bob = new Person(there, watched, "bob");
  await bob.signUp();
  const fingerprint = await there.locator("p.fingerprint").textContent();
  expect(fingerprint?.length).toBeGreaterThan(20);

  await ada.goTo("Data");
  await page.getByRole("button", { name: "New collection" }).click();
  await page.getByLabel("Name").fill("Recipes");
  await page.getByRole("button", { name: "Make it" }).click();
  await expect(page.getByRole("heading", { name: "Recipes" })).toBeVisible();
  await page.locator("input[type=file]").setInputFiles({ name: "bread.txt", mimeType: "text/plain", buffer: Buffer.from("flour") });
  await expect(page.getByRole("button", { name: "Open bread.txt" })).toBeVisible();

  await page.getByRole("button", { name: "Share", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Share Recipes" });
  await expect(dialog.getByText("Nobody but you.")).toBeVisible();
  await dialog.getByLabel("Account number").fill("AAAAAAA");
  await dialog.getByRole("button", { name: "Look up" }).click();
  await expect(dialog.getByRole("alert")).toBeVisible();
  await dialog.getByLabel("Account number").fill(bob.number);
  await dialog.getByRole("button", { name: "Look up" }).click();
  await expect(dialog.locator("output")).toHaveText(fingerprint ?? "", { timeout: 30_000 });
  await expect(dialog.getByText("This browser has not met this account before.")).toBeVisible();
  await watched.looksRight(page, "sharing");
  const share = dialog.getByRole("button", { name: "Share", exact: true });
  await expect(share).toBeDisabled();
  await dialog.getByLabel("I have compared it with them").check();
  await share.click();
  await expect(dialog.getByText(`Account ${bob.number} has it from now on.`)).toBeVisible({ timeout: 30_000 });
  await expect(dialog.getByText("May read", { exact: false })).toBeVisible();
  await dialog.getByRole("button", { name: "Done" }).click();

  await bob.goTo("Data");
  await there.getByRole("link", { name: /^Recipes/ }).click();
  await there.getByRole("button", { name: "Open bread.txt" }).click();
  await expect(there.getByLabel("Text")).toHaveValue("flour");
  await there.getByRole("dialog").getByRole("button", { name: "Done" }).click();
  await expect(there.getByText("You may read this, and not change it.")).toBeVisible();
  await expect(there.getByRole("button", { name: "Upload" })).toBeHidden();
  await watched.looksRight(there, "shared-with-you");

  await page.getByRole("button", { name: "Share", exact: true }).click();
  await dialog.getByRole("button", { name: `Take away from ${bob.number}` }).click();
  await dialog.getByRole("button", { name: "Take away", exact: true }).click();
  await expect(dialog.getByText("Nobody but you.")).toBeVisible({ timeout: 30_000 });
  await dialog.getByRole("button", { name: "Done" }).click();
  await bob.goTo("Overview");
  await bob.goTo("Data");
  await expect(there.getByRole("link", { name: "Files", exact: true })).toBeVisible();
  await expect(there.getByRole("link", { name: /^Recipes/ })).toBeHidden();
  await other.close();
});

test("a server that shows other keys for an account than before raises the alarm", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  const other = await context.browser()!.newContext();
  const bob = new Person(await other.newPage(), watched, "bob");
  await bob.signUp();
  const eve = new Person(await (await context.browser()!.newContext()).newPage(), watched, "eve");
  await eve.signUp();
  await ada.goTo("Data");
  await page.locator("input[type=file]").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") });
  await expect(page.getByRole("button", { name: "Open a.txt" })).toBeVisible();

  // Whoever asks for Bob's keys gets Eve's.
  await page.route(`**/api/v1/accounts/${bob.number}/keys`, async (route) => {
    const answer = await route.fetch({ url: route.request().url().replace(bob.number, eve.number) });
    const body = (await answer.json()) as Record<string, unknown>;
    await route.fulfill({ response: answer, json: { ...body, account_number: bob.number } });
  });
  await page.getByRole("button", { name: "Share", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Account number").fill(bob.number);
  await dialog.getByRole("button", { name: "Look up" }).click();
  await expect(dialog.getByRole("alert").or(dialog.locator("output"))).toBeVisible({ timeout: 30_000 });
  // At first sight only people can tell: the fingerprint is not the one that Bob reads out.
  if (await dialog.locator("output").isVisible()) {
    const fingerprint = await bob.page.locator("p.fingerprint").textContent();
    expect(await dialog.locator("output").textContent()).not.toBe(fingerprint);
    await dialog.getByRole("button", { name: "Back" }).click();
    // Then the right ones come, and this browser knows that they are others.
    await page.unrouteAll();
    await dialog.getByRole("button", { name: "Look up" }).click();
  }
  await expect(dialog.getByRole("alert")).toContainText("Do not go on", { timeout: 30_000 });
  await watched.looksRight(page, "sharing-alarm");
});
