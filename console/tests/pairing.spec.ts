// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";
import { Terminal } from "./terminal";

test("a command line is let in by a code that is typed there", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  const terminal = new Terminal(watched.server);
  const [link] = await terminal.shows(/http:\/\/localhost:\d+\/#pair=[A-Za-z0-9.]+/);

  await page.goto(link);
  await expect(page.getByText("Somebody's device asks to be let in.").or(page.getByRole("heading", { name: "Let a device in?" })).or(page.getByRole("heading", { name: "Unlock your account" }))).toBeVisible();
  // What the link says stands nowhere any more.
  expect(page.url()).not.toContain("pair=");
  if (await page.getByLabel("Email address").isVisible()) await ada.signIn();

  await expect(page.getByText("Is this device in front of you?")).toBeVisible({ timeout: 60_000 });
  await watched.looksRight(page, "pair");
  await page.getByRole("button", { name: "Authorize" }).click();
  const code = page.getByLabel("Code", { exact: true });
  await expect(code.or(page.getByRole("dialog"))).toBeVisible();
  if (await page.getByRole("dialog").isVisible()) await ada.stepUp();
  await expect(code).toHaveText(/^\d{3} \d{3}$/);
  await expect(page.getByRole("timer")).toHaveText(/^[12]:\d\d left$/);
  await watched.looksRight(page, "pair-code");

  await terminal.shows(/six digits that the other device shows: *$/);
  const right = ((await code.textContent()) ?? "").replace(" ", "");
  terminal.type(right === "000000" ? "000001" : "000000");
  await expect(page.getByText("A wrong code was typed. 2 tries left.")).toBeVisible({ timeout: 30_000 });
  terminal.type(right);
  await expect(page.getByRole("status").filter({ hasText: "is in" })).toBeVisible({ timeout: 30_000 });
  expect(await terminal.ended).toBe(0);
  expect(watched.server.command(terminal.config, ["whoami", "--json"])).toContain(ada.number);
  await watched.looksRight(page, "pair-done");
});

test("a device that is refused hears of it", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  const terminal = new Terminal(watched.server);
  const [link] = await terminal.shows(/http:\/\/localhost:\d+\/#pair=[A-Za-z0-9.]+/);
  // Within the page, as a link that is clicked: no reload, so the keys are still here.
  await page.evaluate((hash) => (location.hash = hash), new URL(link).hash);
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("The device was refused")).toBeVisible();
  expect(await terminal.ended).not.toBe(0);
  await terminal.shows(/refused/);
});
