// SPDX-License-Identifier: MIT
/** Credentials for a registry, wherever they are kept. */
export interface Credentials {
  username: string;
  password: string;
  /** Exchanged for a token in the place of name and password. */
  identityToken?: string | undefined;
  /** A token that the registry itself takes. */
  registryToken?: string | undefined;
  /** The file or the program that has them. */
  from: string;
}
