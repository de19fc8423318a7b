// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("a tenant is founded, somebody is invited and joins, and gets a role", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("Tenants");
  await expect(page.getByText("You are a member of none.")).toBeVisible();
  await watched.looksRight(page, "tenants-empty");
  await page.getByRole("button", { name: "Found a tenant" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).fill("North Farm");
  await dialog.getByLabel("Your name there").fill("Ada");
  await dialog.getByRole("button", { name: "Found a tenant" }).click();
  await expect(page.getByRole("heading", { name: "North Farm" })).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("You", { exact: true })).toBeVisible();
  await watched.looksRight(page, "tenant-members");

  const tabs = page.getByRole("navigation", { name: "Parts of the tenant" });
  await tabs.getByRole("link", { name: "Organisations" }).click();
  await page.getByRole("button", { name: /^Add below/ }).first().click();
  await dialog.getByLabel("Name").fill("Stables");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Stables")).toBeVisible();
  await watched.looksRight(page, "tenant-organisations");

  await tabs.getByRole("link", { name: "Devices" }).click();
  await page.getByRole("button", { name: "Register a device" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("Trough sensor");
  await dialog.getByLabel("Its own id").fill("70B3D57ED0001234");
  await dialog.getByLabel("Where").selectOption({ label: "Stables" });
  await dialog.getByRole("button", { name: "Register a device" }).click();
  await expect(page.getByText("70B3D57ED0001234")).toBeVisible();
  await watched.looksRight(page, "tenant-devices");

  await tabs.getByRole("link", { name: "Roles" }).click();
  await page.getByRole("button", { name: "New role" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("Reader of devices");
  await dialog.getByLabel("device.read").check();
  await watched.looksRight(page, "tenant-role");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Reader of devices")).toBeVisible();

  await tabs.getByRole("link", { name: "Support" }).click();
  await expect(page.getByText("Nobody of the platform may look in.")).toBeVisible();

  await tabs.getByRole("link", { name: "Invitations" }).click();
  await page.getByRole("button", { name: "Invite somebody" }).click();
  await dialog.getByRole("button", { name: "Invite somebody" }).click();
  const link = (await page.getByRole("dialog", { name: "The link of the invitation" }).locator("ul.lines li").textContent()) ?? "";
  expect(link).toContain("/#invite=");
  watched.secrets.push(link.split("#invite=")[1] ?? "");
  await page.getByLabel("I have kept it somewhere safe").check();
  await page.getByRole("button", { name: "Done" }).click();
  await watched.looksRight(page, "tenant-invitations");

  const other = await context.browser()!.newContext();
  const there = await other.newPage();
  const bob = new Person(there, watched, "bob");
  await bob.signUp();
  // A stranger sees nothing of it.
  await there.goto(`${watched.server.url}/${new URL(page.url()).hash}`);
  await there.evaluate((hash) => (location.hash = hash), new URL(link).hash);
  if (await there.getByLabel("Email address").isVisible()) await bob.signIn();
  await expect(there.getByRole("heading", { name: "Join a tenant" })).toBeVisible({ timeout: 60_000 });
  await there.getByLabel("Your name there").fill("Bob");
  await there.getByRole("button", { name: "Join" }).click();
  await expect(there.getByText("You joined North Farm")).toBeVisible();
  await other.close();

  await tabs.getByRole("link", { name: "Members" }).click();
  await page.getByRole("button", { name: "Give a role to Bob" }).click();
  await dialog.getByLabel("Role").selectOption({ label: "Reader of devices" });
  await dialog.getByLabel("Where").selectOption({ label: "Stables" });
  await dialog.getByRole("button", { name: "Give a role" }).click();
  await expect(page.getByText("Reader of devices · Stables")).toBeVisible();
  await page.getByRole("button", { name: "Take the role Reader of devices from Bob" }).click();
  await expect(page.getByText("Reader of devices · Stables")).toBeHidden();
  await page.getByRole("button", { name: "Remove Bob" }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(page.getByText("Bob", { exact: true })).toBeHidden();

  await tabs.getByRole("link", { name: "History" }).click();
  await expect(page.getByText(/Verified: all/)).toBeVisible({ timeout: 30_000 });
  await watched.looksRight(page, "tenant-history");
});

test("on a phone the parts of a tenant are behind a button that says which one is shown", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await page.setViewportSize({ width: 390, height: 844 });
  await ada.found("Small Farm");
  const parts = page.getByRole("navigation", { name: "Parts of the tenant" });
  const button = parts.getByRole("button");
  const people = parts.getByRole("list", { name: "People" });
  await expect(button).toHaveText("People Members");
  await expect(button).toHaveAttribute("aria-expanded", "false");
  await expect(people).toBeHidden();
  await button.click();
  await expect(button).toHaveAttribute("aria-expanded", "true");
  await expect(people.getByRole("link", { name: "Members" })).toHaveAttribute("aria-current", "page");
  await expect(parts.getByRole("link")).toHaveCount(16);
  await watched.looksRight(page, "tenant-parts");

  await page.setViewportSize({ width: 390, height: 844 });
  await page.keyboard.press("Escape");
  await expect(people).toBeHidden();
  await expect(button).toBeFocused();
  await page.keyboard.press("Enter");
  await parts.getByRole("list", { name: "Access" }).getByRole("link", { name: "Roles" }).click();
  await expect(page.getByRole("heading", { name: "Roles" })).toBeVisible();
  await expect(people).toBeHidden();
  await expect(button).toHaveText("Access Roles");
  await expect(button).toBeFocused();
});
