import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type PathParams, Router } from '../../src/http/router.js';
import { get, HttpRig } from './rig.js';

type Equal<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
/** Does not compile if the names are wrong. */
const TYPES: [
  Equal<PathParams<'/users/:id/*file'>, { readonly id: string; readonly file: string }>,
  Equal<keyof PathParams<'/users'>, never>,
] = [true, true];

describe('Router', () => {
  it('calls the handler of method and path, with decoded parameters', async () => {
    assert.deepEqual(TYPES, [true, true]);
    const router = new Router()
      .get('/', (_, response) => response.end('root'))
      .get('/users/:id', (request, response, { id }) =>
        response.end(`user ${id} ${request.params.id} ${request.query}`),
      )
      .post('/users/:id', (_, response, { id }) => response.end(`post ${id}`))
      .put('/put', (_, response) => response.end('put'))
      .patch('/patch', (_, response) => response.end('patch'))
      .delete('/delete', (_, response) => response.end('delete'))
      .route('BREW', '/pot', (_, response) => response.end('tea'))
      .get('/files/*path', (_, response, params) => {
        assert.equal('constructor' in params, false);
        assert.equal('toString' in params, false);
        response.end(`file ${params.path}`);
      });
    const rig = await HttpRig.open({ onRequest: router.onRequest });
    const client = await rig.connect();
    for (const [method, path, expected] of [
      ['GET', '/', 'root'],
      ['GET', '/users/a%20b%2Fc?d=e', 'user a b/c a b/c d=e'],
      ['GET', 'http://a/users/1', 'user 1 1 '],
      ['GET', 'http://a', 'root'],
      ['POST', '/users/2', 'post 2'],
      ['PUT', '/put', 'put'],
      ['PATCH', '/patch', 'patch'],
      ['DELETE', '/delete', 'delete'],
      ['BREW', '/pot', 'tea'],
      ['GET', '/files/a/b', 'file a/b'],
    ] as const) {
      await client.send(get(path).replace('GET', method));
      assert.equal((await client.answer()).body, expected);
    }
  });

  it('answers what it does not know', async () => {
    const router = new Router()
      .get('/a/:b', (_, response) => response.end('a'))
      .post('/a/:b', (_, response) => response.end('a'));
    const rig = await HttpRig.open({ onRequest: router.onRequest });
    const client = await rig.connect();
    await client.send(get('/a/b').replace('GET', 'HEAD'));
    assert.equal((await client.answer(true)).fields.get('content-length'), '1');
    await client.send(
      get('/a/b').replace('GET', 'PUT') + get('/b') + get('/a/%zz') + get('/a/%ff'),
    );
    const put = await client.answer();
    assert.deepEqual([put.status, put.fields.get('allow')], [405, 'GET, POST, HEAD']);
    assert.equal((await client.answer()).status, 404);
    assert.equal((await client.answer()).status, 400);
    assert.equal((await client.answer()).status, 400);
    router.otherwise((request, response) => response.end(`no ${request.path}`));
    await client.send(get('/b'));
    assert.equal((await client.answer()).body, 'no /b');
  });

  it('answers as before what was asked before, by whichever router, method and route', async () => {
    const first = new Router()
      .get('/same', (request, response) => response.end(`first ${request.query}`))
      .get('/:any', (_, response, { any }) => response.end(`first any ${any}`))
      .post('/same', (_, response) => response.end('first post'));
    const second = new Router().get('/same', (_, response) => response.end('second'));
    const handlers = [first.onRequest, second.onRequest];
    const rig = await HttpRig.open({
      onRequest: (request, response) => handlers[0]!(request, response),
    });
    const client = await rig.connect();
    const ask = async (line: string) => {
      await client.send(get('/').replace('GET /', line));
      return (await client.answer(line.startsWith('HEAD'))).body;
    };
    for (let round = 0; round < 3; round += 1) {
      assert.equal(await ask('GET /same'), 'first ');
      assert.equal(await ask('GET /same?q'), 'first q');
      assert.equal(await ask('HEAD /same'), '');
      assert.equal(await ask('POST /same'), 'first post');
      assert.equal(await ask('GET /other'), 'first any other');
      handlers.reverse();
      assert.equal(await ask('GET /same'), 'second');
      handlers.reverse();
    }
    first.get('/other', (_, response) => response.end('a path of its own now'));
    assert.equal(await ask('GET /other'), 'a path of its own now');
  });

  it('takes no wrong routes', () => {
    const router = new Router().get('/a', () => {});
    assert.throws(() => router.get('/a', () => {}), /such a route already/);
    assert.throws(() => router.route('G T', '/b', () => {}), TypeError);
    assert.throws(() => router.get('/b', undefined as never), TypeError);
  });
});
