// SPDX-License-Identifier: Apache-2.0 OR MIT
// What went wrong, in words that say what to do.

import type { Failure } from "@bailiwick/sdk";

import { count } from "./count";

export const failure = {
  alarm: "Do not go on",
  mayNotSee: (action: string | undefined) => (action ? `You may not see this here (${action}).` : "You may not see this here."),
  gone: "There is no such thing, or it is not yours.",
  request: (id: string) => `For the operators: ${id}`,
  say: (failure: Failure): string => {
    if (failure.code === "too_many_requests") {
      return failure.retryAfter
        ? `Too many tries. Wait ${count(failure.retryAfter, "second")}, then try again.`
        : "Too many tries. Wait a little, then try again.";
    }
    if (failure.code === "forbidden") {
      return failure.action ? `You may not do this here (${failure.action}).` : failure.message;
    }
    const known = failures[failure.code];
    if (known) return known;
    const text = failure.message.charAt(0).toUpperCase() + failure.message.slice(1);
    return failure.field ? `${text} (${failure.field})` : text;
  },
};

const failures: Record<string, string> = {
  unreachable: "There is no connection to the server. What you typed is still here: try again in a moment.",
  internal: "Something went wrong on our side. The operators know; try again in a moment.",
  unavailable: "The service is busy. Try again in a moment.",
  invalid_credentials: "The email address, the password or the code is wrong.",
  session_ended: "Your session has ended. Sign in again.",
  not_signed_in: "Your session has ended. Sign in again.",
  account_exists: "There is an account with this email address already.",
  invalid_code: "The code is wrong or has expired.",
  last_method: "This is the last way to open your data. Add another one first.",
  no_second_factor: "A password needs a second factor. Set up an authenticator app first.",
  passkeys_off: "This server takes no passkeys: it is not reached by a domain that they could be bound to.",
  passkey_not_given: "No passkey was given: it was refused, took too long, or there is none for this service.",
  passkey_cannot_unlock: "This authenticator cannot keep what opens an account. Use another one, or a password.",
  passkey_already_there: "This authenticator already holds a passkey of your account.",
  pairing_over: "This request is over: it expired, was given up, or was used. Start again on the device.",
  pairing_taken: "Somebody else is dealing with this request already.",
  pairing_tries_spent: "The code was wrong three times. This request is dead; start again on the device.",
  pairing_refused: "The device gave up.",
  quota_exceeded: "Your storage is full.",
  storage_full: "The server's disk is full. Nothing was stored; the operators know.",
  invitation_over: "This invitation is over, or it is for somebody else. Ask whoever invited you for another one.",
  last_owner: "A tenant always has an owner. Give somebody else the role first.",
  request_over: "This request is over: it was answered, has expired, or began in another browser. Let the application begin again.",
  conflict: "Somebody changed this meanwhile. Look at it again before you change it.",
  not_found: "There is no such thing, or it is not yours.",
  tenant_suspended: "This tenant is suspended.",
  locked: "Your keys are not in this page. Unlock your account first.",
  not_linked: "No account is linked to that sign-in.",
  provider_refused: "The provider's answer does not hold. Nobody was let in; tell whoever administers it.",
  provider_unavailable: "The provider does not answer. Try again in a moment, or come in another way.",
  provider_required: "This tenant lets its members in through its own provider only. Sign in through it.",
  sign_in_over: "This sign-in is over, or began in another tab. Begin again.",
};
