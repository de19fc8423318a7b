// SPDX-License-Identifier: Apache-2.0 OR MIT
// Another identity provider: `oidc-provider` for Node. Whoever comes with `login_hint` is that person, at once; nobody types anything.
import { createServer } from 'node:http'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import Provider from 'oidc-provider'

const { PORT, PEOPLE, CLIENT_SECRET: client_secret, REDIRECT_URI, ALGORITHM: algorithm = 'RS256' } = process.env
const issuer = `http://127.0.0.1:${PORT}`
const people = JSON.parse(PEOPLE)

// A key of its own each time it starts.
const pair = algorithm.startsWith('ES')
  ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
  : generateKeyPairSync('rsa', { modulusLength: 2048 })
const key = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' })).export({ format: 'jwk' })

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'bailiwick',
      client_secret,
      redirect_uris: [REDIRECT_URI],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      id_token_signed_response_alg: algorithm,
    },
  ],
  jwks: { keys: [{ ...key, use: 'sig', alg: algorithm }] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
  pkce: { required: () => true },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  // What the scopes give stands in the ID token.
  conformIdTokenClaims: false,
  cookies: { keys: ['a key of cookies'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
})

const answer = provider.callback()
createServer(async (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response)
  const { params } = await provider.interactionDetails(request, response)
  const accountId = params.login_hint
  if (!people[accountId]) {
    const result = { error: 'access_denied', error_description: 'nobody of that name' }
    return provider.interactionFinished(request, response, result)
  }
  const grant = new provider.Grant({ accountId, clientId: params.client_id })
  grant.addOIDCScope(params.scope)
  const result = { login: { accountId }, consent: { grantId: await grant.save() } }
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}).listen(Number(PORT), '127.0.0.1', () => console.log('ready'))
