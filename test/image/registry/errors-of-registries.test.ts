// SPDX-License-Identifier: MIT
/** What registries say is wrong is shown: their words, with the code, on one line that names the registry. */
import t from 'tap';
import { fail, OddRegistry, send } from '../../support/odd-registry.js';
import { transfers } from '../../support/transfers.js';

/** The codes of the specification (distribution-spec, "Error Codes"), with a status that goes with each. */
const CODES: [code: string, status: number][] = [
  ['BLOB_UNKNOWN', 404],
  ['BLOB_UPLOAD_INVALID', 400],
  ['BLOB_UPLOAD_UNKNOWN', 404],
  ['DIGEST_INVALID', 400],
  ['MANIFEST_BLOB_UNKNOWN', 404],
  ['MANIFEST_INVALID', 400],
  ['MANIFEST_UNKNOWN', 404],
  ['NAME_INVALID', 400],
  ['NAME_UNKNOWN', 404],
  ['SIZE_INVALID', 413],
  ['UNAUTHORIZED', 401],
  ['DENIED', 403],
  ['UNSUPPORTED', 405],
  ['TOOMANYREQUESTS', 429],
];

t.test('every error of the specification is shown with its code, at pull and at push', async (t) => {
  const source = await OddRegistry.start(t);
  source.image('app', '1');
  const ours = transfers(t);
  await ours.pull(`${source.host}/app:1`);
  for (const [code, status] of CODES) {
    const registry = await OddRegistry.start(t, (_asked, response) => {
      // One that can pass is not waited for here.
      response.setHeader('retry-after', '1000');
      fail(response, status, code, 'in words of its own');
    });
    const name = `${registry.host}/new:1`;
    const message = new RegExp(`${registry.host}.*${code}: in words of its own`);
    await t.rejects(ours.pull(name), { message }, `pull: ${code}`);
    await ours.tag(`${source.host}/app:1`, name);
    await t.rejects(ours.push(name), { message }, `push: ${code}`);
  }
});

t.test('a repository that must be made first is said in the words of the registry', async (t) => {
  const source = await OddRegistry.start(t);
  source.image('app', '1');
  const registry = await OddRegistry.start(t, ({ method }, response) =>
    method === 'HEAD'
      ? send(response, 404)
      : fail(response, 404, 'NAME_UNKNOWN', "The repository with name 'new' does not exist"),
  );
  const ours = transfers(t);
  await ours.pull(`${source.host}/app:1`);
  await ours.tag(`${source.host}/app:1`, `${registry.host}/new:1`);
  await t.rejects(ours.push(`${registry.host}/new:1`), {
    message:
      /\(404 NAME_UNKNOWN: The repository with name 'new' does not exist\).*; .*made before the first push/,
  });
});

t.test('errors that do not keep to the specification are shown as far as they say something', async (t) => {
  const page = '<html><body>502</body></html>';
  const answers: [body: string | Buffer, type: string, shown: string][] = [
    [
      '{"errors":[{"code":"A","message":"one"},{"code":"B","message":"two"}]}',
      'text/html',
      '(400 A: one; B: two)',
    ],
    ['{"errors":[{"code":"A"}]}', 'application/json', '(400 A)'],
    ['{"errors":[{"message":"one"}]}', 'application/json', '(400 one)'],
    ['{"errors":[{"code":"A","message":"one","detail":"more"}]}', 'application/json', '(400 A: one (more))'],
    ['{"errors":[null,"x",{"code":7,"message":{}}]}', 'application/json', '(400)'],
    ['{"message":"no such host"}', 'application/json', '(400 no such host)'],
    ['{"error":"invalid","error_description":"no scope"}', 'application/json', '(400 invalid: no scope)'],
    ['\ufeff{"errors":[{"code":"A","message":"one"}]}', 'application/json; charset=utf-8', '(400 A: one)'],
    ['{"errors":[{"code":"A","message":"one\\ntwo\\u001b[2J"}]}', 'application/json', '(400 A: one two [2J)'],
    ['the disk is full\n', 'text/plain', '(400 the disk is full)'],
    [page, 'text/html', '(400)'],
    [page, 'text/plain', '(400)'],
    ['', 'application/json', '(400)'],
    ['null', 'application/json', '(400)'],
    [Buffer.alloc(1 << 20, 'x'), 'text/plain', '(400)'],
  ];
  const ours = transfers(t);
  for (const [body, type, shown] of answers) {
    const registry = await OddRegistry.start(t, (_asked, response) =>
      send(response, 400, body, { 'content-type': type }),
    );
    await t.rejects(
      ours.pull(`${registry.host}/app:1`),
      { message: `ask registry ${registry.host}: it failed ${shown} for app/manifests/1` },
      shown,
    );
  }
});

t.test('a redirect to no place of the web is said', async (t) => {
  const ours = transfers(t);
  for (const location of ['http://', 'file:///etc/passwd', 'http://[x]/']) {
    const registry = await OddRegistry.start(t, (_asked, response) => send(response, 307, '', { location }));
    await t.rejects(ours.pull(`${registry.host}/app:1`), {
      message: new RegExp(`^ask registry ${registry.host}: it names .* as the place to go on at`),
    });
  }
});
