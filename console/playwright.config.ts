import { defineConfig } from "@playwright/test";

/** The browser: Debian's, unless one is named. */
const executablePath = process.env["BAILIWICK_CHROMIUM"] ?? "/usr/bin/chromium-headless-shell";

export default defineConfig({
  testDir: "tests",
  testMatch: "*.spec.ts",
  outputDir: "test-results",
  // A slow hash takes seconds on a machine that does other things as well.
  timeout: 120_000,
  expect: { timeout: 20_000 },
  workers: Number(process.env["BAILIWICK_CONSOLE_WORKERS"] ?? 2),
  fullyParallel: true,
  forbidOnly: process.env["CI"] === "true",
  // A test that passes the second time is told as flaky: a browser on a machine with few cores may be late once.
  retries: process.env["CI"] === "true" ? 1 : 0,
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    launchOptions: { executablePath, args: ["--no-sandbox"] },
    screenshot: "only-on-failure",
    trace: "off",
  },
});
