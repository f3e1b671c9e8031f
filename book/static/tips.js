/* Hover previews: the call tippy(link, options) that sphinx-tippy writes into every page, without tippy.js and popper.
   A preview opens when a link is pointed at or reached by keyboard, stays while the pointer is on the link or on the
   preview, and closes on Escape. It is text: links in it are flattened and its ids dropped, so nothing is there twice. */
(function () {
  "use strict";
  const DELAY = 200, GAP = 8;
  let box = null, owner = null, timer = null;

  function content(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const part = template.content;
    part.querySelectorAll("script, style, .headerlink, .eqno, button").forEach((e) => e.remove());
    part.querySelectorAll("[id]").forEach((e) => e.removeAttribute("id"));
    part.querySelectorAll("[tabindex]").forEach((e) => e.removeAttribute("tabindex"));
    part.querySelectorAll("a").forEach((a) => {
      const span = document.createElement("span");
      span.append(...a.childNodes);
      a.replaceWith(span);
    });
    return part;
  }

  function place() {
    if (!box || !owner) return;
    const link = owner.getClientRects()[0] || owner.getBoundingClientRect();
    const width = document.documentElement.clientWidth, height = window.innerHeight;
    const left = Math.max(GAP, Math.min(link.left, width - box.offsetWidth - GAP));
    let top = link.bottom + GAP;
    if (top + box.offsetHeight > height && link.top > height - link.bottom) top = link.top - GAP - box.offsetHeight;
    box.style.left = left + window.scrollX + "px";
    box.style.top = Math.max(0, top + window.scrollY) + "px";
  }

  function hide() {
    clearTimeout(timer);
    if (owner) owner.removeAttribute("aria-describedby");
    if (box) box.remove();
    box = owner = null;
  }

  function show(link, options) {
    hide();
    owner = link;
    box = document.createElement("div");
    box.id = "preview";
    box.className = "preview";
    box.setAttribute("role", "tooltip");
    box.append(content(options.content));
    box.addEventListener("pointerenter", () => clearTimeout(timer));
    box.addEventListener("pointerleave", later);
    document.body.append(box);
    link.setAttribute("aria-describedby", "preview");
    place();
    new ResizeObserver(place).observe(box);
    const MathJax = window.MathJax;
    if (options.onShow && MathJax && MathJax.startup && MathJax.startup.promise) {
      const shown = box;
      MathJax.startup.promise.then(() => { if (shown.isConnected) options.onShow({ popper: shown, reference: link }); });
    }
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(hide, DELAY);
  }

  function attach(link, options) {
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "touch") return;
      clearTimeout(timer);
      if (owner !== link) timer = setTimeout(show, DELAY, link, options);
    });
    link.addEventListener("pointerleave", later);
    link.addEventListener("focus", () => { if (link.matches(":focus-visible")) show(link, options); });
    link.addEventListener("blur", hide);
    link.addEventListener("click", hide);
  }

  window.tippy = function (target, options) {
    const links = typeof target === "string" ? document.querySelectorAll(target) : target instanceof Element ? [target] : target;
    for (const link of links) attach(link, options);
  };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  window.addEventListener("resize", hide);
})();
