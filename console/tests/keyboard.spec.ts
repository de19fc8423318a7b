// SPDX-License-Identifier: Apache-2.0 OR MIT

import { Application } from "./application";
import { expect, test } from "./fixtures";
import { Keyboard } from "./keyboard";
import { Person } from "./person";
import { Terminal } from "./terminal";
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

test("somebody without a mouse lets a device in, and answers an application", async ({ page, watched }) => {
  test.slow();
  const ada = new Person(page, watched);
  const keys = new Keyboard(page);
  const button = (name: string) => page.getByRole("button", { name, exact: true });
  await ada.signUp();
  const terminal = new Terminal(watched.server);
  const [link] = await terminal.shows(/http:\/\/localhost:\d+\/#pair=[A-Za-z0-9.]+/);
  await page.evaluate((hash) => (location.hash = hash), new URL(link).hash);
  await keys.press(button("Authorize"));
  const code = page.getByLabel("Code", { exact: true });
  await expect(code).toHaveText(/^\d{3} \d{3}$/);
  await terminal.shows(/six digits that the other device shows: *$/);
  terminal.type(((await code.textContent()) ?? "").replace(" ", ""));
  await expect(page.getByRole("status").filter({ hasText: "is in" })).toBeVisible({ timeout: 30_000 });
  expect(await terminal.ended).toBe(0);

  const shop = await Application.start();
  watched.origins.push(shop.origin);
  await ada.open();
  await keys.type(page.getByLabel("Email address"), ada.email);
  await keys.type(page.getByLabel("Password", { exact: true }), ada.password);
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Code of your authenticator app")).toBeFocused({ timeout: 60_000 });
  await page.keyboard.type(await ada.code());
  await page.keyboard.press("Enter");
  await ada.arrived();
  await keys.press(page.getByRole("link", { name: "Tenants" }));
  await keys.press(button("Found a tenant"));
  const dialog = page.getByRole("dialog");
  await keys.type(dialog.getByLabel("Name", { exact: true }), "Asked Farm");
  await keys.type(dialog.getByLabel("Your name there"), "Ada");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Asked Farm" })).toBeVisible({ timeout: 30_000 });
  await keys.press(page.getByRole("link", { name: "Applications" }));
  await keys.press(button("New application"));
  await keys.type(dialog.getByLabel("Name", { exact: true }), "Farm shop");
  await keys.reach(dialog.getByLabel(/A web application with a server/));
  await page.keyboard.press("ArrowDown");
  await keys.type(dialog.getByLabel("Where browsers are sent back to"), shop.callback);
  await page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  shop.clientId = (await page.locator("li p.mono").first().textContent())?.trim() ?? "";

  await page.goto(shop.link(watched.server.url, "openid profile"));
  await expect(page.getByText("Farm shop of Asked Farm asks for access to your account there.")).toBeVisible();
  await keys.press(button("Allow"));
  await expect(page.getByText("Back at the shop")).toBeVisible();
  await shop.stop();
});

test("somebody without a mouse shares files, and takes them away", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  const keys = new Keyboard(page);
  const button = (name: string) => page.getByRole("button", { name, exact: true });
  await ada.signUp();
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const bob = new Person(await other.newPage(), watched, "bob");
  await bob.signUp();

  await keys.press(page.getByRole("link", { name: "Data" }));
  await keys.press(button("New note"));
  await keys.type(page.getByLabel("Name"), "bread");
  await keys.type(page.getByLabel("Text"), "flour");
  await keys.press(button("Save"));
  await expect(page.getByText("bread.md")).toBeVisible();
  await keys.press(button("Share"));
  const dialog = page.getByRole("dialog");
  await keys.type(dialog.getByLabel("Account number"), bob.number);
  await page.keyboard.press("Enter");
  await expect(dialog.locator("output")).toBeVisible({ timeout: 30_000 });
  await keys.press(dialog.getByLabel("I have compared it with them"), "Space");
  await keys.press(dialog.getByRole("button", { name: "Share", exact: true }));
  await expect(dialog.getByText(`Account ${bob.number} has it from now on.`)).toBeVisible({ timeout: 30_000 });
  await keys.press(dialog.getByRole("button", { name: `Take away from ${bob.number}` }));
  await keys.press(dialog.getByRole("button", { name: "Take away", exact: true }));
  await expect(dialog.getByText("Nobody but you.")).toBeVisible({ timeout: 30_000 });
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(button("Share")).toBeFocused();
  await other.close();
});

test("somebody without a mouse administers a tenant", async ({ page, watched, context }) => {
  test.slow();
  const ada = new Person(page, watched);
  const keys = new Keyboard(page);
  const button = (name: string | RegExp) => page.getByRole("button", { name, exact: true });
  const part = (name: string) => page.getByRole("navigation", { name: "Parts of the tenant" }).getByRole("link", { name, exact: true });
  const dialog = page.getByRole("dialog");
  await ada.signUp();
  await ada.found("Keyed Farm");

  await keys.press(part("Invitations"));
  await keys.press(button("Invite somebody"));
  await keys.press(dialog.getByRole("button", { name: "Invite somebody" }));
  const link = (await dialog.locator("ul.lines li").textContent()) ?? "";
  watched.secrets.push(link);
  await keys.press(dialog.getByLabel("I have kept it somewhere safe"), "Space");
  await keys.press(dialog.getByRole("button", { name: "Done" }));
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const bob = new Person(await other.newPage(), watched, "bob");
  await bob.signUp();
  await bob.joins(link, "Bob");

  await keys.press(part("Organisations"));
  await keys.press(page.getByRole("button", { name: /^Add below/ }).first());
  await keys.type(dialog.getByLabel("Name"), "Stables");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Stables")).toBeVisible();

  await keys.press(part("Members"));
  await keys.press(button("Give a role to Bob"));
  // Letters choose in a list.
  await keys.reach(dialog.getByLabel("Role"));
  await page.keyboard.type("Op");
  await keys.reach(dialog.getByLabel("Where"));
  await page.keyboard.type("Sta");
  await keys.press(dialog.getByRole("button", { name: "Give a role" }));
  await expect(page.getByText(/· Stables/)).toBeVisible({ timeout: 30_000 });
  await keys.press(page.getByRole("button", { name: /^Take the role .* from Bob$/ }));
  await expect(page.getByText(/· Stables/)).toBeHidden();

  await keys.press(part("Roles"));
  await keys.press(button("New role"));
  await keys.type(dialog.getByLabel("Name", { exact: true }), "Looks");
  await keys.press(dialog.getByLabel("device.read"), "Space");
  await keys.press(dialog.getByRole("button", { name: "Save" }));
  await expect(page.getByText("Looks", { exact: true })).toBeVisible();

  await keys.press(part("Sign-in"));
  await keys.press(button("Add a provider"));
  await keys.type(dialog.getByLabel("Name", { exact: true }), "Acme ID");
  await keys.type(dialog.getByLabel("Issuer"), "https://id.acme.example");
  await keys.type(dialog.getByLabel("Client id"), "bailiwick");
  await keys.press(dialog.getByLabel(/become members by coming in/), "Space");
  await keys.press(dialog.getByRole("button", { name: "Add a provider" }));
  await keys.press(page.getByRole("dialog", { name: "Redirect URI" }).getByRole("button", { name: "Done" }));
  await keys.press(button("Disable Acme ID"));
  await keys.press(dialog.getByRole("button", { name: "Disable" }));
  await expect(page.getByText("Lets nobody in")).toBeVisible();

  await keys.press(part("Policies"));
  await keys.type(page.getByLabel("Policies, in Cedar"), '@id("frozen") @says("Devices stand still.") forbid (principal, action == Action::"device.write", resource);');
  await expect(page.getByText("They would be accepted.")).toBeVisible();
  // The tabulator leaves the text.
  await keys.type(page.getByLabel("Why it is changed"), "Stocktaking");
  await keys.press(button("Put into force"));
  await expect(page.getByText("Version 1 decides from now on.")).toBeVisible({ timeout: 30_000 });

  await keys.press(part("Members"));
  await keys.press(button("Remove Bob"));
  await keys.press(dialog.getByRole("button", { name: "Remove", exact: true }));
  await expect(page.getByText("Bob", { exact: true })).toBeHidden();
  await other.close();
});
