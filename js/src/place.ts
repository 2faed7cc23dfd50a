// Where a box goes so that the page shows all of it.

export interface Anchor {
  /** In pixels of the page's viewport. */
  readonly x: number;
  readonly top: number;
  readonly bottom: number;
}

const GAP = 10;
const EDGE = 6;

/** Top left corner of a box of some size near an anchor, inside the viewport, below the anchor if there is room. */
export function place(
  anchor: Anchor,
  size: { width: number; height: number },
  room: { width: number; height: number },
): { left: number; top: number } {
  const left = Math.max(EDGE, Math.min(anchor.x + GAP, room.width - size.width - EDGE));
  const below = anchor.bottom + GAP;
  if (below + size.height + EDGE <= room.height) return { left, top: below };
  const above = anchor.top - GAP - size.height;
  return { left, top: above >= EDGE ? above : Math.max(EDGE, room.height - size.height - EDGE) };
}
