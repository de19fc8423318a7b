// SPDX-License-Identifier: Apache-2.0 OR MIT
// Passkeys: `navigator.credentials` is the page's alone. The output of the PRF goes to the worker and nowhere else.

interface Descriptor {
  type: "public-key";
  id: string;
}

interface Extensions {
  prf: { eval: { first: string } };
}

interface CreationOptions {
  challenge: string;
  timeout: number;
  rp: PublicKeyCredentialRpEntity;
  user: { id: string; name: string; displayName: string };
  pubKeyCredParams: PublicKeyCredentialParameters[];
  excludeCredentials?: Descriptor[];
  authenticatorSelection: AuthenticatorSelectionCriteria;
  attestation?: AttestationConveyancePreference;
  extensions: Extensions;
}

interface RequestOptions {
  challenge: string;
  timeout: number;
  rpId: string;
  allowCredentials: Descriptor[];
  userVerification: UserVerificationRequirement;
  extensions: Extensions;
}

interface PrfResults {
  prf?: { enabled?: boolean; results?: { first?: BufferSource } };
}

export async function createPasskey(asked: unknown): Promise<unknown> {
  const options = asked as CreationOptions;
  const credential = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: decoded(options.challenge),
      user: { ...options.user, id: decoded(options.user.id) },
      excludeCredentials: (options.excludeCredentials ?? []).map(descriptor),
      extensions: extensions(options.extensions),
    },
  });
  const made = credential as PublicKeyCredential;
  const response = made.response as AuthenticatorAttestationResponse;
  const { prf } = made.getClientExtensionResults() as PrfResults;
  const first = prf?.results?.first;
  return {
    id: encoded(made.rawId),
    client_data_json: encoded(response.clientDataJSON),
    attestation_object: encoded(response.attestationObject),
    has_prf: prf?.enabled === true,
    prf: first ? encoded(first) : null,
  };
}

/** Whether this browser can offer passkeys where an address is typed. */
export async function offersPasskeys(): Promise<boolean> {
  const { PublicKeyCredential } = globalThis as { PublicKeyCredential?: { isConditionalMediationAvailable?: () => Promise<boolean> } };
  return (await PublicKeyCredential?.isConditionalMediationAvailable?.()) ?? false;
}

/** One at once; with a signal, one that the browser offers until then, or until the challenge is nearly over. */
export async function getPasskey(asked: unknown, offeredUntil?: AbortSignal): Promise<unknown> {
  const options = asked as RequestOptions;
  const credential = await navigator.credentials.get({
    ...(offeredUntil && {
      mediation: "conditional",
      signal: AbortSignal.any([offeredUntil, AbortSignal.timeout(options.timeout * 0.9)]),
    }),
    publicKey: {
      ...options,
      challenge: decoded(options.challenge),
      allowCredentials: options.allowCredentials.map(descriptor),
      extensions: extensions(options.extensions),
    },
  });
  const shown = credential as PublicKeyCredential;
  const response = shown.response as AuthenticatorAssertionResponse;
  const { prf } = shown.getClientExtensionResults() as PrfResults;
  const first = prf?.results?.first;
  return {
    id: encoded(shown.rawId),
    user_handle: response.userHandle ? encoded(response.userHandle) : "",
    client_data_json: encoded(response.clientDataJSON),
    authenticator_data: encoded(response.authenticatorData),
    signature: encoded(response.signature),
    prf: first ? encoded(first) : null,
  };
}

function descriptor({ type, id }: Descriptor): PublicKeyCredentialDescriptor {
  return { type, id: decoded(id) };
}

function extensions({ prf }: Extensions): AuthenticationExtensionsClientInputs {
  return { prf: { eval: { first: decoded(prf.eval.first) } } } as AuthenticationExtensionsClientInputs;
}

/** Bytes of base64url (RFC 4648, section 5). */
function decoded(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function encoded(bytes: BufferSource): string {
  const view = ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
  const binary = Array.from(view, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
