// SPDX-License-Identifier: Apache-2.0 OR MIT

/**
 * What kind of failure it is, and so what a page does about it:
 *
 * - `refused`: the server said no; `code` says why.
 * - `unreachable`: there is no connection.
 * - `typing`: what was typed is not what it should be; `field` says where, if it is known.
 * - `alarm`: somebody tampered with something. Say so loudly, and go no further.
 * - `locked`: the account's keys are not here; unlock it.
 * - `failed`: something else.
 */
export type FailureKind = "refused" | "unreachable" | "typing" | "alarm" | "locked" | "failed";

/** What the worker says of a failure. */
export interface FailureParts {
  kind: FailureKind;
  code: string;
  message: string;
  field?: string;
  action?: string;
  retry_after?: number;
  request?: string;
}

/** Why a call was not carried out. */
export class Failure extends Error {
  readonly kind: FailureKind;
  /** What a program decides by: the server's code, or one of this side's. */
  readonly code: string;
  /** The field at fault. */
  readonly field: string | undefined;
  /** The action that is missing. */
  readonly action: string | undefined;
  /** Seconds to wait. */
  readonly retryAfter: number | undefined;
  /** The request's id, to be named to the operators. */
  readonly request: string | undefined;

  constructor(parts: FailureParts) {
    super(parts.message);
    this.name = "Failure";
    this.kind = parts.kind;
    this.code = parts.code;
    this.field = parts.field;
    this.action = parts.action;
    this.retryAfter = parts.retry_after;
    this.request = parts.request;
  }

  /** Whatever was thrown, as a failure. */
  static of(thrown: unknown): Failure {
    if (thrown instanceof Failure) return thrown;
    if (isParts(thrown)) return new Failure(thrown);
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new Failure({ kind: "failed", code: "unexpected", message });
  }
}

function isParts(thrown: unknown): thrown is FailureParts {
  return typeof thrown === "object" && thrown !== null && "kind" in thrown && "code" in thrown && "message" in thrown;
}
