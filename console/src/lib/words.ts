// SPDX-License-Identifier: Apache-2.0 OR MIT

/** What somebody typed with spaces or commas between. */
export const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);
