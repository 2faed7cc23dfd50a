// What part of a drawing is in sight, and how large.

export interface Sight {
  /** Pixels of the window = pixels of the drawing * k + (x, y). */
  readonly x: number;
  readonly y: number;
  readonly k: number;
}

export interface Room {
  readonly width: number;
  readonly height: number;
}

export const SMALLEST = 0.02;
export const LARGEST = 2.5;

/** All of a drawing, in the middle, and not larger than life. */
export function fitted(drawing: Room, room: Room): Sight {
  const scale = Math.min(1, room.width / Math.max(1, drawing.width), room.height / Math.max(1, drawing.height));
  const k = Math.max(SMALLEST, scale);
  return { k, x: (room.width - drawing.width * k) / 2, y: (room.height - drawing.height * k) / 2 };
}

/** Larger or smaller around a point of the window. */
export function zoomed({ x, y, k }: Sight, factor: number, at: { x: number; y: number }): Sight {
  const next = Math.min(LARGEST, Math.max(SMALLEST, k * factor));
  const by = next / k;
  return { k: next, x: at.x - (at.x - x) * by, y: at.y - (at.y - y) * by };
}

/** Some of the drawing always stays in sight. */
export function kept(sight: Sight, drawing: Room, room: Room): Sight {
  const clamp = (offset: number, size: number, window: number) => {
    const least = Math.min(window, size) * 0.25;
    return Math.min(window - least, Math.max(least - size, offset));
  };
  return {
    k: sight.k,
    x: clamp(sight.x, drawing.width * sight.k, room.width),
    y: clamp(sight.y, drawing.height * sight.k, room.height),
  };
}

/** Brings a box of the drawing into sight with as little movement as can be. */
export function revealed(sight: Sight, box: Room & { x: number; y: number }, room: Room, margin = 12): Sight {
  const move = (offset: number, from: number, size: number, window: number) => {
    const low = from * sight.k + offset;
    const high = low + size * sight.k;
    if (low < margin || size * sight.k > window - 2 * margin) return offset + margin - low;
    return high > window - margin ? offset + window - margin - high : offset;
  };
  return {
    k: sight.k,
    x: move(sight.x, box.x, box.width, room.width),
    y: move(sight.y, box.y, box.height, room.height),
  };
}
