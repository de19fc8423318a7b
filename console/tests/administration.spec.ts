// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

const POLICY = `@id("frozen")
@says("Devices stand still.")
forbid (principal, action == Action::"device.write", resource);
`;

test("policies are checked as they are written, tried, put into force, asked about, and brought back", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.found("Policy Farm");
  await ada.part("Policies");
  await expect(page.getByText("The tenant has no policies of its own.").first()).toBeVisible();
  const text = page.getByLabel("Policies, in Cedar");
  await text.fill('@id("frozen")\nforbid (principal, actoin, resource);\n');
  await expect(page.getByRole("button", { name: /^Line 2, column \d+$/ })).toBeVisible();
  await expect(page.getByRole("button", { name: "Put into force" })).toBeDisabled();
  await page.getByRole("button", { name: /^Line 2/ }).click();
  await expect(text).toBeFocused();
  expect(await text.evaluate((area: HTMLTextAreaElement) => area.value.slice(0, area.selectionStart).split("\n").length)).toBe(2);
  await watched.looksRight(page, "tenant-policies-wrong");

  await text.fill(POLICY);
  await expect(page.getByText("They would be accepted.")).toBeVisible();
  await page.getByRole("button", { name: "What would change?" }).click();
  await expect(page.getByText("Newly refused")).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("device.write")).toBeVisible();
  await watched.looksRight(page, "tenant-policies-trial");
  await page.getByLabel("Why it is changed").fill("Stocktaking");
  await page.getByRole("button", { name: "Put into force" }).click();
  await expect(page.getByText("Version 1 decides from now on.")).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("Stocktaking")).toBeVisible();

  await ada.part("Who may what");
  await page.getByLabel("Action").selectOption("device.write");
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(page.getByRole("alert")).toContainText("No");
  await expect(page.getByText("Devices stand still.")).toBeVisible();
  await expect(page.getByText("a policy of the tenant's own")).toBeVisible();
  await watched.looksRight(page, "tenant-why");
  await page.getByLabel("Who may do something").check();
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(page.getByText("Nobody.")).toBeVisible();
  await page.getByLabel("What somebody may do").check();
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(page.getByRole("heading", { name: "What you may do" })).toBeVisible();
  await watched.looksRight(page, "tenant-what");

  await ada.part("Policies");
  await text.fill("");
  await page.getByRole("button", { name: "Put into force" }).click();
  await expect(page.getByText("Version 2 decides from now on.")).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Bring back version 1" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Bring back" }).click();
  await expect(page.getByText("Brings back 1")).toBeVisible({ timeout: 30_000 });
  await expect(text).toHaveValue(POLICY);
});

test("a service account gets a key and a role, and a key that is revoked lets nobody in", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  const tenant = await ada.found("Machine Farm");
  await ada.part("Service accounts");
  await expect(page.getByText("No service accounts.")).toBeVisible();
  await page.getByRole("button", { name: "New service account" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Milk counter");
  await dialog.getByRole("button", { name: "New service account" }).click();
  await page.getByRole("button", { name: "Give a role to Milk counter" }).click();
  await dialog.getByLabel("Role").selectOption("viewer");
  await dialog.getByRole("button", { name: "Give a role" }).click();
  await expect(page.getByRole("button", { name: /^Take the role/ })).toBeVisible();
  await page.getByRole("button", { name: "Make a key for Milk counter" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("Barn");
  await watched.looksRight(page, "tenant-service-key");
  await dialog.getByRole("button", { name: "Make a key" }).click();
  const key = await ada.keep("Keep the key");
  await expect(page.getByText("Barn", { exact: true })).toBeVisible();
  await watched.looksRight(page, "tenant-service-accounts");

  const devices = () =>
    fetch(`${watched.server.url}/api/v1/tenants/${tenant}/devices`, { headers: { authorization: `Bearer ${key}` } }).then(({ status }) => status);
  expect(await devices()).toBe(200);
  await page.getByRole("button", { name: "Revoke Barn" }).click();
  await dialog.getByRole("button", { name: "Revoke", exact: true }).click();
  await expect(page.getByText("Barn", { exact: true })).toBeHidden();
  expect(await devices()).toBe(401);
});

test("a tenant's collections say who can read them", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.found("Book Farm");
  await ada.part("Collections");
  const dialog = page.getByRole("dialog");
  for (const [name, who] of [["Ledgers", /End to end/], ["Weather", /Sealed by the server/]] as const) {
    await page.getByRole("button", { name: "New collection" }).click();
    await dialog.getByLabel("Name").fill(name);
    await dialog.getByLabel(who).check();
    await dialog.getByRole("button", { name: "Make it" }).click();
    await expect(page.getByText(name, { exact: true })).toBeVisible({ timeout: 30_000 });
  }
  await expect(page.getByText("End to end", { exact: true })).toBeVisible();
  await expect(page.getByText("Sealed by the server", { exact: true })).toBeVisible();
  await watched.looksRight(page, "tenant-collections");
  await page.getByRole("button", { name: "Remove Weather" }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(page.getByText("Weather", { exact: true })).toBeHidden();
  // The server does not have the name of the other one.
  expect(watched.server.holds("Ledgers")).toBe(false);
});

test("the platform's people see that tenants are there, and suspend one", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await expect(page.getByRole("link", { name: "Platform" })).toBeHidden();
  await ada.found("Seen Farm");
  // The server stops for that: what the page asks is answered before.
  await page.waitForLoadState("networkidle");
  await watched.server.admin(["grant", ada.number]);

  const other = await context.browser()!.newContext();
  const there = await other.newPage();
  const bob = new Person(there, watched, "bob");
  await bob.signUp();
  const tenant = await bob.found("Noisy Farm");

  await page.getByRole("button", { name: "Lock" }).click();
  await ada.signIn();
  await ada.goTo("Platform");
  await expect(page.getByText("Takes requests")).toBeVisible();
  await expect(page.getByText(tenant)).toBeVisible();
  await expect(page.getByText("Noisy Farm")).toBeHidden();
  await watched.looksRight(page, "platform");
  await page.getByRole("button", { name: `Suspend ${tenant}` }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("It floods everybody");
  await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
  await expect(page.getByRole("button", { name: `Resume ${tenant}` })).toBeVisible({ timeout: 30_000 });

  await bob.goTo("Overview");
  await there.evaluate((id) => (location.hash = `#/tenants/${id}`), tenant);
  await expect(there.getByText("This tenant is suspended.")).toBeVisible();
  await page.getByRole("button", { name: `Resume ${tenant}` }).click();
  await expect(page.getByRole("button", { name: `Suspend ${tenant}` })).toBeVisible({ timeout: 30_000 });
  await other.close();
});
