// SPDX-License-Identifier: MIT
/**
 * Dockerfiles with what they are built from, each about one thing. `box` is an image
 * with Busybox and two users. Buildah 1.28 builds all of them; what it does not know
 * (here-documents, --link, --exclude…) is in language.test.ts and build.test.ts.
 */

export interface BuildCase {
  title: string;
  /** The context: text, or a command that is run in it. */
  files?: Record<string, string>;
  /** Shell, run in the context after the files are there. */
  prepare?: string;
  dockerfile: string;
  /** Of both programs. */
  args?: string[];
}

const PROJECT = {
  'a.txt': 'a\n',
  'b.txt': 'b\n',
  'dir/c.txt': 'c\n',
  'dir/deep/d.txt': 'd\n',
  'run.sh': '#!/bin/sh\necho ran\n',
};

export const CASES: BuildCase[] = [
  { title: 'FROM and CMD alone', dockerfile: 'FROM box\nCMD ["true"]\n' },
  {
    title: 'FROM scratch with one file',
    files: PROJECT,
    dockerfile: 'FROM scratch\nCOPY a.txt /a.txt\nCMD ["/a.txt"]\n',
  },
  {
    title: 'RUN in shell form',
    dockerfile: 'FROM box\nRUN echo one > /one && mkdir -p /x/y && echo two > /x/y/two\n',
  },
  { title: 'RUN in exec form', dockerfile: 'FROM box\nRUN ["/bin/sh", "-c", "echo $0 > /zero", "arg"]\n' },
  {
    title: 'RUN over several lines with comments',
    dockerfile:
      'FROM box\nRUN echo a > /a && \\\n  # a comment\n\n  echo b > /b && \\\n  echo "c d" > "/c d"\n',
  },
  {
    title: 'the escape directive',
    dockerfile: '# escape=`\nFROM box\nRUN echo a > /a `\n && echo b > /b\n',
  },
  {
    title: 'a # that is no comment',
    dockerfile: 'FROM box\nRUN echo "# no comment" > /hash\n  # but this is\nENV A=b#c\n',
  },
  {
    title: 'COPY of a file under another name',
    files: PROJECT,
    dockerfile: 'FROM box\nCOPY a.txt /etc/renamed\n',
  },
  {
    title: 'COPY of files into a directory that is made',
    files: PROJECT,
    dockerfile: 'FROM box\nCOPY a.txt b.txt /new/sub/\n',
  },
  {
    title: 'COPY of a directory copies what it holds',
    files: PROJECT,
    dockerfile: 'FROM box\nCOPY dir /target\n',
  },
  {
    title: 'COPY of a directory into one that is there',
    files: PROJECT,
    dockerfile:
      'FROM box\nRUN mkdir -m 700 /target && echo old > /target/c.txt && echo stays > /target/stays\nCOPY dir /target\n',
  },
  { title: 'COPY . .', files: PROJECT, dockerfile: 'FROM box\nWORKDIR /srv/app\nCOPY . .\n' },
  {
    title: 'COPY with patterns',
    files: { ...PROJECT, 'x1.js': '1', 'x2.js': '2', 'x10.js': '10' },
    dockerfile: 'FROM box\nCOPY x?.js *.txt /p/\nCOPY d*/*.txt /q/\n',
  },
  {
    title: 'COPY with a JSON list and spaces',
    files: { 'a b.txt': 'ab\n' },
    dockerfile: 'FROM box\nCOPY ["a b.txt", "/dir with space/"]\n',
  },
  {
    title: 'COPY keeps modes',
    files: PROJECT,
    prepare: 'chmod 755 run.sh; chmod 600 a.txt; chmod 750 dir; chmod 1777 dir/deep',
    dockerfile: 'FROM box\nCOPY . /m/\n',
  },
  {
    title: 'COPY --chown by name',
    files: PROJECT,
    dockerfile: 'FROM box\nCOPY --chown=ann:team dir /owned/\nCOPY --chown=ann a.txt /owned/a\n',
  },
  {
    title: 'COPY --chown by number',
    files: PROJECT,
    dockerfile: 'FROM box\nCOPY --chown=7:8 a.txt /n/a\nCOPY --chown=55:66 dir /n/dir/\n',
  },
  { title: 'COPY --chmod', files: PROJECT, dockerfile: 'FROM box\nCOPY --chmod=4711 a.txt run.sh /m/\n' },
  {
    title: 'COPY of symlinks',
    files: PROJECT,
    prepare:
      'ln -s a.txt link; ln -s /etc/passwd absolute; mkdir links; ln -s ../a.txt links/up; ln -s nowhere links/broken',
    dockerfile: 'FROM box\nCOPY link /followed\nCOPY links /links/\n',
  },
  {
    title: 'COPY over a symlink to a directory in the image',
    files: PROJECT,
    dockerfile:
      'FROM box\nRUN mkdir -p /real && ln -s /real /alias && ln -s real /relative\nCOPY a.txt /alias/\nCOPY b.txt /relative/sub/b\n',
  },
  {
    title: 'COPY replaces a file of a lower layer',
    files: PROJECT,
    dockerfile: 'FROM box\nRUN echo old > /f && chmod 640 /f && chown ann /f\nCOPY a.txt /f\n',
  },
  {
    title: 'COPY of hidden and empty files',
    files: { '.hidden': 'h', '.config/x': 'x', empty: '' },
    prepare: 'mkdir emptydir',
    dockerfile: 'FROM box\nCOPY . /all/\n',
  },
  {
    title: '.dockerignore',
    files: {
      ...PROJECT,
      'dir/skip.log': 'l',
      'top.log': 't',
      'node_modules/m/index.js': 'm',
      '.dockerignore': '# comment\n*.log\n**/*.log\nnode_modules\n/b.txt\n',
    },
    dockerfile: 'FROM box\nCOPY . /all/\n',
  },
  {
    title: '.dockerignore with exceptions',
    files: { ...PROJECT, '.dockerignore': '*\n!dir\ndir/deep\n!a.txt\n' },
    dockerfile: 'FROM box\nCOPY . /all/\n',
  },
  {
    title: 'ADD of a tar archive',
    files: PROJECT,
    prepare: 'tar -cf a.tar --owner=5 --group=6 --mode=u=rwX,go=rX a.txt dir; rm -r dir',
    dockerfile: 'FROM box\nADD a.tar /unpacked/\n',
  },
  {
    title: 'ADD of compressed archives',
    files: PROJECT,
    prepare:
      'tar -czf a.tgz --owner=5 --group=6 a.txt; tar -cJf b.tar.xz --owner=5 --group=6 b.txt; tar -cjf c.tbz --owner=5 --group=6 dir',
    dockerfile: 'FROM box\nADD a.tgz b.tar.xz c.tbz /unpacked/\n',
  },
  {
    title: 'ADD of plain files',
    files: PROJECT,
    prepare: 'gzip -c a.txt > a.txt.gz',
    dockerfile: 'FROM box\nADD a.txt b.txt /plain/\nADD a.txt.gz /plain/\n',
  },
  {
    title: 'COPY does not unpack',
    files: PROJECT,
    prepare: 'tar -cf a.tar --mtime=@0 --owner=0 --group=0 a.txt',
    dockerfile: 'FROM box\nCOPY a.tar /packed/\n',
  },
  {
    title: 'WORKDIR makes directories',
    dockerfile: 'FROM box\nWORKDIR /a/b\nWORKDIR c\nRUN pwd > /where\nWORKDIR ../d\n',
  },
  { title: 'WORKDIR after USER', dockerfile: 'FROM box\nUSER ann\nWORKDIR /of/ann\nRUN id -u\n' },
  {
    title: 'a stage with the name of an image',
    dockerfile: 'FROM box AS box\nRUN echo 1 > /1\nFROM box\nRUN echo 2 > /2\n',
  },
  {
    title: 'WORKDIR with variables',
    dockerfile:
      'FROM box\nENV BASE=/opt/base\nWORKDIR $BASE/x\nWORKDIR ${NOPE:-fallback}\nRUN pwd > /where\n',
  },
  {
    title: 'ENV in its forms',
    dockerfile:
      'FROM box\nENV A=1 B="two words" C=three\\ words\nENV OLD the old form\nENV D=$A-$B E=\'single $A\' F="a\\"b"\nENV A=changed G=$A\nRUN env | sort | grep -E "^[A-GO]" > /env\n',
  },
  {
    title: 'variables with defaults and alternatives',
    dockerfile:
      'FROM box\nENV SET=yes EMPTY=\nENV V1=${SET:-no} V2=${UNSET:-no} V3=${SET:+other} V4=${UNSET:+other} V5=${EMPTY:-filled} V6=\\$SET V7=a${SET}b\n',
  },
  {
    title: 'ARG with and without default',
    args: ['--build-arg', 'GIVEN=given', '--build-arg', 'OVER=over'],
    dockerfile:
      'ARG TAG=box\nFROM ${TAG}\nARG GIVEN\nARG OVER=default\nARG PLAIN=plain\nARG UNSET\nRUN echo "$GIVEN $OVER $PLAIN $UNSET" > /args\nENV KEPT=$GIVEN\n',
  },
  {
    title: 'ENV hides ARG',
    args: ['--build-arg', 'X=arg'],
    dockerfile: 'FROM box\nARG X=default\nENV X=env\nRUN echo $X > /x\n',
  },
  {
    title: 'ARG before FROM is not seen in a stage until it is asked for',
    dockerfile: 'ARG V=outer\nFROM box\nRUN echo "[$V]" > /before\nARG V\nRUN echo "[$V]" > /after\n',
  },
  {
    title: 'USER by name and number',
    dockerfile:
      'FROM box\nRUN mkdir -m 777 /w\nUSER ann\nRUN id -u > /w/ann && id -G > /w/groups && echo $HOME > /w/home\nUSER 7:8\nRUN id > /w/number\nUSER root\nRUN id -u > /w/root\nUSER ann:team\n',
  },
  {
    title: 'LABEL in its forms',
    dockerfile: 'FROM box\nLABEL one=1 "two words"="a b" three="c\\\nd"\nLABEL one=again\nLABEL old form\n',
  },
  {
    title: 'EXPOSE, VOLUME and STOPSIGNAL',
    dockerfile:
      'FROM box\nEXPOSE 80 443/tcp 53/udp\nENV P=9000\nEXPOSE $P\nVOLUME /data /more\nVOLUME ["/json list"]\nSTOPSIGNAL SIGUSR1\n',
  },
  {
    title: 'CMD and ENTRYPOINT in shell form',
    dockerfile: 'FROM box\nENTRYPOINT exec top -b\nCMD echo $HOME\n',
  },
  {
    title: 'CMD and ENTRYPOINT in exec form',
    dockerfile: 'FROM box\nENTRYPOINT ["top", "-b"]\nCMD ["-n", "1"]\n',
  },
  {
    title: 'ENTRYPOINT takes an inherited CMD away',
    dockerfile: 'FROM box AS base\nCMD ["inherited"]\nFROM base\nENTRYPOINT ["entry"]\n',
  },
  {
    title: 'SHELL',
    dockerfile: 'FROM box\nSHELL ["/bin/ash", "-e", "-c"]\nRUN echo $- > /flags\n',
  },
  {
    title: 'HEALTHCHECK',
    dockerfile:
      'FROM box\nHEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --retries=2 CMD wget -q localhost || exit 1\n',
  },
  {
    title: 'HEALTHCHECK in exec form, and none',
    dockerfile: 'FROM box AS a\nHEALTHCHECK CMD ["true"]\nFROM a\nHEALTHCHECK NONE\n',
  },
  {
    title: 'ONBUILD is kept and carried out',
    files: PROJECT,
    dockerfile:
      'FROM box AS parent\nONBUILD COPY a.txt /triggered\nONBUILD RUN cat /triggered > /again\nFROM parent\nRUN cat /again > /third\n',
  },
  {
    title: 'a multi-stage build',
    files: PROJECT,
    dockerfile:
      'FROM box AS build\nWORKDIR /src\nCOPY . .\nRUN cat a.txt b.txt > out && chmod 755 out\nFROM box AS unused\nRUN false\nFROM box\nCOPY --from=build /src/out /usr/local/bin/out\nCOPY --from=0 /src/dir /dir\n',
  },
  {
    title: 'COPY --from keeps owners and modes',
    dockerfile:
      'FROM box AS one\nRUN mkdir -p /o/p && echo f > /o/f && echo s > /o/p/s && chown -R ann:team /o && chmod 750 /o/p && chmod 4755 /o/f && ln -s f /o/l && ln /o/f /o/hard\nFROM box\nCOPY --from=one /o /copied\nCOPY --from=one /o/f /single\n',
  },
  {
    title: 'COPY --from an image',
    dockerfile: 'FROM scratch\nCOPY --from=box /etc/passwd /etc/group /etc/\n',
  },
  {
    title: 'a stage on a stage',
    dockerfile:
      'FROM box AS a\nENV X=1\nRUN echo a > /a\nFROM a AS b\nENV Y=$X\nRUN echo $Y > /b\nFROM b\nRUN cat /a /b > /c\n',
  },
  {
    title: '--target',
    args: ['--target', 'middle'],
    dockerfile:
      'FROM box AS first\nRUN echo 1 > /1\nFROM first AS middle\nRUN echo 2 > /2\nCMD ["middle"]\nFROM middle\nRUN echo 3 > /3\n',
  },
  {
    title: 'RUN that deletes files of lower layers',
    dockerfile:
      'FROM box\nRUN mkdir -p /d/e && echo 1 > /d/1 && echo 2 > /d/e/2 && echo k > /d/keep\nRUN rm -r /d/e /d/1 /srv\nRUN rm /etc/group && mkdir /d/e && echo new > /d/e/new\n',
  },
  {
    title: 'RUN that renames lower directories',
    dockerfile:
      'FROM box\nRUN mkdir -p /lib/a/b && echo 1 > /lib/a/1 && echo 2 > /lib/a/b/2 && ln /lib/a/1 /lib/hard\nRUN mv /lib/a /moved && echo 3 > /moved/b/3 && rm /moved/1\nRUN mv /moved/b /lib/b && mkdir /moved/b && echo x > /moved/b/x\n',
  },
  {
    title: 'RUN that changes owners and modes',
    dockerfile:
      'FROM box\nRUN mkdir -p /p/q && echo 1 > /p/1 && echo 2 > /p/q/2\nRUN chown -R 1000:50 /p && chmod 2770 /p/q && chmod 400 /p/1\nRUN chown 0:0 /p/q/2\n',
  },
  {
    title: 'RUN that replaces a directory by a file and the other way round',
    dockerfile:
      'FROM box\nRUN mkdir -p /was/dir && echo x > /was/dir/x && echo f > /was/file\nRUN rm -r /was/dir && echo now > /was/dir && rm /was/file && mkdir /was/file && echo y > /was/file/y\n',
  },
  {
    title: 'RUN with links, fifos and spaces',
    dockerfile:
      'FROM box\nRUN mkdir /k && cd /k && echo a > a && ln a b && ln -s a c && mkfifo p && touch "sp ace"\n',
  },
  {
    title: 'RUN --mount=type=tmpfs leaves nothing',
    dockerfile:
      'FROM box\nRUN --mount=type=tmpfs,target=/scratch echo x > /scratch/x && cat /scratch/x > /kept\n',
  },
  {
    title: 'RUN --mount=type=bind from the context',
    files: PROJECT,
    dockerfile:
      'FROM box\nRUN --mount=type=bind,source=dir,target=/mnt cat /mnt/c.txt /mnt/deep/d.txt > /read\n',
  },
  {
    title: 'RUN --mount=type=bind from a stage',
    dockerfile:
      'FROM box AS maker\nRUN mkdir /out && echo made > /out/f\nFROM box\nRUN --mount=type=bind,from=maker,source=/out,target=/in cat /in/f > /read\n',
  },
  { title: 'MAINTAINER', dockerfile: 'FROM box\nMAINTAINER Ann <ann@example.org>\nCMD ["true"]\n' },
  {
    title: 'instructions in small letters',
    files: PROJECT,
    dockerfile: 'from box as base\nrun echo x > /x\ncopy a.txt /\nfrom base\ncmd ["x"]\n',
  },
  {
    title: '--label and several stages with the same base',
    args: ['--label', 'given=yes'],
    dockerfile: 'FROM box AS a\nLABEL own=a\nFROM box\nLABEL own=b\nCOPY --from=a /etc/passwd /p\n',
  },
];
