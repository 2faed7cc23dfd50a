// The cost table in a cell.
import type { Render } from "@anywidget/types";
import { Costs } from "@tokprof/table/costs.ts";
import { mount, type Traits } from "@tokprof/mount.ts";

interface CostsTraits extends Traits {
  by: unknown;
}

const render: Render<CostsTraits> = (context) =>
  mount(context, (block, host) => {
    const by = context.model.get("by");
    return new Costs(block, { by: Array.isArray(by) ? by.map(String) : ["model"], ...host });
  });

export default { render };
