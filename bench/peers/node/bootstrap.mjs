// Lambda's loop, and the package as its manual shows it, with its fastest settings: bulk requests, connections kept,
// no refresh.
import http from 'node:http'
import peer from 'dynamodb-stream-elasticsearch'

const { AWS_LAMBDA_RUNTIME_API, ENDPOINT, INDEX } = process.env
const [host, port] = AWS_LAMBDA_RUNTIME_API.split(':')
const agent = new http.Agent({ keepAlive: true })

const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/invocation/${path}` }, answer => {
      const chunks = []
      answer.on('data', chunk => chunks.push(chunk))
      answer.on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(chunks) }))
    })
    request.on('error', reject)
    request.end(body)
  })

for (;;) {
  const { headers, body } = await call('GET', 'next')
  const id = headers['lambda-runtime-aws-request-id']
  try {
    const event = JSON.parse(body)
    await peer.pushStream({ event, endpoint: ENDPOINT, index: INDEX, useBulk: true, keepAlive: true, refresh: false })
    await call('POST', `${id}/response`, 'null')
  } catch (error) {
    await call('POST', `${id}/error`, JSON.stringify({ errorType: error.name, errorMessage: error.message }))
  }
}
