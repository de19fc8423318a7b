// SPDX-License-Identifier: Apache-2.0 OR MIT
// What this browser remembers of a server: the key of its log, checkpoints, hashes of public keys, and the token by which the
// server knows this browser again. None of it opens anything or lets anybody in.

const DATABASE = "bailiwick";
const STORE = "memory";

export type Name = "pins" | "device";

/** What was kept under a name. */
export async function recall(name: Name): Promise<string | undefined> {
  const store = await opened("readonly");
  const found: unknown = await answered(store.get(name));
  return typeof found === "string" ? found : undefined;
}

/** Keeps a text under a name. */
export async function remember(name: Name, text: string): Promise<void> {
  const store = await opened("readwrite");
  await answered(store.put(text, name));
}

async function opened(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  const database = await answered(request);
  const transaction = database.transaction(STORE, mode);
  transaction.oncomplete = transaction.onabort = () => database.close();
  return transaction.objectStore(STORE);
}

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("this browser keeps nothing"));
  });
}
