// SPDX-License-Identifier: Apache-2.0 OR MIT

/** A number with what it counts. */
export const count = (number: number, one: string, many = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : many}`;
