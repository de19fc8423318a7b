// SPDX-License-Identifier: Apache-2.0 OR MIT
// The way to another identity provider and back. The page is left for it. What makes the answer worth anything is kept by this tab
// alone meanwhile, and taken out once.

import { Failure, type Away, type Through } from "@bailiwick/sdk";

import { bailiwick } from "./bailiwick";
import { m } from "./messages";
import { place, type Brought } from "./place.svelte";

export interface Left {
  purpose: "sign-in" | "link";
  away: Away;
  /** What the page was about before. */
  brought: Brought;
}

const LEFT = "bailiwick.left";

/** Leaves for a provider. */
export async function leaveFor(purpose: Left["purpose"], through: Through): Promise<void> {
  const { url, away } = await bailiwick.call(purpose === "link" ? "providerLinkStart" : "providerStart", through);
  const { authorize, device } = place.brought;
  const brought = { ...(authorize !== undefined && { authorize }), ...(device !== undefined && { device }) };
  sessionStorage.setItem(LEFT, JSON.stringify({ purpose, away, brought } satisfies Left));
  location.assign(url);
}

/** What was left from here with this state. An answer to something else is nobody's. */
export function backFrom(state: string): Left | undefined {
  const kept = sessionStorage.getItem(LEFT);
  sessionStorage.removeItem(LEFT);
  const left = kept === null ? undefined : (JSON.parse(kept) as Left);
  return left?.away.state === state ? left : undefined;
}

/** What somebody types to name a provider: an address or its domain, or a tenant, with one of its providers where it has several. */
export function named(typed: string): Through {
  const text = typed.trim();
  const [tenant = "", provider] = text.split("/");
  if (/^ten_[0-9a-f]{32}$/.test(tenant)) return { tenant, ...(provider && { provider }) };
  const domain = text.slice(text.lastIndexOf("@") + 1).toLowerCase();
  if (/^[^\s/@]+\.[^\s/@]+$/.test(domain)) return { domain };
  throw new Failure({ kind: "typing", code: "provider", message: m.provider.cannotBe, field: "provider" });
}
