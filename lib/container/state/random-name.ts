// SPDX-License-Identifier: MIT
/** Names for containers that nobody named. */
import { cryptography } from '../../base/builtins.js';

const QUALITIES =
  `able ample blithe brisk bright calm candid clever cosy daring deft eager early fair fleet fond frank
  gentle glad hardy hearty honest jolly keen kind lively loyal lucky mellow merry mild neat nimble noble patient plucky
  polite proud quick quiet ready sharp shy sincere smart snug spry steady sunny swift tidy trusty upbeat vivid warm wise
  witty zesty`.split(/\s+/);

const CREATURES =
  `adder auk badger bat bear beaver bee bison boar carp cat clam cod colt crab crane crow deer dingo
  dove duck eagle eel egret elk emu falcon ferret finch fox frog gecko goat goose grouse gull hare hawk heron ibis jay
  kiwi koala lark lemur lion llama loon lynx marten mink mole moose moth mouse newt otter owl panda parrot perch pike
  plover pony puffin quail rabbit raven robin rook salmon seal shrew skua sloth snail snipe sparrow squid stork swan
  swift tapir teal tern toad trout turtle vole wasp weasel whale wolf wren yak zebra`.split(/\s+/);

/** One that is not taken. */
export function randomName(taken: ReadonlySet<string>): string {
  for (let round = 0; ; round++) {
    const pair = `${QUALITIES[cryptography().randomInt(QUALITIES.length)]}_${CREATURES[cryptography().randomInt(CREATURES.length)]}`;
    const name = round < 10 ? pair : `${pair}${round}`;
    if (!taken.has(name)) return name;
  }
}
