// SPDX-License-Identifier: MIT
import t from 'tap';
import { fromText, toText } from '../../lib/base/bytes.js';
import { ENOENT, errnoName } from '../../lib/base/errno.js';
import { check, OverlayError, quote } from '../../lib/base/errors.js';
import { Rollback } from '../../lib/base/rollback.js';

t.test('an error says operation, path, layer, reason and remedy on one line', async (t) => {
  const error = new OverlayError({
    operation: 'open layer',
    path: '/a b',
    layer: '/low',
    errno: -ENOENT,
    remedy: 'create it',
  });
  t.equal(error.message, 'open layer "/a b" (layer /low): ENOENT; create it');
  t.equal(error.code, 'ENOENT');
  t.equal(error.errno, -ENOENT);
});

t.test('check gives back what is no error and throws what is', async (t) => {
  t.equal(check(7, { operation: 'x' }), 7);
  t.throws(() => check(-ENOENT, { operation: 'x', path: '/p' }), { code: 'ENOENT', path: '/p' });
});

t.test('errnos have the names that users know', async (t) => {
  t.equal(errnoName(-2), 'ENOENT');
  t.equal(errnoName(11), 'EAGAIN');
  t.equal(errnoName(-95), 'EOPNOTSUPP');
  t.equal(errnoName(122), 'EDQUOT');
  t.equal(errnoName(9999), 'errno 9999');
});

t.test('a rollback undoes last first, and nothing once committed', async (t) => {
  const order: number[] = [];
  {
    using undo = new Rollback();
    undo.push(() => order.push(1));
    undo.push(() => order.push(2));
  }
  t.strictSame(order, [2, 1]);
  {
    using undo = new Rollback();
    undo.push(() => order.push(3));
    undo.commit();
  }
  t.strictSame(order, [2, 1]);
});

t.test('a step of a rollback that fails does not keep the others from being undone', async (t) => {
  const order: number[] = [];
  const failAt = (steps: readonly string[]): void => {
    using undo = new Rollback();
    undo.push(() => order.push(1));
    for (const step of steps)
      undo.push(() => {
        throw new Error(`${step} is stuck`);
      });
  };
  t.throws(() => failAt(['one']), { name: /^Error$/, message: /^one is stuck$/ });
  t.throws(() => failAt(['one', 'two']), {
    name: 'AggregateError',
    message: 'undo a change: two is stuck; one is stuck',
  });
  t.strictSame(order, [1, 1]);
});

t.test('text goes to bytes and back', async (t) => {
  t.equal(fromText('é'), '\xc3\xa9');
  t.equal(toText('\xc3\xa9'), 'é');
  t.equal(quote('plain/name.txt'), 'plain/name.txt');
  t.equal(quote('a\nb'), '"a\\nb"');
});
