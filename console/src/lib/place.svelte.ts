// SPDX-License-Identifier: Apache-2.0 OR MIT
// Which page is shown. It stands behind the #, where the server does not see it.

/** What a link brought along that is to be dealt with once somebody is signed in. */
export interface Brought {
  pair?: string;
  invite?: string;
  /** What an application asks for. */
  authorize?: string;
  /** What an application asks for where nobody is to be asked. */
  silent?: string;
  /** The code that a device shows; empty where it is yet to be typed. */
  device?: string;
  /** What another identity provider answered. */
  provider?: ProviderReturn;
}

/** What a browser brought back from a provider: the code, or the name of an error. */
export interface ProviderReturn {
  state: string;
  code?: string;
  error?: string;
  issuer?: string;
}

class Place {
  /** The page's name and what follows it: `["data", "col_…"]`. */
  parts = $state<string[]>([]);
  brought = $state<Brought>({});

  constructor() {
    this.#read();
    addEventListener("hashchange", () => this.#read());
  }

  get page(): string {
    return this.parts[0] ?? "";
  }

  /** Leaves what a link brought, for what the page was about before, if it was. */
  dealtWith(before: Brought = {}): void {
    this.brought = before;
    this.#read();
  }

  #read(): void {
    const hash = location.hash;
    const brought = read(hash);
    if (brought) {
      this.brought = brought;
      // Who looks over a shoulder, or into the history of the browser, finds nothing to use.
      history.replaceState(null, "", "#/");
      this.parts = [];
      return;
    }
    this.parts = hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
    scrollTo(0, 0);
  }
}

export const place = new Place();

function read(hash: string): Brought | undefined {
  if (hash.startsWith("#provider?")) {
    const answer = new URLSearchParams(hash.slice("#provider?".length));
    const [code, error, issuer] = ["code", "error", "iss"].map((name) => answer.get(name));
    const state = answer.get("state") ?? "";
    return { provider: { state, ...(code && { code }), ...(error && { error }), ...(issuer && { issuer }) } };
  }
  const [, name, value = ""] = /^#(pair|invite|authorize|silent|device)(?:=(.*))?$/.exec(hash) ?? [];
  switch (name) {
    case "pair":
      return { pair: `${location.origin}/${hash}` };
    case "invite":
      return { invite: value };
    case "authorize":
      return { authorize: value };
    case "silent":
      return { silent: value };
    case "device":
      return { device: value };
    default:
      return undefined;
  }
}

/** The address of a page. */
export function to(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}
