// SPDX-License-Identifier: Apache-2.0 OR MIT
// A name server for the zones of these tests: TXT records over TCP (RFC 1035, RFC 7766).

import { createServer, type Server as Listener, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export class Zone {
  readonly #listener: Listener;
  readonly #records = new Map<string, string>();

  private constructor(listener: Listener) {
    this.#listener = listener;
  }

  static async start(): Promise<Zone> {
    const listener = createServer((socket) => zone.#serve(socket));
    const zone = new Zone(listener);
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    return zone;
  }

  get address(): string {
    return `127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  write(name: string, text: string): void {
    this.#records.set(name, text);
  }

  stop(): void {
    this.#listener.close();
  }

  #serve(socket: Socket): void {
    let asked = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      asked = Buffer.concat([asked, bytes]);
      if (asked.length < 2 || asked.length < 2 + asked.readUInt16BE(0)) return;
      const answer = this.#answer(asked.subarray(2, 2 + asked.readUInt16BE(0)));
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      socket.end(Buffer.concat([length, answer]));
    });
  }

  #answer(question: Buffer): Buffer {
    const labels: string[] = [];
    for (let at = 12; question[at]; at += (question[at] ?? 0) + 1) labels.push(question.toString("latin1", at + 1, at + 1 + (question[at] ?? 0)));
    const text = this.#records.get(labels.join("."));
    const head = Buffer.from(question);
    head[2] = 0x81;
    head[3] = text === undefined ? 0x83 : 0x80;
    head[7] = text === undefined ? 0 : 1;
    if (text === undefined) return head;
    const record = Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, text.length + 1, text.length]);
    return Buffer.concat([head, record, Buffer.from(text, "latin1")]);
  }
}
