// Mouse, pen and wheel on the canvas, told as intentions. A plain wheel stays with the page.

export interface PointerEvents {
  hover(x: number, y: number): void;
  leave(): void;
  click(x: number, y: number): void;
  doubleClick(x: number, y: number): void;
  drag(dx: number, dy: number): void;
  zoom(factor: number, x: number): void;
  scrollSideways(dx: number): void;
}

/** Pixels that a hand may shake during a click. */
const STEADY = 4;

export function listenToPointer(canvas: HTMLCanvasElement, events: PointerEvents, signal: AbortSignal): void {
  const at = (event: MouseEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  let down: { id: number; x: number; y: number; moved: boolean } | null = null;
  let dragged = false;
  canvas.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (event.button !== 0) return;
    down = { id: event.pointerId, x: event.clientX, y: event.clientY, moved: false };
  }, { signal });
  canvas.addEventListener("pointermove", (event) => {
    if (!down) {
      events.hover(...at(event));
      return;
    }
    const dx = event.clientX - down.x;
    const dy = event.clientY - down.y;
    if (!down.moved && Math.hypot(dx, dy) < STEADY) return;
    if (!down.moved) {
      canvas.setPointerCapture(down.id);
      canvas.classList.add("tp-dragging");
      events.leave();
    }
    down = { ...down, x: event.clientX, y: event.clientY, moved: true };
    dragged = true;
    events.drag(dx, dy);
  }, { signal });
  const up = () => {
    canvas.classList.remove("tp-dragging");
    down = null;
  };
  canvas.addEventListener("pointerup", up, { signal });
  canvas.addEventListener("pointercancel", up, { signal });
  canvas.addEventListener("pointerleave", () => {
    if (!down?.moved) down = null;
    events.leave();
  }, { signal });
  canvas.addEventListener("click", (event) => {
    if (!dragged) events.click(...at(event));
  }, { signal });
  canvas.addEventListener("dblclick", (event) => {
    event.preventDefault();
    if (!dragged) events.doubleClick(...at(event));
  }, { signal });
  canvas.addEventListener("wheel", (event) => {
    const lines = event.deltaMode === 1 ? 16 : 1;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      event.stopPropagation();
      const delta = Math.max(-120, Math.min(120, event.deltaY * lines));
      // A pinch on a trackpad arrives as many small steps with ctrlKey set.
      events.zoom(Math.exp(-delta / (Math.abs(delta) < 30 ? 60 : 240)), at(event)[0]);
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      events.scrollSideways(event.deltaX * lines);
    }
  }, { signal, passive: false });
}
