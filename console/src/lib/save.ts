// SPDX-License-Identifier: Apache-2.0 OR MIT

/** Has the browser save some bytes as a file. */
export function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}
