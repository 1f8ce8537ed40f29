for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = Array.from(body.rows, (row) => {
        const cell = row.cells[column];
        return { row, number: parseFloat(cell.dataset.value), text: cell.firstChild.firstChild ? cell.firstChild.firstChild.textContent : "" };
      });
      keyed.sort((a, b) => {
        const missing = Number(isNaN(a.number)) - Number(isNaN(b.number));
        if (missing) return missing;
        const order = isNaN(a.number) ? (a.text < b.text ? -1 : Number(a.text > b.text)) : a.number - b.number;
        return down ? -order : order;
      });
      keyed.forEach((item) => body.append(item.row));
    });
  });
}
