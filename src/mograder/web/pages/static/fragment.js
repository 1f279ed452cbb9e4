// Fills a field from the address's fragment, where a join link keeps its code and a login link its ticket, and takes
// the fragment out of the address and the history. A field with data-send is sent at once.
for (const field of document.querySelectorAll("[data-fragment]")) {
  const fragment = location.hash.slice(1);
  const name = field.dataset.fragment;
  const value = name === "*" ? fragment : new URLSearchParams(fragment).get(name);
  if (!value) continue;
  field.value = value;
  history.replaceState(null, "", location.pathname + location.search);
  if ("send" in field.dataset) field.form.requestSubmit();
}
