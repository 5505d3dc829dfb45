/** The two charts: lines over a logarithmic axis, and bars. Their parts carry names, not only colours. */
import { linearScale, linearTicks, logScale, spread } from './scale.js';
import { colorOf, Drawing, namesWithoutColor, type Point } from './svg.js';

export interface Series {
  readonly name: string;
  /** Ascending by x. */
  readonly points: readonly Point[];
}

export interface ChartTexts {
  readonly title: string;
  /** Two lines. */
  readonly subtitles: readonly string[];
  readonly xLabel: string;
  readonly yLabel: string;
}

export interface Bar {
  readonly name: string;
  readonly value: number;
}

/** Drawn stronger than the others. */
const OURS = 'millrace';
/** What the benchmark's short names stand for. */
const FULL_NAMES: Readonly<Record<string, string>> = {
  c: 'C, epoll',
  net: 'node:net',
  cluster: 'node:cluster',
  'go-net': 'Go net',
};
const WIDTH = 800;
const LABEL_GAP = 16;
const DASHES = ['none', '6 3', '2 3', '9 3 2 3'];

/** x on a logarithmic axis with the values that were measured, y from 0. */
export function lineChart(series: readonly Series[], texts: ChartTexts): string {
  const height = 480;
  const area = { left: 84, right: WIDTH - 110, top: 94, bottom: height - 60 };
  const drawing = new Drawing(WIDTH, height, texts.title);
  const xs = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))];
  xs.sort((a, b) => a - b);
  const ticks = linearTicks(Math.max(...series.flatMap(({ points }) => points.map(({ y }) => y))));
  const xOf = logScale(xs[0] ?? 1, xs.at(-1) ?? 1, area.left + 16, area.right - 16);
  const yOf = linearScale(ticks.at(-1) ?? 1, area.bottom, area.top);
  drawTitle(drawing, texts);
  for (const tick of ticks) {
    const [from, to] = [
      { x: area.left, y: yOf(tick) },
      { x: area.right, y: yOf(tick) },
    ];
    drawing.line(from, to, { class: tick === 0 ? 'axis' : 'grid' });
    const place = { x: area.left - 8, y: yOf(tick) + 4 };
    drawing.text(place, grouped(tick), { class: 'faint', 'text-anchor': 'end' });
  }
  for (const x of xs) {
    drawing.line(
      { x: xOf(x), y: area.bottom },
      { x: xOf(x), y: area.bottom + 5 },
      { class: 'axis' },
    );
    const place = { x: xOf(x), y: area.bottom + 20 };
    drawing.text(place, grouped(x), { class: 'faint', 'text-anchor': 'middle' });
  }
  const middle = { x: (area.left + area.right) / 2, y: height - 14 };
  drawing.text(middle, texts.xLabel, { 'text-anchor': 'middle' });
  const side = { x: 18, y: (area.top + area.bottom) / 2 };
  const turned = `rotate(-90 ${side.x} ${side.y})`;
  drawing.text(side, texts.yLabel, { 'text-anchor': 'middle', transform: turned });
  drawSeries(drawing, series, xOf, yOf, area.bottom);
  return drawing.toString();
}

function drawSeries(
  drawing: Drawing,
  series: readonly Series[],
  xOf: (value: number) => number,
  yOf: (value: number) => number,
  bottom: number,
): void {
  const others = namesWithoutColor(series.map(({ name }) => name));
  const ends = series.map(({ points }) => points.at(-1) ?? { x: 1, y: 0 });
  const labels = spread(
    ends.map(({ y }) => yOf(y)),
    LABEL_GAP,
    bottom,
  );
  series.forEach(({ name, points }, i) => {
    const color = colorOf(name, others);
    const isOurs = name === OURS;
    const placed = points.map(({ x, y }) => ({ x: xOf(x), y: yOf(y) }));
    drawing.path(placed, {
      stroke: color,
      'stroke-width': isOurs ? 3.5 : 2,
      'stroke-dasharray': isOurs ? 'none' : (DASHES[i % DASHES.length] ?? 'none'),
    });
    for (const point of placed) drawing.circle(point, isOurs ? 5 : 3.5, { fill: color });
    const end = placed.at(-1);
    const y = labels[i];
    if (end === undefined || y === undefined) return;
    drawing.line({ x: end.x + 6, y: end.y }, { x: end.x + 22, y }, { stroke: color });
    drawing.text({ x: end.x + 26, y: y + 4 }, fullName(name), isOurs ? { class: 'strong' } : {});
  });
}

/** One bar for each, the shortest first, with its value written at its end. */
export function barChart(bars: readonly Bar[], texts: ChartTexts): string {
  const rowHeight = 30;
  const area = { left: 110, right: WIDTH - 90, top: 94 };
  const bottom = area.top + bars.length * rowHeight;
  const height = bottom + 64;
  const drawing = new Drawing(WIDTH, height, texts.title);
  const sorted = [...bars].sort((a, b) => a.value - b.value);
  const others = namesWithoutColor(bars.map(({ name }) => name));
  const ticks = linearTicks(Math.max(...bars.map(({ value }) => value)));
  const xOf = linearScale(ticks.at(-1) ?? 1, area.left, area.right);
  drawTitle(drawing, texts);
  for (const tick of ticks) {
    const x = xOf(tick);
    drawing.line({ x, y: area.top }, { x, y: bottom }, { class: tick === 0 ? 'axis' : 'grid' });
    const place = { x, y: bottom + 18 };
    drawing.text(place, grouped(tick), { class: 'faint', 'text-anchor': 'middle' });
  }
  sorted.forEach(({ name, value }, i) => {
    const y = area.top + i * rowHeight + 5;
    const weight = name === OURS ? { class: 'strong' } : {};
    // Memory that shrank meanwhile is no bar.
    const width = Math.max(1, xOf(Math.max(0, value)) - area.left);
    drawing.text({ x: area.left - 8, y: y + 14 }, fullName(name), {
      'text-anchor': 'end',
      ...weight,
    });
    drawing.box({ x: area.left, y }, width, rowHeight - 10, { fill: colorOf(name, others), rx: 2 });
    drawing.text({ x: area.left + width + 6, y: y + 14 }, grouped(value), weight);
  });
  const middle = { x: (area.left + area.right) / 2, y: height - 16 };
  drawing.text(middle, texts.xLabel, { 'text-anchor': 'middle' });
  drawing.text({ x: area.left - 8, y: area.top - 8 }, texts.yLabel, {
    class: 'faint',
    'text-anchor': 'end',
  });
  return drawing.toString();
}

function drawTitle(drawing: Drawing, { title, subtitles }: ChartTexts): void {
  drawing.text({ x: 18, y: 28 }, title, { class: 'title' });
  subtitles.forEach((line, i) => {
    drawing.text({ x: 18, y: 48 + 17 * i }, line, { class: 'faint' });
  });
}

function fullName(name: string): string {
  return FULL_NAMES[name] ?? name;
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en');
}
