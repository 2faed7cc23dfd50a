// The border with Python: one binary block per profile. Layout: "TPB1", header length, JSON header, columns.

export type ColumnArray = Int32Array | Uint8Array | Uint16Array | Float64Array;

/** Columns of the nodes, in pre-order (a parent before its children, node 0 the root). Tokens and cost are self values. */
export interface Block {
  readonly nodes: number;
  readonly parent: Int32Array;
  readonly name: Int32Array;
  readonly kind: Uint8Array;
  readonly where: Int32Array;
  /** Innermost function of the user's that made a call, by its whole name. */
  readonly function: Int32Array;
  readonly model: Int32Array;
  readonly status: Uint8Array;
  readonly source: Uint8Array;
  readonly row: Int32Array;
  /** Seconds since the start of the profile. */
  readonly start: Float64Array;
  readonly duration: Float64Array;
  readonly ttft: Float64Array;
  readonly input: Float64Array;
  readonly output: Float64Array;
  /** Tokens of embedding models and rerankers; the other tokens are those of language models. */
  readonly embedding: Float64Array;
  readonly cache_read: Float64Array;
  readonly cache_write: Float64Array;
  readonly reasoning: Float64Array;
  /** USD; NaN where the price is unknown. */
  readonly cost: Float64Array;
  readonly attempt: Uint8Array;
  readonly http_status: Uint16Array;
  readonly stream: Uint8Array;
  readonly error: Int32Array;
  readonly provider: Int32Array;
  /** Service tier, as the provider says it. */
  readonly tier: Int32Array;
  /** Why the model stopped. */
  readonly finish: Int32Array;
  /** The span's own tags, a JSON object of strings; those of the nodes around it hold too. */
  readonly tags: Int32Array;
  /** Whether it ended after the profile. */
  readonly late: Uint8Array;
  /** Calls that the node stands for itself: 0 for a step, more than one where rows were not kept or nodes left out. */
  readonly count: Int32Array;
  /** One bit a figure of `FIGURES`: whether any of these calls told it, and whether any did not or told a lower bound. */
  readonly told: Uint8Array;
  readonly untold: Uint8Array;
  /** Index into `pricings`. */
  readonly priced: Uint8Array;
  /** Parts of the cost, USD; 0 where the price is unknown. */
  readonly cost_input: Float64Array;
  readonly cost_output: Float64Array;
  readonly cost_cache_read: Float64Array;
  readonly cost_cache_write: Float64Array;
  /** Tokens and USD that a cache saved by its answer; NaN where that is not known. */
  readonly saved: Float64Array;
  readonly saved_cost: Float64Array;
  /** Parts of prompts, in the order of their calls; absent where there are none. */
  readonly segments?: Segments;
  /** Which answers went into which prompts; absent where none did, or none were kept. */
  readonly flows?: Flows;
  /** Of a block that has nodes for them: input that was sent before. */
  readonly replayed?: Float64Array;
  readonly strings: readonly string[];
  readonly kinds: readonly string[];
  readonly statuses: readonly string[];
  /** The surest first. */
  readonly sources: readonly string[];
  /** Where a cost comes from: "" (no call), reported, priced, custom, cached, missing. */
  readonly pricings: readonly string[];
  readonly meta: Meta;
}

/** Columns with a length of their own. */
export interface Segments {
  /** The call. */
  readonly node: Int32Array;
  /** Index into `names`. */
  readonly part: Uint8Array;
  /** Of a tool its name. */
  readonly label: Int32Array;
  readonly tokens: Int32Array;
  /** Those that no earlier call had sent. */
  readonly new: Int32Array;
  readonly cached: Int32Array;
  /** USD; NaN where the price is unknown. */
  readonly cost: Float64Array;
  readonly names: readonly string[];
}

/** Columns with a length of their own. */
export interface Flows {
  /** Nodes: the call or tool that something came from, and the one that it went into. */
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Index into `FLOW_VIAS`. */
  readonly via: Uint8Array;
  /** NaN where not known. */
  readonly tokens: Float64Array;
}

/** An assistant's turn that was sent again, the call or the result of a tool, or anywhere else in a prompt. */
export const FLOW_VIAS = ["history", "tool", "text"] as const;
export type FlowVia = (typeof FLOW_VIAS)[number];

export interface Meta {
  readonly title?: string;
  /** What the profile comes to, in words: of a block that holds a part of it, the front end cannot say. */
  readonly summary?: readonly string[];
  readonly duration_s?: number;
  readonly metric?: string;
  readonly truncated?: boolean;
}

interface ColumnHeader {
  dtype: string;
  offset: number;
  length: number;
}

const TYPES = { i4: Int32Array, u1: Uint8Array, u2: Uint16Array, f8: Float64Array } as const;
type Dtype = keyof typeof TYPES;

/** Type of each column, and the value that an absent column is full of. */
const SCHEMA = {
  parent: ["i4", -1],
  name: ["i4", -1],
  kind: ["u1", 0],
  where: ["i4", -1],
  function: ["i4", -1],
  model: ["i4", -1],
  status: ["u1", 0],
  source: ["u1", 255],
  row: ["i4", -1],
  start: ["f8", 0],
  duration: ["f8", 0],
  ttft: ["f8", NaN],
  input: ["f8", 0],
  output: ["f8", 0],
  embedding: ["f8", 0],
  cache_read: ["f8", 0],
  cache_write: ["f8", 0],
  reasoning: ["f8", 0],
  cost: ["f8", 0],
  attempt: ["u1", 0],
  http_status: ["u2", 0],
  stream: ["u1", 0],
  error: ["i4", -1],
  provider: ["i4", -1],
  tier: ["i4", -1],
  finish: ["i4", -1],
  tags: ["i4", -1],
  late: ["u1", 0],
  count: ["i4", 0],
  told: ["u1", 0],
  untold: ["u1", 0],
  priced: ["u1", 0],
  cost_input: ["f8", 0],
  cost_output: ["f8", 0],
  cost_cache_read: ["f8", 0],
  cost_cache_write: ["f8", 0],
  saved: ["f8", 0],
  saved_cost: ["f8", 0],
} as const satisfies Record<string, readonly [Dtype, number]>;

const SEGMENTS = { node: "i4", part: "u1", label: "i4", tokens: "i4", new: "i4", cached: "i4", cost: "f8" } as const;

const FLOWS = { from: "i4", to: "i4", via: "u1", tokens: "f8" } as const;

export type ColumnName = keyof typeof SCHEMA;
export const NAMES = Object.keys(SCHEMA) as ColumnName[];
export const fallbackOf = (name: ColumnName): number => SCHEMA[name][1];
const STRING_COLUMNS = ["name", "where", "function", "model", "error", "provider", "tier", "finish", "tags"] as const;

/** Figures of the bits of `told` and `untold`; tokens are input, output and embedding together. */
export const FIGURES = ["input", "output", "embedding", "cache_read", "cache_write", "reasoning", "cost", "tokens"] as const;
export type Figure = (typeof FIGURES)[number];

/** Marks a node without usage of its own. */
export const NO_SOURCE = 255;

function strings(header: Record<string, unknown>, key: string): string[] {
  const value = header[key];
  if (!Array.isArray(value) || value.some((item) => typeof item !== "string")) {
    throw new Error(`the block's "${key}" is not a list of strings`);
  }
  return value as string[];
}

function readHeader(bytes: Uint8Array): { header: Record<string, unknown>; data: number } {
  if (bytes.length < 8 || String.fromCharCode(...bytes.subarray(0, 4)) !== "TPB1") {
    throw new Error("not a tokprof block");
  }
  const length = new DataView(bytes.buffer).getUint32(4, true);
  if (8 + length > bytes.length) throw new Error("the block ends inside its header");
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  } catch {
    throw new Error("the block's header is not JSON");
  }
  if (typeof header !== "object" || header === null) throw new Error("the block's header is not an object");
  return { header: header as Record<string, unknown>, data: 8 + length };
}

function readColumn(name: string, [dtype, fallback]: readonly [Dtype, number], spec: unknown, nodes: number, bytes: Uint8Array, data: number): ColumnArray {
  const Type = TYPES[dtype];
  if (spec === undefined) return new Type(nodes).fill(fallback);
  const { dtype: found, offset, length } = (spec ?? {}) as ColumnHeader;
  if (found !== dtype) throw new Error(`column "${name}": type ${String(found)} instead of ${dtype}`);
  if (length !== nodes) throw new Error(`column "${name}": ${String(length)} values for ${nodes} nodes`);
  const from = data + offset;
  const to = from + length * Type.BYTES_PER_ELEMENT;
  if (!Number.isInteger(offset) || offset < 0 || to > bytes.length) {
    throw new Error(`column "${name}": outside the block`);
  }
  // Copies: offsets of a block that came through a comm need not be aligned.
  return new Type(bytes.buffer.slice(from, to) as ArrayBuffer);
}

function checkTree(parent: Int32Array): void {
  for (let node = 0; node < parent.length; node++) {
    const up = parent[node]!;
    if (node === 0 ? up !== -1 : up < 0 || up >= node) {
      throw new Error(`column "parent": node ${node} has parent ${up}`);
    }
  }
}

function checkRange(name: string, column: ColumnArray, size: number): void {
  for (let node = 0; node < column.length; node++) {
    if (column[node]! >= size || column[node]! < -1) {
      throw new Error(`column "${name}": node ${node} points outside its table`);
    }
  }
}

function readSegments(header: Record<string, unknown>, specs: Record<string, unknown>, nodes: number, bytes: Uint8Array, data: number): Segments | undefined {
  const length = (specs["segment_node"] as ColumnHeader | undefined)?.length;
  if (!length) return undefined;
  const columns: Record<string, ColumnArray> = {};
  for (const [name, dtype] of Object.entries(SEGMENTS)) {
    columns[name] = readColumn(`segment_${name}`, [dtype, 0], specs[`segment_${name}`], length, bytes, data);
  }
  const names = strings(header, "parts");
  const segments = { ...columns, names } as unknown as Segments;
  checkRange("segment_node", segments.node, nodes);
  checkRange("segment_part", segments.part, names.length);
  if (segments.node.some((node, at) => node < (segments.node[at - 1] ?? 0))) throw new Error('column "segment_node": out of order');
  return segments;
}

function readFlows(specs: Record<string, unknown>, nodes: number, bytes: Uint8Array, data: number): Flows | undefined {
  const length = (specs["flow_from"] as ColumnHeader | undefined)?.length;
  if (!length) return undefined;
  const columns: Record<string, ColumnArray> = {};
  for (const [name, dtype] of Object.entries(FLOWS)) {
    columns[name] = readColumn(`flow_${name}`, [dtype, 0], specs[`flow_${name}`], length, bytes, data);
  }
  const flows = columns as unknown as Flows;
  checkRange("flow_from", flows.from, nodes);
  checkRange("flow_to", flows.to, nodes);
  checkRange("flow_via", flows.via, FLOW_VIAS.length);
  if (flows.from.includes(-1) || flows.to.includes(-1)) throw new Error('column "flow_from": from or to nowhere');
  return flows;
}

/** Reads a block; throws an Error that names what is wrong with it. */
export function decode(view: DataView | ArrayBuffer | Uint8Array): Block {
  const bytes =
    view instanceof ArrayBuffer
      ? new Uint8Array(view.slice(0))
      : new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer);
  const { header, data } = readHeader(bytes);
  if (header["version"] !== 1) throw new Error(`block version ${String(header["version"])} is not known here`);
  const nodes = header["nodes"];
  if (typeof nodes !== "number" || !Number.isInteger(nodes) || nodes < 0) {
    throw new Error('the block\'s "nodes" is not a count');
  }
  const specs = (header["columns"] ?? {}) as Record<string, unknown>;
  const columns: Partial<Record<ColumnName, ColumnArray>> = {};
  for (const name of NAMES) columns[name] = readColumn(name, SCHEMA[name], specs[name], nodes, bytes, data);
  const segments = readSegments(header, specs, nodes, bytes, data);
  const flows = readFlows(specs, nodes, bytes, data);
  const block = {
    ...columns,
    nodes,
    ...(segments ? { segments } : {}),
    ...(flows ? { flows } : {}),
    strings: strings(header, "strings"),
    kinds: strings(header, "kinds"),
    statuses: strings(header, "statuses"),
    sources: strings(header, "sources"),
    pricings: strings(header, "priced"),
    meta: (header["meta"] ?? {}) as Meta,
  } as unknown as Block;
  checkTree(block.parent);
  for (const name of STRING_COLUMNS) checkRange(name, block[name], block.strings.length);
  if (segments) checkRange("segment_label", segments.label, block.strings.length);
  if (nodes > 0) checkRange("kind", block.kind, block.kinds.length);
  return block;
}

export interface EncodeInput {
  nodes: number;
  columns: Partial<Record<ColumnName, ArrayLike<number>>>;
  strings: string[];
  kinds: string[];
  segments?: Partial<Record<keyof typeof SEGMENTS, ArrayLike<number>>> & { names: string[] };
  flows?: Record<keyof typeof FLOWS, ArrayLike<number>>;
  meta?: Meta;
}

/** Writes a block: for tests and the demo; the kernel has its own writer. */
export function encode({ nodes, columns, strings, kinds, segments, flows, meta = {} }: EncodeInput): Uint8Array {
  const specs: Record<string, ColumnHeader> = {};
  const parts: { offset: number; bytes: Uint8Array }[] = [];
  let offset = 0;
  const add = (name: string, dtype: Dtype, values: ArrayLike<number> | undefined) => {
    if (!values) return;
    const array = new TYPES[dtype](Array.from(values));
    specs[name] = { dtype, offset, length: array.length };
    parts.push({ offset, bytes: new Uint8Array(array.buffer) });
    offset = Math.ceil((offset + array.byteLength) / 8) * 8;
  };
  for (const name of NAMES) add(name, SCHEMA[name][0], columns[name]);
  for (const [name, dtype] of Object.entries(SEGMENTS)) add(`segment_${name}`, dtype, segments?.[name as "node"]);
  for (const [name, dtype] of Object.entries(FLOWS)) add(`flow_${name}`, dtype, flows?.[name as "from"]);
  const statuses = ["ok", "error", "cancelled", "partial", "open"];
  const sources = ["reported", "derived", "estimated", "partial", "missing"];
  const priced = ["", "reported", "priced", "custom", "cached", "missing"];
  const json = JSON.stringify({ version: 1, nodes, columns: specs, strings, kinds, statuses, sources, priced, parts: segments?.names, meta });
  const text = new TextEncoder().encode(json);
  const length = Math.ceil((8 + text.length) / 8) * 8 - 8;
  const bytes = new Uint8Array(8 + length + offset).fill(32, 8, 8 + length);
  bytes.set(new TextEncoder().encode("TPB1"));
  new DataView(bytes.buffer).setUint32(4, length, true);
  bytes.set(text, 8);
  for (const part of parts) bytes.set(part.bytes, 8 + length + part.offset);
  return bytes;
}
