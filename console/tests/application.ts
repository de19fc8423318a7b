// SPDX-License-Identifier: Apache-2.0 OR MIT
// An application that people sign in to: what a client library does, by hand.

import { createHash, randomBytes } from "node:crypto";
import { createServer, type Server as Listener } from "node:http";
import type { AddressInfo } from "node:net";

export class Application {
  readonly #listener: Listener;
  /** The answers that browsers brought. */
  readonly answers: URLSearchParams[] = [];
  clientId = "";
  secret = "";
  #verifier = "";

  private constructor(listener: Listener) {
    this.#listener = listener;
  }

  static async start(): Promise<Application> {
    const listener = createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://127.0.0.1");
      if (url.pathname !== "/callback") {
        response.writeHead(204).end();
        return;
      }
      application.answers.push(url.searchParams);
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Shop</title><h1>Back at the shop</h1>");
    });
    const application = new Application(listener);
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    return application;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  get callback(): string {
    return `${this.origin}/callback`;
  }

  /** Where it sends the browser. */
  link(server: string, scope: string, more: Record<string, string> = {}): string {
    this.#verifier = randomBytes(32).toString("base64url");
    const query = new URLSearchParams({
      client_id: this.clientId,
      redirect_uri: this.callback,
      response_type: "code",
      scope,
      state: randomBytes(8).toString("hex"),
      code_challenge: createHash("sha256").update(this.#verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...more,
    });
    return `${server}/oauth/authorize?${query.toString()}`;
  }

  /** Gives the newest code for tokens. */
  async tokens(server: string): Promise<Tokens> {
    const code = this.answers[this.answers.length - 1]?.get("code") ?? "";
    return this.#token(server, { grant_type: "authorization_code", code, redirect_uri: this.callback, code_verifier: this.#verifier });
  }

  /** Begins to ask for a code to be typed elsewhere. */
  async device(server: string, scope: string): Promise<{ device_code: string; user_code: string; verification_uri_complete: string }> {
    const body = new URLSearchParams({ client_id: this.clientId, scope });
    const asked = await fetch(`${server}/oauth/device_authorization`, { method: "POST", body });
    return (await asked.json()) as { device_code: string; user_code: string; verification_uri_complete: string };
  }

  deviceTokens(server: string, device_code: string): Promise<Tokens> {
    return this.#token(server, { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code });
  }

  async #token(server: string, form: Record<string, string>): Promise<Tokens> {
    const headers: Record<string, string> = {};
    const body = new URLSearchParams(form);
    if (this.secret) headers["authorization"] = `Basic ${Buffer.from(`${this.clientId}:${this.secret}`).toString("base64")}`;
    else body.set("client_id", this.clientId);
    const answer = await fetch(`${server}/oauth/token`, { method: "POST", headers, body });
    return (await answer.json()) as Tokens;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#listener.close(resolve));
  }
}

export interface Tokens {
  access_token?: string;
  error?: string;
}

/** What the server says of who the token is for: the status. */
export async function userinfo(server: string, { access_token }: Tokens): Promise<number> {
  const headers = { authorization: `Bearer ${access_token ?? ""}` };
  return (await fetch(`${server}/oauth/userinfo`, { headers })).status;
}
