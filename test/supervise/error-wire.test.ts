// SPDX-License-Identifier: MIT
/** Errors on their way between processes. */
import t from 'tap';
import { OverlayError, UsageError } from '../../lib/base/errors.js';
import { ContainerFailure } from '../../lib/container/state/failure.js';
import { decodeError, encodeError, type WireError } from '../../lib/supervise/error-wire.js';

function sent(failure: unknown): WireError {
  return JSON.parse(JSON.stringify(encodeError(failure, 'serve')));
}

t.test('an error says the same on the other side', async (t) => {
  const whole = {
    operation: 'mount',
    path: '/a b',
    layer: '/lower',
    errno: -16,
    reason: 'programs are using it',
    remedy: 'end them',
  };
  for (const story of [whole, { operation: 'open' }, { operation: 'open', errno: 2 }]) {
    const failure = new OverlayError(story);
    const decoded = decodeError(sent(failure));
    for (const key of ['name', 'message', 'code', 'errno', 'path', 'layer', 'reason', 'remedy'] as const)
      t.equal(decoded[key], failure[key], `${story.operation} ${key}`);
    t.equal(decoded.cause, failure.stack, 'its cause is where it came from');
  }
});

t.test('a mistake of who called stays one', async (t) => {
  const decoded = decodeError(sent(new UsageError('one or all?', 'give --all')));
  t.type(decoded, UsageError);
  t.equal(decoded.message, 'one or all?; give --all');
});

t.test('an exit code comes along', async (t) => {
  const make = (story: ConstructorParameters<typeof OverlayError>[0], code?: number) =>
    new ContainerFailure(story, code);
  t.match(decodeError(sent(new ContainerFailure({ operation: 'run' }, 127)), make), { exitCode: 127 });
  t.match(decodeError(sent(new OverlayError({ operation: 'run' })), make), { exitCode: 125 });
});

t.test('what is no error of ours says what was being done', async (t) => {
  t.equal(decodeError(sent(new TypeError('x is not a function'))).message, 'serve: x is not a function');
  t.equal(decodeError(sent('thrown text')).message, 'serve: thrown text');
  t.equal(decodeError(sent(undefined)).message, 'serve: undefined');
});
