// The flame graph in a cell.
import type { Render } from "@anywidget/types";
import { Flame, initialMetric } from "@tokprof/flame/flame.ts";
import { mount, type Traits } from "@tokprof/mount.ts";

interface FlameTraits extends Traits {
  metric: string;
}

const render: Render<FlameTraits> = (context) =>
  mount(context, (block, host) => {
    const metric = initialMetric(context.model.get("metric"), block.meta.metric);
    return new Flame(block, { metric, ...host });
  });

export default { render };
