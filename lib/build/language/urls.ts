// SPDX-License-Identifier: MIT
/** Which sources of ADD lie elsewhere. */

export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/** Whether it names a repository of git and no file. */
export function isRepository(text: string): boolean {
  return /^git@|^git:\/\/|^ssh:\/\/|^https?:\/\/[^#?]+\.git(#.*)?$/i.test(text);
}
