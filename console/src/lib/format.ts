// SPDX-License-Identifier: Apache-2.0 OR MIT
// Times and sizes as people write them.

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const when = (ms: number) => WHEN.format(ms);
export const day = (ms: number) => DAY.format(ms);

/** How long ago, or in how long. */
export function ago(ms: number, now = Date.now()): string {
  const seconds = (ms - now) / 1_000;
  const units = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const;
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return AGO.format(Math.trunc(seconds / length), unit);
  }
  return AGO.format(0, "minute");
}

export function bytes(size: number): string {
  if (size < 1_024) return `${size} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let unit = -1;
  do {
    size /= 1_024;
    unit += 1;
  } while (size >= 1_024 && unit < units.length - 1);
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}
