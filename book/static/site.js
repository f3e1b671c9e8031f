/* Four small services of every page: boxes that scroll sideways can be reached by keyboard; no line begins with the comma after
   a formula; paper is printed in the light theme;
   and the search page, which shows an excerpt of each hit by fetching the page, does without it when the book is read from
   disk, where browsers forbid fetching. */
(function () {
  "use strict";
  const BOXES = ["mjx-container[display]", "span.math", "pre", ".output", ".ledger-box", ".ledger-row", ".ledger-summary", ".scrolls",
    ".pst-scrollable-table-container"].map((name) => ".bd-article " + name).join(", ");

  function mark() {
    document.querySelectorAll(BOXES).forEach((box) => {
      if (box.scrollWidth > box.clientWidth) {
        box.tabIndex = 0;
      } else {
        box.removeAttribute("tabindex");
      }
    });
  }

  function start() {
    mark();
    const MathJax = window.MathJax;
    if (MathJax && MathJax.startup && MathJax.startup.promise) MathJax.startup.promise.then(mark);
    document.fonts.addEventListener("loadingdone", mark); // letters may get wider
    document.fonts.ready.then(mark);
    window.addEventListener("resize", mark);
  }

  const paper = window.matchMedia("print");
  let screenTheme = null;
  paper.addEventListener("change", () => {
    const root = document.documentElement.dataset;
    if (paper.matches) {
      screenTheme = root.theme;
      root.theme = "light";
    } else if (screenTheme) {
      root.theme = screenTheme;
    }
  });

  window.addEventListener("load", start);
  function hold() {
    document.querySelectorAll(".bd-article p span.math").forEach((formula) => {
      const next = formula.nextSibling;
      const marks = next && next.nodeType === Node.TEXT_NODE && next.data.match(/^[.,;:!?)]+/);
      if (!marks) return;
      next.splitText(marks[0].length);
      const together = document.createElement("span");
      together.style.whiteSpace = "nowrap";
      formula.before(together);
      together.append(formula, next);
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    hold();
    if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
      DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
    }
  });
})();
