// SPDX-License-Identifier: Apache-2.0 OR MIT

import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

import { expect, test } from "./fixtures";
import { Person } from "./person";

test("files and notes are sealed here, and come back as they were", async ({ page, watched }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("Data");
  await expect(page.getByText("Nothing here yet.")).toBeVisible();
  await watched.looksRight(page, "data-empty");

  // One that fits into its item, one of several parts.
  const small = Buffer.from("a few words\n");
  const large = randomBytes(20 * 1024 * 1024 + 17);
  await page.locator("input[type=file]").setInputFiles([
    { name: "small.bin", mimeType: "application/octet-stream", buffer: small },
    { name: "large.bin", mimeType: "application/octet-stream", buffer: large },
  ]);
  await expect(page.getByText("20 MiB")).toBeVisible({ timeout: 90_000 });
  await expect(page.getByLabel("Uploads and downloads")).toBeHidden();

  for (const [name, content] of [["small.bin", small], ["large.bin", large]] as const) {
    const [got] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: `Download ${name}` }).click(),
    ]);
    const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
    expect(digest(readFileSync(await got.path()))).toBe(digest(content));
  }

  const secret = `only I read this ${randomBytes(8).toString("hex")}`;
  watched.secrets.push(secret);
  await page.getByRole("button", { name: "New note" }).click();
  await page.getByLabel("Name").fill("diary");
  await page.getByLabel("Text").fill(secret);
  await watched.looksRight(page, "data-note");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Open diary.md" }).click();
  await expect(page.getByLabel("Text")).toHaveValue(secret);
  await page.getByLabel("Text").fill(`${secret}, and more`);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Version 2")).toBeVisible();
  await watched.looksRight(page, "data");

  await page.getByRole("button", { name: "Versions of diary.md" }).click();
  const versions = page.getByRole("dialog", { name: "Versions of diary.md" });
  const [earlier] = await Promise.all([
    page.waitForEvent("download"),
    versions.getByRole("button", { name: "Download version 1" }).click(),
  ]);
  expect(readFileSync(await earlier.path(), "utf8")).toBe(secret);
  await versions.getByRole("button", { name: "Put back version 1" }).click();
  await expect(versions.getByText("again what it was in version 1")).toBeVisible();
  await expect(versions.getByText("Version 3")).toBeVisible();
  await versions.getByLabel("Earlier versions kept").fill("3");
  await versions.getByRole("button", { name: "Save" }).click();
  await expect(versions.getByText("3 earlier versions are kept")).toBeVisible();
  await watched.looksRight(page, "data-versions");
  await versions.getByRole("button", { name: "Done" }).click();
  await page.getByRole("button", { name: "Open diary.md" }).click();
  await expect(page.getByLabel("Text")).toHaveValue(secret);
  await page.getByRole("button", { name: "Cancel" }).click();

  await page.getByRole("button", { name: "Remove small.bin" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
  await expect(page.getByText("small.bin", { exact: true })).toBeHidden();
  await page.getByRole("button", { name: "Sign out" }).click();
  await watched.nothingLeft(page);
});

test("collections are kept apart, and another account sees nothing of them", async ({ page, watched, context }) => {
  const ada = new Person(page, watched);
  await ada.signUp();
  await ada.goTo("Data");
  await page.getByRole("button", { name: "New collection" }).click();
  await page.getByLabel("Name").fill("House papers");
  await page.getByRole("button", { name: "Make it" }).click();
  await expect(page.getByRole("heading", { name: "House papers" })).toBeVisible();
  await page.locator("input[type=file]").setInputFiles({ name: "deed.txt", mimeType: "text/plain", buffer: Buffer.from("mine") });
  await expect(page.getByRole("button", { name: "Open deed.txt" })).toBeVisible();
  const address = new URL(page.url()).hash;
  await page.getByRole("link", { name: "Files", exact: true }).click();
  await expect(page.getByText("Nothing here yet.")).toBeVisible();

  const other = await context.browser()!.newContext();
  const there = await other.newPage();
  const bob = new Person(there, watched, "bob");
  await bob.signUp();
  await there.goto(`${watched.server.url}/${address}`);
  await expect(there.getByText("There is no such thing, or it is not yours.")).toBeVisible();
  await other.close();
});
