// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("methods, codes, sessions and keys are looked after on one page", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("Security");
  await expect(page.getByText("This one").first()).toBeVisible();
  await watched.looksRight(page, "security");

  await page.getByRole("button", { name: "Add a recovery key" }).click();
  await ada.keepRecoveryKey();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByRole("button", { name: "Rename Recovery key" })).toBeVisible();

  await page.getByRole("button", { name: "Rename Recovery key" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("In the safe");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("In the safe", { exact: true })).toBeVisible();

  await page.getByRole("button", { name: "Revoke In the safe" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke", exact: true }).click();
  await expect(page.getByText("In the safe", { exact: true })).toBeHidden();

  await page.getByRole("button", { name: "Make new ones" }).click();
  await expect(page.getByRole("dialog").locator("ul.lines li")).toHaveCount(10);
  const codes = await page.getByRole("dialog").locator("ul.lines li").allTextContents();
  watched.secrets.push(...codes);
  expect(codes).not.toContain(ada.backupCodes[0]);
  await page.getByLabel("I have kept it somewhere safe").check();
  await page.getByRole("button", { name: "Done" }).click();

  await page.getByRole("button", { name: "Make an API key" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Backup job");
  await watched.looksRight(page, "security-api-key");
  await page.getByRole("dialog").getByRole("button", { name: "Make an API key" }).click();
  const key = (await page.getByRole("dialog", { name: "Keep your API key" }).locator("ul.lines li").textContent()) ?? "";
  expect(key).toMatch(/^bwk_/);
  watched.secrets.push(key);
  await page.getByLabel("I have kept it somewhere safe").check();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("Backup job")).toBeVisible();
});

test("the password is changed, and the old one lets nobody in", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("Security");
  const old = ada.password;
  const changed = `${old} and another`;
  watched.secrets.push(changed);
  await page.getByRole("button", { name: "Change", exact: true }).click();
  await page.getByLabel("New password").fill(changed);
  await page.getByLabel("The password again").fill(changed);
  await page.getByRole("dialog").getByRole("button", { name: "Change", exact: true }).click();
  await expect(page.getByText("The password was changed.")).toBeVisible({ timeout: 60_000 });

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Email address").fill(ada.email);
  await page.getByLabel("Password", { exact: true }).fill(old);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("alert")).toBeVisible({ timeout: 60_000 });
  Object.assign(ada, { password: changed });
  await ada.signIn();
  await ada.arrived();
});

test("an account that is deleted is gone, once its number is typed", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("Security");
  await page.getByRole("button", { name: "Delete the account" }).click();
  const dialog = page.getByRole("dialog");
  const really = dialog.getByRole("button", { name: "Delete the account" });
  await expect(really).toBeDisabled();
  await dialog.getByRole("textbox").fill(ada.number);
  await really.click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible({ timeout: 30_000 });
  await page.getByLabel("Email address").fill(ada.email);
  await page.getByLabel("Password", { exact: true }).fill(ada.password);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("alert")).toBeVisible({ timeout: 60_000 });
});
