// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("the page brings its policy, and its files are kept for ever", async ({ request, server }) => {
  const page = await request.get(`${server.url}/`);
  const policy = page.headers()["content-security-policy"] ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("require-trusted-types-for 'script'");
  expect(policy).not.toMatch(/unsafe-inline|unsafe-eval|https?:/);
  expect(page.headers()["cache-control"]).toBe("no-cache");
  expect(page.headers()["x-frame-options"]).toBe("DENY");

  const names = [...(await page.text()).matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1] ?? "");
  expect(names.length).toBeGreaterThan(1);
  for (const name of names) {
    const file = await request.get(`${server.url}${name}`);
    expect(file.status()).toBe(200);
    expect(file.headers()["cache-control"]).toContain("immutable");
    expect(file.headers()["content-encoding"]).toBe("br");
  }
  expect((await request.get(`${server.url}/assets/../../etc/passwd`)).status()).toBe(404);
  expect((await request.get(`${server.url}/assets/nothing.js`)).status()).toBe(404);
});

test("a browser without scripts is told what is needed, and why", async ({ browser, server }) => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(server.url);
  await expect(page.getByRole("heading", { name: "This page needs JavaScript" })).toBeVisible();
  await page.screenshot({ path: "pictures/no-script.png" });
  await context.close();
});

test("no script of the page has the session, and no other page can use it", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  const cookies = await context.cookies();
  const session = cookies.find((cookie) => cookie.name === "bailiwick");
  expect(session).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/" });
  const token = session?.value ?? "";
  expect(token).toMatch(/^bws_/);
  watched.secrets.push(token);

  // What a browser would send for a page of somebody else's.
  const { url } = watched.server;
  const account = { cookie: `bailiwick=${token}` };
  const asked = (headers: Record<string, string>, method = "POST") =>
    fetch(`${url}/api/v1/sessions/end-others`, { method, headers: { ...account, ...headers } });
  expect((await asked({ origin: "https://evil.example" })).status).toBe(403);
  expect((await asked({ origin: "http://localhost:1" })).status).toBe(403);
  expect((await asked({ origin: url, "sec-fetch-site": "cross-site" })).status).toBe(403);
  expect((await asked({ origin: url, "sec-fetch-site": "same-site" })).status).toBe(403);
  expect((await asked({})).status).toBe(403);
  expect((await asked({ origin: url, "sec-fetch-site": "same-origin" })).status).toBe(204);

  // Signed out is signed out, whoever kept the cookie.
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  expect((await context.cookies()).find((cookie) => cookie.name === "bailiwick")).toBeUndefined();
  expect((await asked({ origin: url })).status).toBe(401);
});

test("the page runs no script that is made of text, and no worker but its own", async ({ page, watched }) => {
  await page.goto(watched.server.url);
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  const refused = await page.evaluate(() => {
    const tries: Record<string, () => unknown> = {
      markup: () => (document.createElement("div").innerHTML = "<img src=x onerror=alert(1)>"),
      worker: () => new Worker("/assets/other.js"),
      script: () => (document.createElement("script").text = "1"),
    };
    return Object.entries(tries).map(([name, act]) => {
      try {
        act();
        return `${name} was done`;
      } catch (error) {
        return `${name}: ${(error as Error).name}`;
      }
    });
  });
  expect(refused).toEqual(["markup: TypeError", "worker: TypeError", "script: TypeError"]);
  // These were asked for.
  watched.complaints.length = 0;
});
