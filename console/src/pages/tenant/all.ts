// SPDX-License-Identifier: Apache-2.0 OR MIT

/** All pages of a list, one after the other. */
export async function all<P extends { next?: string | null }, T>(
  page: (after: string | undefined) => Promise<P>,
  of: (page: P) => T[],
): Promise<T[]> {
  const found: T[] = [];
  let after: string | undefined;
  do {
    const read = await page(after);
    found.push(...of(read));
    after = read.next ?? undefined;
  } while (after !== undefined);
  return found;
}
