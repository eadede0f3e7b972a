/** The README and the lock file. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FUNCTION_PROPERTIES } from '../src/function';
import { SERVICE_PROPERTIES } from '../src/service';
import { SHARED_PROPERTIES } from '../src/shared';
import { text } from './support';

const README = text('README.md');

/** The rows of the tables of properties: of both, of the function, of the service. */
function rows(heading: string): [string, string[]][] {
  const section = README.split(`### ${heading}\n`)[1]!.split('\n#')[0]!;
  return [...section.matchAll(/^\| `(\w+)` \| [^|]+ \| ([^|]+) \| /gm)].map(([, property, parameters]) => [
    property!,
    [...parameters!.matchAll(/`([A-Z][A-Za-z0-9]+)`/g)].map(([, parameter]) => parameter!),
  ]);
}

/** The parameters of each property. */
function byProperty(properties: Record<string, readonly string[]>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [parameter, names] of Object.entries(properties)) {
    names.forEach((name) => found.set(name, [...(found.get(name) ?? []), parameter]));
  }
  return found;
}

test('the README has each property, with the parameters that it sets', () => {
  const both = new Map(rows('Of both'));
  for (const [heading, properties, more] of [
    ['Of the function', FUNCTION_PROPERTIES, ['code', 'architecture']],
    ['Of the service', SERVICE_PROPERTIES, []],
  ] as const) {
    const expected = byProperty(properties);
    more.forEach((name) => expected.set(name, []));
    const shown = new Map([...both, ...rows(heading)]);
    assert.deepEqual([...shown.keys()].sort(), [...expected.keys()].sort());
    for (const [name, parameters] of expected) {
      const other = heading === 'Of the function' ? SERVICE_PROPERTIES : FUNCTION_PROPERTIES;
      // A row of both may name a parameter of the other one.
      const found = shown.get(name)!.filter((parameter) => parameter in properties || !(parameter in other));
      assert.deepEqual(found.sort(), parameters.sort(), name);
    }
  }
  const shared = byProperty(SHARED_PROPERTIES);
  assert.deepEqual([...both.keys()].filter((name) => !shared.has(name)), ['securityGroup']);
});

test('the code of the README is that of the example', () => {
  const [example] = README.match(/```ts\n([^]*?)```/)!.slice(1);
  assert.ok(text('examples', 'orders.ts').includes(example!));
});

test('the lock file names no registry', () => {
  assert.doesNotMatch(text('package-lock.json'), /"resolved"|https?:\/\/(?!github\.com|opencollective\.com)[^"]*regist/);
});

test('the version is that of the program', () => {
  const [, version] = /^version = "(.+)"$/m.exec(text('..', '..', 'Cargo.toml'))!;
  assert.equal(JSON.parse(text('package.json')).version, version);
  assert.equal(JSON.parse(text('package-lock.json')).version, version);
  assert.ok(README.includes(`streamdex-cdk-${version}.tgz`));
});
