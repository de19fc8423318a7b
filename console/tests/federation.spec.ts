// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { people } from "./house";
import { Person } from "./person";
import { Upstream } from "./upstream";

test("a tenant's provider is set up, tested, changed, required, disabled and removed, and its domain is proved", async ({ page, watched, context }) => {
  test.slow();
  const olga = new Person(page, watched, "olga");
  await olga.signUp();
  const tenant = await olga.found("Acme");
  const upstream = await Upstream.prepared(people);
  watched.origins.push(upstream.issuer);
  watched.secrets.push(upstream.secret);
  await olga.part("Sign-in");
  await expect(page.getByText("No identity providers.", { exact: false })).toBeVisible();
  await expect(page.getByText("No domains.")).toBeVisible();
  await watched.looksRight(page, "tenant-sign-in-empty");

  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Add a provider" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("Acme ID");
  await dialog.getByLabel("Kind").selectOption("google");
  await expect(dialog.getByLabel("Issuer")).toBeHidden();
  await dialog.getByLabel("Kind").selectOption("generic");
  await dialog.getByLabel("Issuer").fill("nowhere");
  await dialog.getByLabel("Client id").fill("bailiwick");
  await dialog.getByLabel("Client secret").fill(upstream.secret);
  await dialog.getByLabel(/become members by coming in/).check();
  await dialog.getByRole("button", { name: "Add a role" }).click();
  await dialog.getByLabel("Group there").fill("it");
  await dialog.getByLabel("Role").selectOption("manager");
  await dialog.getByText("More", { exact: true }).click();
  await dialog.getByLabel("What is asked for").fill("email profile groups");
  await dialog.getByLabel("Claim with the groups").fill("groups");
  await dialog.getByRole("button", { name: "Add a provider" }).click();
  await expect(dialog.getByRole("alert")).toContainText("(issuer)");
  await watched.looksRight(page, "tenant-provider-new");
  await dialog.getByLabel("Issuer").fill(upstream.issuer);
  await dialog.getByLabel("Client secret").fill(upstream.secret);
  await dialog.getByRole("button", { name: "Add a provider" }).click();

  const shown = page.getByRole("dialog", { name: "Redirect URI" });
  await expect(shown).toBeVisible();
  const callback = (await shown.locator(".mono").textContent()) ?? "";
  expect(callback).toContain("/federation/pvd_");
  await watched.looksRight(page, "tenant-provider-made");
  await shown.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("it: Manager · The whole tenant").or(page.getByText(/^it: .* · The whole tenant$/))).toBeVisible();

  await page.getByRole("button", { name: "Test Acme ID" }).click();
  await expect(page.getByText("The provider does not answer.", { exact: false })).toBeVisible({ timeout: 30_000 });
  watched.forgive(/^502 /);
  await upstream.start(callback);
  await page.getByRole("button", { name: "Test Acme ID" }).click();
  await expect(page.getByText("Acme ID answers, and its keys can be read.")).toBeVisible({ timeout: 30_000 });

  // The domain: a proof that is not there, then one that is.
  const domain = `acme-${process.pid}-set-up.example`;
  await page.getByRole("button", { name: "Add a domain" }).click();
  await dialog.getByLabel("Domain").fill(domain);
  await dialog.getByRole("button", { name: "Add a domain" }).click();
  await expect(page.getByText("Not proved yet")).toBeVisible();
  await page.getByRole("button", { name: `Look for it in ${domain}` }).click();
  await expect(page.getByRole("alert")).toBeVisible({ timeout: 30_000 });
  await watched.looksRight(page, "tenant-domain-unproved");
  const [record = "", proof = ""] = await page.locator(".copied .mono").allTextContents();
  watched.server.zone.write(record, proof);
  await page.getByRole("button", { name: `Look for it in ${domain}` }).click();
  await expect(page.getByText(/^Proved /)).toBeVisible({ timeout: 30_000 });

  await page.getByRole("button", { name: "Edit Acme ID" }).click();
  await expect(dialog.getByText(upstream.issuer)).toBeVisible();
  await expect(dialog.getByLabel("Client secret")).toHaveValue("");
  await dialog.getByLabel("Name", { exact: true }).fill("Acme's own");
  await dialog.getByRole("button", { name: /^Remove / }).click();
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Acme's own", { exact: true })).toBeVisible();
  await expect(page.getByText(/^it: /)).toBeHidden();

  await page.getByRole("button", { name: "Require it" }).click();
  await dialog.getByRole("button", { name: "Require it" }).click();
  await expect(page.getByText(/^Required since /)).toBeVisible();
  await watched.looksRight(page, "tenant-sign-in");
  // The last one that is required stays.
  await page.getByRole("button", { name: "Remove Acme's own" }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(dialog.getByRole("alert")).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Do not require it" }).click();
  await dialog.getByRole("button", { name: "Do not require it" }).click();
  await expect(page.getByText(/^Required since /)).toBeHidden();

  await page.getByRole("button", { name: "Disable Acme's own" }).click();
  await dialog.getByRole("button", { name: "Disable" }).click();
  await expect(page.getByText("Lets nobody in")).toBeVisible();
  const other = await context.browser()!.newContext();
  watched.watch(other);
  const there = await other.newPage();
  await there.goto(watched.server.url);
  await there.getByRole("button", { name: "Sign in through your organisation" }).click();
  await there.getByLabel("Your address at work").fill(tenant);
  await there.getByRole("button", { name: "Continue" }).click();
  await expect(there.getByText("No organisation signs people in here by that name.", { exact: false })).toBeVisible();
  await other.close();
  await page.getByRole("button", { name: "Enable Acme's own" }).click();
  await expect(page.getByText("Lets nobody in")).toBeHidden();

  await page.getByRole("button", { name: "Remove Acme's own" }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(page.getByText("No identity providers.", { exact: false })).toBeVisible();
  await page.getByRole("button", { name: `Remove ${domain}` }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(page.getByText("No domains.")).toBeVisible();
  await upstream.stop();
});

test("a directory gets a token, tells of people with it, and is refused once it is revoked", async ({ page, watched }) => {
  const olga = new Person(page, watched, "olga");
  await olga.signUp();
  const tenant = await olga.found("Acme");
  await olga.part("Provisioning");
  await expect(page.getByText("No directory may write here.", { exact: false })).toBeVisible();
  const base = `${watched.server.url}/scim/v2/${tenant}`;
  await expect(page.getByText(base)).toBeVisible();
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "New token" }).click();
  await dialog.getByLabel("Name").fill("Entra ID");
  await watched.looksRight(page, "tenant-provisioning-new");
  await dialog.getByRole("button", { name: "New token" }).click();
  await expect(page.getByRole("dialog", { name: "Keep the token" })).toBeVisible({ timeout: 30_000 });
  await watched.looksRight(page, "tenant-provisioning-token");
  const token = await olga.keep("Keep the token");
  await expect(page.getByText("Entra ID", { exact: true })).toBeVisible();
  await watched.looksRight(page, "tenant-provisioning");

  const headers = { authorization: `Bearer ${token}`, "content-type": "application/scim+json" };
  const body = JSON.stringify({ schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: "bea@acme.example", active: true });
  expect((await fetch(`${base}/Users`, { method: "POST", headers, body })).status).toBe(201);
  expect((await fetch(`${base}/Users`, { headers })).status).toBe(200);
  // It does that, and nothing else.
  expect((await fetch(`${watched.server.url}/api/v1/tenants/${tenant}/devices`, { headers })).status).not.toBe(200);

  // Another token of the same name needs no second service account.
  await page.getByRole("button", { name: "New token" }).click();
  await dialog.getByLabel("Name").fill("Entra ID");
  await dialog.getByRole("button", { name: "New token" }).click();
  await olga.keep("Keep the token");
  await expect(page.getByRole("button", { name: "Revoke Entra ID" })).toHaveCount(2);
  for (let left = 2; left > 0; left -= 1) {
    await page.getByRole("button", { name: "Revoke Entra ID" }).first().click();
    await dialog.getByRole("button", { name: "Revoke", exact: true }).click();
    await expect(page.getByRole("button", { name: "Revoke Entra ID" })).toHaveCount(left - 1);
  }
  expect((await fetch(`${base}/Users`, { headers })).status).toBe(401);
});

test("what the platform offers stands on everybody's sign-in page", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await watched.server.admin(["grant", ada.number]);
  await page.getByRole("button", { name: "Lock" }).click();
  await ada.signIn();
  await ada.goTo("Platform");
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Add a provider" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("Everybody ID");
  await dialog.getByLabel("Issuer").fill("http://127.0.0.1:9");
  await dialog.getByLabel("Client id").fill("bailiwick");
  await dialog.getByRole("button", { name: "Add a provider" }).click();
  await page.getByRole("dialog", { name: "Redirect URI" }).getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("Everybody ID", { exact: true })).toBeVisible();
  await watched.looksRight(page, "platform-providers");

  const other = await context.browser()!.newContext();
  watched.watch(other);
  const there = await other.newPage();
  await there.goto(watched.server.url);
  await there.getByRole("button", { name: "Sign in through your organisation" }).click();
  await expect(there.getByRole("button", { name: "Continue with Everybody ID" })).toBeVisible();
  await other.close();
  await page.getByRole("button", { name: "Remove Everybody ID" }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(page.getByText("The platform offers none.")).toBeVisible();
});
