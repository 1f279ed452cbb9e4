// Updates an open board in place: existing elements stay, and with them a press, the focus, a selection and the scroll
// position. Elements with an id are matched by it, all others by their position.
function update(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType === Node.TEXT_NODE) return old.data = fresh.data;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const named = (parent) => new Map([...parent.children].filter((each) => each.id).map((each) => [each.id, each]));
  const before = named(old), after = named(fresh);
  let at = old.firstChild;
  const drop = () => { const gone = at; at = at.nextSibling; gone.remove(); };
  for (const each of [...fresh.childNodes]) {
    while (at && (at.id || each.id) && !after.has(at.id)) drop();
    const same = each.id ? before.get(each.id) : at?.id ? null : at;
    if (same && same === at) at = at.nextSibling; else old.insertBefore(same ?? each, at);
    if (same) update(same, each);
  }
  while (at) drop();
}

htmx.defineExtension("in-place", {
  isInlineSwap: (style) => style === "in-place" || style === "rows",
  handleSwap(style, target, fragment) {
    if (!this.isInlineSwap(style)) return false;
    showTimes(fragment);
    offerCopies(fragment);
    if (style === "in-place") update(target, fragment.firstElementChild);
    else for (const fresh of fragment.querySelectorAll("tr[id], #queue, #rush, #failures")) { // a row may be on another page
      const old = document.getElementById(fresh.id);
      if (old) update(old, fresh);
    }
    return []; // nothing in it is new to htmx
  },
});

// Shows a warning while the board cannot be updated.
const stale = document.getElementById("stale");
for (const name of ["htmx:sendError", "htmx:responseError", "htmx:sseError"]) document.addEventListener(name, () => { stale.hidden = false; });
for (const name of ["htmx:afterSwap", "htmx:sseOpen"]) document.addEventListener(name, () => { stale.hidden = true; });
