// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("a team has roles and people; a tenant is renamed, handed on, deleted and taken back", async ({ page, watched, context }) => {
  test.slow();
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.found("Team Farm");
  const dialog = page.getByRole("dialog");
  await ada.part("Teams");
  await expect(page.getByText("No teams.")).toBeVisible();
  await page.getByRole("button", { name: "New team" }).click();
  await dialog.getByLabel("Name").fill("Vets");
  await dialog.getByRole("button", { name: "New team" }).click();
  await expect(page.getByText("Nobody is in it.")).toBeVisible();
  await page.getByRole("button", { name: "Give a role to Vets" }).click();
  await dialog.getByLabel("Role").selectOption("operator");
  await dialog.getByRole("button", { name: "Give a role" }).click();
  await expect(page.getByRole("button", { name: /^Take the role .* from Vets$/ })).toBeVisible();
  await page.getByRole("button", { name: "Add a member to Vets" }).click();
  await dialog.getByLabel("Member").selectOption({ label: "Ada" });
  await dialog.getByRole("button", { name: "Add a member" }).click();
  await expect(page.getByRole("button", { name: "Take Ada out of Vets" })).toBeVisible();
  await watched.looksRight(page, "tenant-teams");
  await page.getByRole("button", { name: "Take Ada out of Vets" }).click();
  await expect(page.getByText("Nobody is in it.")).toBeVisible();
  await page.getByRole("button", { name: "Rename Vets" }).click();
  await dialog.getByLabel("Name").fill("Doctors");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Remove Doctors" }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(page.getByText("No teams.")).toBeVisible();

  await ada.part("Settings");
  await page.getByRole("button", { name: "Hand it on" }).click();
  await expect(dialog.getByText("You are the only member.", { exact: false })).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Leave the tenant" }).click();
  await dialog.getByRole("button", { name: "Leave the tenant" }).click();
  await expect(dialog.getByText("A tenant always has an owner.", { exact: false })).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Rename" }).click();
  await dialog.getByLabel("Name").fill("Herd Farm");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("heading", { name: "Herd Farm" })).toBeVisible();
  await watched.looksRight(page, "tenant-settings");

  await page.getByRole("button", { name: "Delete the tenant" }).click();
  await expect(dialog.getByRole("button", { name: "Delete the tenant" })).toBeDisabled();
  await dialog.getByLabel("Type Herd Farm to go on").fill("Herd Farm");
  await dialog.getByRole("button", { name: "Delete the tenant" }).click();
  await expect(page.getByText(/^This tenant will be deleted on /)).toBeVisible({ timeout: 30_000 });
  await watched.looksRight(page, "tenant-closing");
  await page.getByRole("button", { name: "Take the deletion back" }).click();
  await expect(page.getByText(/^This tenant will be deleted on /)).toBeHidden({ timeout: 30_000 });

  const link = await ada.invites();
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const bob = new Person(await other.newPage(), watched, "bob");
  await bob.signUp();
  await bob.joins(link, "Bob");
  await ada.part("Settings");
  await page.getByRole("button", { name: "Hand it on" }).click();
  await dialog.getByLabel("The new owner").selectOption({ label: "Bob" });
  await dialog.getByRole("button", { name: "Hand it on" }).click();
  await expect(dialog).toBeHidden({ timeout: 30_000 });
  await page.getByRole("button", { name: "Leave the tenant" }).click();
  await dialog.getByRole("button", { name: "Leave the tenant" }).click();
  await expect(page.getByText("You are a member of none.", { exact: false })).toBeVisible({ timeout: 30_000 });
  await other.close();
});
