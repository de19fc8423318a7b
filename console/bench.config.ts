import base from "./playwright.config";

/** What the console is measured by (`make bench`): one at a time, on a machine that does nothing else. */
export default { ...base, testDir: "bench", testMatch: "*.bench.ts", timeout: 1_800_000, workers: 1, fullyParallel: false };
