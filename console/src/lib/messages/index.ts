// SPDX-License-Identifier: Apache-2.0 OR MIT
// Every text of the console. Another language is another set of these files.

export * as m from "./all";
