// SPDX-License-Identifier: MIT
/**
 * The way out of a bridge network: forwarding, and the host's address in the place
 * of the containers'. By nft where it is there, else by iptables; with neither,
 * containers reach the host and each other, and published ports work all the same.
 */
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../run-tool.js';

const FORWARD = '/proc/sys/net/ipv4/ip_forward';
const PLACES = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin'];

function has(program: string): boolean {
  return PLACES.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Not there, or not for us: the next place.
      return false;
    }
  });
}

function nftTable(device: string, subnet: string): string {
  return `table ip ${device} {
  chain out {
    type nat hook postrouting priority 100;
    ip saddr ${subnet} oifname != "${device}" masquerade
  }
}
`;
}

/** `verb` is A to add the rules and D to delete them. */
function iptablesRules(verb: 'A' | 'D', device: string, subnet: string): string {
  return `*nat
-${verb} POSTROUTING -s ${subnet} ! -o ${device} -j MASQUERADE
COMMIT
*filter
-${verb} FORWARD -i ${device} -j ACCEPT
-${verb} FORWARD -o ${device} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`;
}

export async function addRoutes(device: string, subnet: string): Promise<void> {
  const operation = 'set up NAT';
  if (has('nft')) await runTool('nft', ['-f', '-'], nftTable(device, subnet), operation);
  else if (has('iptables-restore'))
    await runTool('iptables-restore', ['-n', '-w'], iptablesRules('A', device, subnet), operation);
  else return;
  if (readFileSync(FORWARD, 'latin1').trim() !== '1') writeFileSync(FORWARD, '1');
}

export async function removeRoutes(device: string, subnet: string): Promise<void> {
  const operation = 'take NAT back';
  try {
    if (has('nft')) await runTool('nft', ['delete', 'table', 'ip', device], '', operation);
    else if (has('iptables-restore'))
      await runTool('iptables-restore', ['-n', '-w'], iptablesRules('D', device, subnet), operation);
  } catch (failure) {
    // Somebody flushed the rules meanwhile: what was to go is gone.
    process.stderr.write(`${(failure as Error).message}\n`);
  }
}
