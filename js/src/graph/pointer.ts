// Mouse, pen and wheel on the graph, told as intentions. A plain wheel stays with the page.

/** A node, an edge, or the sign of hidden steps at a node. */
export interface Target {
  readonly part: "node" | "edge" | "more" | "nothing";
  readonly at: number;
}

export interface GraphPointerEvents {
  hover(target: Target, x: number, y: number): void;
  leave(): void;
  click(target: Target): void;
  doubleClick(target: Target): void;
  drag(dx: number, dy: number): void;
  zoom(factor: number, x: number, y: number): void;
}

/** Pixels that a hand may shake during a click. */
const STEADY = 4;

function targetOf(event: Event): Target {
  const element = event.target instanceof Element ? event.target : null;
  for (const part of ["more", "node", "edge"] as const) {
    const at = element?.closest(`[data-${part}]`)?.getAttribute(`data-${part}`);
    if (at !== undefined && at !== null) return { part, at: Number(at) };
  }
  return { part: "nothing", at: -1 };
}

export function listenToGraph(stage: HTMLElement, events: GraphPointerEvents, signal: AbortSignal): void {
  let down: { id: number; x: number; y: number; moved: boolean } | null = null;
  let dragged = false;
  stage.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (event.button !== 0) return;
    down = { id: event.pointerId, x: event.clientX, y: event.clientY, moved: false };
  }, { signal });
  stage.addEventListener("pointermove", (event) => {
    if (!down) return events.hover(targetOf(event), event.clientX, event.clientY);
    const dx = event.clientX - down.x;
    const dy = event.clientY - down.y;
    if (!down.moved && Math.hypot(dx, dy) < STEADY) return;
    if (!down.moved) {
      stage.setPointerCapture(down.id);
      stage.classList.add("tp-dragging");
      events.leave();
    }
    down = { ...down, x: event.clientX, y: event.clientY, moved: true };
    dragged = true;
    events.drag(dx, dy);
  }, { signal });
  const up = () => {
    stage.classList.remove("tp-dragging");
    down = null;
  };
  stage.addEventListener("pointerup", up, { signal });
  stage.addEventListener("pointercancel", up, { signal });
  stage.addEventListener("pointerleave", () => {
    if (!down?.moved) down = null;
    events.leave();
  }, { signal });
  stage.addEventListener("click", (event) => {
    if (!dragged) events.click(targetOf(event));
  }, { signal });
  stage.addEventListener("dblclick", (event) => {
    event.preventDefault();
    if (!dragged) events.doubleClick(targetOf(event));
  }, { signal });
  stage.addEventListener("wheel", (event) => {
    const lines = event.deltaMode === 1 ? 16 : 1;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      event.stopPropagation();
      const delta = Math.max(-120, Math.min(120, event.deltaY * lines));
      const box = stage.getBoundingClientRect();
      // A pinch on a trackpad arrives as many small steps with ctrlKey set.
      events.zoom(Math.exp(-delta / (Math.abs(delta) < 30 ? 60 : 300)), event.clientX - box.left, event.clientY - box.top);
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      events.drag(-event.deltaX * lines, 0);
    }
  }, { signal, passive: false });
}
