// SPDX-License-Identifier: Apache-2.0 OR MIT

import { Application } from "./application";
import { expect, test } from "./fixtures";
import { Keyboard } from "./keyboard";
import { Person } from "./person";
import { App } from "./totp";

test("somebody without a mouse signs up, writes a note, founds a tenant, and connects a device", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  const keys = new Keyboard(page);
  const button = (name: string) => page.getByRole("button", { name, exact: true });
  await ada.open();
  await keys.press(page.getByRole("link", { name: "Sign up" }));

  await keys.type(page.getByLabel("Email address"), ada.email);
  await keys.type(page.getByLabel("Password", { exact: true }), ada.password);
  await keys.type(page.getByLabel("The password again"), ada.password);
  await page.keyboard.press("Enter");
  await keys.press(page.getByText("Type it in by hand instead"));
  const secret = (await page.locator("details .mono").textContent()) ?? "";
  ada.app = new App(secret);
  watched.secrets.push(secret);
  await keys.press(button("It shows codes now"));
  await keys.press(page.getByLabel("I have kept it somewhere safe"), "Space");
  await keys.press(button("Continue"));
  await keys.press(button("Make a recovery key"));
  await keys.press(page.getByLabel("I have kept it somewhere safe"), "Space");
  await keys.press(button("Enter"));
  await ada.arrived();

  await keys.press(page.getByRole("link", { name: "Data" }));
  await keys.press(button("New note"));
  await keys.type(page.getByLabel("Name"), "list");
  await keys.type(page.getByLabel("Text"), "milk");
  await keys.press(button("Save"));
  // The focus comes back to where it was.
  await expect(button("New note")).toBeFocused();
  await keys.press(page.getByRole("button", { name: "Open list.md" }));
  await expect(page.getByLabel("Text")).toHaveValue("milk");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();

  await keys.press(page.getByRole("link", { name: "Tenants" }));
  await keys.press(button("Found a tenant"));
  const dialog = page.getByRole("dialog");
  await keys.type(dialog.getByLabel("Name", { exact: true }), "Key Farm");
  await keys.type(dialog.getByLabel("Your name there"), "Ada");
  await keys.press(dialog.getByRole("button", { name: "Found a tenant" }));
  await expect(page.getByRole("heading", { name: "Key Farm" })).toBeVisible({ timeout: 30_000 });

  await keys.press(page.getByRole("link", { name: "Applications" }));
  await keys.press(button("New application"));
  await keys.type(dialog.getByLabel("Name", { exact: true }), "Till");
  // Kinds are one stop; the arrows choose.
  await keys.reach(dialog.getByLabel(/A web application with a server/));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await expect(dialog.getByLabel(/A device without a browser/)).toBeChecked();
  await keys.press(dialog.getByRole("button", { name: "New application" }));
  await expect(dialog).toBeHidden();
  const till = await Application.start();
  till.clientId = (await page.locator("li p.mono").first().textContent())?.trim() ?? "";
  const asked = await till.device(watched.server.url, "openid");
  await page.evaluate(() => (location.hash = "#device"));
  await keys.type(page.getByLabel("Code", { exact: true }), asked.user_code);
  await page.keyboard.press("Enter");
  await keys.press(button("Allow"));
  await expect(page.getByText("The device hears of it within some seconds.")).toBeVisible();
  await keys.press(button("Done"));
  await keys.press(button("Sign out"));
  await watched.nothingLeft(page);
  await till.stop();
});
