// SPDX-License-Identifier: Apache-2.0 OR MIT
// Requests that need no keys, typed by the server's OpenAPI document. The browser adds the session's cookie.

import { Failure } from "@bailiwick/sdk";

import type { components, paths } from "../api/schema";

export type Schemas = components["schemas"];

type Verb = "get" | "post" | "put" | "patch" | "delete";
type With<V extends Verb> = { [P in keyof paths]: paths[P][V] extends object ? P : never }[keyof paths];
type Body<O> = O extends { requestBody: { content: { "application/json": infer B } } } ? B : undefined;
type Content<R> = R extends { content: { "application/json": infer C } } ? C : undefined;
type Answer<O> = O extends { responses: infer R }
  ? Content<R[Extract<keyof R, 200 | 201 | 204>]>
  : undefined;
type Place = Record<string, string>;
type Query = Record<string, string | number | boolean | undefined>;

interface Asked<B> {
  /** What stands in braces in the path. */
  path?: Place;
  query?: Query;
  body?: B;
  /** The version that a change follows. */
  after?: number;
}

async function send<V extends Verb, P extends With<V>>(
  verb: V,
  path: P,
  asked: Asked<Body<paths[P][V]>> = {},
): Promise<Answer<paths[P][V]>> {
  const url = new URL(filled(path as string, asked.path), location.origin);
  for (const [name, value] of Object.entries(asked.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const headers: Record<string, string> = { accept: "application/json", "bailiwick-session": "cookie" };
  const init: RequestInit = { method: verb.toUpperCase(), headers, credentials: "same-origin", cache: "no-store" };
  if (asked.body !== undefined) {
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(asked.body);
  }
  if (asked.after !== undefined) headers["if-match"] = `"${asked.after}"`;
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch {
    throw new Failure({ kind: "unreachable", code: "unreachable", message: "there is no connection to the server" });
  }
  const text = await response.text();
  if (!response.ok) throw refused(response.status, text);
  return (text === "" ? undefined : JSON.parse(text)) as Answer<paths[P][V]>;
}

function filled(path: string, place: Place = {}): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(place[name] ?? ""));
}

function refused(status: number, text: string): Failure {
  try {
    const problem = JSON.parse(text) as Schemas["Problem"];
    return new Failure({
      kind: "refused",
      code: problem.code,
      message: problem.detail ?? problem.title,
      ...(problem.field && { field: problem.field }),
      ...(problem.action && { action: problem.action }),
      ...(problem.retry_after && { retry_after: problem.retry_after }),
      ...(problem.request && { request: problem.request }),
    });
  } catch {
    return new Failure({ kind: "failed", code: "unexpected", message: `the server answered with status ${status}` });
  }
}

export const api = {
  get: <P extends With<"get">>(path: P, asked?: Asked<undefined>) => send("get", path, asked as never),
  post: <P extends With<"post">>(path: P, asked?: Asked<Body<paths[P]["post"]>>) => send("post", path, asked),
  put: <P extends With<"put">>(path: P, asked?: Asked<Body<paths[P]["put"]>>) => send("put", path, asked),
  patch: <P extends With<"patch">>(path: P, asked?: Asked<Body<paths[P]["patch"]>>) => send("patch", path, asked),
  delete: <P extends With<"delete">>(path: P, asked?: Asked<Body<paths[P]["delete"]>>) => send("delete", path, asked),
};
