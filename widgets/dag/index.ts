// The graph of steps in a cell.
import type { Render } from "@anywidget/types";
import { Dag } from "@tokprof/graph/dag.ts";
import { mount, type Traits } from "@tokprof/mount.ts";
import { isMetric } from "@tokprof/tree.ts";

interface DagTraits extends Traits {
  metric: string;
  edges: string;
}

const render: Render<DagTraits> = (context) =>
  mount(context, (block, host) => {
    const metric = [context.model.get("metric"), block.meta.metric].find(isMetric) ?? "tokens";
    const edges = context.model.get("edges") === "data" ? "data" : "calls";
    return new Dag(block, { metric, edges, ...host });
  });

export default { render };
