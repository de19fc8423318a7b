// SPDX-License-Identifier: Apache-2.0 OR MIT
// Who is there, and whether their keys are. The keys themselves are in the worker.

import { Failure, type CameIn, type Who } from "@bailiwick/sdk";

import { api } from "./api";
import { bailiwick } from "./bailiwick";

/**
 * - `starting`: not known yet.
 * - `out`: nobody is signed in.
 * - `locked`: a session lives, its keys are not here: after a reload, after idling, after another provider let somebody in.
 * - `closed`: the same, and whoever is there goes on without keys: with what a tenant lets the server read.
 * - `open`: all of it is here.
 * - `expired`: the keys are here, the session is over: what was typed stays until somebody signs in again.
 */
export type State = "starting" | "out" | "locked" | "closed" | "open" | "expired";

/** By which provider somebody came in. */
export interface Came {
  /** What the provider is called. */
  name: string;
  tenant: string | null;
  confined: boolean;
}

/** Minutes without a touch after which the keys are wiped. */
export const IDLE_MINUTES = 15;

/** Says that a session may live, so that nobody asks for one that cannot. */
const MAY_LIVE = "bailiwick.session";

/** Keeps for this tab by which provider somebody came in. */
const CAME = "bailiwick.came";

class Session {
  state = $state<State>("starting");
  who = $state<Who | undefined>();
  /** The account's number, also while its keys are not here. */
  number = $state("");
  /** The account, also while its keys are not here. */
  account = $state("");
  /** By which provider somebody came in, until they unlock. */
  came = $state<Came | undefined>();
  /** Whether the account is one of the platform's own people. */
  isOperator = $state(false);
  /** Why it is locked, for the page to say. */
  idled = $state(false);
  /** Resolves a question for a fresh proof. */
  proof = $state<{ settle: (given: boolean) => void } | undefined>();
  /** The session that lives; empty where none is known to. */
  #id = "";
  #lastTouch = Date.now();

  /** Finds out who is there when the page is loaded. */
  async start(): Promise<void> {
    setInterval(() => this.#lockWhenIdle(), 5_000);
    for (const touch of ["pointerdown", "keydown", "wheel"]) {
      addEventListener(touch, () => (this.#lastTouch = Date.now()), { passive: true, capture: true });
    }
    if (localStorage.getItem(MAY_LIVE) === null) {
      this.state = "out";
      return;
    }
    try {
      const { number, id, session } = await api.get("/api/v1/account");
      this.number = number;
      this.account = id;
      this.#id = session;
      const came = sessionStorage.getItem(CAME);
      this.came = came === null ? undefined : (JSON.parse(came) as Came);
      this.state = "locked";
    } catch (thrown) {
      if (Failure.of(thrown).kind === "unreachable") throw thrown;
      this.#over();
    }
  }

  /** Somebody came in by another provider, which opens nothing. */
  async cameIn({ number, account, session, tenant, confined }: CameIn, name: string): Promise<void> {
    await this.begun(session);
    this.came = { name, tenant, confined };
    sessionStorage.setItem(CAME, JSON.stringify(this.came));
    this.number = number;
    this.account = account;
    this.idled = false;
    this.state = "locked";
  }

  /** Goes on without keys. */
  goOn(): void {
    this.state = "closed";
  }

  /** A session lives, whatever it opens. One that was left locked for another ends: whoever is there has one. */
  async begun(id: string): Promise<void> {
    localStorage.setItem(MAY_LIVE, "yes");
    const before = this.#id;
    this.#id = id;
    if (before === "" || before === id) return;
    // One that is over, or somebody else's, is not there to be ended.
    await api.delete("/api/v1/sessions/{session}", { path: { session: before } }).catch(() => undefined);
  }

  /** Somebody signed in, or unlocked. */
  async entered(who: Who): Promise<void> {
    await this.begun(who.session);
    sessionStorage.removeItem(CAME);
    this.came = undefined;
    this.who = who;
    this.number = who.number;
    this.account = who.account;
    this.idled = false;
    this.state = "open";
    this.#lastTouch = Date.now();
    api.get("/api/v1/account").then(
      ({ platform_roles }) => (this.isOperator = platform_roles.length > 0),
      // Then there is no link to that page; the pages that need an answer say why there is none.
      () => undefined,
    );
  }

  lock(): void {
    bailiwick.lock();
    this.#giveUpProof();
    this.who = undefined;
    this.state = "locked";
  }

  async signOut(): Promise<void> {
    try {
      if (this.state === "open") await bailiwick.signOut();
      else await api.post("/api/v1/signout");
    } catch (thrown) {
      const failure = Failure.of(thrown);
      // A session that is over is signed out; one that cannot be reached lives on, and its keys are gone from here.
      if (failure.kind === "unreachable") {
        this.lock();
        throw failure;
      }
    }
    this.ended();
  }

  /** Nobody is here any more, and nothing says where they were. */
  ended(): void {
    bailiwick.lock();
    this.#over();
    location.hash = "#/";
  }

  /**
   * Does what needs the account, and asks for a fresh proof when the server wants one. A session that turned out to be over leaves
   * the page as it is, under a question to sign in again.
   */
  async act<T>(what: () => Promise<T>, needsProof = false): Promise<T> {
    if (needsProof && this.who && this.who.fresh_until < Date.now() + 20_000) await this.#prove();
    try {
      return await what();
    } catch (thrown) {
      const failure = Failure.of(thrown);
      if (failure.code === "step_up_required") {
        await this.#prove();
        return await what();
      }
      if (failure.code === "session_ended" || failure.code === "not_signed_in") {
        // Without keys there is nothing to go on with.
        if (this.state === "locked" || this.state === "closed") this.#over();
        else this.#expired();
      }
      throw failure;
    }
  }

  /** A fresh proof was given. */
  async proved(): Promise<void> {
    const account = await api.get("/api/v1/account");
    if (this.who && account.fresh_until) this.who.fresh_until = account.fresh_until;
    this.proof?.settle(true);
    this.proof = undefined;
  }

  /** Nobody gives a proof. */
  unproved(): void {
    this.#giveUpProof();
  }

  async #prove(): Promise<void> {
    this.#giveUpProof();
    const given = await new Promise<boolean>((settle) => (this.proof = { settle }));
    if (!given) throw new Failure({ kind: "failed", code: "not_proved", message: "" });
  }

  #giveUpProof(): void {
    this.proof?.settle(false);
    this.proof = undefined;
  }

  #lockWhenIdle(): void {
    const idle = Date.now() - this.#lastTouch;
    if (this.state === "open" && idle > IDLE_MINUTES * 60_000) {
      this.lock();
      this.idled = true;
    }
  }

  #expired(): void {
    this.#id = "";
    this.state = "expired";
  }

  #over(): void {
    localStorage.removeItem(MAY_LIVE);
    sessionStorage.removeItem(CAME);
    this.#giveUpProof();
    this.who = undefined;
    this.came = undefined;
    this.number = "";
    this.account = "";
    this.#id = "";
    this.isOperator = false;
    this.state = "out";
  }
}

export const session = new Session();
