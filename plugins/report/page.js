(function () {
  "use strict";
  var table = document.getElementById("rows");
  var bar = document.getElementById("filters");
  if (!table || !bar) return;
  var rows = Array.prototype.slice.call(table.querySelectorAll("tr[data-outcome]"));
  var chosen = { lane: "", outcome: "", text: "" };

  function apply() {
    rows.forEach(function (row) {
      row.hidden =
        (chosen.lane && (" " + row.dataset.lane + " ").indexOf(" " + chosen.lane + " ") < 0) ||
        (chosen.outcome && row.dataset.outcome !== chosen.outcome) ||
        (chosen.text && row.textContent.toLowerCase().indexOf(chosen.text) < 0);
    });
    table.querySelectorAll("tr.group").forEach(function (group) {
      var row = group.nextElementSibling;
      while (row && row.hidden) row = row.nextElementSibling;
      group.hidden = !row || row.className === "group";
    });
  }

  function button(kind, value) {
    var made = document.createElement("button");
    made.type = "button";
    made.textContent = value;
    made.setAttribute("aria-pressed", "false");
    made.addEventListener("click", function () {
      var on = chosen[kind] !== value;
      bar.querySelectorAll("button[data-kind=" + kind + "]").forEach(function (other) {
        other.setAttribute("aria-pressed", "false");
      });
      made.setAttribute("aria-pressed", String(on));
      chosen[kind] = on ? value : "";
      apply();
    });
    made.dataset.kind = kind;
    bar.appendChild(made);
  }

  ["lane", "outcome"].forEach(function (kind) {
    var seen = {};
    rows.forEach(function (row) {
      row.dataset[kind].split(kind === "lane" ? " " : "\n").forEach(function (value) {
        if (value && !seen[value]) seen[value] = true;
      });
    });
    Object.keys(seen).sort().forEach(function (value) { button(kind, value); });
  });
  var search = document.createElement("input");
  search.type = "search";
  search.placeholder = "clause, model, ...";
  search.setAttribute("aria-label", "show rows that contain");
  search.addEventListener("input", function () {
    chosen.text = search.value.toLowerCase();
    apply();
  });
  bar.appendChild(search);
})();
