/* Sorts a table by the column of the clicked heading, by data-value: numbers, else text; empty cells are last. */
for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th[data-sort]");
    if (!head) return;
    const rises = head.ariaSort !== "ascending";
    for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.ariaSort = rises ? "ascending" : "descending";
    const value = (row) => row.cells[head.cellIndex].dataset.value;
    const compared = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
    const body = table.tBodies[0];
    const filled = [...body.rows].filter((row) => value(row) !== "");
    const empty = [...body.rows].filter((row) => value(row) === "");
    filled.sort((a, b) => (rises ? 1 : -1) * compared(value(a), value(b)));
    body.append(...filled, ...empty);
  });
}
