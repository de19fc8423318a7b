// SPDX-License-Identifier: Apache-2.0 OR MIT

export * from "./account";
export * from "./applications";
export * from "./collections";
export * from "./data";
export * from "./decisions";
export * from "./failure";
export * from "./frame";
export * from "./history";
export * from "./platform";
export * from "./providers";
export * from "./requests";
export * from "./signIn";
export * from "./tenants";
