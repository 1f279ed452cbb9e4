// Shows the copy buttons where the browser can copy, and copies what they name; also in what htmx brings.
function offerCopies(root) {
  for (const button of root.querySelectorAll("[data-copy][hidden]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch { // not over plain http: select it, so that the person's own keys copy it
        getSelection().selectAllChildren(source);
        button.textContent = "Selected: copy it now";
      }
    });
  }
}

offerCopies(document);
document.addEventListener("htmx:load", (event) => offerCopies(event.target));
