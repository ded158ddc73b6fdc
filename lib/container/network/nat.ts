// SPDX-License-Identifier: MIT
/**
 * The way out of a bridge network: forwarding, and the host's address in the place
 * of the containers'. By nft where it is there, else by iptables; with neither,
 * containers reach the host and each other, and published ports work all the same.
 */
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../../sys/tools.js';

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

/** Takes the place of a table that a crash has left. */
function nftTable(device: string, subnet: string): string {
  return `add table ip ${device}
delete table ip ${device}
table ip ${device} {
  chain out {
    type nat hook postrouting priority 100;
    ip saddr ${subnet} oifname != "${device}" masquerade
  }
}
`;
}

const IPTABLES_TABLES = ['nat', 'filter'] as const;

function iptablesRules(device: string, subnet: string): Record<(typeof IPTABLES_TABLES)[number], string[]> {
  return {
    nat: [`-A POSTROUTING -s ${subnet} ! -o ${device} -j MASQUERADE`],
    filter: [
      `-A FORWARD -i ${device} -j ACCEPT`,
      `-A FORWARD -o ${device} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    ],
  };
}

/** All rules of a device, whoever has left them. */
async function presentRules(device: string): Promise<Record<(typeof IPTABLES_TABLES)[number], string[]>> {
  const lines = (await runTool('iptables-save', [], '', 'look at NAT')).split('\n');
  const found: Record<string, string[]> = { nat: [], filter: [] };
  let table = '';
  for (const line of lines) {
    if (line.startsWith('*')) table = line.slice(1);
    else if (line.startsWith('-A') && line.split(' ').includes(device)) found[table]?.push(line);
  }
  return { nat: found.nat, filter: found.filter };
}

async function changeIptables(
  remove: Awaited<ReturnType<typeof presentRules>>,
  add: ReturnType<typeof iptablesRules>,
  operation: string,
): Promise<void> {
  const script = IPTABLES_TABLES.map((table) => {
    const gone = remove[table].map((rule) => rule.replace(/^-A/, '-D'));
    return [`*${table}`, ...gone, ...add[table], 'COMMIT', ''].join('\n');
  });
  await runTool('iptables-restore', ['-n', '-w'], script.join(''), operation);
}

export async function addRoutes(device: string, subnet: string): Promise<void> {
  const operation = 'set up NAT';
  if (has('nft')) await runTool('nft', ['-f', '-'], nftTable(device, subnet), operation);
  else if (has('iptables-restore'))
    await changeIptables(await presentRules(device), iptablesRules(device, subnet), operation);
  else return;
  if (readFileSync(FORWARD, 'latin1').trim() !== '1') writeFileSync(FORWARD, '1');
}

export async function removeRoutes(device: string): Promise<void> {
  const operation = 'take NAT back';
  try {
    if (has('nft')) await runTool('nft', ['delete', 'table', 'ip', device], '', operation);
    else if (has('iptables-restore'))
      await changeIptables(await presentRules(device), { nat: [], filter: [] }, operation);
  } catch (failure) {
    // Somebody flushed the rules meanwhile: what was to go is gone.
    process.stderr.write(`${(failure as Error).message}\n`);
  }
}
