// SPDX-License-Identifier: Apache-2.0 OR MIT

import type { Device } from "./types.js";

interface Brands {
  brands?: { brand: string }[];
  platform?: string;
}

/** How this browser names itself: what its owner recognises in a list, and no more. */
export function thisBrowser(): Device {
  const hints = (navigator as { userAgentData?: Brands }).userAgentData;
  const agent = navigator.userAgent;
  const brand = hints?.brands?.map(({ brand }) => brand).find((brand) => !/not|chromium/i.test(brand));
  const browser = brand ?? KNOWN.find(([mark]) => agent.includes(mark))?.[1] ?? "A browser";
  const platform = hints?.platform || SYSTEMS.find(([mark]) => agent.includes(mark))?.[1] || "unknown";
  return { name: `${browser} on ${platform}`.slice(0, 64), platform: platform.slice(0, 64) };
}

/** The more special name first: Edge says that it is Chrome, and Chrome that it is Safari. */
const KNOWN = [
  ["Firefox/", "Firefox"],
  ["Edg/", "Edge"],
  ["Chrome/", "Chrome"],
  ["Safari/", "Safari"],
] as const;

const SYSTEMS = [
  ["Android", "Android"],
  ["iPhone", "iOS"],
  ["iPad", "iPadOS"],
  ["Windows", "Windows"],
  ["Mac OS", "macOS"],
  ["Linux", "Linux"],
] as const;
