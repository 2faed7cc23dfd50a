"""The cost table as a reader's hand and eye meet it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page


class CostTable:
    """A cost table in a page."""

    def __init__(self, within: Page | Locator):
        self.page = within if isinstance(within, Page) else within.page
        self.element = within.get_by_test_id("tokprof-costs")
        self.table = self.element.get_by_test_id("tokprof-table")
        self.grid = self.element.get_by_test_id("tokprof-grid")
        self.rows = self.element.get_by_test_id("tokprof-row")
        self.total = self.element.get_by_test_id("tokprof-total")
        self.filter = self.element.get_by_test_id("tokprof-filter")
        self.detail = self.element.get_by_test_id("tokprof-detail")
        self.status = self.element.get_by_test_id("tokprof-status")

    def wait(self) -> CostTable:
        self.rows.first.wait_for(timeout=30_000)
        return self

    def by(self, first: str, then: str = "") -> None:
        self.element.get_by_test_id("tokprof-by").select_option(first)
        inner = self.element.get_by_test_id("tokprof-then")
        if inner.is_enabled():  # below single calls there is nothing
            inner.select_option(then)

    def names(self) -> list[str]:
        """Labels of the rows in the page, without what stands beside them."""
        return list(
            self.rows.evaluate_all("(rows) => rows.map((r) => r.querySelector('.tp-label').firstChild.textContent)")
        )

    def row(self, name: str) -> Locator:
        return self.rows.nth(self.names().index(name))

    def cell(self, row: Locator, column: str) -> str:
        heads = list(self.table.locator("thead button").evaluate_all("(all) => all.map((one) => one.dataset.column)"))
        return row.locator("th, td").nth(heads.index(column)).inner_text()

    def sort(self, column: str) -> None:
        self.element.get_by_test_id(f"tokprof-sort-{column}").click()

    def selected(self) -> list[str]:
        """Names of the rows that are selected whole."""
        return [
            name
            for name, row in zip(self.names(), self.rows.all(), strict=True)
            if row.get_attribute("aria-selected") == "true"
        ]
