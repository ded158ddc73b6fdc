// SPDX-License-Identifier: MIT
/** The request that an earlier server had in hand: it gets its one answer, and is carried out once. */
import { mountDebug } from '../base/debug.js';
import { EIO } from '../base/errno.js';
import { composeAnswer, isSilent, pendingLength, sendAgain } from '../fuse/again.js';
import type { Session } from '../fuse/session.js';
import { forget } from '../overlay/nodes/references.js';
import type { Resumption } from '../overlay/open/resume.js';
import type { ServerState } from './server-state.js';

/** A request that so many servers have ended with is not tried again. */
const MOST_TRIES = 4;

/** Answers the request, if there was one. */
export function finishRequest(
  device: number,
  session: Session,
  resumption: Resumption,
  state: ServerState,
): void {
  const wasStuck = state.takeStuck();
  const length = pendingLength(session);
  if (length === 0) return;
  const { message } = session;
  const { unique, uniqueHigh } = message;
  const tries = state.beginAgain(unique, uniqueHigh);
  const { commit } = resumption;
  const isDone = commit !== null && commit.unique === unique && commit.uniqueHigh === uniqueHigh;
  mountDebug(
    'request %d in hand: %s, begun %d times',
    unique,
    isDone ? 'done' : 'not known to be done',
    tries,
  );
  const isHopeless = wasStuck || tries > MOST_TRIES;
  if (isHopeless && !isDone && !isSilent(session)) sendAgain(device, session, session.finish(-EIO));
  else if (!isDone) carryOut(device, session, length, resumption);
  else if (!isSilent(session)) answerDone(device, session, length, resumption);
  message.clear();
}

function carryOut(device: number, session: Session, length: number, { union, intent }: Resumption): void {
  const { unique, uniqueHigh } = session.message;
  if (intent !== null && intent.unique === unique && intent.uniqueHigh === uniqueHigh)
    union.redo = intent.intent;
  const size = session.serve(length);
  union.redo = null;
  if (size > 0) sendAgain(device, session, size);
}

/**
 * What was done and may not have been answered is answered as it was done. A lookup is made
 * again instead, and if its first answer had arrived, what the second one counted is taken back.
 */
function answerDone(
  device: number,
  session: Session,
  length: number,
  { union, commit, references }: Resumption,
): void {
  const size = composeAnswer(session, commit!.status, commit!.node);
  if (size > 0) {
    sendAgain(device, session, size);
    return;
  }
  const again = union.journal!.tally(() => session.serve(length));
  const arrived = again.result > 0 && sendAgain(device, session, again.result) === true;
  const tooMany = arrived ? references : again.references;
  union.journal!.begin(0, 0);
  for (let index = 0; index < tooMany.length; index += 2) {
    if (tooMany[index + 1] > 0) forget(union, tooMany[index], tooMany[index + 1]);
  }
  union.journal!.commit(0, 0);
}
