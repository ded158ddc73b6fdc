// SPDX-License-Identifier: MIT
/** Containers with a terminal: size, job control, ^C, detaching, attaching, exec. */
import t from 'tap';
import { boxCli, PROGRAM, Terminal } from '../support/containers.js';

t.test('a shell in a terminal has its size, is interrupted by ^C, and gives its exit code', async (t) => {
  const cli = await boxCli(t);
  const terminal = new Terminal(t, cli, PROGRAM, 'run', '--rm', '-it', 'box', 'sh');
  await terminal.shows(/# /);
  terminal.type('tty; echo size $(stty size) $TERM\n');
  await terminal.shows(/\/dev\/pts\/0\r\nsize 24 80 xterm\r\n/);
  terminal.resize(33, 111);
  terminal.type('sleep 0.3; stty size\n');
  await terminal.shows(/33 111\r\n/);
  terminal.type("sh -c 'echo star''ted; exec sleep 1000'\n");
  await terminal.shows(/started\r\n/);
  terminal.type('\u0003');
  await terminal.shows(/\^C[\s\S]*# /);
  terminal.type('echo status $?\n');
  await terminal.shows(/status 130\r\n/);
  terminal.type('sleep 1000 &\n');
  await terminal.shows(/# /);
  terminal.type('jobs; kill %1; exit 7\n');
  await terminal.shows(/Running +sleep 1000/);
  t.equal(await terminal.exited, 7);
});

t.test('the keys to detach leave it running; attach comes back to it', async (t) => {
  const cli = await boxCli(t);
  const first = new Terminal(t, cli, PROGRAM, 'run', '-it', '--name', 'shell', 'box', 'sh');
  await first.shows(/# /);
  first.type('kept=here\n');
  await first.shows(/# /);
  first.type('\u0010\u0011');
  t.equal(await first.exited, 0);
  t.match(await cli.ok('ps', '--format', '{{.Names}} {{.State}}'), 'shell running');
  const second = new Terminal(t, cli, PROGRAM, 'attach', '--detach-keys', 'ctrl-x,q', 'shell');
  second.type('echo it is $kept\n');
  await second.shows(/it is here\r\n/);
  second.type('\u0018q');
  t.equal(await second.exited, 0);
  const third = new Terminal(t, cli, PROGRAM, 'attach', 'shell');
  third.type('exit 4\n');
  t.equal(await third.exited, 4);
  t.match(await cli.ok('ps', '-a', '--format', '{{.Status}}'), /^Exited \(4\)/);
  t.match(await cli.ok('logs', 'shell'), /it is here\r\n/, 'the log has it too');
});

t.test('exec has a terminal of its own, beside the running program', async (t) => {
  const cli = await boxCli(t);
  await cli.ok('run', '-d', '--name', 'c1', 'box', 'sleep', '1000');
  const terminal = new Terminal(t, cli, PROGRAM, 'exec', '-it', '-e', 'A=1', '-w', '/srv', 'c1', 'sh');
  await terminal.shows(/# /);
  terminal.type('echo $A $(pwd); stty size; ps | grep -c sleep; exit 5\n');
  await terminal.shows(/1 \/srv\r\n24 80\r\n[12]\r\n/);
  t.equal(await terminal.exited, 5);
  t.match(await cli.run('exec', '-it', 'c1', 'sh'), {
    status: 125,
    stderr: /the input is no terminal; leave -t out/,
  });
});

t.test('without a terminal a signal is passed on, and the exit code comes back', async (t) => {
  const cli = await boxCli(t);
  const script = 'trap "echo caught; exit 6" INT; echo ready; while :; do sleep 0.1; done';
  const terminal = new Terminal(t, cli, PROGRAM, 'run', '--rm', 'box', 'sh', '-c', script);
  await terminal.shows(/ready\r\n/);
  terminal.type('\u0003');
  await terminal.shows(/caught\r\n/);
  t.equal(await terminal.exited, 6);
});
