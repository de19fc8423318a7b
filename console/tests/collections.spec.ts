// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("a tenant's collection is written to, and somebody is let in whose fingerprint was compared", async ({ page, watched, context }) => {
  test.slow();
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.found("Key Farm");
  const link = await ada.invites("viewer");
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const there = await other.newPage();
  const bob = new Person(there, watched, "bob");
  await bob.signUp();
  const fingerprint = await there.locator("p.fingerprint").textContent();
  await bob.joins(link, "Bob");

  await ada.part("Collections");
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "New collection" }).click();
  await dialog.getByLabel("Name").fill("Ledgers");
  await dialog.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("link", { name: "Ledgers" }).click();
  await expect(page.getByText("Nothing here yet.", { exact: false })).toBeVisible();
  await watched.looksRight(page, "tenant-collection-empty");
  await page.getByRole("button", { name: "New note" }).click();
  await dialog.getByLabel("Name").fill("june");
  await dialog.getByLabel("Text").fill("eleven cows");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("june.md")).toBeVisible();
  await page.locator("input[type=file]").setInputFiles({ name: "barn.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(9_000, 7) });
  await expect(page.getByText("barn.bin")).toBeVisible();
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download barn.bin" }).click()]);
  expect(saved.suggestedFilename()).toBe("barn.bin");
  await page.locator("input[type=file]").setInputFiles({ name: "large.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(300_000) });
  await expect(page.getByRole("alert")).toContainText("255 KiB");

  // Bob may read it by his role, and waits for its key.
  const tenant = new URL(page.url()).hash.split("/")[2] ?? "";
  await there.evaluate((id) => (location.hash = `#/tenants/${id}/collections`), tenant);
  await expect(there.getByText("You wait for its key", { exact: false })).toBeVisible({ timeout: 30_000 });
  await there.getByRole("link", { name: "A collection whose key you were not given" }).click();
  await expect(there.getByText("Waits for it")).toBeVisible({ timeout: 30_000 });
  await watched.looksRight(there, "tenant-collection-waiting");

  await page.reload();
  await ada.signIn();
  await expect(page.getByRole("button", { name: "Let in Bob" })).toBeVisible({ timeout: 60_000 });
  await watched.looksRight(page, "tenant-collection");
  await page.getByRole("button", { name: "Let in Bob" }).click();
  await expect(dialog.locator("output")).toHaveText(fingerprint ?? "", { timeout: 30_000 });
  await expect(dialog.getByRole("button", { name: "Let in", exact: true })).toBeDisabled();
  await watched.looksRight(page, "tenant-collection-admit");
  await dialog.getByLabel("I have compared it with them").check();
  await dialog.getByRole("button", { name: "Let in", exact: true }).click();
  await expect(dialog).toBeHidden({ timeout: 30_000 });
  await expect(page.getByText("Has the key")).toHaveCount(2);

  await there.getByRole("link", { name: "← Collections" }).click();
  await there.getByRole("link", { name: "Ledgers" }).click();
  await there.getByRole("button", { name: "Open june.md" }).click();
  await expect(there.getByLabel("Text")).toHaveValue("eleven cows");
  await there.keyboard.press("Escape");

  // A new key, by hand; what was there is still open, and what is removed is gone.
  await page.getByRole("button", { name: "New key" }).click();
  await dialog.getByRole("button", { name: "New key" }).click();
  await expect(dialog).toBeHidden({ timeout: 30_000 });
  await page.getByRole("button", { name: "Open june.md" }).click();
  await dialog.getByLabel("Text").fill("twelve cows");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Version 2", { exact: false })).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Remove barn.bin" }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(dialog).toBeHidden({ timeout: 30_000 });
  await expect(page.getByText("barn.bin", { exact: true })).toBeHidden();
  expect(watched.server.holds("eleven cows")).toBe(false);
  await other.close();
});
