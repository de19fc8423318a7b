// SPDX-License-Identifier: Apache-2.0 OR MIT
// What an application does that uses a standard client library. Whoever consents does so by Bailiwick's command line, whose
// profile (and with it the server, the session and the tenant) stands in the environment. Prints each flow that was completed.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as client from 'openid-client'

const { BAILIWICK_SERVER: issuer, BIN: bin, SCRATCH: scratch, SERVICE_ACCOUNT: serviceAccount } = process.env
const callback = 'http://127.0.0.1/callback'
const redirectUri = 'http://127.0.0.1:43210/callback'

const run = async (...args) => JSON.parse((await promisify(execFile)(bin, [...args, '--json'])).stdout)
const create = (name, ...args) => run('tenant', 'clients', 'create', name, ...args)
const done = (flow) => console.log(flow)

// The server here is reached without TLS, and ID tokens are verified by its key set.
const options = { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] }
const discover = (id, authentication) =>
  client.discovery(new URL(issuer), id, undefined, authentication, options)

// What the browser does: it follows to the page that asks, and somebody says yes there.
async function consent(url) {
  const answer = await fetch(url, { redirect: 'manual' })
  assert.equal(answer.status, 303, await answer.text())
  const { redirect } = await run('authorize', answer.headers.get('location'), '--yes')
  return new URL(redirect)
}

async function signIn(config, scope, build = client.buildAuthorizationUrl, options = undefined) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const [state, nonce] = [client.randomState(), client.randomNonce()]
  const url = await build(config, {
    redirect_uri: redirectUri,
    scope,
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const checks = { pkceCodeVerifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  return client.authorizationCodeGrant(config, await consent(url), checks, undefined, options)
}

const usual = ['--grants', 'authorization_code,refresh_token', '--redirect-uri', callback]
const scopes = ['--scopes', 'openid,profile,offline_access,device.read']

const web = await create('Web', ...usual, ...scopes, '--post-logout-redirect-uri', 'https://app.example/bye')
const config = await discover(web.client_id, client.ClientSecretBasic(web.client_secret))
assert.equal(config.serverMetadata().supportsPKCE(), true)
const tokens = await signIn(config, 'openid profile offline_access')
const claims = tokens.claims()
assert.equal(claims.name, 'Owner')
done('authorization_code')

const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
assert.equal(info.name, 'Owner')
done('userinfo')

const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
assert.notEqual(refreshed.refresh_token, tokens.refresh_token)
assert.equal(refreshed.claims().sub, claims.sub)
done('refresh_token')

const active = await client.tokenIntrospection(config, refreshed.access_token)
assert.equal(active.active, true)
await client.tokenRevocation(config, refreshed.refresh_token)
assert.equal((await client.tokenIntrospection(config, refreshed.access_token)).active, false)
await assert.rejects(client.refreshTokenGrant(config, refreshed.refresh_token), { error: 'invalid_grant' })
done('introspection')
done('revocation')

const posted = await discover(web.client_id, client.ClientSecretPost(web.client_secret))
const pushed = await signIn(posted, 'openid', client.buildAuthorizationUrlWithPAR)
done('pushed_authorization_request')

const bye = client.buildEndSessionUrl(posted, {
  id_token_hint: pushed.id_token,
  post_logout_redirect_uri: 'https://app.example/bye',
  state: 'left',
})
const left = await fetch(bye, { redirect: 'manual' })
assert.equal(left.headers.get('location'), 'https://app.example/bye?state=left')
await assert.rejects(client.fetchUserInfo(posted, pushed.access_token, pushed.claims().sub))
done('logout')

const spa = await create('Page', '--public', ...usual, ...scopes)
const page = await discover(spa.client_id, client.None())
const own = await signIn(page, 'openid device.read')
await client.refreshTokenGrant(page, own.refresh_token)
done('public_client')

const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
const jwks = join(scratch, 'jwks.json')
writeFileSync(jwks, JSON.stringify({ keys: [await crypto.subtle.exportKey('jwk', keys.publicKey)] }))
const machineGrants = ['--grants', 'client_credentials', '--scopes', 'device.read', '--service-account', serviceAccount]
const signing = await create('Signing', '--jwks', jwks, ...machineGrants)
const bySignature = await discover(signing.client_id, client.PrivateKeyJwt(keys.privateKey))
assert.equal((await client.clientCredentialsGrant(bySignature, { scope: 'device.read' })).scope, 'device.read')
done('private_key_jwt')

const nightly = await create('Nightly', ...machineGrants)
const machine = await discover(nightly.client_id, client.ClientSecretBasic(nightly.client_secret))
assert.equal((await client.clientCredentialsGrant(machine)).scope, 'device.read')
await assert.rejects(client.clientCredentialsGrant(machine, { scope: 'device.write' }), { error: 'invalid_scope' })
done('client_credentials')

const tv = await create('Television', '--public', '--grants', 'device_code,refresh_token', '--scopes', 'openid,device.read')
const screen = await discover(tv.client_id, client.None())
const asked = await client.initiateDeviceAuthorization(screen, { scope: 'openid' })
const poll = client.pollDeviceAuthorizationGrant(screen, asked)
await run('authorize', '--code', asked.user_code, '--yes')
assert.equal((await poll).claims().sub, claims.sub)
done('device_code')

const agent = await create('Agent', '--grants', 'token_exchange', '--scopes', 'device.read')
const acting = await discover(agent.client_id, client.ClientSecretBasic(agent.client_secret))
const subject = await signIn(page, 'openid device.read')
const exchanged = await client.genericGrantRequest(acting, 'urn:ietf:params:oauth:grant-type:token-exchange', {
  subject_token: subject.access_token,
  subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  scope: 'device.read',
  purpose: 'count the meters',
})
assert.equal((await client.tokenIntrospection(acting, exchanged.access_token)).agent_id, agent.client_id)
done('token_exchange')

const bound = await create('Bound', '--public', '--dpop', '--signing-alg', 'ES256', ...usual, ...scopes)
const holder = await discover(bound.client_id, client.None())
const DPoP = client.getDPoPHandle(holder, await client.randomDPoPKeyPair('ES256'))
const its = await signIn(holder, 'openid profile', client.buildAuthorizationUrl, { DPoP })
assert.equal(its.token_type, 'dpop')
assert.equal((await client.fetchUserInfo(holder, its.access_token, its.claims().sub, { DPoP })).name, 'Owner')
await client.refreshTokenGrant(holder, its.refresh_token, undefined, { DPoP })
await assert.rejects(client.fetchUserInfo(holder, its.access_token, its.claims().sub))
done('dpop_and_es256')
