// SPDX-License-Identifier: Apache-2.0 OR MIT

/** How this browser names itself to the server and so to its owner. */
export interface Device {
  name: string;
  platform: string;
}

/** Who is signed in. Times are milliseconds since the Unix epoch. */
export interface Who {
  /** The account's number, for people. */
  number: string;
  account: string;
  home: string;
  session: string;
  device: string;
  email: string;
  expires_at: number;
  /** Until when the last proof counts as fresh. */
  fresh_until: number;
  /** Whether this browser had not signed in before. */
  new_device?: boolean;
  backup_codes_left?: number;
}

/** A new account, with what is shown to its owner once. */
export interface NewAccount {
  who: Who;
  totp_secret: string;
  totp_uri: string;
  backup_codes: string[];
}

/** A session whose data stay locked: this passkey cannot open them. */
export interface Locked {
  locked: string;
  session: string;
  number: string;
}

/** A login method that the account vouches for. */
export interface Method {
  id: string;
  kind: "password" | "passkey" | "recovery-key" | "api-key" | "provider";
  label: string;
  created_at: number;
  last_used_at: number | null;
  unlocking?: { public_key: string; tag: string; master_key_version: number };
  /** Whom a provider knows. */
  provided?: { tenant?: string; issuer: string; subject: string };
}

/** By which provider somebody comes: one of the platform by its id, one of a tenant, or of the tenant that a domain is proved of. */
export interface Through {
  tenant?: string;
  provider?: string;
  domain?: string;
}

/** A way to a provider that was begun. The page goes to `url`, and keeps `away` until the browser is back: this tab alone may know it. */
export interface Begun {
  url: string;
  name: string;
  away: Away;
}

/** By what an answer can be used. */
export interface Away {
  verifier: string;
  state: string;
  name: string;
}

/** What a browser brought back from a provider. */
export interface ProviderAnswer {
  state: string;
  code: string;
  issuer?: string;
}

/** Somebody came in by a provider. Nothing of theirs is open yet. */
export interface CameIn {
  number: string;
  account: string;
  session: string;
  /** The tenant whose provider it is; `null` for one of the platform. */
  tenant: string | null;
  /** Whether the session is good in that tenant only, until the account is unlocked. */
  confined: boolean;
}

/** Somebody whom a provider vouches for and who has no account yet. */
export interface NewByProvider {
  email: string;
}

/** What a new API key is to be. */
export interface KeyWish {
  label: string;
  scopes: string[];
  networks?: string[];
  expires_at?: number;
  unlocks: boolean;
}

/** A QR code: a square of `size` modules, and the dark ones as the path of an SVG. */
export interface QrCode {
  size: number;
  path: string;
}

/** Who asks to be let in. */
export interface PairingRequest {
  name: string;
  platform: string;
  form: "device" | "public";
  /** The network that it asks from, as the server says. */
  address: string;
  created_at: number;
}

/** What became of a code that was typed on the device. */
export interface PairingOutcome {
  let_in: boolean;
  tries_left?: number;
}

/** A collection of files. */
export interface Collection {
  id: string;
  name: string;
  /** Whether these are the account's own files, where files go that are put nowhere else. */
  is_default: boolean;
  created_at: number;
  /** How many versions before the current one it keeps of each file. */
  kept_versions: number;
}

/** A file. */
export interface StoredFile {
  item: string;
  path: string;
  size: number;
  version: number;
  modified_ms: number | null;
  stored_at: number;
  /** The account's number of who wrote it, where the collection was shared. */
  author: string | null;
}

/** A version of a file, as far as the server knows it. */
export interface FileVersion {
  version: number;
  stored_at: number;
  sealed_size: number;
}

/** A collection's files, and items that do not open. */
export interface Files {
  files: StoredFile[];
  damaged: { item: string; why: string }[];
  /** Whether files may be changed here: what others share may be for reading only. */
  writable: boolean;
}

/** Another account, whose keys the platform's log proves. */
export interface KnownAccount {
  account: string;
  number: string;
  /** What two people compare before one shares something with the other. */
  fingerprint: string;
  /** What is known of it from before: nothing, the same keys, or older ones that signed these. */
  standing: "new" | "known" | "rotated";
}

/** Who has a collection. */
export interface Member {
  account: string;
  /** The account's number; `null` when it is gone. */
  number: string | null;
  permission: "read" | "write";
  created_at: number;
}

/** A collection that somebody else shares. */
export interface Share {
  /** What names it in calls about files. */
  id: string;
  /** The number of whose it is; `null` when the account is gone. */
  owner: string | null;
  /** `null` when it does not open. */
  name: string | null;
  permission: "read" | "write";
  created_at: number;
}

/** A collection of a tenant. */
export interface TenantCollection {
  id: string;
  /** `null` for who waits for its key. */
  name: string | null;
  organisation: string;
  protection: "end_to_end" | "server_sealed";
  created_at: number;
  waiting: boolean;
}

/** An item of such a collection. */
export interface TenantItem {
  name: string;
  size: number;
  version: number;
  changed_at: number;
  /** The account that signed it, in end-to-end collections. */
  author: string | null;
}

/** Who has the key of an end-to-end collection of a tenant, and who may read it and waits for the key. */
export interface KeyHolders {
  holders: { account: string; number: string | null; is_entitled: boolean; created_at: number }[];
  waiting: { account: string; number: string | null }[];
}

/** A head of a log. */
export interface Checkpoint {
  origin: string;
  size: number;
  root: string;
}

/** What a verification came to. */
export interface Verified {
  /** Whether the history is exactly what was logged. */
  verified: boolean;
  records: number;
  record?: number;
  checkpoint: Checkpoint | null;
  /** The size at which it was verified here before; it only grew since. */
  pinned: number | null;
  /** Records that are known of here, and that no checkpoint covers yet. */
  uncovered: number;
  findings: { kind: string; record?: number; last?: number; text: string }[];
  unlisted: number;
  platform?: Checkpoint;
}

/** A record of a history, and what the pinned checkpoint says of it. */
export interface ProvenRecord {
  number: number;
  proof: "included" | "not_covered" | "refuted";
  record?: {
    at: number;
    actor: string;
    via: string;
    action: string;
    subject: string;
    request: string;
    opened?: unknown;
  };
}

/** What moved so far, in bytes or records. */
export type Progress = (done: number) => void;

/** What the worker does. What changes an account asks for a fresh proof first (`step_up_required`). */
export interface Calls {
  /** Whether the account's keys are here. */
  isOpen(): boolean;

  /** Asks for an account. A code may have been mailed that {@link signUpFinish} needs. */
  signUpStart(email: string, password: string): { code_required: boolean };
  signUpFinish(code: string | undefined, device: Device): NewAccount;
  passkeySignUpStart(email: string): { code_required: boolean };
  passkeySignUpFinish(label: string, code: string | undefined, device: Device): Who;

  /** Proves the password. Takes about a second. */
  signInStart(email: string, password: string): void;
  /** Gives the second factor. What was begun is used up: after a wrong code, begin again. */
  signInFinish(code: string, isBackupCode: boolean, device: Device): Who;
  recoverySignIn(key: string, device: Device): Who;
  /** Asks for a passkey; `offered`, has the browser offer one where an address is typed, until `Bailiwick.stopOffering`. */
  passkeySignIn(device: Device, offered?: boolean): Who | Locked;

  /** Begins a sign-in at another provider. */
  providerStart(through: Through): Begun;
  /** Begins to add a provider to the account that is signed in. */
  providerLinkStart(through: Through): Begun;
  providerFinish(away: Away, answer: ProviderAnswer, device: Device): CameIn | NewByProvider;
  /** Makes the account that {@link providerFinish} said there is none of. Make a recovery key at once. */
  providerSignUp(device: Device): Who;
  /** A session is enough. */
  providerLinkFinish(away: Away, answer: ProviderAnswer): void;

  /** Proves the password in the session that lives, of which {@link unlockFinish} opens the data. */
  unlockStart(email: string, password: string): void;
  unlockFinish(code: string, isBackupCode: boolean): Who;
  recoveryUnlock(key: string): Who;
  /** By a passkey; `offered` as in {@link passkeySignIn}. */
  passkeyUnlock(offered?: boolean): Who;

  stepUp(password: string, code: string, isBackupCode: boolean): void;
  recoveryStepUp(key: string): void;
  passkeyStepUp(): void;
  signOut(): void;

  methods(): Method[];
  /** The key is shown once. */
  makeRecoveryKey(label: string, insteadOf?: string): { method: string; key: string };
  addPasskey(label: string): { method: string; unlocks: boolean };
  /** Every other session ends. */
  changePassword(password: string): void;
  /** The codes are shown once. */
  replaceBackupCodes(): string[];
  startTotp(): { totp_secret: string; totp_uri: string };
  finishTotp(code: string): void;
  /** Every other session ends. */
  rotateMasterKey(): { version: number };
  makeApiKey(wish: KeyWish): { key: string; listed: unknown };
  deleteAccount(): void;

  qrCode(text: string): QrCode;

  pairingOpen(link: string): PairingRequest;
  /** The code to be shown here. `typed` is what a public computer's screen shows. */
  pairingAuthorize(typed?: string): string;
  pairingOutcome(): PairingOutcome;
  pairingRefuse(): void;
  /** Asks to be let in by a device that is signed in: the link to be opened there. */
  pairingAsk(device: Device): { link: string; expires_at: number };
  /** Waits until somebody says yes there. */
  pairingOffered(): void;
  /** Answers with the code that the other device shows. */
  pairingAnswer(code: string): Who | { wrong: true };

  collections(): Collection[];
  makeCollection(name: string): string;
  renameCollection(collection: string, name: string): void;
  /** The files of a collection; the account's own, if none is named. */
  files(collection?: string): Files;
  /** The item's version. */
  putFile(collection: string | undefined, path: string, content: Blob, progress?: Progress): number;
  getFile(collection: string | undefined, path: string, progress?: Progress): { file: StoredFile; content: Blob };
  removeFile(collection: string | undefined, path: string, version: number): void;
  /** The versions of a file that can be read, the newest first; of the account's own collections only. */
  fileVersions(collection: string | undefined, path: string): FileVersion[];
  /** A file as it was in a version. */
  getVersion(collection: string | undefined, path: string, version: number, progress?: Progress): { file: StoredFile; content: Blob };
  /** How many versions before the current one a collection keeps of each file, 0 to 100; with 0 those that it has are deleted. */
  keepVersions(collection: string | undefined, kept: number): void;

  /** An account by its number, one's own if none is named, with its keys proved. */
  lookUp(number?: string): KnownAccount;
  members(collection: string | undefined): Member[];
  /** Shares a collection with an account whose fingerprint a person saw; once more, to change what it may do. */
  share(collection: string | undefined, number: string, fingerprint: string, mayWrite: boolean): void;
  /** What is written from then on the account cannot open. */
  unshare(collection: string | undefined, account: string): void;
  /** What others share with the account. */
  shares(): Share[];

  tenantCollections(tenant: string): TenantCollection[];
  makeTenantCollection(tenant: string, name: string, protection: TenantCollection["protection"], organisation?: string): TenantCollection;
  removeTenantCollection(tenant: string, collection: string): void;
  tenantItems(tenant: string, collection: string): TenantItem[];
  getTenantItem(tenant: string, collection: string, name: string): Uint8Array<ArrayBuffer>;
  /** Writes an item of at most 255 KiB, over what is there; its version. */
  putTenantItem(tenant: string, collection: string, name: string, content: Uint8Array<ArrayBuffer>): number;
  removeTenantItem(tenant: string, collection: string, name: string): void;
  tenantCollectionMembers(tenant: string, collection: string): KeyHolders;
  /** An account by its id, with its keys proved. */
  lookUpAccount(account: string): KnownAccount;
  /** Grants the key to an account whose fingerprint a person saw. */
  admitToTenantCollection(tenant: string, collection: string, account: string, fingerprint: string): void;
  /** Gives a collection its next key now, without waiting for the next write. */
  rekeyTenantCollection(tenant: string, collection: string): void;

  /** Verifies a tenant's whole history, the account's own if none is named, and pins what holds. */
  verify(tenant?: string, progress?: Progress): Verified;
  /** Records from a number on. Verify first. */
  records(tenant: string | undefined, from: number, limit: number): ProvenRecord[];
}
