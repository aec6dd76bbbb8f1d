
"use strict";
for (const place of document.querySelectorAll("[data-search]")) {
  const rows = [...document.getElementById(place.dataset.search).tBodies[0].rows];
  const texts = rows.map((row) => [0, 1, 3, 4].map((at) => row.cells[at].textContent).join(" ").toLowerCase());
  const label = document.createElement("label");
  const field = document.createElement("input");
  const count = document.createElement("span");
  field.type = "search";
  count.setAttribute("role", "status");
  count.className = "soft";
  label.append("Find ", field, " ", count);
  place.append(label);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    rows.forEach((row, at) => {
      row.hidden = !words.every((word) => texts[at].includes(word));
      found += row.hidden ? 0 : 1;
    });
    count.textContent = words.length ? `${found} of ${rows.length}` : "";
  });
}
for (const code of document.querySelectorAll("code.back")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.setAttribute("aria-label", `copy ${code.textContent}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
    }
  });
  code.after(button);
}
