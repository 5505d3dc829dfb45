/**
 * Just enough of SVG for a chart. A chart brings its own background and follows the reader's preference for light or
 * dark by a media query, so that it can be read on any page, also where it is shown as an image.
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}

type Attributes = Readonly<Record<string, string | number>>;

/** Without custom properties, which not every viewer knows. */
const STYLE = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .strong { font-weight: 700; }
  .faint { font-size: 12px; fill: #59636e; }
  .paper { fill: #ffffff; }
  .grid { stroke: #d8dee4; stroke-width: 1; }
  .axis { stroke: #59636e; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .faint { fill: #9198a1; }
    .paper { fill: #0d1117; }
    .grid { stroke: #30363d; }
    .axis { stroke: #9198a1; }
  }
`;

/** Of a luminance that stands out from white as well as from near-black. */
const COLORS: Readonly<Record<string, string>> = {
  millrace: '#e5534b',
  c: '#808890',
  net: '#4c8dda',
  cluster: '#8f7ee7',
  gnet: '#2da44e',
  gaio: '#c98500',
  netpoll: '#d0569d',
  evio: '#1b9aaa',
  nbio: '#a0703c',
  'go-net': '#7d9a1f',
};
const OTHER_COLORS = ['#b45bcf', '#5f8f7b', '#cf6d2f', '#6d7fb8'];

/** The same for a server in every chart; `others` are the names that are not known here, in order. */
export function colorOf(server: string, others: readonly string[]): string {
  const index = Math.max(0, others.indexOf(server));
  return COLORS[server] ?? OTHER_COLORS[index % OTHER_COLORS.length] ?? '#808890';
}

export function namesWithoutColor(servers: readonly string[]): string[] {
  return servers.filter((server) => COLORS[server] === undefined);
}

export class Drawing {
  readonly #width: number;
  readonly #height: number;
  readonly #title: string;
  readonly #elements: string[] = [];

  constructor(width: number, height: number, title: string) {
    this.#width = width;
    this.#height = height;
    this.#title = title;
    this.#add('rect', { class: 'paper', width, height });
  }

  line(from: Point, to: Point, attributes: Attributes): void {
    const ends = { x1: round(from.x), y1: round(from.y), x2: round(to.x), y2: round(to.y) };
    this.#add('line', { ...ends, ...attributes });
  }

  path(points: readonly Point[], attributes: Attributes): void {
    const d = points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join('');
    this.#add('path', { d, fill: 'none', ...attributes });
  }

  circle({ x, y }: Point, radius: number, attributes: Attributes): void {
    this.#add('circle', { cx: round(x), cy: round(y), r: radius, ...attributes });
  }

  box({ x, y }: Point, width: number, height: number, attributes: Attributes): void {
    const place = { x: round(x), y: round(y), width: round(width), height: round(height) };
    this.#add('rect', { ...place, ...attributes });
  }

  text({ x, y }: Point, text: string, attributes: Attributes): void {
    this.#add('text', { x: round(x), y: round(y), ...attributes }, text);
  }

  toString(): string {
    const [width, height] = [this.#width, this.#height];
    const frame = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" ${frame} role="img">`,
      `<title>${escaped(this.#title)}</title>`,
      `<style>${STYLE}</style>`,
      ...this.#elements,
      '</svg>\n',
    ].join('\n');
  }

  #add(name: string, attributes: Attributes, text?: string): void {
    const written = Object.entries(attributes).map(
      ([key, value]) => ` ${key}="${escaped(String(value))}"`,
    );
    const content = text === undefined ? '/>' : `>${escaped(text)}</${name}>`;
    this.#elements.push(`<${name}${written.join('')}${content}`);
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
