// The summary of a profile in a cell.
import type { Render } from "@anywidget/types";
import { mountSummary, type SummaryTraits } from "@tokprof/summary/mount.ts";

const render: Render<SummaryTraits> = (context) => mountSummary(context);

export default { render };
