// SPDX-License-Identifier: Apache-2.0 OR MIT

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("the history is verified in the browser, and pinned", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("History");
  await expect(page.getByText(/Verified: all \d+ records? (is|are) exactly/)).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("This browser verified it for the first time.")).toBeVisible();
  await expect(page.getByText("The account was made")).toBeVisible();
  await expect(page.getByText("Proven").first()).toBeVisible();
  await watched.looksRight(page, "history");

  await ada.goTo("Data");
  await page.locator("input[type=file]").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") });
  await expect(page.getByRole("button", { name: "Open a.txt" })).toBeVisible();
  await ada.goTo("History");
  await expect(page.getByText("The history only grew since it was verified here")).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("An item was stored")).toBeVisible();
  await page.getByLabel("Show").selectOption({ label: "Items" });
  await expect(page.getByText("The account was made")).toBeHidden();
});

test("a record that was changed on the way raises the alarm", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await page.route("**/api/v1/log/*/records*", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as { records: { record: { subject: string } }[] };
    const [first] = body.records;
    if (first) first.record.subject = "somebody else";
    await route.fulfill({ response: answer, json: body });
  });
  await ada.goTo("History");
  await expect(page.getByText("This history was tampered with")).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("Records that do not verify are not shown.")).toBeVisible();
  await watched.looksRight(page, "history-alarm");
});

test("a log that is cut short after it was seen raises the alarm", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  let old: string | undefined;
  await page.route(/\/api\/v1\/log\/ten_[^/]+\/checkpoint$/, async (route) => {
    const answer = await route.fetch();
    old ??= await answer.text();
    await route.fulfill({ response: answer, body: old });
  });
  await ada.goTo("History");
  await expect(page.getByText(/Verified: all/)).toBeVisible({ timeout: 30_000 });
  await page.unrouteAll();
  await ada.goTo("Data");
  await page.locator("input[type=file]").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") });
  await expect(page.getByRole("button", { name: "Open a.txt" })).toBeVisible();
  await ada.goTo("History");
  await expect(page.getByText("The history only grew")).toBeVisible({ timeout: 30_000 });
  // Now the server shows what it showed at first.
  await page.route(/\/api\/v1\/log\/ten_[^/]+\/checkpoint$/, (route) => route.fulfill({ status: 200, body: old ?? "" }));
  await page.getByRole("button", { name: "Verify again" }).click();
  await expect(page.getByText("This history was tampered with")).toBeVisible({ timeout: 30_000 });
});
