// SPDX-License-Identifier: Apache-2.0 OR MIT
// Other identity providers: a tenant's own, or those that the platform offers to everybody.

import { api, type Schemas } from "./api";

export interface ProvidersOf {
  /** Whose they are; the platform's, if it is nobody's. */
  tenant: string | undefined;
  list(): Promise<Schemas["Providers"]>;
  create(body: Schemas["NewProvider"]): Promise<Schemas["Provider"]>;
  change(provider: string, body: Schemas["ProviderChange"]): Promise<Schemas["Provider"]>;
  remove(provider: string): Promise<unknown>;
}

export function providersOf(tenant: string | undefined): ProvidersOf {
  if (tenant === undefined) {
    return {
      tenant,
      list: () => api.get("/api/v1/platform/providers"),
      create: (body) => api.post("/api/v1/platform/providers", { body }),
      change: (provider, body) => api.patch("/api/v1/platform/providers/{provider}", { path: { provider }, body }),
      remove: (provider) => api.delete("/api/v1/platform/providers/{provider}", { path: { provider } }),
    };
  }
  return {
    tenant,
    list: () => api.get("/api/v1/tenants/{tenant}/providers", { path: { tenant } }),
    create: (body) => api.post("/api/v1/tenants/{tenant}/providers", { path: { tenant }, body }),
    change: (provider, body) => api.patch("/api/v1/tenants/{tenant}/providers/{provider}", { path: { tenant, provider }, body }),
    remove: (provider) => api.delete("/api/v1/tenants/{tenant}/providers/{provider}", { path: { tenant, provider } }),
  };
}
