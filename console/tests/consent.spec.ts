// SPDX-License-Identifier: Apache-2.0 OR MIT

import type { Page } from "@playwright/test";

import { Application, userinfo } from "./application";
import { asksDevice } from "./device";
import { expect, test } from "./fixtures";
import { Person } from "./person";

/** Makes an application on the tenant's page, as somebody would who administers it. */
async function register(ada: Person, application: Application, kind: RegExp): Promise<void> {
  const { page } = ada;
  await ada.part("Applications");
  await page.getByRole("button", { name: "New application" }).click();
  const dialog = page.getByRole("dialog", { name: "New application" });
  await dialog.getByLabel("Name", { exact: true }).fill("Farm shop");
  await dialog.getByLabel(kind).check();
  const redirects = dialog.getByLabel("Where browsers are sent back to");
  if (await redirects.isVisible()) await redirects.fill(application.callback);
  await dialog.getByRole("button", { name: "New application" }).click();
  await expect(dialog).toBeHidden();
}

const clientId = async (page: Page) => (await page.locator("li p.mono").first().textContent())?.trim() ?? "";

test("an application asks, is allowed, goes on by itself, and is taken back", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  const shop = await Application.start();
  watched.origins.push(shop.origin);
  const { url } = watched.server;
  await ada.signUp();
  await ada.found("North Farm");
  await register(ada, shop, /A web application with a server/);
  await watched.looksRight(page, "tenant-client-secret");
  shop.secret = await ada.keep("Keep the secret");
  shop.clientId = await clientId(page);
  await watched.looksRight(page, "tenant-clients");

  // It is changed where it is listed: nothing of it is lost that was not changed.
  const change = page.getByRole("dialog", { name: "Edit Farm shop" });
  await page.getByRole("button", { name: "Edit Farm shop" }).click();
  await expect(change.getByLabel("Where browsers are sent back to")).toHaveValue(shop.callback);
  await change.getByLabel("Name", { exact: true }).fill("Farm store");
  await change.getByLabel("What it may ask for").fill("openid profile");
  await expect(change.getByText("Tokens with offline_access are worth nothing", { exact: false })).toBeVisible();
  await watched.looksRight(page, "tenant-client-change");
  await change.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Farm store", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Edit Farm store" }).click();
  const back = page.getByRole("dialog", { name: "Edit Farm store" });
  await back.getByLabel("Name", { exact: true }).fill("Farm shop");
  await back.getByLabel("What it may ask for").fill("openid profile offline_access");
  await back.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Farm shop", { exact: true })).toBeVisible();

  // The session is enough: nobody types a password for this.
  const link = shop.link(url, "openid profile");
  await page.goto(new URL(link, url).href);
  await expect(page.getByText("Farm shop of North Farm asks for access to your account there.")).toBeVisible();
  expect(page.url()).not.toContain("authorize=");
  await expect(page.getByText("Know your name in the tenant")).toBeVisible();
  await expect(page.getByText("127.0.0.1")).toBeVisible();
  await watched.looksRight(page, "consent");
  await page.getByRole("button", { name: "Allow" }).click();
  await expect(page.getByText("Back at the shop")).toBeVisible();
  const tokens = await shop.tokens(url);
  expect(await userinfo(url, tokens)).toBe(200);

  // The same once more is not asked for once more.
  await page.goto(shop.link(url, "openid profile"));
  await expect(page.getByText("Back at the shop")).toBeVisible();
  expect(shop.answers).toHaveLength(2);

  // Nor is anybody asked where nobody is to be asked.
  const silently = { prompt: "none" };
  await page.goto(shop.link(url, "openid profile", silently));
  await expect(page.getByText("Back at the shop")).toBeVisible();
  expect(shop.answers[2]?.get("code")).toBeTruthy();
  await page.goto(shop.link(url, "openid profile offline_access", silently));
  await expect(page.getByText("Back at the shop")).toBeVisible();
  expect(shop.answers[3]?.get("error")).toBe("consent_required");
  const elsewhere = await page.context().browser()!.newContext();
  const nobody = await elsewhere.newPage();
  await nobody.goto(shop.link(url, "openid profile", silently));
  await expect(nobody.getByText("Back at the shop")).toBeVisible();
  expect(shop.answers[4]?.get("error")).toBe("login_required");
  await elsewhere.close();

  // More is; and may be refused.
  await page.goto(shop.link(url, "openid profile offline_access"));
  await expect(page.getByText("New", { exact: true })).toHaveCount(1);
  await page.getByRole("button", { name: "Refuse" }).click();
  await expect(page.getByText("Back at the shop")).toBeVisible();
  expect(shop.answers[5]?.get("error")).toBe("access_denied");

  await page.goto(url);
  await ada.signIn();
  await ada.arrived();
  await ada.goTo("Security");
  await page.getByRole("button", { name: "Take back what Farm shop may" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Take back" }).click();
  await expect(page.getByText("You allowed no application anything.")).toBeVisible();
  expect(await userinfo(url, tokens)).toBe(401);
  await shop.stop();
});

test("a request that began in another browser is not answered, and a fresh proof is asked for where one is wanted", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  const shop = await Application.start();
  watched.origins.push(shop.origin);
  const { url } = watched.server;
  await ada.signUp();
  const proved = Date.now();
  await ada.found("South Farm");
  await register(ada, shop, /A page or an app on somebody's own device/);
  shop.clientId = await clientId(page);

  const begun = await fetch(shop.link(url, "openid"), { redirect: "manual" });
  const link = begun.headers.get("location") ?? "";
  expect(link).toContain("/#authorize=");
  await page.goto(new URL(link, url).href);
  await expect(page.getByText("This request is over")).toBeVisible();
  await watched.looksRight(page, "consent-over");

  await expect.poll(() => Date.now() - proved, { timeout: 60_000 }).toBeGreaterThan(31_000);
  await page.goto(shop.link(url, "openid", { max_age: "30" }));
  await expect(page.getByText("The application wants you to prove once more who you are.")).toBeVisible();
  await page.getByRole("button", { name: "Allow" }).click();
  await expect(page.getByRole("heading", { name: "Unlock your account" })).toBeVisible();
  await ada.signIn();
  await page.getByRole("button", { name: "Allow" }).click({ timeout: 60_000 });
  await expect(page.getByText("Back at the shop")).toBeVisible({ timeout: 60_000 });
  expect(await userinfo(url, await shop.tokens(url))).toBe(200);
  await shop.stop();
});

test("a browser that another device let in gives the fresh proof that is wanted by unlocking", async ({ page, watched, context }) => {
  test.slow();
  const ada = new Person(page, watched);
  const shop = await Application.start();
  watched.origins.push(shop.origin);
  const { url } = watched.server;
  await ada.signUp();
  await ada.found("Late Farm");
  await register(ada, shop, /A page or an app on somebody's own device/);
  shop.clientId = await clientId(page);
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const there = await other.newPage();
  await there.goto(url);
  const code = await asksDevice(there, page);
  await there.getByLabel("Six digits").fill(code);
  await there.keyboard.press("Enter");
  await expect(there.locator("dd.number")).toBeVisible({ timeout: 60_000 });
  const letIn = Date.now();

  await expect.poll(() => Date.now() - letIn, { timeout: 60_000 }).toBeGreaterThan(31_000);
  await there.goto(shop.link(url, "openid", { max_age: "30" }));
  await expect(there.getByText("The application wants you to prove once more who you are.")).toBeVisible();
  await there.getByRole("button", { name: "Allow" }).click();
  const elsewhere = new Person(there, watched);
  Object.assign(elsewhere, { email: ada.email, password: ada.password, app: ada.app });
  await elsewhere.signIn();
  await there.getByRole("button", { name: "Allow" }).click({ timeout: 60_000 });
  await expect(there.getByText("Back at the shop")).toBeVisible({ timeout: 60_000 });
  await other.close();
  await shop.stop();
});

test("a device is connected by the code that it shows", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  const till = await Application.start();
  const { url } = watched.server;
  await ada.signUp();
  await ada.found("West Farm");
  await register(ada, till, /A device without a browser/);
  till.clientId = await clientId(page);

  const asked = await till.device(url, "openid");
  expect((await till.deviceTokens(url, asked.device_code)).error).toBe("authorization_pending");
  await page.evaluate(() => (location.hash = "#device"));
  await expect(page.getByRole("heading", { name: "Connect a device" })).toBeVisible();
  await page.getByLabel("Code", { exact: true }).fill("AAAA-AAAA");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await watched.looksRight(page, "device-code");
  await page.getByLabel("Code", { exact: true }).fill(asked.user_code.toLowerCase());
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("Does your device show this very code?")).toBeVisible();
  await watched.looksRight(page, "device-consent");
  await page.getByRole("button", { name: "Allow" }).click();
  await expect(page.getByText("The device hears of it within some seconds.")).toBeVisible();
  await expect.poll(async () => await userinfo(url, await till.deviceTokens(url, asked.device_code)), { timeout: 30_000, intervals: [6_000] }).toBe(200);

  // By the whole link, the code still has to be compared.
  const again = await till.device(url, "openid");
  await page.evaluate((hash) => (location.hash = hash), new URL(again.verification_uri_complete).hash);
  await expect(page.getByLabel("Code", { exact: true })).toHaveValue(again.user_code);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "Refuse" }).click();
  await expect(page.getByText("Refused")).toBeVisible();
  await till.stop();
});

test("an application's tokens are signed by a key of its own, which is shown once", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  const shop = await Application.start();
  await ada.signUp();
  await ada.found("East Farm");
  await register(ada, shop, /A web application with a server/);
  await ada.keep("Keep the secret");
  await page.getByRole("button", { name: "Edit Farm shop" }).click();
  const change = page.getByRole("dialog", { name: "Edit Farm shop" });
  await change.getByText("More", { exact: true }).click();
  await change.getByLabel("How its access tokens are signed").selectOption("HS256");
  await expect(change.getByText("Whoever has its key verifies its tokens, and can make them.", { exact: false })).toBeVisible();
  // For this server's own interface there are none.
  await change.getByRole("button", { name: "Save" }).click();
  await expect(change.getByLabel("Whom its tokens are for")).toBeFocused();
  await change.getByLabel("Whom its tokens are for").fill("https://api.farm.example");
  await watched.looksRight(page, "tenant-client-shared");
  await change.getByRole("button", { name: "Save" }).click();
  await watched.looksRight(page, "tenant-client-key");
  const key = await ada.keep("Keep the key");

  await page.getByRole("button", { name: "New key for Farm shop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "New key" }).click();
  expect(await ada.keep("Keep the key")).not.toBe(key);
  await page.getByText("Details", { exact: true }).click();
  await expect(page.getByText("HS256", { exact: true })).toBeVisible();
  await watched.looksRight(page, "tenant-client-keyed");
  await shop.stop();
});

test("an application without a secret is offered no key to share", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  const till = await Application.start();
  await ada.signUp();
  await ada.found("Other Farm");
  await register(ada, till, /A device without a browser/);
  await page.getByRole("button", { name: "Edit Farm shop" }).click();
  const change = page.getByRole("dialog", { name: "Edit Farm shop" });
  await change.getByText("More", { exact: true }).click();
  await expect(change.getByLabel("How its access tokens are signed").getByRole("option")).toHaveText(["EdDSA", "ES256"]);
  await till.stop();
});
