/* Six small services of every page: formulas are typeset in portions, so that a long page answers between two; boxes that
   scroll sideways can be reached by keyboard; no line begins with the comma after a formula or ends with the bracket before
   it; the style sheet is told the width of wide pictures; paper is printed in the light theme; and the search page, which
   shows an excerpt of each hit by fetching the page, does without it when the book is read from disk, where browsers forbid
   fetching. */
(function () {
  "use strict";
  const BOXES = ["mjx-container[display]", "span.math", "pre", ".output", ".ledger-box", ".ledger-row", ".ledger-summary", ".scrolls",
    ".ledger-claim", ".pst-scrollable-table-container"].map((name) => ".bd-article " + name).join(", ");

  function mark() {
    document.querySelectorAll(BOXES).forEach((box) => {
      if (box.scrollWidth > box.clientWidth) {
        box.tabIndex = 0;
      } else {
        box.removeAttribute("tabindex");
      }
    });
  }

  const FORMULAS = ".math, .output_area, .tex2jax_process, .mathjax_process", PORTION = 40;

  async function typeset() {
    const boxes = [...document.querySelectorAll(FORMULAS)].filter((box) => !box.parentElement.closest(FORMULAS));
    for (let done = 0; done < boxes.length; done += PORTION) {
      await new Promise((next) => setTimeout(next));
      await window.MathJax.typesetPromise(boxes.slice(done, done + PORTION));
    }
  }

  if (window.MathJax) window.MathJax.startup = { ...window.MathJax.startup, pageReady: typeset };

  function start() {
    mark();
    const MathJax = window.MathJax;
    if (MathJax && MathJax.startup && MathJax.startup.promise) {
      MathJax.startup.promise.then(() => {
        hold(".bd-article .tex2jax_process > mjx-container"); // formulas of boxes and tables are there only now
        mark();
      });
    }
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
  function hold(formulas) {
    document.querySelectorAll(formulas).forEach((formula) => {
      const { previousSibling: before, nextSibling: after } = formula;
      const opened = before && before.nodeType === Node.TEXT_NODE && before.data.match(/[([]+$/);
      const closed = after && after.nodeType === Node.TEXT_NODE && after.data.match(/^[.,;:!?)\]]+/);
      if (!opened && !closed) return;
      const together = document.createElement("span");
      together.style.whiteSpace = "nowrap";
      formula.before(together);
      if (opened) together.append(before.splitText(opened.index));
      together.append(formula);
      if (closed) {
        after.splitText(closed[0].length);
        together.append(after);
      }
    });
  }

  function measure(picture) {
    if (picture.naturalWidth > 600) picture.style.setProperty("--natural", picture.naturalWidth);
  }

  document.addEventListener("DOMContentLoaded", () => {
    hold(".bd-article p span.math");
    document.querySelectorAll(".bd-article figure img").forEach((picture) => {
      measure(picture);
      picture.addEventListener("load", () => measure(picture));
    });
    if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
      DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
    }
  });
})();
