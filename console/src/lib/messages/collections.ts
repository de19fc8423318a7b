// SPDX-License-Identifier: Apache-2.0 OR MIT
// A tenant's collections.

export const shared = {
  text: "What members keep together. Of an end-to-end one the server reads nothing, not even its name.",
  none: "No collections, or none that you may read.",
  make: "New collection",
  protection: "Who can read it?",
  protections: {
    end_to_end: "End to end: only who was given its key",
    server_sealed: "Sealed by the server: whoever the roles let in",
  } as Record<string, string>,
  tags: { end_to_end: "End to end", server_sealed: "Sealed by the server" } as Record<string, string>,
  nameless: "A collection whose key you were not given",
  waiting: "You wait for its key: whoever has it lets you in.",
  removeText: "Everything in it is gone, for everybody.",
  collection: "Collection",
  empty: "Nothing here yet. Write a note, or upload a file of at most 255 KiB.",
  removeItemText: "It is gone, for everybody.",
  keys: "Who has its key",
  keysText: "Roles say who may read it. Who gets its key, somebody says who has it; the server cannot.",
  holds: "Has the key",
  held: "Had it until the next key",
  waits: "Waits for it",
  admit: "Let in",
  admitOf: (name: string) => `Let in ${name}`,
  rekey: "New key",
  rekeyText: "What is written from now on is sealed under a new key, which everybody gets who has it now and still may.",
};
