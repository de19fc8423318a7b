// SPDX-License-Identifier: Apache-2.0 OR MIT
// What an authenticator app does (RFC 6238).

import { createHmac } from "node:crypto";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const STEP = 30_000;

/** Codes of one secret, none of them twice: the server takes each once. */
export class App {
  readonly #key: Buffer;
  #lastStep = 0;

  constructor(secret: string) {
    let bits = "";
    for (const letter of secret.replace(/[\s=]/g, "")) bits += ALPHABET.indexOf(letter).toString(2).padStart(5, "0");
    this.#key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  }

  /** The next code that was not shown yet: of this step or the next one, which the server takes too; else it waits. */
  async next(): Promise<string> {
    const now = Math.floor(Date.now() / STEP);
    const step = Math.max(now, this.#lastStep + 1);
    if (step > now + 1) await new Promise((resolve) => setTimeout(resolve, (step - 1) * STEP - Date.now() + 50));
    this.#lastStep = step;
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const hash = createHmac("sha1", this.#key).update(counter).digest();
    const at = (hash[hash.length - 1] ?? 0) & 15;
    return String((hash.readUInt32BE(at) & 0x7fff_ffff) % 1_000_000).padStart(6, "0");
  }
}
