/** A reader of Prometheus' text format that forgives nothing: written from its description, for tests. */

import assert from 'node:assert/strict';

export interface ParsedFamily {
  readonly help: string;
  readonly type: string;
  readonly samples: { name: string; labels: Record<string, string>; value: number }[];
}

const LINE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/;

/** Families by name; throws for what no scraper would take. */
export function parseExposition(text: string, isOpenMetrics = false): Map<string, ParsedFamily> {
  assert.ok(text.endsWith('\n'), 'the last line ends, too');
  const lines = text.slice(0, -1).split('\n');
  if (isOpenMetrics) {
    assert.equal(lines.pop(), '# EOF');
  }
  const families = new Map<string, ParsedFamily>();
  let current: [name: string, family: ParsedFamily] | undefined;
  const seen = new Set<string>();
  for (const line of lines) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment?.[1] === 'HELP') {
      assert.ok(!families.has(comment[2]!), `one group for ${comment[2]}`);
      current = [comment[2]!, { help: comment[3]!, type: '', samples: [] }];
      families.set(...current);
    } else if (comment?.[1] === 'TYPE') {
      assert.equal(comment[2], current![0]);
      Object.assign(current![1], { type: comment[3] });
    } else {
      const [, name, labelText = '', value] =
        LINE.exec(line) ?? assert.fail(`not a sample: ${line}`);
      const labels = labelsOf(labelText);
      const key = `${name}${JSON.stringify(Object.entries(labels).sort())}`;
      assert.ok(!seen.has(key), `twice: ${line}`);
      seen.add(key);
      const [family, { type, samples }] = current!;
      const suffixes =
        type === 'histogram'
          ? ['_bucket', '_sum', '_count']
          : type === 'counter' && isOpenMetrics
            ? ['_total']
            : [''];
      assert.ok(
        suffixes.some((suffix) => name === family + suffix),
        `${name} in ${family}`,
      );
      samples.push({ name: name!, labels, value: Number(value!.replace('Inf', 'Infinity')) });
    }
  }
  for (const [name, family] of families) {
    if (family.type === 'histogram') {
      checkHistogram(name, family);
    }
  }
  return families;
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const [all, name, value] = LABEL.exec(rest) ?? assert.fail(`not labels: ${rest}`);
    assert.ok(!(name! in labels));
    labels[name!] = value!.replace(/\\(.)/g, (_, each: string) => (each === 'n' ? '\n' : each));
    rest = rest.slice(all.length);
  }
  return labels;
}

/** Buckets ascend, count up, and end with all. */
function checkHistogram(name: string, { samples }: ParsedFamily): void {
  const last = new Map<string, { le: number; value: number }>();
  for (const { name: own, labels, value } of samples) {
    const { le, ...rest } = labels;
    const key = JSON.stringify(rest);
    const before = last.get(key) ?? { le: Number.NEGATIVE_INFINITY, value: 0 };
    if (own === `${name}_bucket`) {
      const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
      assert.ok(bound > before.le && value >= before.value, `${name} ${le}`);
      last.set(key, { le: bound, value });
    } else if (own === `${name}_count`) {
      assert.equal(value, before.value);
      assert.equal(before.le, Number.POSITIVE_INFINITY);
    }
  }
}
