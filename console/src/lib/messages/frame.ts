// SPDX-License-Identifier: Apache-2.0 OR MIT
// Around every page, and words that many use.

export const product = "Bailiwick";
export const promise = "What you keep here is sealed on your own computer. The server cannot read it.";

export const offline = "You are offline";
export const offlineText = "What is on this page stays. Nothing is stored until you are connected again.";

export const common = {
  again: "Try again",
  back: "Back",
  cancel: "Cancel",
  dismiss: "Dismiss",
  done: "Done",
  loading: "Loading…",
  name: "Name",
  next: "Continue",
  remove: "Remove",
  rename: "Rename",
  save: "Save",
  typeToConfirm: (word: string) => `Type ${word} to go on`,
};

export const development = { label: "Development", text: "Set up for development: not for real data" };

export const start = { unreachable: "The server does not answer" };

export const nav = {
  account: "Account",
  data: "Data",
  history: "History",
  home: "Overview",
  label: "Pages",
  lock: "Lock",
  unlock: "Unlock",
  security: "Security",
  signOut: "Sign out",
  skip: "To the content",
  platform: "Platform",
  tenants: "Tenants",
};

export const once = {
  save: "Save as a file",
  print: "Print",
  copy: "Copy",
  copied: "Copied",
  warning: "This is shown once. Nobody can show it again.",
  kept: "I have kept it somewhere safe",
};
