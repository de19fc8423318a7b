// SPDX-License-Identifier: Apache-2.0 OR MIT
// What ids of a tenant are called, as far as whoever looks may see that. What has no name is called by its id.

import { api, type Schemas } from "../../lib/api";
import { m } from "../../lib/messages";
import { session } from "../../lib/session.svelte";
import { all } from "./all";

export interface Named {
  id: string;
  name: string;
}

export class Names {
  members = $state.raw<Named[]>([]);
  serviceAccounts = $state.raw<Named[]>([]);
  organisations = $state.raw<Schemas["Organisation"][]>([]);
  devices = $state.raw<Named[]>([]);
  roles = $state.raw<Schemas["Role"][]>([]);
  #teams = $state.raw<Named[]>([]);

  /** The id of the tenant as a whole, where something is held or lies that is in no organisation of it. */
  readonly root: string;
  readonly #called = $derived.by(() => {
    const called = new Map<string, string>();
    for (const { id, name } of [...this.members, ...this.serviceAccounts, ...this.devices, ...this.#teams]) called.set(id, name);
    for (const { id, name, parent } of this.organisations) called.set(id, parent ? name : m.tenants.whole);
    for (const { role, name } of this.roles) called.set(role, name);
    return called;
  });

  constructor(tenant: string) {
    this.root = tenant.replace(/^ten_/, "org_");
    const path = { tenant };
    void seen(async () => (this.organisations = (await api.get("/api/v1/tenants/{tenant}/organisations", { path })).organisations));
    void seen(async () => (this.roles = (await api.get("/api/v1/tenants/{tenant}/roles", { path })).roles));
    void seen(async () => {
      const members = await all((after) => api.get("/api/v1/tenants/{tenant}/members", { path, query: { after } }), (page) => page.members);
      this.members = members.map(({ account, label }) => ({ id: account, name: label }));
    });
    void seen(async () => {
      const found = await all((after) => api.get("/api/v1/tenants/{tenant}/devices", { path, query: { after } }), (page) => page.devices);
      this.devices = found.map(({ id, name }) => ({ id, name }));
    });
    void seen(async () => (this.#teams = (await api.get("/api/v1/tenants/{tenant}/teams", { path })).teams));
    void seen(async () => {
      this.serviceAccounts = (await api.get("/api/v1/tenants/{tenant}/service-accounts", { path })).service_accounts;
    });
  }

  /** How the tenant's people see somebody, also oneself. */
  labelOf(account: string): string {
    return this.#called.get(account) ?? account;
  }

  of(id: string): string {
    if (id === this.root) return m.tenants.whole;
    return id === session.account ? m.tenants.you : (this.#called.get(id) ?? id);
  }
}

/** Whoever may not list something reads ids in its place. */
async function seen(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch {
    // What cannot be read is not named.
  }
}
