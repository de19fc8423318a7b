// SPDX-License-Identifier: Apache-2.0 OR MIT
// A tenant whose people come in by a provider.

import type { Page } from "@playwright/test";

import { expect, type Watched } from "./fixtures";
import { Person } from "./person";
import { Upstream, type Somebody } from "./upstream";

/** Those whom the provider knows. */
export const people: Record<string, Somebody> = {
  ada: { email: "ada@acme.example", email_verified: true, name: "Ada", groups: ["it", "all"] },
  bob: { email: "bob@elsewhere.example", email_verified: true, name: "Bob", groups: ["it"] },
};

let houses = 0;

export class House {
  private constructor(
    readonly owner: Person,
    readonly tenant: string,
    readonly domain: string,
    readonly upstream: Upstream,
  ) {}

  /** Founds the tenant, proves its domain and sets its provider up, as its owner's page would. */
  static async founded(page: Page, watched: Watched): Promise<House> {
    const owner = new Person(page, watched, "olga");
    await owner.signUp();
    const tenant = await owner.found("Acme");
    // A domain is one tenant's.
    houses += 1;
    const domain = `acme-${process.pid}-${houses}.example`;
    const known = { ...people, ada: { ...people["ada"]!, email: `ada@${domain}` } };
    const upstream = await Upstream.prepared(known);
    watched.origins.push(upstream.issuer);
    watched.secrets.push(upstream.secret);
    const path = `/api/v1/tenants/${tenant}`;
    const { record, proof } = await post(page, `${path}/domains`, { name: domain });
    watched.server.zone.write(record ?? "", proof ?? "");
    await post(page, `${path}/domains/${domain}/verify`);
    const whole = tenant.replace("ten_", "org_");
    const { callback } = await post(page, `${path}/providers`, {
      name: "Acme ID",
      issuer: upstream.issuer,
      client_id: "bailiwick",
      client_secret: upstream.secret,
      scopes: ["email", "profile", "groups"],
      groups_claim: "groups",
      joins: true,
      gives: [{ role: "viewer", place: whole }],
    });
    await upstream.start(callback ?? "");
    return new House(owner, tenant, domain, upstream);
  }

  /** Members come in by the provider only. */
  async requires(): Promise<void> {
    await ask(this.owner.page, "PUT", `/api/v1/tenants/${this.tenant}/provider-requirement`, { required: true });
  }

  /** Goes to the provider from the page before one is in, as somebody whom it knows. */
  async comes(page: Page, who: string, typed = `${who}@${this.domain}`): Promise<void> {
    await this.upstream.is(page, who);
    await page.getByRole("button", { name: "Sign in through your organisation" }).click();
    await page.getByLabel("Your address at work").fill(typed);
    await page.getByRole("button", { name: "Continue" }).click();
  }
}

const post = (page: Page, path: string, body?: unknown) => ask(page, "POST", path, body);

/** What a page of somebody who has just proved who they are asks for. */
async function ask(page: Page, method: string, path: string, body?: unknown): Promise<Record<string, string>> {
  const answered = await page.evaluate(
    async ([method, path, body]) => {
      const headers = { "content-type": "application/json", "bailiwick-session": "cookie" };
      const answer = await fetch(path as string, { method: method as string, headers, ...(body !== undefined && { body: body as string }) });
      return { status: answer.status, text: await answer.text() };
    },
    [method, path, body === undefined ? undefined : JSON.stringify(body)],
  );
  expect(answered.status, answered.text).toBeLessThan(300);
  return JSON.parse(answered.text || "{}") as Record<string, string>;
}
