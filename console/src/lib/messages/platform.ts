// SPDX-License-Identifier: Apache-2.0 OR MIT
// The platform's page.

export const platform = {
  title: "Platform",
  text: "For those who run this server. Of what is in a tenant you see nothing.",
  health: "Health",
  live: "Running",
  ready: "Takes requests",
  version: "Version",
  log: "Log",
  states: { ok: "Yes" } as Record<string, string>,
  lookAgain: "Look again",
  tenantsText: "That they are there, and nothing of what is in them.",
  noTenants: "No tenants yet.",
  more: "Show more",
  suspendOf: (id: string) => `Suspend ${id}`,
  resumeOf: (id: string) => `Resume ${id}`,
  suspendTenantText: "Nobody gets into the tenant until the suspension ends. Its people read the reason in their history.",
  suspendAccountText: "The account gets in nowhere until the suspension ends.",
  account: "An account",
  accountText: "Whether an account is suspended. Its owner names the id; who they are is not known here.",
  accountId: "Account id",
  look: "Look up",
  suspendedSince: (when: string) => `Suspended since ${when}`,
  inGoodStanding: "In good standing",
};
