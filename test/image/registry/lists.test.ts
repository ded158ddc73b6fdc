// SPDX-License-Identifier: MIT
/** Listings of registries: in pages, with limits, and odd. */
import t, { type Test } from 'tap';
import { RegistryHttp } from '../../../lib/image/registry/http.js';
import { listRepositories, nextLink } from '../../../lib/image/registry/lists.js';
import { Repository } from '../../../lib/image/registry/registry.js';
import { Warnings } from '../../../lib/image/registry/warnings.js';
import { storeCli } from '../../support/images.js';
import { fail, type Odd, OddRegistry, send } from '../../support/odd-registry.js';

const TAGS = Array.from({ length: 10 }, (_, index) => `t${index}`);

async function ask(t: Test, behave: Odd) {
  const registry = await OddRegistry.start(t, behave);
  const endpoint = {
    host: registry.host,
    scheme: undefined,
    prefix: '',
    insecure: true,
    isMirror: false,
  };
  const http = new RegistryHttp(
    endpoint,
    async () => undefined,
    new Warnings({ note: (text) => t.comment(text) }),
  );
  t.teardown(() => http.close());
  return { registry, http, tags: () => new Repository(http, 'a').listTags() };
}

/** Four tags a page, and `link` from the last of one to the next. */
function inPages(link: (last: string, host: string) => string, header = 'link'): Odd {
  return ({ url, headers }, response) => {
    const { searchParams } = new URL(url, 'http://registry');
    const last = searchParams.get('last') ?? searchParams.get('next_page') ?? '';
    const left = TAGS.filter((tag) => tag > last);
    const page = left.slice(0, 4);
    const more = left.length > 4 ? { [header]: link(page[3], headers.host!) } : {};
    send(response, 200, JSON.stringify({ name: 'a', tags: page }), more);
  };
}

t.test('a listing goes on at the next page, in every form that a Link has', async (t) => {
  const forms: Record<string, (last: string, host: string) => string> = {
    'a path': (last) => `</v2/a/tags/list?last=${last}&n=4>; rel="next"`,
    'a token of its own': (last) => `</v2/a/tags/list?next_page=${last}>; rel="next"`,
    'a whole URL': (last, host) => `<http://${host}/v2/a/tags/list?last=${last}>; rel="next"`,
    'a query alone': (last) => `<?last=${last}>; rel="next"`,
    'a name alone': (last) => `<list?last=${last}>; rel="next"`,
    'without quotes': (last) => `</v2/a/tags/list?last=${last}>; rel=next`,
    'after another parameter': (last) => `</v2/a/tags/list?last=${last}>; title="a; rel=prev"; rel="next"`,
    'in upper case': (last) => `</v2/a/tags/list?last=${last}> ; REL = "NEXT"`,
    'among relations': (last) => `</v2/a/tags/list?last=${last}>; rel="next last"`,
    'among links': (last) => `</v2/a>; rel="up", </v2/a/tags/list?last=${last}>; rel="next"`,
  };
  for (const [label, link] of Object.entries(forms)) {
    const { tags } = await ask(t, inPages(link));
    t.strictSame(await tags(), TAGS, label);
  }
});

t.test('what is no link to a next page is none', async (t) => {
  for (const header of [
    '',
    '<x>',
    '<x>; rel=prev',
    '<x>; title="rel=next"',
    '<x>; rel=prev; rel=next',
    'x; rel=next',
  ])
    t.equal(nextLink(header), undefined, header);
});

t.test('a registry that allows fewer entries a page is asked for its own number', async (t) => {
  for (const status of [400, 422]) {
    const { registry, http } = await ask(t, ({ url }, response) =>
      /[?&]n=/.test(url)
        ? fail(response, status, 'PAGINATION_NUMBER_INVALID', 'at most 100')
        : send(response, 200, '{"repositories":["b","a"]}'),
    );
    t.strictSame(await listRepositories(http), ['a', 'b']);
    t.strictSame(
      registry.seen.map(({ url }) => url),
      ['/v2/_catalog?n=1000', '/v2/_catalog'],
    );
  }
});

t.test('pages that lead back, or without an end, are left', async (t) => {
  const { tags } = await ask(t, (_asked, response) =>
    send(response, 200, '{"tags":["a"]}', { link: '</v2/a/tags/list>; rel=next' }),
  );
  t.strictSame(await tags(), ['a']);
});

t.test(
  'an empty list is one however it is written, and what is none is said with the registry',
  async (t) => {
    for (const body of ['{"tags":[]}', '{"tags":null}', '{}', '\ufeff{"tags":[]}']) {
      const { tags } = await ask(t, (_asked, response) => send(response, 200, body));
      t.strictSame(await tags(), [], body);
    }
    const bodies: [body: string, message: RegExp][] = [
      ['<html>', /it is not JSON/],
      ['null', /no JSON object/],
      ['[]', /no JSON object/],
      ['{"tags":["a"', /it is not JSON/],
      ['{"tags":"a"}', /tags is no list of names/],
      ['{"tags":[1]}', /tags is no list of names/],
    ];
    for (const [body, message] of bodies) {
      const { tags, registry } = await ask(t, (_asked, response) => send(response, 200, body));
      await t.rejects(tags(), { message });
      await t.rejects(tags(), { message: new RegExp(`^read ${registry.host}/a/tags/list: `) });
    }
  },
);

t.test(
  'names that would write to the terminal are quoted, and a registry that is none is refused',
  async (t) => {
    const { registry } = await ask(t, (_asked, response) =>
      send(response, 200, JSON.stringify({ tags: ['1.0', 'a\x1b[2J'] })),
    );
    const cli = storeCli(t);
    t.equal(await cli.ok('search', '--tags', `${registry.host}/a`), '1.0\n"a\\u001b[2J"\n');
    t.match(await cli.run('search', 'http://quay.io'), {
      status: 2,
      stderr: /"http:\/\/quay.io" is no registry/,
    });
  },
);
