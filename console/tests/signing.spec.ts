// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("somebody signs up, signs out, and signs in with password and code", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.open();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await watched.looksRight(page, "sign-in");
  await ada.signUp({ recoveryKey: true, look: (step) => watched.looksRight(page, step) });
  await watched.looksRight(page, "overview");

  await ada.goTo("Security");
  await expect(page.getByText("This one").first()).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await watched.nothingLeft(page);
  await ada.signIn({ look: (step) => watched.looksRight(page, step) });
  await ada.arrived();
});

test("a wrong password and a wrong code are told apart from nothing else", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await page.getByRole("button", { name: "Sign out" }).click();

  await page.getByLabel("Email address").fill(ada.email);
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Continue" }).click();
  const alert = page.getByRole("alert");
  await expect(alert).toHaveText("The email address, the password or the code is wrong.", { timeout: 60_000 });
  await page.getByLabel("Email address").fill(`nobody-${ada.email}`);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("button", { name: "Continue" })).toBeEnabled({ timeout: 60_000 });
  await expect(alert).toHaveText("The email address, the password or the code is wrong.");

  await page.getByLabel("Email address").fill(ada.email);
  await page.getByLabel("Password", { exact: true }).fill(ada.password);
  await page.getByRole("button", { name: "Continue" }).click();
  const code = page.getByLabel("Code of your authenticator app");
  await expect(code).toBeFocused({ timeout: 60_000 });
  await code.fill("000000");
  await page.keyboard.press("Enter");
  await expect(page.getByText("That code was not accepted.")).toBeVisible({ timeout: 60_000 });
  // Nobody types the password again for that.
  await expect(page.getByRole("button", { name: "Sign in" })).toBeEnabled({ timeout: 60_000 });
  await code.fill(await ada.code());
  await page.keyboard.press("Enter");
  await ada.arrived();
});

test("a backup code lets in once, and a recovery key without a password", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp({ recoveryKey: true });
  const [code = ""] = ada.backupCodes;
  await page.getByRole("button", { name: "Sign out" }).click();
  await ada.signIn({ backupCode: code });
  await ada.arrived();

  await page.getByRole("button", { name: "Sign out" }).click();
  await ada.signIn({ backupCode: code });
  await expect(page.getByText("That code was not accepted.")).toBeVisible({ timeout: 60_000 });
  await page.getByRole("button", { name: "Back" }).click();

  await page.getByRole("button", { name: "Sign in with a recovery key" }).click();
  await page.getByLabel("Recovery key").fill("nonsense");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByText(/A recovery key has 56 letters and digits/)).toBeVisible();
  await watched.looksRight(page, "sign-in-recovery-key");
  await page.getByLabel("Recovery key").fill(ada.recoveryKey.toLowerCase());
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await ada.arrived();
});

test("the keys do not outlive the page: after a reload its session is unlocked", async ({ page, watched }) => {
  test.slow();
  const ada = new Person(page, watched);
  await ada.signUp();
  await page.reload();
  await expect(page.getByRole("heading", { name: "Unlock your account" })).toBeVisible();
  await watched.looksRight(page, "unlock");
  await ada.signIn();
  await ada.arrived();
  await ada.hasSessions(1);

  await page.getByRole("button", { name: "Lock" }).click();
  await expect(page.getByRole("heading", { name: "Unlock your account" })).toBeVisible();
  // It is known whose password it is before the address is.
  const { email } = ada;
  Object.assign(ada, { email: `not-${email}` });
  await ada.signIn();
  await expect(page.getByText(`Is not-${email} the address of this account?`)).toBeVisible({ timeout: 60_000 });
  await watched.looksRight(page, "unlock-address");
  await page.getByRole("button", { name: "Back", exact: true }).click();
  Object.assign(ada, { email });
  await ada.signIn();
  await ada.hasSessions(1);

  await page.getByRole("button", { name: "Lock" }).click();
  await page.getByRole("button", { name: "Sign out instead" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});

test("whoever was away finds the account locked", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await page.clock.install();
  await ada.signUp();
  await page.clock.fastForward("16:00");
  await expect(page.getByText("You were away for a while")).toBeVisible();
});

test("a page that is locked when its session is ended elsewhere signs in anew", async ({ page, watched, context }) => {
  test.slow();
  const ada = new Person(page, watched);
  await ada.signUp();
  await page.getByRole("button", { name: "Lock" }).click();
  const other = await context.browser()!.newContext();
  const there = await other.newPage();
  const elsewhere = new Person(there, watched);
  Object.assign(elsewhere, { email: ada.email, password: ada.password, app: ada.app });
  await elsewhere.open();
  await elsewhere.signIn();
  await elsewhere.hasSessions(2);
  await there.getByRole("button", { name: "End all others" }).click();
  await there.getByRole("dialog").getByRole("button", { name: "End" }).click();
  await expect(there.getByRole("dialog")).toBeHidden();
  await other.close();

  await ada.signIn();
  await ada.arrived();
  await ada.hasSessions(2);
});

test("a session that is ended elsewhere leaves what was typed", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("Data");
  await page.getByRole("button", { name: "New note" }).click();
  await page.getByLabel("Name").fill("plans");
  await page.getByLabel("Text").fill("what I was about to write");

  const other = await context.browser()!.newContext();
  const there = await other.newPage();
  const elsewhere = new Person(there, watched);
  Object.assign(elsewhere, { email: ada.email, password: ada.password, app: ada.app });
  await elsewhere.open();
  await elsewhere.signIn();
  await elsewhere.arrived();
  await elsewhere.goTo("Security");
  await there.getByRole("button", { name: "End all others" }).click();
  await there.getByRole("dialog").getByRole("button", { name: "End" }).click();
  await expect(there.getByRole("dialog")).toBeHidden();
  await other.close();

  await page.getByRole("button", { name: "Save" }).click();
  const again = page.getByRole("dialog", { name: "Sign in again" });
  await expect(again).toBeVisible();
  await watched.looksRight(page, "session-ended");
  await ada.signIn();
  await expect(again).toBeHidden({ timeout: 60_000 });
  await expect(page.getByLabel("Text")).toHaveValue("what I was about to write");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("plans.md")).toBeVisible();
});

test("all of it goes by keyboard alone", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Email address").focus();
  await page.keyboard.type(ada.email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(ada.password);
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Code of your authenticator app")).toBeFocused({ timeout: 60_000 });
  await page.keyboard.type(await ada.code());
  await page.keyboard.press("Enter");
  await ada.arrived();
  const skip = page.getByRole("button", { name: "To the content" });
  await skip.focus();
  await expect(skip).toBeInViewport();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("main")).toBeFocused();
});

test("a page without a connection says so, keeps what was typed, and goes on when it is back", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("Data");
  await expect(page.getByText("Nothing here yet.")).toBeVisible();
  await page.getByRole("button", { name: "New note" }).click();
  await page.getByLabel("Name").fill("on the train");
  await page.getByLabel("Text").fill("between two tunnels");
  await context.setOffline(true);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert")).toContainText("There is no connection to the server.", { timeout: 60_000 });
  await expect(page.getByText("You are offline", { exact: true })).toBeVisible();
  await watched.looksRight(page, "offline");
  await context.setOffline(false);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("on the train.md")).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("You are offline", { exact: true })).toBeHidden();
  // That there was no connection was wanted.
  watched.forgive(/ERR_INTERNET_DISCONNECTED|Failed to fetch/);
});
