// SPDX-License-Identifier: Apache-2.0 OR MIT
// A rough judgement of a password, made here: nothing of it is sent anywhere. It counts what a guesser would have to try, and
// knows the habits that make that less.

export interface Strength {
  /** From 0, which is refused, to 4. */
  score: 0 | 1 | 2 | 3 | 4;
}

const COMMON = /password|passwort|letmein|qwert|azerty|welcome|admin|iloveyou|monkey|dragon|bailiwick|123456|111111|abc123/i;

/** Judges a password; `email` is not to be in it. */
export function strength(password: string, email: string): Strength {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/];
  const sizes = [26, 26, 10, 33];
  const alphabet = sizes.reduce((sum, size, at) => sum + (kinds[at]?.test(password) ? size : 0), 0);
  // Repetitions and runs ("aaaa", "1234") count once.
  const characters = [...password];
  const fresh = characters.filter((character, at) => {
    const before = characters[at - 1]?.codePointAt(0) ?? -9;
    return Math.abs((character.codePointAt(0) ?? 0) - before) > 1;
  }).length;
  let bits = Math.log2(Math.max(alphabet, 1)) * fresh;
  const name = email.split("@")[0] ?? "";
  if (COMMON.test(password) || (name.length > 2 && password.toLowerCase().includes(name.toLowerCase()))) bits /= 2;
  if (characters.length < 10) return { score: 0 };
  if (bits < 45) return { score: 1 };
  if (bits < 60) return { score: 2 };
  if (bits < 80) return { score: 3 };
  return { score: 4 };
}
