// SPDX-License-Identifier: Apache-2.0 OR MIT
// Figures of the console, in a real browser against the release build. Each is a line of JSON in BAILIWICK_CONSOLE_FIGURES,
// which `tests/benches/figures/console.rs` prints beside what it is compared with.

import { appendFileSync } from "node:fs";

import { expect, test, type Page, type Response } from "@playwright/test";

import { Watched } from "../tests/fixtures";
import { Person } from "../tests/person";
import { Server } from "../tests/server";

const QUICK = (process.env["BENCH_QUICK"] ?? "0") !== "0";
const ITEMS = QUICK ? 500 : 10_000;
const RECORDS = QUICK ? 2_000 : 100_000;

function figure(name: string, value: number): void {
  const file = process.env["BAILIWICK_CONSOLE_FIGURES"];
  const line = JSON.stringify({ name, value });
  if (file) appendFileSync(file, `${line}\n`);
  else console.log(line);
}

/** Notes the times in which the page stood still, from its first moment on. */
async function watchForStandstill(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const noted: { start: number; length: number }[] = [];
    Object.assign(globalThis, { standstills: noted });
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) noted.push({ start: startTime, length: duration });
    }).observe({ type: "longtask", buffered: true });
  });
}

/** The longest of them since a moment, in milliseconds. */
const longestStandstill = (page: Page, since = 0) =>
  page.evaluate((since) => {
    const { standstills } = globalThis as unknown as { standstills: { start: number; length: number }[] };
    return Math.max(0, ...standstills.filter(({ start }) => start >= since).map(({ length }) => length));
  }, since);

const now = (page: Page) => page.evaluate(() => performance.now());

/** Scrolls to the end and back, as a wheel does; how long frames took, in milliseconds. */
async function scrolled(page: Page, screens: number): Promise<{ median: number; slow: number; longest: number }> {
  await page.evaluate(() => {
    const frames: number[] = [];
    let last = performance.now();
    const frame = (at: number) => {
      frames.push(at - last);
      last = at;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    Object.assign(globalThis, { frames });
  });
  await page.mouse.move(640, 500);
  for (let screen = 0; screen < screens; screen += 1) {
    await page.mouse.wheel(0, 700);
    await page.waitForTimeout(30);
  }
  return page.evaluate(() => {
    const { frames } = globalThis as unknown as { frames: number[] };
    const sorted = [...frames].sort((one, other) => one - other);
    const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return { median: at(0.5), slow: at(0.95), longest: at(1) };
  });
}

test("figures of the console", async ({ browser }) => {
  const server = await Server.start({
    BAILIWICK_REQUESTS_PER_SECOND: "1000000",
    BAILIWICK_REQUEST_BURST: "1000000",
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const watched = new Watched(context, server);
  const page = await context.newPage();
  await watchForStandstill(page);

  // The first visit, with nothing kept.
  const loaded = new Map<string, number>();
  const measure = (response: Response) => {
    void response
      .request()
      .sizes()
      .then(({ responseBodySize, responseHeadersSize }) => loaded.set(response.url(), responseBodySize + responseHeadersSize))
      .catch(() => undefined);
  };
  page.on("response", measure);
  await page.goto(server.url);
  await page.getByLabel("Email address").focus();
  const interactive = await page.evaluate(() => {
    const { standstills } = globalThis as unknown as { standstills: { start: number; length: number }[] };
    const painted = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? performance.now();
    return Math.max(painted, ...standstills.map(({ start, length }) => start + length));
  });
  figure("interactive_ms", interactive);
  const ada = new Person(page, watched);
  await page.waitForLoadState("networkidle");
  const sizes = [...loaded].filter(([url]) => new URL(url).pathname === "/" || /^\/(assets|favicon)/.test(new URL(url).pathname));
  const sum = (which: (url: string) => boolean) => sizes.filter(([url]) => which(url)).reduce((all, [, size]) => all + size, 0);
  const isCore = (url: string) => url.endsWith(".wasm");

  await ada.signUp();
  figure("first_load_bytes", sum((url) => !isCore(url)));
  const core = [...loaded].filter(([url]) => isCore(url)).map(([, size]) => size);
  figure("core_bytes", Math.max(0, ...core));
  // Asking for the size of every answer takes longer than the answers.
  page.off("response", measure);

  // The slow hash, and what the page does meanwhile.
  const hashed: number[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Email address").fill(ada.email);
    await page.getByLabel("Password", { exact: true }).fill(ada.password);
    const begun = await now(page);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText(`Signing in as ${ada.email}`).waitFor();
    hashed.push((await now(page)) - begun);
    figure("standstill_hash_ms", await longestStandstill(page, begun));
    await page.getByLabel("Code of your authenticator app").fill(await ada.code());
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await ada.arrived();
  }
  figure("hash_ms", hashed.sort((one, other) => one - other)[1] ?? 0);

  // Files, stored by the page itself: a folder that somebody drops.
  await ada.goTo("Data");
  const chooser = page.locator("input[type=file]");
  const begun = Date.now();
  const files = Array.from({ length: ITEMS }, (_, at) => ({
    name: `letter ${String(at).padStart(5, "0")}.txt`,
    mimeType: "text/plain",
    buffer: Buffer.from(`letter ${at}`),
  }));
  await chooser.setInputFiles(files);
  await expect(page.getByLabel("Uploads and downloads")).toBeVisible();
  await expect(page.getByLabel("Uploads and downloads")).toBeHidden({ timeout: 1_500_000 });
  figure("files_per_second", ITEMS / ((Date.now() - begun) / 1_000));
  await ada.goTo("Overview");
  let since = await now(page);
  await ada.goTo("Data");
  await expect(page.getByText("letter 00000.txt")).toBeVisible({ timeout: 60_000 });
  figure("list_ms", (await now(page)) - since);
  figure("standstill_list_ms", await longestStandstill(page, since));
  since = await now(page);
  let frames = await scrolled(page, 200);
  figure("scroll_items_median_ms", frames.median);
  figure("scroll_items_slow_ms", frames.slow);
  figure("standstill_scroll_items_ms", await longestStandstill(page, since));

  // Records: changes of a collection that no page shows.
  const token = (await context.cookies()).find(({ name }) => name === "bailiwick")?.value ?? "";
  await write(server.url, token, RECORDS - ITEMS);
  await ada.goTo("History");
  const verifying = await now(page);
  await expect(page.getByText(/Verified: all/)).toBeVisible({ timeout: 1_200_000 });
  figure("verify_ms_per_1000", ((await now(page)) - verifying) / (RECORDS / 1_000));
  figure("standstill_verify_ms", await longestStandstill(page, verifying));
  since = await now(page);
  frames = await scrolled(page, 200);
  figure("scroll_records_median_ms", frames.median);
  figure("scroll_records_slow_ms", frames.slow);
  figure("standstill_scroll_records_ms", await longestStandstill(page, since));

  await context.close();
  await server.stop();
});

/** Writes items past the page, so that there are records. */
async function write(url: string, token: string, count: number): Promise<void> {
  const hex = () => crypto.randomUUID().replaceAll("-", "");
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const id = `col_${hex()}`;
  const made = await fetch(`${url}/api/v1/collections`, {
    method: "POST",
    headers,
    body: JSON.stringify({ id, kind: "bench", sealed_key: "a2V5", sealed_meta: "" }),
  });
  expect(made.status).toBe(201);
  let left = count;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const put = await fetch(`${url}/api/v1/collections/${id}/items/itm_${hex()}`, {
        method: "PUT",
        headers: { ...headers, "if-none-match": "*" },
        body: JSON.stringify({ sealed: "c2VhbGVk" }),
      });
      // An `expect` is a step that the runner keeps, and takes longer than the request.
      if (put.status !== 200) throw new Error(`an item was answered with ${put.status}`);
      await put.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}
